//! Steps that append, cut, save and read, and the clean stop.

use sequencer_storage::{DiskError, HardState, StorageError};
use sequencer_wire::{LogEnd, NodeId, Position, Term};

use super::{Checked, Model, Pending, table};
use crate::common::{membership, message, new_term};

impl Model {
    pub(super) fn batch(&mut self) -> Vec<u8> {
        let start = self.content.len();
        if let Some(peer) = &self.peer {
            // The repair sends the same frames again.
            let ends = table(peer).1;
            let from = ends.partition_point(|end| *end <= start);
            let to = (from + self.rng.below(6) as usize).min(ends.len() - 1);
            return peer[start..ends.get(to).copied().unwrap_or(start).max(start)].to_vec();
        }
        let mut term = table(&self.content).0.last_term();
        let mut bytes = Vec::new();
        for _ in 0..=self.rng.below(6) {
            let at = Position((start + bytes.len()) as u64);
            if term == Term::NONE || self.rng.below(20) == 0 {
                let next = Term(term.0.max(self.hard_state.term.0) + 1 + self.rng.below(3));
                bytes.extend(new_term(at, term, next));
                term = next;
            } else if self.rng.below(25) == 0 {
                bytes.extend(membership(at, term));
            } else {
                let largest = if self.rng.below(12) == 0 { 12_000 } else { 700 };
                let payload = vec![self.rng.next_u64() as u8; self.rng.below(largest) as usize];
                bytes.extend(message(at, term, &payload));
            }
        }
        bytes
    }

    pub(super) fn append(&mut self) -> Checked {
        let bytes = self.batch();
        let ends = if self.peer.is_some() { vec![0] } else { table(&[&self.content[..], &bytes].concat()).1 };
        // Two slices, split between two frames.
        let split = ends[self.rng.below(ends.len() as u64) as usize].saturating_sub(self.content.len());
        self.pending = Pending::Append(bytes.clone());
        let (first, second) = bytes.split_at(split.min(bytes.len()));
        if self.call(|log| log.append(&[first, second]))? {
            self.pending = Pending::Nothing;
            self.content.extend_from_slice(&bytes);
            self.repaired();
            let end = self.log.as_ref().map_or(0, |log| log.end().0);
            ensure!(end == self.content.len() as u64, "end {end} after an append to {}", self.content.len());
        }
        Ok(())
    }

    pub(super) fn repaired(&mut self) {
        if self.content.len() as u64 >= self.acknowledged.position.0 {
            self.peer = None;
        }
    }

    pub(super) fn cut(&mut self) -> Checked {
        let least = self.committed.max(self.start).min(self.content.len());
        let ends: Vec<usize> = table(&self.content).1.into_iter().filter(|end| *end >= least).collect();
        // Most cuts take little, some take all that may be taken.
        let most = if self.rng.coin() { ends.len().min(5) as u64 } else { ends.len() as u64 };
        let back = self.rng.below(most) as usize;
        let to = ends[ends.len().saturating_sub(1 + back)];
        if self.peer.is_some() {
            self.cut_to = self.cut_to.min(to);
        } else if (to as u64) < self.acknowledged.position.0 {
            // Only what is not committed is cut, so what was acknowledged past the cut counts no more.
            let position = Position(to as u64);
            self.acknowledged = LogEnd { term: table(&self.content).0.term_before(position), position };
        }
        if self.call(|log| log.cut(Position(to as u64)))? {
            self.content.truncate(to);
        }
        Ok(())
    }

    pub(super) fn save(&mut self) -> Checked {
        let vote = (self.rng.below(3) > 0).then(|| NodeId(self.rng.below(5) as u32));
        let term = Term(self.hard_state.term.0 + self.rng.below(2));
        let next = HardState { term, vote, ..self.hard_state };
        self.pending = Pending::Save(next);
        if self.call(|log| log.save_hard_state(&next))? {
            self.pending = Pending::Nothing;
            self.hard_state = next;
        }
        Ok(())
    }

    pub(super) fn read(&mut self) -> Checked {
        if self.rng.below(3) == 0 {
            return self.read_base_snapshot();
        }
        let ends: Vec<usize> = table(&self.content).1.into_iter().filter(|end| *end >= self.start).collect();
        let from = ends[self.rng.below(ends.len() as u64) as usize];
        let limit = self.rng.below(40_000) as usize;
        let mut into = Vec::new();
        if self.call(|log| log.read(Position(from as u64), limit, &mut into).map(drop))? {
            ensure!(self.content[from..].starts_with(&into), "a read from {from} returns other bytes");
            ensure!(into.is_empty() == (from == self.content.len()), "a read from {from} returns nothing");
        }
        Ok(())
    }

    pub(super) fn flip(&mut self) -> Checked {
        if self.flips_allowed && self.disk.flip_random_bit(&mut self.rng, |_| true).is_some() {
            self.flips += 1;
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Checked {
        if let Some(log) = self.log.take() {
            match log.close() {
                Ok(_) => {
                    // A clean stop loses nothing, whatever happens to the machine.
                    self.acknowledged = LogEnd {
                        term: table(&self.content).0.last_term(),
                        position: Position(self.content.len() as u64),
                    }
                    .max(self.acknowledged);
                    self.disk.lose_power(&mut self.rng);
                }
                Err(StorageError::Disk(DiskError::Stopped)) if self.stay_down => return Ok(()),
                Err(StorageError::Disk(DiskError::Stopped)) => self.disk.crash_process(),
                Err(error) => return Err(format!("unexpected error: {error:?}")),
            }
        }
        self.reopen()
    }
}
