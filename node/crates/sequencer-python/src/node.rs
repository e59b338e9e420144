//! `Node`: a member of a cluster, in this process.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sequencer_runtime::node;

use crate::error::Error;

/// Longest wait for a status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// One member of a cluster: its log, and the threads that serve it, none of which holds the interpreter's lock.
#[pyclass(frozen, module = "sequencer._native")]
pub(crate) struct Node(node::Node);

#[pymethods]
impl Node {
    #[staticmethod]
    fn init(py: Python<'_>, config: &[u8]) -> Result<(), Error> {
        Ok(py.detach(|| node::Node::init(config))?)
    }

    #[new]
    fn new(py: Python<'_>, config: &[u8]) -> Result<Self, Error> {
        Ok(Self(py.detach(|| node::Node::start(config))?))
    }

    #[getter]
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.report_json())
    }

    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, Error> {
        let json = py.detach(|| self.0.status(STATUS_TIMEOUT))?;
        Ok(PyBytes::new(py, &json))
    }

    fn command<'py>(
        &self,
        py: Python<'py>,
        command: &[u8],
        timeout_s: f64,
    ) -> Result<Bound<'py, PyBytes>, Error> {
        let timeout = seconds(timeout_s)?;
        let json = py.detach(|| self.0.command(command, timeout))?;
        Ok(PyBytes::new(py, &json))
    }

    fn wait(&self, py: Python<'_>, timeout_s: f64) -> Result<Option<String>, Error> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.0.wait(timeout)))
    }

    fn stop(&self, hand_over: bool) {
        self.0.stop(hand_over);
    }
}

/// A time-out as Python gives it.
pub(crate) fn seconds(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds).map_err(|_| Error::Seconds { seconds })
}
