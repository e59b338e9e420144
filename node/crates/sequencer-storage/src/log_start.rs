//! The `logstart` file: where the stored log begins, and whether a snapshot is just taking its place.

use sequencer_wire::{Position, Term};

use crate::sector::{Fields, Record, SEQUENCE_MAX, Taken};
use crate::slot_file::SlotRecord;

const INSTALLING: u32 = 1;

/// ```text
/// 16 sequence u64 | 24 start u64 | 32 term of the byte before start u64 | 40 flags u32
/// ```
/// Flag 1: a snapshot that ends at `start` replaces the log; every segment that is found is void, and an empty one at `start` takes
/// their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogStart {
    pub(crate) sequence: u64,
    pub(crate) start: Position,
    pub(crate) term_before: Term,
    pub(crate) installing: bool,
}

impl LogStart {
    /// The start of a new log.
    pub(crate) fn first() -> Self {
        Self { sequence: 1, start: Position::START, term_before: Term::NONE, installing: false }
    }
}

impl Record for LogStart {
    const MAGIC: [u8; 8] = *b"sqlstart";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn put(&self, fields: &mut Fields<'_>) {
        fields.u64(self.sequence);
        fields.u64(self.start.0);
        fields.u64(self.term_before.0);
        fields.u32(if self.installing { INSTALLING } else { 0 });
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let sequence = fields.u64();
        let (start, term_before) = (Position(fields.u64()), Term(fields.u64()));
        let flags = fields.u32();
        // As with the names of segments, no log gets near the highest positions.
        let is_position = start.0.is_multiple_of(8) && start.0 <= u64::MAX / 2;
        let is_sound = is_position && (start > Position::START || term_before == Term::NONE);
        let meant = flags & !INSTALLING == 0 && sequence <= SEQUENCE_MAX && is_sound;
        meant.then_some(Self { sequence, start, term_before, installing: flags & INSTALLING != 0 })
    }
}

impl SlotRecord for LogStart {
    const FILE: &'static str = "logstart";

    fn with_sequence(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }
}
