//! The `hardstate` file: what a node must never forget between two lives.
//!
//! 1. Two slots of two equal copies each; the sequence's parity chooses the slot, so the newer slot is never overwritten.
//! 2. Saving writes the older slot and syncs before it returns.
//! 3. Reading takes the highest valid sequence. A slot both of whose copies are damaged may have held a newer vote, so it
//!    stops the node.
//!
//! Invariant: once `save` has returned, no later read yields an older state.

use sequencer_wire::{Claim, HardState, LogEnd, NodeId, Position, Term};

use crate::disk::Disk;
use crate::error::{CorruptionCause, StorageError};
use crate::identity::{missing_record, read_exact};
use crate::sector::{self, Fields, Heal, PAIR_BYTES, Record, SEQUENCE_MAX, Taken};

/// Name of the file.
pub(crate) const HARD_STATE_FILE: &str = "hardstate";
/// Its size: two slots.
pub(crate) const HARD_STATE_BYTES: u64 = 2 * PAIR_BYTES as u64;

const HAS_VOTE: u32 = 1;
const HAS_CLAIM: u32 = 1 << 1;
const CLAIM_DAMAGED: u32 = 1 << 2;
const CLEAN_STOP: u32 = 1 << 3;
const MEMORY_RUN: u32 = 1 << 4;

/// ```text
/// 16 sequence u64 | 24 term u64 | 32 claim term u64 | 40 claim position u64 | 48 flags u32 | 52 vote u32 | 56 boot id 16 bytes
/// ```
/// Flags: 1 a vote was given, 2 a claim stands, 4 the claim is of known damage, 8 the node stopped cleanly, 16 it ran with
/// memory durability.
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
        let claim = self.state.claim.unwrap_or(Claim { end: LogEnd::default(), damaged: false });
        let mut flags = 0;
        let mut set = |on: bool, flag: u32| flags |= if on { flag } else { 0 };
        set(self.state.vote.is_some(), HAS_VOTE);
        set(self.state.claim.is_some(), HAS_CLAIM);
        set(claim.damaged, CLAIM_DAMAGED);
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
            claim: has(HAS_CLAIM).then_some(Claim { end, damaged: has(CLAIM_DAMAGED) }),
        };
        let (clean_stop, memory_run) = (has(CLEAN_STOP), has(MEMORY_RUN));
        let known = HAS_VOTE | HAS_CLAIM | CLAIM_DAMAGED | CLEAN_STOP | MEMORY_RUN;
        let meant = flags & !known == 0 && sequence <= SEQUENCE_MAX;
        meant.then(|| Self { sequence, state, clean_stop, memory_run, boot_id: fields.array() })
    }
}

/// The open file and the newest state in it.
pub(crate) struct HardStateFile<F> {
    file: F,
    pub(crate) newest: Stored,
    heals: Vec<Heal>,
}

impl<F: Clone> HardStateFile<F> {
    /// Creates the file with the state of a node that has never run. The caller syncs the directory.
    pub(crate) fn create<D: Disk<File = F>>(disk: &mut D, first: &Stored) -> Result<(), StorageError> {
        let file = disk.create(HARD_STATE_FILE, HARD_STATE_BYTES)?;
        disk.write_at(&file, slot_offset(first.sequence), &sector::encode_pair(first))?;
        Ok(disk.sync(&file)?)
    }

    pub(crate) fn read<D: Disk<File = F>>(disk: &mut D) -> Result<Self, StorageError> {
        let file = disk.open(HARD_STATE_FILE).map_err(|error| match error {
            crate::disk::DiskError::NotFound { name } => {
                StorageError::Corruption { file: name, offset: 0, cause: CorruptionCause::MissingFile }
            }
            other => other.into(),
        })?;
        let mut bytes = [0; 2 * PAIR_BYTES];
        read_exact(disk, HARD_STATE_FILE, &file, &mut bytes)?;
        let mut newest: Option<Stored> = None;
        let mut heals = Vec::new();
        for slot in 0..2 {
            let offset = slot * PAIR_BYTES;
            let pair = &bytes[offset..offset + PAIR_BYTES];
            let pair = sector::decode_pair::<Stored>(HARD_STATE_FILE, offset as u64, pair)?;
            heals.extend(pair.heal);
            if let Some(stored) = pair.record
                && newest.as_ref().is_none_or(|newest| newest.sequence < stored.sequence)
            {
                newest = Some(stored);
            }
        }
        let newest = newest.ok_or_else(|| missing_record(HARD_STATE_FILE))?;
        Ok(Self { file, newest, heals })
    }

    /// Overwrites copies that were found damaged with their twins; durable when it returns.
    pub(crate) fn heal<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), StorageError> {
        for heal in std::mem::take(&mut self.heals) {
            heal.apply(disk, &self.file)?;
            disk.sync(&self.file)?;
        }
        Ok(())
    }

    /// Saves `next` under the next sequence number; durable when it returns.
    pub(crate) fn save<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        mut next: Stored,
    ) -> Result<(), StorageError> {
        next.sequence = self.newest.sequence + 1;
        disk.write_at(&self.file, slot_offset(next.sequence), &sector::encode_pair(&next))?;
        disk.sync(&self.file)?;
        self.newest = next;
        Ok(())
    }
}

fn slot_offset(sequence: u64) -> u64 {
    (sequence & 1) * PAIR_BYTES as u64
}
