//! A small file whose newest record must never be lost: two slots of two equal copies each.
//!
//! 1. The sequence's parity chooses the slot, so the newer slot is never overwritten.
//! 2. Saving writes the older slot and syncs before it returns.
//! 3. Reading takes the highest valid sequence. A slot both of whose copies are damaged may have held a newer record, so it
//!    stops the node.
//!
//! Invariant: once `save` has returned, no later read yields an older record.

use crate::disk::{Disk, Save};
use crate::error::{CorruptionCause, StorageError};
use crate::identity::{missing_record, read_exact};
use crate::sector::{self, Heal, PAIR_BYTES, Record};

/// Size of such a file: two slots.
pub(crate) const SLOT_FILE_BYTES: u64 = 2 * PAIR_BYTES as u64;

/// A record that is saved again and again.
pub(crate) trait SlotRecord: Record {
    /// The file's name.
    const FILE: &'static str;

    /// The record under another sequence number.
    fn with_sequence(self, sequence: u64) -> Self;
}

/// The open file and the newest record in it.
pub(crate) struct SlotFile<F, R> {
    file: F,
    pub(crate) newest: R,
    heals: Vec<Heal>,
}

impl<F: Clone, R: SlotRecord> SlotFile<F, R> {
    /// Creates the file with its first record. The caller syncs the directory.
    pub(crate) fn create<D: Disk<File = F>>(disk: &mut D, first: &R) -> Result<(), StorageError> {
        let file = disk.create(R::FILE, SLOT_FILE_BYTES)?;
        disk.write_at(&file, slot_offset(first.sequence()), &sector::encode_pair(first))?;
        Ok(disk.sync(&file)?)
    }

    pub(crate) fn read<D: Disk<File = F>>(disk: &mut D) -> Result<Self, StorageError> {
        let file = disk.open(R::FILE).map_err(|error| match error {
            crate::disk::DiskError::NotFound { name } => {
                StorageError::Corruption { file: name, offset: 0, cause: CorruptionCause::MissingFile }
            }
            other => other.into(),
        })?;
        let mut bytes = [0; 2 * PAIR_BYTES];
        read_exact(disk, R::FILE, &file, &mut bytes)?;
        let mut newest: Option<R> = None;
        let mut heals = Vec::new();
        for slot in 0..2 {
            let offset = slot * PAIR_BYTES;
            let pair = &bytes[offset..offset + PAIR_BYTES];
            let pair = sector::decode_pair::<R>(R::FILE, offset as u64, pair)?;
            heals.extend(pair.heal);
            if let Some(stored) = pair.record
                && newest.as_ref().is_none_or(|newest| newest.sequence() < stored.sequence())
            {
                newest = Some(stored);
            }
        }
        let newest = newest.ok_or_else(|| missing_record(R::FILE))?;
        Ok(Self { file, newest, heals })
    }

    /// Makes what was read durable, under the next sequence number. The process may have died before it had synced the record, and
    /// whatever is done because of it must not outlive it.
    pub(crate) fn renew<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), StorageError> {
        self.heal(disk)?;
        self.save(disk, self.newest.clone())
    }

    /// Overwrites copies that were found damaged with their twins; durable when it returns.
    pub(crate) fn heal<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), StorageError> {
        for heal in std::mem::take(&mut self.heals) {
            heal.apply(disk, &self.file)?;
            disk.sync(&self.file)?;
        }
        Ok(())
    }

    /// `next` under the next sequence number, and what has to be saved for it. It is the newest once that is durable.
    pub(crate) fn prepare(&self, next: R) -> (R, Save<F>) {
        let next = next.with_sequence(self.newest.sequence() + 1);
        let (offset, bytes) = (slot_offset(next.sequence()), sector::encode_pair(&next).to_vec());
        (next, Save::Bytes { file: self.file.clone(), offset, bytes })
    }

    /// Saves `next` under the next sequence number; durable when it returns.
    pub(crate) fn save<D: Disk<File = F>>(&mut self, disk: &mut D, next: R) -> Result<(), StorageError> {
        let next = next.with_sequence(self.newest.sequence() + 1);
        disk.write_at(&self.file, slot_offset(next.sequence()), &sector::encode_pair(&next))?;
        disk.sync(&self.file)?;
        self.newest = next;
        Ok(())
    }
}

fn slot_offset(sequence: u64) -> u64 {
    (sequence & 1) * PAIR_BYTES as u64
}
