//! Turns what the crates refuse into the exceptions of `sequencer.errors`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use sequencer_client::ClientError;
use sequencer_runtime::ReplicaError;
use sequencer_runtime::node::NodeError;
use sequencer_storage::{ReadError, StorageError};
use sequencer_wire::{Position, WireError};

/// What a function of this module fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bytes, or what is to become of them, are refused by the wire crate.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The node refuses, or has failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The client refuses, and is as before.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Two threads use one client.
    #[error("Another thread is using this client; let one thread use it, or one at a time.")]
    InUse,
    /// It failed in the middle of something.
    #[error("The client failed before, as was reported then; make another one.")]
    Broken,
    /// An argument that is none of a few.
    #[error("{field} must be {expected}.")]
    Choice {
        /// Which.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A load cannot be run, or ended before its time.
    #[error("the load cannot be run: {message}")]
    Load {
        /// Why.
        message: String,
    },
    /// A time-out that is none.
    #[error("{seconds} is no time-out; take a finite number of seconds that is not negative.")]
    Seconds {
        /// The number given.
        seconds: f64,
    },
    /// An argument is a number without a meaning.
    #[error("No frame kind has the number {kind}; take one of FrameKind.")]
    UnknownKind {
        /// The number given.
        kind: u8,
    },
    /// A new-term frame was asked for as if its payload were free to choose.
    #[error("A new-term frame names its own terms; write it by encode_new_term.")]
    NewTermPayload,
    /// A frame was to belong to no term, or a term was to open that does not follow.
    #[error("Term {term} cannot follow term {previous}; terms rise from 1.")]
    TermOrder {
        /// The term of the frame.
        term: u64,
        /// The term that it has to exceed.
        previous: u64,
    },
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        // An exception that cannot be made (the package is not installed as a whole) is reported as that failure.
        Python::attach(|py| exception(py, &error).unwrap_or_else(|failure| failure))
    }
}

/// The class says what the caller may do; the facts become attributes.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let facts = PyDict::new(py);
    let class = match error {
        Error::UnknownKind { .. }
        | Error::NewTermPayload
        | Error::TermOrder { .. }
        | Error::Seconds { .. }
        | Error::Load { .. }
        | Error::InUse
        | Error::Node(NodeError::Command(_)) => "RejectedError",
        Error::Choice { field, .. } => {
            facts.set_item("path", field)?;
            "ConfigError"
        }
        Error::Broken => "SequencerError",
        Error::Client(error) => client_class(error, &facts)?,
        Error::Read(error) => read_class(error, &facts)?,
        Error::Node(NodeError::Config { path, .. }) => {
            facts.set_item("path", path)?;
            "ConfigError"
        }
        Error::Node(NodeError::Replica(ReplicaError::Config(error))) => {
            facts.set_item("path", error.path)?;
            "ConfigError"
        }
        Error::Node(NodeError::Replica(ReplicaError::Storage(StorageError::NotFormatted))) => {
            "NotFormattedError"
        }
        Error::Node(NodeError::Replica(_)) => "StorageError",
        Error::Node(NodeError::Io { .. }) => "StartError",
        Error::Node(NodeError::Stopped | NodeError::TimedOut(_)) => {
            facts.set_item("retry_after_s", 1.0)?;
            "UnavailableError"
        }
        Error::Wire(wire) => wire_class(wire, &facts)?,
    };
    let class = py.import("sequencer.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((error.to_string(),), Some(&facts))?))
}

fn wire_class(error: &WireError, facts: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match error {
        WireError::PayloadTooLarge { bytes, max, .. } => {
            facts.set_item("payload_bytes", bytes)?;
            facts.set_item("payload_bytes_max", max)?;
            "TooLargeError"
        }
        WireError::PositionOutOfRange { .. } => "RejectedError",
        _ => match frame_position(error) {
            Some(Position(at)) => {
                facts.set_item("position", at)?;
                if error.is_damage() { "CorruptionError" } else { "UnsupportedError" }
            }
            None => "SequencerError",
        },
    })
}

fn client_class(error: &ClientError, facts: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match error {
        ClientError::Setting { field, .. } => {
            facts.set_item("path", field)?;
            "ConfigError"
        }
        ClientError::WindowFull { messages, bytes, .. } => {
            facts.set_item("messages", messages)?;
            facts.set_item("bytes", bytes)?;
            "WindowFullError"
        }
        ClientError::TooLarge { bytes, limit_bytes } => {
            facts.set_item("payload_bytes", bytes)?;
            facts.set_item("payload_bytes_max", limit_bytes)?;
            "TooLargeError"
        }
        ClientError::NoSession | ClientError::Closing => "SessionClosedError",
        ClientError::SessionOpen { .. } => "RejectedError",
        ClientError::NoRole { .. } => {
            facts.set_item("kind", "not_active")?;
            "RejectedError"
        }
        ClientError::Fenced { session, epoch } => {
            facts.set_item("session", session)?;
            facts.set_item("epoch", epoch)?;
            "FencedError"
        }
        ClientError::System { .. } => "SequencerError",
    })
}

fn read_class(error: &ReadError, facts: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match error {
        ReadError::BelowStart { first, .. } => {
            let first = first.map(|Position(at)| at);
            facts.set_item("kind", if first.is_some() { "trimmed" } else { "no_log" })?;
            let found = PyDict::new(facts.py());
            found.set_item("first", first)?;
            facts.set_item("facts", found)?;
            "RejectedError"
        }
        ReadError::Damaged { source, .. } => wire_class(source, facts)?,
        ReadError::Io { .. } => "StorageError",
    })
}

/// Where the frame stands that could not be read; `None` when the error is not about reading a frame.
fn frame_position(error: &WireError) -> Option<Position> {
    match *error {
        WireError::Truncated { at, .. }
        | WireError::LengthOutOfRange { at, .. }
        | WireError::Checksum { at, .. }
        | WireError::UnsupportedVersion { at, .. }
        | WireError::UnsupportedKind { at, .. }
        | WireError::UnsupportedFlags { at, .. }
        | WireError::NonZeroReserved { at, .. }
        | WireError::NonZeroPadding { at, .. }
        | WireError::PayloadLength { at, .. }
        | WireError::BrokenChain { at, .. }
        | WireError::NoTerm { at, .. } => Some(at),
        _ => None,
    }
}
