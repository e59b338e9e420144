//! Bytes on a connection that cannot be what they should be.

use thiserror::Error;

/// Why a message was not understood. The connection is closed: what follows cannot be trusted to begin where it seems to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The length field is out of bounds.
    #[error("a message of {bytes} bytes; from {least} to {most}, in steps of 8, are allowed")]
    Length {
        /// What it says.
        bytes: u64,
        /// Least.
        least: usize,
        /// Most.
        most: usize,
    },
    /// The checksum does not match: the bytes were damaged under way, or the other side does not speak this protocol.
    #[error(
        "a message's checksum is {found:#010x}, not {expected:#010x}: it was damaged, or the other side speaks another protocol"
    )]
    Checksum {
        /// Computed from the bytes.
        expected: u32,
        /// In the message.
        found: u32,
    },
    /// A kind that has no meaning here.
    #[error("a message of kind {kind}, which has no meaning here; the other side may be newer")]
    Kind {
        /// The kind byte.
        kind: u8,
    },
    /// The content does not fit the kind.
    #[error("in a message of kind {kind}, {field} is wrong: {found}")]
    Field {
        /// The kind byte.
        kind: u8,
        /// Which part.
        field: &'static str,
        /// What it says.
        found: u64,
    },
}
