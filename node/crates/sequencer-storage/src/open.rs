//! Formatting a directory and opening the log in it.

use sequencer_wire::{HardState, LogEnd, LogHealth, Position, Term};

use crate::append::AppendPlan;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::hard_state::{HARD_STATE_FILE, HardStateFile, Stored};
use crate::identity::{IDENTITY_FILE, IDENTITY_FILE_NEW, Identity};
use crate::log::Log;
use crate::log_start::LogStart;
use crate::options::{Durability, Options};
use crate::recovery::{Recovered, RecoveryReport, judge, merge_claims, open_claim};
use crate::sector;
use crate::segment::{SegmentHeader, is_spare, segment_base, segment_name};
use crate::slot_file::{SlotFile, SlotRecord};
use crate::snapshot::{find_snapshots, is_snapshot, snapshot_name};
use crate::survey::Survey;
use crate::trim::start_anew;

impl<D: Disk> Log<D> {
    /// Makes an empty directory the log of one node.
    ///
    /// The identity gets its name last, so a directory whose formatting was cut short is not formatted, and can be formatted
    /// again. `data_uuid` names this copy of the data and must be new each time.
    ///
    /// # Errors
    /// `AlreadyFormatted`, `NotEmpty`, `Full`, `SegmentBytes`, `Disk`.
    pub fn format(disk: &mut D, options: &Options, data_uuid: [u8; 16]) -> Result<(), StorageError> {
        options.check()?;
        let names = disk.list()?;
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if has(IDENTITY_FILE) {
            return Err(StorageError::AlreadyFormatted);
        }
        let unfinished = has(IDENTITY_FILE_NEW);
        for name in names.iter().rev().filter(|name| *name != IDENTITY_FILE_NEW) {
            let leftover = [HARD_STATE_FILE, LogStart::FILE].contains(&name.as_str())
                || segment_base(name) == Some(Position::START);
            if !unfinished || !leftover {
                return Err(StorageError::NotEmpty { name: name.clone() });
            }
        }
        for name in names.iter().filter(|name| *name != IDENTITY_FILE_NEW) {
            disk.remove(name)?;
        }
        disk.sync_dir()?;

        let Options { cluster, node, segment_bytes, durability, boot_id, .. } = *options;
        let identity = Identity { cluster, node, data_uuid, segment_bytes };
        if unfinished {
            disk.remove(IDENTITY_FILE_NEW)?;
        }
        let file = disk.create(IDENTITY_FILE_NEW, sector::PAIR_BYTES as u64)?;
        disk.write_at(&file, 0, &sector::encode_pair(&identity))?;
        disk.sync(&file)?;
        disk.sync_dir()?;

        let memory_run = durability == Durability::Memory;
        let state = HardState::default();
        let first = Stored { sequence: 1, state, clean_stop: true, memory_run, boot_id };
        HardStateFile::create(disk, &first)?;
        SlotFile::create(disk, &LogStart::first())?;
        let segment = disk.create(&segment_name(Position::START), segment_bytes)?;
        SegmentHeader { cluster, base: Position::START, term_before: Term::NONE }.write(disk, &segment)?;
        disk.sync(&segment)?;
        disk.sync_dir()?;
        disk.rename(IDENTITY_FILE_NEW, IDENTITY_FILE)?;
        Ok(disk.sync_dir()?)
    }

    /// Recovers the log of a directory that was formatted. When it returns, all of the recovered log is durable.
    ///
    /// # Errors
    /// `NotFormatted`, `WrongCluster`, `WrongNode`, `UnsupportedFormat`, `Unsupported`, `Corruption` and `MemoryLost` leave
    /// the directory as it was. `Disk` and `Full` can leave a recovery half done; the next open does it over.
    pub fn open(mut disk: D, options: Options) -> Result<(Self, Recovered), StorageError> {
        options.check()?;
        let names = disk.list()?;
        if !names.iter().any(|name| name == IDENTITY_FILE) {
            return Err(StorageError::NotFormatted);
        }
        let identity = Identity::read(&mut disk, &options)?;
        let hard_state = HardStateFile::read(&mut disk)?;
        let earlier = hard_state.newest.clone();
        let unsafe_memory_run = earlier.memory_run && !earlier.clean_stop;
        if unsafe_memory_run && earlier.boot_id != options.boot_id {
            return Err(StorageError::MemoryLost { node: options.node });
        }
        let mut log_start = SlotFile::<D::File, LogStart>::read(&mut disk)?;
        if log_start.newest.installing {
            finish_installing(&mut disk, &names, &options, &mut log_start)?;
        }
        let names = disk.list()?;
        let survey = Survey::of(&mut disk, &names, &options, &log_start.newest)?;
        let (health, claim) = judge(&survey);
        let end = LogEnd { term: survey.scan.term, position: survey.scan.at };
        let state = HardState { claim: merge_claims(earlier.state.claim, claim), ..earlier.state };
        let report = RecoveryReport {
            health,
            scanned_bytes: end.position.0 - log_start.newest.start.0,
            scanned_frames: survey.scan.frames,
            segments: survey.segments.len(),
            cut_bytes: 0,
            segments_beyond: survey.beyond.len(),
            synced: survey.watermark.synced,
            intent: survey.watermark.intent,
            damage: survey.stop.clone(),
        };
        let last_timestamp_ns = survey.scan.last_timestamp_ns;

        let start = log_start.newest.start;
        let (snapshots, snapshot) = find_snapshots(&mut disk, &names, options.cluster, start, end.position)?;
        // A snapshot past the end says nothing of the log: an installation that was cut short may have left it.
        let mut within = snapshots.iter().map(|snapshot| snapshot.info.end.position).rev();
        let newest = within.find(|position| *position <= end.position).unwrap_or(start);
        let known = newest.max(survey.watermark.committed);
        let mut log = Self {
            log_start,
            snapshots,
            committed: known.min(end.position),
            members_end: survey.watermark.members_end.min(end.position).max(survey.scan.members_end),
            disk,
            options,
            identity,
            hard_state,
            first_unsynced: survey.segments.len().saturating_sub(1),
            segments: survey.segments,
            beyond: survey.beyond,
            spares: Vec::new(),
            spare_number: 0,
            making_spare: None,
            terms: survey.scan.terms,
            end: end.position,
            durable: survey.watermark.synced.min(end.position).max(start),
            watermark: survey.watermark,
            names_unsynced: false,
            saving: None,
            saved: None,
            running: None,
            untrusted_tail: true,
            suspect_end: Position::START,
            poisoned: false,
            plan: AppendPlan::new(),
            sync_files: Vec::new(),
        };
        // From here on the disk changes; the claim comes first.
        log.hard_state.heal(&mut log.disk)?;
        // Until all segments are synced, what an earlier life kept in the page cache is lost with the machine.
        let memory_run = unsafe_memory_run || log.options.durability == Durability::Memory;
        log.store(state, false, memory_run)?;
        log.log_start.renew(&mut log.disk)?;
        for (file, heal) in survey.heals {
            heal.apply(&mut log.disk, &file)?;
            log.disk.sync(&file)?;
        }
        // A spare may be a segment whose new name was lost, with stale frames and slots in it, so none is used again.
        for name in names.iter().filter(|name| is_spare(name)) {
            log.disk.remove(name)?;
        }
        for name in names.iter().filter(|name| segment_base(name).is_some_and(|base| base < start)) {
            log.disk.remove(name)?;
        }
        let kept: Vec<String> =
            log.snapshots.iter().map(|snapshot| snapshot_name(snapshot.info.end.position)).collect();
        for name in names.iter().filter(|name| is_snapshot(name) && !kept.contains(name)) {
            log.disk.remove(name)?;
        }
        if unsafe_memory_run {
            // What the watermark calls synced was in the page cache only.
            log.first_unsynced = 0;
            log.suspect_end = log.end;
            if log.options.durability == Durability::Fsync {
                // Nor is it sure that what was written back since then arrived.
                log.durable = log.start();
                log.suspect_end = Position::START;
                log.sync_unsynced()?;
            }
        }
        let cut_bytes = log.repair(health)?;
        log.disk.sync_dir()?;
        log.fit_empty_segment()?;
        // Only now is the valid prefix durable, so only now can it settle a claim.
        let settled = HardState { claim: open_claim(state.claim, end), ..state };
        if settled != state || memory_run != (log.options.durability == Durability::Memory) {
            log.store_hard_state(settled, false)?;
        }

        let mut report = RecoveryReport { cut_bytes, ..report };
        if health == LogHealth::Clean && cut_bytes == 0 && report.segments_beyond == 0 {
            report.damage = None;
        }
        let hard_state = log.hard_state.newest.state;
        let terms = log.terms.clone();
        let committed = log.committed;
        let recovered =
            Recovered { hard_state, terms, start, end, committed, snapshot, last_timestamp_ns, report };
        Ok((log, recovered))
    }

    /// An empty log takes the configured segment size, so that every frame that fits into a segment by the settings fits into this one too. Only
    /// the first segment of a log is ever empty.
    fn fit_empty_segment(&mut self) -> Result<(), StorageError> {
        let is_too_small = match &self.segments[..] {
            [only] => only.end == only.base && only.room_end < only.base.advanced(self.room()),
            _ => false,
        };
        if is_too_small && !self.untrusted_tail {
            self.make_spares(1)?;
            self.replace_segments(self.log_end())?;
        }
        Ok(())
    }

    /// Makes the valid prefix durable and, when it is all there ever was, its end clean. Returns the bytes cleared.
    fn repair(&mut self, health: LogHealth) -> Result<u64, StorageError> {
        // The process may have died with these bytes in the page cache, or a sync of them may have failed and left them
        // there marked as written. Writing them once more makes the sync below mean what it says.
        self.rewrite(self.durable, self.end)?;
        self.durable = self.end;
        if health != LogHealth::Clean {
            // The names that the valid prefix rests on; what lies beyond is kept for those who may want to look at it.
            self.disk.sync_dir()?;
            return Ok(0);
        }
        let end = self.log_end();
        let settled = self.watermark.synced == end.position && self.watermark.intent.position == end.position;
        let fresh = self.watermark.sequence == 0 && end.position == Position::START;
        if (settled || fresh) && self.beyond.is_empty() && self.tail_is_zero()? {
            // The slot itself may be in the page cache only.
            let last = self.segments.len() - 1;
            self.disk.sync(&self.segments[last].file)?;
            self.untrusted_tail = false;
            return Ok(0);
        }
        self.disk.sync_dir()?;
        self.truncate(end.position)
    }
}

/// Goes on with an installation that a crash cut short after its snapshot counted.
fn finish_installing<D: Disk>(
    disk: &mut D,
    names: &[String],
    options: &Options,
    log_start: &mut SlotFile<D::File, LogStart>,
) -> Result<(), StorageError> {
    let LogStart { start, term_before, .. } = log_start.newest;
    // Without a sound snapshot nothing is changed.
    find_snapshots(disk, names, options.cluster, start, start)?;
    log_start.renew(disk)?;
    for name in names.iter().filter(|name| is_spare(name)) {
        disk.remove(name)?;
    }
    let end = LogEnd { term: term_before, position: start };
    start_anew(disk, options, end, 1, None)?;
    let next = LogStart { installing: false, ..log_start.newest.clone() };
    log_start.save(disk, next)
}
