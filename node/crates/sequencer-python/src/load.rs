//! `run_load`: what `sequencer bench` runs.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sequencer_client::Settings;
use sequencer_load::Load;
use sequencer_runtime::node::parse_uuid;
use sequencer_wire::ClusterId;

use crate::error::Error;

/// Puts the cluster under load; JSON in and out. Blocks without the interpreter's lock for as long as the load says.
#[pyfunction]
#[pyo3(signature = (cluster, addresses, load, *, identity = "", secret = None))]
pub(crate) fn run_load<'py>(
    py: Python<'py>,
    cluster: &str,
    addresses: Vec<String>,
    load: &[u8],
    identity: &str,
    secret: Option<Vec<u8>>,
) -> Result<Bound<'py, PyBytes>, Error> {
    let cluster = parse_uuid(cluster).map(ClusterId).ok_or_else(|| Error::Load {
        message: format!("{cluster:?} is not a UUID of 32 hexadecimal digits"),
    })?;
    let load: Load =
        serde_json::from_slice(load).map_err(|error| Error::Load { message: error.to_string() })?;
    let settings = Settings { identity: identity.to_owned(), secret, ..Settings::new(cluster, addresses) };
    let report = py
        .detach(|| sequencer_load::run(settings, &load))
        .map_err(|error| Error::Load { message: error.to_string() })?;
    let json = serde_json::to_vec(&report).expect("a report holds nothing that JSON cannot say");
    Ok(PyBytes::new(py, &json))
}
