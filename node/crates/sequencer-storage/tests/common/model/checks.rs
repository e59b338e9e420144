    /// Opens the log, sometimes with a crash in the middle of recovery.
    fn reopen(&mut self) -> Checked {
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
            // One flip is always survived. Two can take both copies of a record, and so can one after a write that the end of
            // the process cut in the middle of a sector.
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
        let Some(log) = &mut self.log else { return Err("no log is open".into()) };
        let end = recovered.end.position.0 as usize;
        let (_, ends) = table(&candidate);
        ensure!(ends.contains(&end), "end {end} is not the end of a frame that was appended: {recovered:?}");
        let mut bytes = Vec::new();
        while bytes.len() < end {
            let read = log.read(Position(bytes.len() as u64), 9000, &mut bytes);
            ensure!(read.is_ok(), "reading back: {read:?}");
        }
        ensure!(bytes == candidate[..end], "the log holds other bytes than were appended");
        let (terms, _) = table(&bytes);
        ensure!(terms == recovered.terms && &terms == log.terms(), "terms {:?}", recovered.terms);
        ensure!(
            log.end() == recovered.end.position && log.durable() == log.end(),
            "durable {}",
            log.durable()
        );
        ensure!(recovered.end.term == terms.last_term(), "term of the end {}", recovered.end);

        self.check_hard_state(recovered)?;
        let lost = recovered.end.position < self.acknowledged.position;
        if lost {
            ensure!(self.flips > 0, "{} was acknowledged: {recovered:?}", self.acknowledged);
            let claim = recovered.hard_state.claim;
            let covered = claim.is_some_and(|claim| claim.end >= self.acknowledged);
            ensure!(covered, "{} was acknowledged, the claim is {claim:?}: {recovered:?}", self.acknowledged);
        }
        self.hard_state = recovered.hard_state;
        self.pending = Pending::Nothing;
        self.content = bytes;
        self.peer = lost.then_some(candidate);
        self.acknowledge();
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
