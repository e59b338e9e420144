//! Frames of the log: `encode_frame`, `encode_new_term`, `decode_frames` and the value `Frame`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sequencer_wire::{
    FrameFields, FrameKind, Frames, NEW_TERM_BYTES, NewTerm, NodeId, Position, Term, frame_bytes,
};

use crate::error::Error;

/// One verified frame of the log; immutable, compared by value.
#[pyclass(frozen, eq, get_all, module = "sequencer._native")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    at: u64,
    end: u64,
    term: u64,
    kind: u8,
    flags: u16,
    source_id: u32,
    source_sequence: u64,
    timestamp_ns: u64,
    cause: u64,
    schema_id: u16,
    schema_version: u16,
    epoch: u32,
    payload: Vec<u8>,
}

impl From<sequencer_wire::Frame<'_>> for Frame {
    fn from(frame: sequencer_wire::Frame<'_>) -> Self {
        let FrameFields {
            kind,
            flags,
            source_id,
            source_sequence,
            timestamp_ns,
            cause,
            schema_id,
            schema_version,
            epoch,
        } = frame.fields;
        Self {
            at: frame.at.0,
            end: frame.end().0,
            term: frame.term.0,
            kind: kind as u8,
            flags,
            source_id,
            source_sequence,
            timestamp_ns,
            cause: cause.0,
            schema_id,
            schema_version,
            epoch,
            payload: frame.payload.to_vec(),
        }
    }
}

/// Encode one frame, padded to a multiple of 8 bytes.
#[pyfunction]
#[pyo3(signature = (
    kind, payload, *, at, term, source_id = 0, source_sequence = 0, timestamp_ns = 0, cause = None,
    schema_id = 0, schema_version = 0, epoch = 0
))]
#[expect(clippy::too_many_arguments, reason = "one keyword for each field of the header")]
pub(crate) fn encode_frame<'py>(
    py: Python<'py>,
    kind: u8,
    payload: &[u8],
    at: u64,
    term: u64,
    source_id: u32,
    source_sequence: u64,
    timestamp_ns: u64,
    cause: Option<u64>,
    schema_id: u16,
    schema_version: u16,
    epoch: u32,
) -> Result<Bound<'py, PyBytes>, Error> {
    let kind = FrameKind::try_from(kind).map_err(|kind| Error::UnknownKind { kind })?;
    if kind == FrameKind::NewTerm {
        return Err(Error::NewTermPayload);
    }
    let fields = FrameFields {
        kind,
        flags: 0,
        source_id,
        source_sequence,
        timestamp_ns,
        cause: cause.map_or(Position::START, Position),
        schema_id,
        schema_version,
        epoch,
    };
    let term = rising(term, Term::NONE)?;
    let mut bytes = vec![0; frame_bytes(payload.len())];
    sequencer_wire::encode_frame(&mut bytes, Position(at), term, &fields, payload)?;
    Ok(PyBytes::new(py, &bytes))
}

/// Encode the frame that opens `term`.
#[pyfunction]
#[pyo3(signature = (*, at, term, previous_term, leader, timestamp_ns))]
pub(crate) fn encode_new_term<'py>(
    py: Python<'py>,
    at: u64,
    term: u64,
    previous_term: u64,
    leader: u32,
    timestamp_ns: u64,
) -> Result<Bound<'py, PyBytes>, Error> {
    let previous = Term(previous_term);
    let new_term = NewTerm { term: rising(term, previous)?, previous, leader: NodeId(leader) };
    let mut bytes = [0; frame_bytes(NEW_TERM_BYTES)];
    sequencer_wire::encode_new_term(&mut bytes, Position(at), new_term, timestamp_ns)?;
    Ok(PyBytes::new(py, &bytes))
}

/// Decode and verify every frame of `data`, which must end where a frame ends.
#[pyfunction]
#[pyo3(signature = (data, *, at, previous_term))]
pub(crate) fn decode_frames(data: &[u8], at: u64, previous_term: u64) -> Result<Vec<Frame>, Error> {
    Frames::new(data, Position(at), Term(previous_term))
        .map(|frame| frame.map(Frame::from).map_err(Error::from))
        .collect()
}

/// The wire crate takes a term out of order for a bug of its caller; from Python it is a wrong argument.
fn rising(term: u64, previous: Term) -> Result<Term, Error> {
    if term > previous.0 { Ok(Term(term)) } else { Err(Error::TermOrder { term, previous: previous.0 }) }
}
