//! The `hardstate` file: what a node must never forget between two lives.

use sequencer_wire::{Claim, HardState, LogEnd, NodeId, Position, Term};

use crate::sector::{Fields, Record, SEQUENCE_MAX, Taken};
use crate::slot_file::{SlotFile, SlotRecord};

/// Name of the file.
pub(crate) const HARD_STATE_FILE: &str = "hardstate";

const HAS_VOTE: u32 = 1;
const HAS_CLAIM: u32 = 1 << 1;
const CLAIM_DAMAGED: u32 = 1 << 2;
const CLEAN_STOP: u32 = 1 << 3;
const MEMORY_RUN: u32 = 1 << 4;
const CLAIM_MEMBERSHIP: u32 = 1 << 5;

/// ```text
/// 16 sequence u64 | 24 term u64 | 32 claim term u64 | 40 claim position u64 | 48 flags u32 | 52 vote u32 | 56 boot id 16 bytes
/// ```
/// Flags: 1 a vote was given, 2 a claim stands, 4 the claim is of known damage, 8 the node stopped cleanly, 16 it ran with
/// memory durability, 32 the bytes of the claim may hold a change of membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) state: HardState,
    pub(crate) clean_stop: bool,
    pub(crate) memory_run: bool,
    pub(crate) boot_id: [u8; 16],
}

impl Record for Stored {
    const MAGIC: [u8; 8] = *b"sqhardst";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn put(&self, fields: &mut Fields<'_>) {
        let claim =
            self.state.claim.unwrap_or(Claim { end: LogEnd::default(), damaged: false, membership: false });
        let mut flags = 0;
        let mut set = |on: bool, flag: u32| flags |= if on { flag } else { 0 };
        set(self.state.vote.is_some(), HAS_VOTE);
        set(self.state.claim.is_some(), HAS_CLAIM);
        set(claim.damaged, CLAIM_DAMAGED);
        set(claim.membership, CLAIM_MEMBERSHIP);
        set(self.clean_stop, CLEAN_STOP);
        set(self.memory_run, MEMORY_RUN);
        fields.u64(self.sequence);
        fields.u64(self.state.term.0);
        fields.u64(claim.end.term.0);
        fields.u64(claim.end.position.0);
        fields.u32(flags);
        fields.u32(self.state.vote.map_or(0, |vote| vote.0));
        fields.bytes(&self.boot_id);
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let sequence = fields.u64();
        let term = Term(fields.u64());
        let end = LogEnd { term: Term(fields.u64()), position: Position(fields.u64()) };
        let flags = fields.u32();
        let vote = NodeId(fields.u32());
        let has = |flag: u32| flags & flag != 0;
        let state = HardState {
            term,
            vote: has(HAS_VOTE).then_some(vote),
            claim: has(HAS_CLAIM).then_some(Claim {
                end,
                damaged: has(CLAIM_DAMAGED),
                membership: has(CLAIM_MEMBERSHIP),
            }),
        };
        let (clean_stop, memory_run) = (has(CLEAN_STOP), has(MEMORY_RUN));
        let known = HAS_VOTE | HAS_CLAIM | CLAIM_DAMAGED | CLEAN_STOP | MEMORY_RUN | CLAIM_MEMBERSHIP;
        let meant = flags & !known == 0 && sequence <= SEQUENCE_MAX;
        meant.then(|| Self { sequence, state, clean_stop, memory_run, boot_id: fields.array() })
    }
}

impl SlotRecord for Stored {
    const FILE: &'static str = HARD_STATE_FILE;

    fn with_sequence(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }
}

/// The open file and the newest state in it.
pub(crate) type HardStateFile<F> = SlotFile<F, Stored>;
