//! What a node and those who connect to it say to each other, as bytes: the handshake that every connection starts with, the messages
//! of clients and the node's answers, and the buffers that collect them. Nothing here opens a socket, reads a clock or draws a random
//! number, and nothing decides about the log: that is for `sequencer-core`. Messages between members are in `sequencer-wire`.
//!
//! `docs/reference/link.md` documents each layout to the bit.

#![forbid(unsafe_code)]

mod batch;
mod buffer;
mod error;
mod handshake;
mod hello;
mod message;
mod message_decode;
mod message_encode;

pub use batch::{
    BATCH_BYTES, Batch, BatchHead, BatchKind, BatchWriter, RECORD_HEAD_BYTES, Record, Records, record_bytes,
};
pub use buffer::{InputBuffer, OutputBuffer};
pub use error::LinkError;
pub use handshake::{Acceptor, Credential, Initiator, Introduced, Keys, Welcomed};
pub use hello::{
    ADDRESS_BYTES_MAX, Challenge, Hello, IDENTITY_BYTES_MAX, NONCE_BYTES, RefusalCode, Refused, Role,
    SECRET_BYTES_MIN, Welcome,
};
pub use message::{
    Ask, Command, Done, EndReason, HEAD_BYTES, Kind, Leader, MESSAGE_BYTES_MAX, Open, Positions, Reply, Tell,
};
pub use message_decode::{Head, decode_ask, decode_ask_again, decode_tell, peek_message};
pub use message_encode::{encode_ask, encode_frames_head, encode_tell};
