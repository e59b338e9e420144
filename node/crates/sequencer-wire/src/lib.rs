//! The bytes that nodes keep on disk and send to each other: frames of the log, the term table derived from
//! them, and the messages of the consensus protocol. Encoding, decoding and the checks that need nothing but
//! the bytes belong here; files, sockets, and every decision about what the bytes mean for a cluster do not.
//!
//! `docs/reference/wire.md` documents each layout to the bit.

#![forbid(unsafe_code)]

mod body;
pub mod bytes;
mod error;
mod frame;
mod frame_decode;
mod frame_encode;
mod frame_kind;
mod frame_seal;
mod frame_walk;
mod hard_state;
mod identity;
mod new_term;
pub mod peer;
mod position;
pub mod teeth;
mod term_starts;
mod term_table;

pub use body::{
    BODY_BYTES_MAX, Body, BodyError, CloseReason, Diverged, Divergence, MEMBERS_MAX, Member, MemberRole,
    Members, Membership, NAME_BYTES_MAX, Progress, Promote, Query, Retention, RoleGranted, Rollback, Schema,
    SchemaOwner, Service, SessionClose, SessionOpen, SnapshotMarker, SnapshotStep, TrimFloor, VOTERS_MAX,
};
pub use error::WireError;
pub use frame::{
    ALIGNMENT, FRAME_BYTES_MAX, FRAME_VERSION, Frame, FrameFields, HEADER_BYTES, PAYLOAD_BYTES_MAX,
    frame_bytes, padded,
};
pub use frame_decode::{decode_frame, header_kind, header_timestamp_ns, peek_length};
pub use frame_encode::{encode_frame, encode_new_term};
pub use frame_kind::FrameKind;
pub use frame_walk::Frames;
pub use hard_state::{Claim, HardState};
pub use identity::{ClusterId, NodeId};
pub use new_term::{NEW_TERM_BYTES, NewTerm};
pub use peer::{
    APPEND_FRAMES_BYTES_MAX, ENVELOPE_BYTES, Envelope, LogHealth, PEER_MESSAGE_BYTES_MAX, PEER_VERSION,
    PeerKind, PeerMessage, SNAPSHOT_CHUNK_BYTES_MAX, decode_peer, encode_append_header, encode_peer,
    peek_peer_length,
};
pub use position::{LogEnd, Position, Term};
pub use term_starts::{TERM_STARTS_MAX, TermStarts};
pub use term_table::{TermStart, TermTable};
