//! `read_log`: frames from the segments on a disk, whoever owns them.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sequencer_storage::LogReader;
use sequencer_wire::{Position, Term};

use crate::error::Error;

/// Read whole, verified frames that lie in the segments of a directory.
#[pyfunction]
pub(crate) fn read_log<'py>(
    py: Python<'py>,
    directory: PathBuf,
    from_position: u64,
    previous_term: u64,
    limit_bytes: usize,
) -> Result<Bound<'py, PyBytes>, Error> {
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| {
        let mut reader = LogReader::new(&directory);
        // Where the log ends nobody has said; it is where frames cease to verify.
        reader.read(Position(from_position), Position(u64::MAX), Term(previous_term), limit_bytes, bytes)
    };
    py.detach(|| read(&mut bytes))?;
    Ok(PyBytes::new(py, &bytes))
}
