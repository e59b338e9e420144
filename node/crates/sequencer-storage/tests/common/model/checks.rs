//! What must be true when a log has been opened.

use sequencer_storage::{CorruptionCause, DiskError, Durability, HardState, Log, Recovered, StorageError};
use sequencer_wire::{FrameKind, Frames, LogEnd, LogHealth, Position, Term, TermStart, TermTable};

use super::snapshots::end_of;
use super::{Checked, Model, Pending, table};
use crate::common::snapshot_bytes;

impl Model {
    /// Opens the log, sometimes with a crash in the middle of recovery.
    pub(super) fn reopen(&mut self) -> Checked {
        if self.stay_down {
            self.try_open()?;
            return Ok(());
        }
        for _ in 0..3 {
            if self.rng.below(4) == 0 {
                self.disk.stop_after(1 + self.rng.below(25));
            }
            if self.try_open()? {
                return Ok(());
            }
            let power = self.options.durability == Durability::Fsync && self.rng.coin();
            self.fall(power);
        }
        let opened = self.try_open()?;
        ensure!(opened, "the disk stopped without having been told to");
        Ok(())
    }

    /// Opens the log and holds it against the twin; false when the disk stopped.
    pub(crate) fn try_open(&mut self) -> Result<bool, String> {
        let torn = self.disk.counters().torn_writes;
        match Log::open(self.disk.clone(), self.options.clone()) {
            Ok((log, recovered)) => {
                self.log = Some(log);
                self.check(&recovered)?;
                Ok(true)
            }
            Err(StorageError::Disk(DiskError::Stopped)) => Ok(false),
            // A snapshot has no second copy, and a log that does not begin at 0 rests on one.
            Err(StorageError::Corruption { cause: CorruptionCause::Snapshot, .. }) if self.flips > 0 => {
                self.refused = true;
                Ok(true)
            }
            // Otherwise one flip is survived. Two can take both copies of a record, and so can one after a write that the end
            // of the process cut in the middle of a sector.
            Err(StorageError::Corruption { .. }) if self.flips > 1 || (self.flips == 1 && torn > 0) => {
                self.refused = true;
                Ok(true)
            }
            Err(error) => Err(format!("the log does not open: {error:?}")),
        }
    }

    fn check(&mut self, recovered: &Recovered) -> Checked {
        let mut candidate = self.peer.take().unwrap_or_else(|| self.content.clone());
        if let Pending::Append(bytes) = &self.pending
            && candidate.len() == self.content.len()
        {
            candidate.extend_from_slice(bytes);
        }
        if let Some(installed) = self.check_start(recovered, &candidate)? {
            candidate = installed;
        }
        self.check_content(recovered, &candidate)?;
        self.check_hard_state(recovered)?;
        self.check_snapshots(recovered)?;
        let lost = recovered.end.position < self.acknowledged.position;
        if lost {
            ensure!(self.flips > 0, "{} was acknowledged: {recovered:?}", self.acknowledged);
            self.check_claim(recovered, &candidate)?;
        }
        self.clean = recovered.report.health == LogHealth::Clean;
        self.hard_state = recovered.hard_state;
        self.pending = Pending::Nothing;
        self.content = candidate[..recovered.end.position.0 as usize].to_vec();
        self.peer = lost.then_some(candidate);
        if !lost {
            self.cut_to = usize::MAX;
        }
        self.acknowledge();
        Ok(())
    }

    /// Where the log may begin. Returns the new history when an interrupted installation turns out to have happened.
    fn check_start(&mut self, recovered: &Recovered, candidate: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let start = recovered.start.0 as usize;
        let before = std::mem::replace(&mut self.start, start);
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Install(history) if start == history.len() => {
                ensure!(
                    recovered.end.position == recovered.start,
                    "not empty after an installation: {recovered:?}"
                );
                let whole =
                    if self.acknowledged.position.0 > start as u64 { candidate } else { &history[..] };
                let end = self.take_over(&history);
                // Those above may be left, which are of the same history.
                self.snapshots.retain(|other| other.position >= end.position);
                if !self.snapshots.contains(&end) {
                    self.snapshots.insert(0, end);
                }
                return Ok(Some(whole.to_vec()));
            }
            Pending::Trim => {
                let most = self.snapshots.last().map_or(0, |end| end.position.0 as usize);
                let is_kept = start == before || (start > before && start <= most);
                ensure!(
                    is_kept && table(candidate).1.contains(&start),
                    "start {start} after a trim from {before}"
                );
            }
            other => {
                ensure!(start == before, "the log starts at {start}, not at {before}");
                self.pending = other;
            }
        }
        Ok(None)
    }

    fn check_content(&mut self, recovered: &Recovered, candidate: &[u8]) -> Checked {
        let Some(log) = &mut self.log else { return Err("no log is open".into()) };
        let (start, end) = (self.start, recovered.end.position.0 as usize);
        ensure!(log.start() == recovered.start, "start {} in {recovered:?}", log.start());
        let (_, ends) = table(candidate);
        ensure!(ends.contains(&end), "end {end} is not the end of a frame that was appended: {recovered:?}");
        let mut bytes = Vec::new();
        while start + bytes.len() < end {
            let read = log.read(Position((start + bytes.len()) as u64), 9000, &mut bytes);
            ensure!(read.is_ok(), "reading back: {read:?}");
        }
        ensure!(bytes == candidate[start..end], "the log holds other bytes than were appended");
        let terms = stored_terms(&table(&candidate[..end]).0, recovered.start);
        ensure!(terms == recovered.terms && &terms == log.terms(), "terms {:?}", recovered.terms);
        ensure!(
            log.end() == recovered.end.position && log.durable() == log.end(),
            "durable {}",
            log.durable()
        );
        ensure!(recovered.end.term == terms.last_term(), "term of the end {}", recovered.end);
        Ok(())
    }

    /// Acknowledged bytes are missing: a claim must reach them and name what kind they may be of.
    fn check_claim(&self, recovered: &Recovered, candidate: &[u8]) -> Checked {
        let claim = recovered.hard_state.claim;
        let covered = claim.is_some_and(|claim| claim.end >= self.acknowledged);
        ensure!(covered, "{} was acknowledged, the claim is {claim:?}: {recovered:?}", self.acknowledged);
        let missing = recovered.end.position..self.acknowledged.position.min(Position(self.cut_to as u64));
        let members = Frames::new(candidate, Position::START, Term::NONE)
            .map_while(Result::ok)
            .filter(|frame| frame.fields.kind == FrameKind::Membership)
            .any(|frame| missing.contains(&frame.at));
        let named = claim.is_some_and(|claim| claim.membership);
        ensure!(
            named || !members,
            "a change of membership is missing, the claim is {claim:?}: {recovered:?}"
        );
        Ok(())
    }

    fn check_snapshots(&mut self, recovered: &Recovered) -> Checked {
        let Some(log) = &self.log else { return Err("no log is open".into()) };
        let (start, end) = (recovered.start, recovered.end.position);
        let newest = log.snapshot().map(|snapshot| snapshot.end);
        let known = |end: &LogEnd| {
            let is_pending = match &self.pending {
                Pending::Snapshot(pending) => pending == end,
                Pending::Install(history) => end_of(history) == *end,
                _ => false,
            };
            is_pending || self.snapshots.contains(end)
        };
        for snapshot in [log.base_snapshot(), log.snapshot()].into_iter().flatten() {
            let bytes = snapshot_bytes(snapshot.end).len() as u64;
            let is_saved = known(&snapshot.end) && snapshot.bytes == bytes && snapshot.end.position >= start;
            ensure!(is_saved, "{snapshot:?} is none of {:?}", self.snapshots);
        }
        ensure!(start == Position::START || newest.is_some(), "the log rests on no snapshot: {recovered:?}");
        if let Some((end, bytes)) = &recovered.snapshot {
            ensure!(known(end) && *bytes == snapshot_bytes(*end), "the content of the snapshot at {end}");
        }
        if self.flips == 0 {
            let expected = self.snapshots.last();
            let found = recovered.snapshot.as_ref().map(|(end, _)| end);
            ensure!(found >= expected && found == newest.as_ref(), "{found:?}, but {expected:?} was saved");
        }
        let within = newest.filter(|newest| newest.position <= end);
        let least = within.map_or(start, |newest| newest.position);
        let most = Position(self.committed as u64).max(least);
        let is_known = recovered.committed >= least && recovered.committed <= most.min(end);
        ensure!(is_known, "committed is {}, not from {least} to {most}", recovered.committed);

        if let Some(newest) = newest.filter(|newest| !self.snapshots.contains(newest)) {
            self.snapshots.push(newest);
            self.committed = self.committed.max(newest.position.0 as usize);
        }
        self.snapshots.retain(|end| newest.is_some_and(|newest| end.position <= newest.position));
        Ok(())
    }

    fn check_hard_state(&mut self, recovered: &Recovered) -> Checked {
        let state = recovered.hard_state;
        let same = |other: &HardState| (state.term, state.vote) == (other.term, other.vote);
        let interrupted = matches!(&self.pending, Pending::Save(next) if same(next));
        ensure!(same(&self.hard_state) || interrupted, "hard state {state:?} after {:?}", self.hard_state);
        let report = &recovered.report;
        if report.health != LogHealth::Clean {
            self.not_clean += 1;
            let covered = state.claim.is_some_and(|claim| claim.end >= report.intent);
            ensure!(covered, "a log that is not clean without its claim: {recovered:?}");
        }
        ensure!(report.health != LogHealth::Damaged || self.flips > 0, "damaged without a flip: {report:?}");
        if let Some(earlier) = self.hard_state.claim {
            let kept = state.claim.is_some_and(|claim| claim.end >= earlier.end);
            ensure!(kept || recovered.end >= earlier.end, "the claim {earlier:?} is gone: {recovered:?}");
        }
        ensure!(
            state.claim.is_none_or(|claim| recovered.end < claim.end),
            "a claim that was reached: {recovered:?}"
        );
        Ok(())
    }
}

/// The terms of a log that begins at `start`: those before are one entry just below it.
fn stored_terms(all: &TermTable, start: Position) -> TermTable {
    let mut terms = TermTable::new();
    let before = all.term_before(start);
    if before != Term::NONE {
        terms.push(TermStart { term: before, start: Position(start.0 - 8) });
    }
    all.iter().filter(|entry| entry.start >= start).for_each(|entry| terms.push(*entry));
    terms
}
