//! Watermark slots: how far a log was known to be durable, and how far a sync was about to make it so.
//!
//! Each segment has two slots of two equal copies, chosen by the parity of one sequence that counts over all segments. The
//! newest slot of all segments holds; it is always in the segment that was last when it was written.
//!
//! Invariant: synced (on disk) <= acknowledged <= intent (on disk).

use sequencer_wire::{LogEnd, Position, Term};

use crate::disk::SECTOR_BYTES;
use crate::sector::{Fields, PAIR_BYTES, Record, SEQUENCE_MAX, Taken};

/// Where the slots start in a segment: behind the header sector.
const SLOTS_AT: u64 = SECTOR_BYTES as u64;
/// Bytes of both slots.
pub(crate) const SLOTS_BYTES: usize = 2 * PAIR_BYTES;

/// ```text
/// 16 sequence u64 | 24 synced u64 | 32 intent position u64 | 40 intent term u64 | 48 committed u64 | 56 members end u64
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) sequence: u64,
    /// Everything before this position was durable when the slot was written.
    pub(crate) synced: Position,
    /// Nothing past this end was acknowledged before the next slot was durable.
    pub(crate) intent: LogEnd,
    /// Everything before this position was known to be committed.
    pub(crate) committed: Position,
    /// End of the last membership frame up to the intent; 0 if it is not known to be above the start.
    pub(crate) members_end: Position,
}

impl Record for Watermark {
    const MAGIC: [u8; 8] = *b"sqwaterm";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn put(&self, fields: &mut Fields<'_>) {
        fields.u64(self.sequence);
        fields.u64(self.synced.0);
        fields.u64(self.intent.position.0);
        fields.u64(self.intent.term.0);
        fields.u64(self.committed.0);
        fields.u64(self.members_end.0);
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let sequence = fields.u64();
        let synced = Position(fields.u64());
        let position = Position(fields.u64());
        let intent = LogEnd { term: Term(fields.u64()), position };
        let (committed, members_end) = (Position(fields.u64()), Position(fields.u64()));
        let is_ordered = synced <= position && committed <= position && members_end <= position;
        let watermark = Self { sequence, synced, intent, committed, members_end };
        (is_ordered && sequence <= SEQUENCE_MAX).then_some(watermark)
    }
}

impl Watermark {
    /// Where this slot belongs in its segment.
    pub(crate) fn offset(&self) -> u64 {
        Self::slot_offset(self.sequence & 1)
    }

    /// Where slot 0 or 1 stands in a segment.
    pub(crate) fn slot_offset(slot: u64) -> u64 {
        SLOTS_AT + slot * PAIR_BYTES as u64
    }
}
