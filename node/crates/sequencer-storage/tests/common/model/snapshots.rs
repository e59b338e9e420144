//! Steps that save snapshots, trim the log, and replace it by a snapshot.

use sequencer_storage::{Disk, SnapshotInfo};
use sequencer_wire::{LogEnd, Position};

use super::{Checked, Model, Pending, table};
use crate::common::snapshot_bytes;

/// Most snapshots that the log keeps.
const SNAPSHOTS_MAX: usize = 8;

impl Model {
    /// Position of the newest snapshot, 0 when there is none.
    fn newest_snapshot(&self) -> usize {
        self.snapshots.last().map_or(0, |end| end.position.0 as usize)
    }

    pub(super) fn save_snapshot(&mut self) -> Checked {
        let durable = self.log.as_ref().map_or(0, |log| log.durable().0 as usize);
        let possible = self.start.max(self.newest_snapshot() + 1)..=durable;
        let (terms, ends) = table(&self.content);
        let ends: Vec<usize> = ends.into_iter().filter(|end| possible.contains(end)).collect();
        // Mostly the lower half, so that cuts keep something to cut.
        let most = if self.rng.below(4) == 0 { ends.len() } else { ends.len().div_ceil(2) };
        let Some(position) = ends.get(self.rng.below(most as u64) as usize) else { return Ok(()) };
        let position = Position(*position as u64);
        let end = LogEnd { term: terms.term_before(position), position };
        self.pending = Pending::Snapshot(end);
        let bytes = snapshot_bytes(end);
        if self.call(|log| log.save_snapshot(end, &bytes))? {
            self.pending = Pending::Nothing;
            self.snapshots.push(end);
            self.committed = self.committed.max(position.0 as usize);
            let info = SnapshotInfo { end, bytes: bytes.len() as u64 };
            let newest = self.log.as_ref().and_then(|log| log.snapshot());
            ensure!(newest == Some(info), "{newest:?} after {info:?} was saved");
            let kept = self.files("snapshot-").len();
            ensure!(kept <= SNAPSHOTS_MAX.min(self.snapshots.len()), "{kept} snapshots are kept");
        }
        Ok(())
    }

    pub(super) fn trim(&mut self) -> Checked {
        let floor = Position(self.rng.below(self.content.len() as u64 + 1));
        let durable = self.log.as_ref().map_or(Position::START, |log| log.durable());
        self.pending = Pending::Trim;
        let mut start = Position::START;
        if self.call(|log| log.trim(floor).map(|now| start = now))? {
            self.pending = Pending::Nothing;
            let moved = start.0 as usize > self.start;
            let base = self.log.as_ref().and_then(|log| log.base_snapshot()).map(|base| base.end.position);
            let rests = base.is_some_and(|base| start <= base && base <= floor);
            ensure!(!moved || rests, "trimmed to {start}, which rests on {base:?}, the floor was {floor}");
            ensure!(moved || start.0 as usize == self.start, "start {start} after {}", self.start);
            ensure!(table(&self.content).1.contains(&(start.0 as usize)), "start {start} is within a frame");
            self.start = start.0 as usize;
            // One between the start and the base goes, but a loss of power may bring it back, which does no harm.
            self.snapshots.retain(|end| end.position >= start);
            if self.clean {
                self.check_nothing_more_could_go(floor, durable)?;
            }
        }
        Ok(())
    }

    /// No segment ends at or below the newest snapshot that is not above the floor, but for the last one that is durable.
    fn check_nothing_more_could_go(&self, floor: Position, durable: Position) -> Checked {
        let below = |name: &String| name["snapshot-".len()..].parse().ok().filter(|at| *at <= floor.0);
        let Some(kept_from) = self.files("snapshot-").iter().filter_map(below).max() else { return Ok(()) };
        let second = self.files(".segment").get(1).and_then(|name| name[..20].parse::<u64>().ok());
        let is_needed = second.is_none_or(|second| second > kept_from || second >= durable.0);
        ensure!(is_needed, "the segment before {second:?} was kept");
        Ok(())
    }

    fn files(&self, part: &str) -> Vec<String> {
        let names = self.disk.clone().list().unwrap_or_default();
        names.into_iter().filter(|name| name.contains(part)).collect()
    }

    pub(super) fn install(&mut self) -> Checked {
        let base =
            self.log.as_ref().and_then(|log| log.base_snapshot()).map(|base| base.end.position.0 as usize);
        let mut history = self.peer.clone().unwrap_or_else(|| self.content.clone());
        if let Some(base) = base
            && self.content.len() < base
            && self.start > 0
            && self.rng.coin()
        {
            // Damage below every snapshot: the log starts anew from the oldest, and a peer sends what follows.
            history.truncate(base);
            return self.install_history(&history);
        }
        if self.peer.is_none() {
            // The leader is ahead, by nothing, a little, or some segments.
            let content = self.content.clone();
            for _ in 0..self.rng.below(4) * self.rng.below(8) {
                let more = self.batch();
                self.content.extend(more);
            }
            history = std::mem::replace(&mut self.content, content);
        }
        let least = self.committed.max(self.newest_snapshot()).max(self.start + 1);
        let ends: Vec<usize> = table(&history).1.into_iter().filter(|end| *end >= least).collect();
        let Some(position) = ends.get(self.rng.below(ends.len() as u64) as usize) else { return Ok(()) };
        history.truncate(*position);
        if self.acknowledged.position.0 > *position as u64 {
            // The leader's history goes another way: what was acknowledged past this counts no more.
            self.acknowledged = end_of(&history);
        }
        self.install_history(&history)
    }

    fn install_history(&mut self, history: &[u8]) -> Checked {
        let end = end_of(history);
        self.pending = Pending::Install(history.to_vec());
        let bytes = snapshot_bytes(end);
        if self.call(|log| log.install(end, &bytes))? {
            self.pending = Pending::Nothing;
            self.take_over(history);
            self.repaired();
            self.snapshots = vec![end];
            let Some(log) = &self.log else { return Ok(()) };
            let ends = [log.start(), log.end(), log.durable()];
            ensure!(ends == [end.position; 3] && log.log_end() == end, "{ends:?} after {end} was installed");
            let info = Some(SnapshotInfo { end, bytes: bytes.len() as u64 });
            ensure!(log.snapshot() == info && log.base_snapshot() == info, "the snapshot at {end}");
            let files = (self.files(".segment").len(), self.files("snapshot-").len());
            ensure!(files == (1, 1), "{files:?} segments and snapshots after an installation");
        }
        Ok(())
    }

    /// The log is now empty and starts behind this history.
    pub(super) fn take_over(&mut self, history: &[u8]) -> LogEnd {
        let end = end_of(history);
        self.content = history.to_vec();
        self.start = history.len();
        self.committed = self.committed.max(history.len());
        if self.acknowledged.position < end.position {
            self.acknowledged = end;
        }
        end
    }

    pub(super) fn note_commit(&mut self) -> Checked {
        let most = (self.acknowledged.position.0 as usize).min(self.content.len());
        let possible = self.committed..=most;
        let ends: Vec<usize> =
            table(&self.content).1.into_iter().filter(|end| possible.contains(end)).collect();
        let Some(end) = ends.get(self.rng.below(ends.len().div_ceil(2) as u64) as usize) else {
            return Ok(());
        };
        let position = Position(*end as u64);
        self.committed = *end;
        self.try_step(|log| {
            log.note_commit(position);
            Ok(())
        })
    }

    pub(super) fn read_base_snapshot(&mut self) -> Checked {
        let Some(base) = self.log.as_ref().and_then(|log| log.base_snapshot()) else { return Ok(()) };
        let step = 1 + self.rng.below(900) as usize;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < base.bytes {
            let offset = bytes.len() as u64;
            let mut read = 0;
            self.try_step(|log| log.read_base_snapshot(offset, step, &mut bytes).map(|taken| read = taken))?;
            ensure!(read > 0 && read <= step, "{read} bytes of the snapshot from {offset} on");
        }
        let same = bytes == snapshot_bytes(base.end);
        ensure!(same || self.flips > 0, "the content of the snapshot at {}", base.end);
        Ok(())
    }
}

/// The end of a history that begins at 0.
pub(super) fn end_of(history: &[u8]) -> LogEnd {
    LogEnd { term: table(history).0.last_term(), position: Position(history.len() as u64) }
}
