//! The payload of a new-term frame: `term u64 | previous term u64 | leader node id u32 | reserved u32`.

use crate::{NodeId, Term, bytes};

/// Bytes of a new-term payload.
pub const NEW_TERM_BYTES: usize = 24;

pub(crate) const NEW_TERM_RESERVED_AT: usize = 20;

/// What the first frame of a term says. The frame belongs to the term that it names.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewTerm {
    /// The term that starts here; more than `previous`.
    pub term: Term,
    /// The term of the frame before; `Term::NONE` at the start of the log.
    pub previous: Term,
    /// The leader of the term.
    pub leader: NodeId,
}

impl NewTerm {
    #[inline]
    pub(crate) fn to_payload(self) -> [u8; NEW_TERM_BYTES] {
        let mut payload = [0; NEW_TERM_BYTES];
        bytes::put(&mut payload, 0, self.term.0.to_le_bytes());
        bytes::put(&mut payload, 8, self.previous.0.to_le_bytes());
        bytes::put(&mut payload, 16, self.leader.0.to_le_bytes());
        payload
    }

    /// `None` when the payload has another size or its reserved bytes are not zero.
    #[inline]
    pub(crate) fn from_payload(payload: &[u8]) -> Option<NewTerm> {
        if payload.len() != NEW_TERM_BYTES || bytes::u32_at(payload, NEW_TERM_RESERVED_AT) != 0 {
            return None;
        }
        Some(NewTerm {
            term: Term(bytes::u64_at(payload, 0)),
            previous: Term(bytes::u64_at(payload, 8)),
            leader: NodeId(bytes::u32_at(payload, 16)),
        })
    }
}
