//! The Python module `sequencer._native`.
//!
//! Here belong conversions between Python and Rust values and the mapping of errors to `sequencer.errors`. Logic does
//! not: what a function does is decided, and tested, in the crate that it calls.

mod client;
mod client_event;
mod error;
mod frame;
mod load;
mod log;
mod node;

/// Functions of the Rust crates, as `sequencer-python` hands them to Python.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::frame::{Frame, decode_frames, encode_frame, encode_new_term};

    #[pymodule_export]
    use super::node::Node;

    #[pymodule_export]
    use super::client::Client;

    #[pymodule_export]
    use super::log::read_log;

    #[pymodule_export]
    use super::load::run_load;

    #[pymodule_export]
    const HEADER_BYTES: usize = sequencer_wire::HEADER_BYTES;
    #[pymodule_export]
    const FRAME_BYTES_MAX: usize = sequencer_wire::FRAME_BYTES_MAX;
    #[pymodule_export]
    const PAYLOAD_BYTES_MAX: usize = sequencer_wire::PAYLOAD_BYTES_MAX;
    #[pymodule_export]
    const ALIGNMENT: usize = sequencer_wire::ALIGNMENT;
}
