//! `Client`: one session and one subscription of a cluster, driven from outside.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence};
use sequencer_client::{ClientError, Command, Record, Role, SessionSettings, Settings, SubscribeAt};
use sequencer_wire::{ClusterId, Position};

use crate::client_event::Heard;
use crate::error::Error;
use crate::node::seconds;

/// One session and one subscription of a cluster; nothing happens but in its methods, and no thread is started.
#[pyclass(frozen, module = "sequencer._native")]
pub(crate) struct Client(Mutex<State>);

struct State {
    client: sequencer_client::Client,
    heard: Heard,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (cluster, addresses, *, identity = "", secret = None, role = "client"))]
    fn new(
        cluster: &str,
        addresses: Vec<String>,
        identity: &str,
        secret: Option<Vec<u8>>,
        role: &str,
    ) -> Result<Self, Error> {
        let settings = Settings {
            identity: identity.to_owned(),
            secret,
            role: match role {
                "client" => Role::Client,
                "operator" => Role::Operator,
                _ => return Err(Error::Choice { field: "role", expected: "client or operator" }),
            },
            ..Settings::new(cluster_id(cluster)?, addresses)
        };
        let client = sequencer_client::Client::new(settings)?;
        Ok(Self(Mutex::new(State { client, heard: Heard::default() })))
    }

    #[pyo3(signature = (name, *, timeout_s, window_messages, window_bytes, group = 0, resume = 0))]
    fn open_session(
        &self,
        name: &str,
        timeout_s: f64,
        window_messages: usize,
        window_bytes: usize,
        group: u32,
        resume: u32,
    ) -> Result<(), Error> {
        let timeout = seconds(timeout_s)?;
        let settings = SessionSettings {
            group,
            timeout,
            window_messages,
            window_bytes,
            resume,
            ..SessionSettings::new(name)
        };
        Ok(self.state()?.client.open_session(settings)?)
    }

    #[pyo3(signature = (payload, *, schema_id = 0, schema_version = 0, cause = 0))]
    fn publish(
        &self,
        payload: &Bound<'_, PyAny>,
        schema_id: u16,
        schema_version: u16,
        cause: u64,
    ) -> PyResult<u64> {
        let record = Record { schema_id, schema_version, cause: Position(cause), payload: &[] };
        let mut state = self.state()?;
        with_bytes(payload, |payload| state.client.publish(&Record { payload, ..record }))
    }

    #[pyo3(signature = (payloads, *, start = 0, schema_id = 0, schema_version = 0, cause = 0))]
    fn publish_many(
        &self,
        payloads: &Bound<'_, PyAny>,
        start: usize,
        schema_id: u16,
        schema_version: u16,
        cause: u64,
    ) -> PyResult<(u64, usize)> {
        let record = Record { schema_id, schema_version, cause: Position(cause), payload: &[] };
        let mut state = self.state()?;
        let mut publish = |payload: &Bound<'_, PyAny>| {
            with_bytes(payload, |payload| state.client.publish(&Record { payload, ..record }))
        };
        // A list is what is usual, and fast.
        if let Ok(list) = payloads.cast_exact::<PyList>() {
            take(start, list.len(), |index| publish(&list.get_item(index)?))
        } else {
            let sequence = payloads.cast::<PySequence>()?;
            take(start, sequence.len()?, |index| publish(&sequence.get_item(index)?))
        }
    }

    #[pyo3(signature = (service, payload, *, schema_id = 0, schema_version = 0, cause = 0))]
    fn query(
        &self,
        service: u32,
        payload: &Bound<'_, PyAny>,
        schema_id: u16,
        schema_version: u16,
        cause: u64,
    ) -> PyResult<u64> {
        let record = Record { schema_id, schema_version, cause: Position(cause), payload: &[] };
        let mut state = self.state()?;
        with_bytes(payload, |payload| state.client.query(service, &Record { payload, ..record }))
    }

    #[pyo3(signature = (kind, body, *, source_id = 0, epoch = 0, sequence = 0, cause = 0, replica = 0))]
    #[expect(clippy::too_many_arguments, reason = "one keyword for each field")]
    fn command(
        &self,
        kind: u8,
        body: &[u8],
        source_id: u32,
        epoch: u32,
        sequence: u64,
        cause: u64,
        replica: u32,
    ) -> Result<u32, Error> {
        let cause = Position(cause);
        let command = Command { kind, source_id, epoch, sequence, cause, replica, body };
        Ok(self.state()?.client.command(command)?)
    }

    fn set_role(&self, role_epoch: u32) -> Result<(), Error> {
        Ok(self.state()?.client.set_role(role_epoch)?)
    }

    fn close_session(&self) -> Result<(), Error> {
        Ok(self.state()?.client.close_session()?)
    }

    #[pyo3(signature = (from_position, *, at = "any", verify = true))]
    fn subscribe(&self, from_position: Option<u64>, at: &str, verify: bool) -> Result<(), Error> {
        let at = match at {
            "any" => SubscribeAt::Any,
            "leader" => SubscribeAt::Leader,
            address => SubscribeAt::Address(address.to_owned()),
        };
        self.state()?.client.subscribe(from_position.map(Position), at, verify);
        Ok(())
    }

    fn unsubscribe(&self) -> Result<(), Error> {
        self.state()?.client.unsubscribe();
        Ok(())
    }

    fn poll<'py>(&self, py: Python<'py>, timeout_s: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let timeout = timeout_s.map(seconds).transpose()?;
        let mut state = self.state()?;
        let State { client, heard } = &mut *state;
        py.detach(|| client.poll(timeout, &mut |event| heard.note(&event))).map_err(Error::from)?;
        heard.tell(py)
    }

    fn fileno(&self) -> Result<i32, Error> {
        Ok(self.state()?.client.as_raw_fd())
    }

    fn due_s(&self) -> Result<Option<f64>, Error> {
        Ok(self.state()?.client.due().as_ref().map(Duration::as_secs_f64))
    }

    #[getter]
    fn unacknowledged(&self) -> Result<usize, Error> {
        Ok(self.state()?.client.unacknowledged())
    }

    #[getter]
    fn session(&self) -> Result<Option<(u32, u32)>, Error> {
        Ok(self.state()?.client.session())
    }
}

impl Client {
    /// Whoever uses it at the same time as somebody else is told so, and does not wait: the other may be waiting for the interpreter.
    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        match self.0.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::WouldBlock) => Err(Error::InUse),
            Err(TryLockError::Poisoned(_)) => Err(Error::Broken),
        }
    }
}

/// Publishes items from `start` on until one does not fit: the number of the first, and how many were taken. An error counts when it is the first's.
fn take(start: usize, end: usize, mut publish: impl FnMut(usize) -> PyResult<u64>) -> PyResult<(u64, usize)> {
    let mut first = 0;
    for index in start..end {
        match publish(index) {
            Ok(number) if index == start => first = number,
            Ok(_) => {}
            Err(error) if index == start => return Err(error),
            Err(_) => return Ok((first, index - start)),
        }
    }
    Ok((first, end.saturating_sub(start)))
}

/// Hands on the bytes of an object that holds some.
fn with_bytes<R>(
    object: &Bound<'_, PyAny>,
    act: impl FnOnce(&[u8]) -> Result<R, ClientError>,
) -> PyResult<R> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return act(bytes.as_bytes()).map_err(|error| Error::from(error).into());
    }
    // Others might change what they hold meanwhile.
    let bytes = PyBuffer::<u8>::get(object)?.to_vec(object.py())?;
    act(&bytes).map_err(|error| Error::from(error).into())
}

/// The 32 digits of a UUID.
fn cluster_id(text: &str) -> Result<ClusterId, Error> {
    let wrong = || Error::Choice { field: "cluster", expected: "a UUID" };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
    u128::from_str_radix(digits, 16).map(|id| ClusterId(id.to_be_bytes())).map_err(|_| wrong())
}
