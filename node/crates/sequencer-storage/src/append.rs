//! Appending whole frames.
//!
//! 1. Walk the frames by their length and find where a new segment must start. Nothing has changed so far.
//! 2. Make sure that there are enough empty segments. When there is no room for one, nothing has changed either.
//! 3. Write each run of frames that lies together in memory and in one segment with one write.
//! 4. With memory durability, write the watermark slot that makes the batch count.
//!
//! Frames are not verified again, but for those that start a term: the term table rests on them, and they are rare.

use sequencer_wire::{FrameKind, Position, Term, TermStart, WireError, decode_frame, peek_length};

use crate::disk::{Disk, DiskError};
use crate::error::StorageError;
use crate::log::Log;
use crate::options::Durability;
use crate::segment::{Segment, SegmentHeader, segment_name, spare_name};

/// Empty segments kept ready. Creating one takes up to some tenths of a second while the disk is busy writing back those that were filled.
const SPARES_READY: usize = 3;
/// Where a frame's kind stands, see `docs/reference/wire.md`.
const KIND_AT: usize = 9;

/// Bytes of one slice that go into one segment by one write.
#[derive(Copy, Clone, Debug)]
struct Run {
    slice: usize,
    from: usize,
    to: usize,
    at: Position,
    /// Set when a new segment starts with this run: the term of the byte before it.
    opens: Option<Term>,
}

/// What an append is going to do. Kept by the log for its memory.
#[derive(Debug, Default)]
pub(crate) struct AppendPlan {
    runs: Vec<Run>,
    terms: Vec<TermStart>,
    segments: usize,
    end: Position,
    /// End of the last membership frame in the batch.
    members_end: Option<Position>,
}

impl AppendPlan {
    pub(crate) fn new() -> Self {
        Self {
            runs: Vec::with_capacity(16),
            terms: Vec::with_capacity(16),
            segments: 0,
            end: Position::START,
            members_end: None,
        }
    }

    fn make(
        &mut self,
        slices: &[&[u8]],
        end: Position,
        term: Term,
        room_end: Position,
        room: u64,
    ) -> Result<(), StorageError> {
        self.runs.clear();
        self.terms.clear();
        self.segments = 0;
        self.members_end = None;
        let (mut at, mut term, mut room_end) = (end, term, room_end);
        for (slice, bytes) in slices.iter().enumerate() {
            let mut run = Run { slice, from: 0, to: 0, at, opens: None };
            while run.to < bytes.len() {
                let rest = &bytes[run.to..];
                let length = peek_length(rest, at).map_err(StorageError::NotFrames)?;
                if length > rest.len() {
                    let (needed, available) = (length, rest.len());
                    return Err(StorageError::NotFrames(WireError::Truncated { at, needed, available }));
                }
                if at.0 + length as u64 > room_end.0 {
                    if length as u64 > room {
                        return Err(StorageError::FrameTooLarge { at, bytes: length as u64, room });
                    }
                    self.push(run);
                    run = Run { slice, from: run.to, to: run.to, at, opens: Some(term) };
                    self.segments += 1;
                    room_end = at.advanced(room);
                }
                if rest[KIND_AT] == FrameKind::NewTerm as u8 {
                    term = decode_frame(rest, at, term).map_err(StorageError::NotFrames)?.term;
                    self.terms.push(TermStart { term, start: at });
                } else if term == Term::NONE {
                    return Err(StorageError::NotFrames(WireError::NoTerm { at, kind: rest[KIND_AT] }));
                }
                run.to += length;
                at = at.advanced(length as u64);
                if rest[KIND_AT] == FrameKind::Membership as u8 {
                    self.members_end = Some(at);
                }
            }
            self.push(run);
        }
        self.end = at;
        Ok(())
    }

    fn push(&mut self, run: Run) {
        if run.to > run.from {
            self.runs.push(run);
        }
    }
}

impl<D: Disk> Log<D> {
    /// Appends whole frames, encoded for the positions from `end()` on, as one batch of several slices. They are durable only
    /// when `durable()` says so. Allocates nothing unless a segment is full.
    ///
    /// # Errors
    /// `Full`, `FrameTooLarge`, `NotFrames`: nothing of the batch was appended. `Disk`: the log is poisoned.
    pub fn append(&mut self, slices: &[&[u8]]) -> Result<(), StorageError> {
        self.guarded(|log| {
            if slices.iter().all(|slice| slice.is_empty()) {
                return Ok(());
            }
            if log.untrusted_tail {
                log.truncate(log.end)?;
            }
            let mut plan = std::mem::take(&mut log.plan);
            let outcome = log.append_frames(&mut plan, slices);
            log.plan = plan;
            outcome
        })
    }

    fn append_frames(&mut self, plan: &mut AppendPlan, slices: &[&[u8]]) -> Result<(), StorageError> {
        let room_end = self.segments[self.segments.len() - 1].room_end;
        plan.make(slices, self.end, self.terms.last_term(), room_end, self.room())?;
        self.make_spares(plan.segments)?;
        for run in &plan.runs {
            if let Some(term_before) = run.opens {
                let segment = self.new_segment(run.at, term_before)?;
                self.segments.push(segment);
            }
            let last = self.segments.len() - 1;
            let segment = &mut self.segments[last];
            let bytes = &slices[run.slice][run.from..run.to];
            self.disk.write_at(&segment.file, segment.offset(run.at), bytes)?;
            segment.end = run.at.advanced(bytes.len() as u64);
        }
        for start in &plan.terms {
            self.terms.push(*start);
        }
        self.end = plan.end;
        self.members_end = plan.members_end.unwrap_or(self.members_end);
        if self.options.durability == Durability::Memory {
            let (last, end) = (self.segments.len() - 1, self.log_end());
            self.write_watermark(last, end.position, end)?;
            self.durable = end.position;
            if plan.segments > 0 {
                self.take_finished()?;
                self.sync_closed_segments()?;
            }
        }
        Ok(())
    }

    /// Makes a spare the segment that starts at `base`. The caller has made sure that there is one.
    pub(crate) fn new_segment(
        &mut self,
        base: Position,
        term_before: Term,
    ) -> Result<Segment<D::File>, StorageError> {
        if self.spares.is_empty() {
            self.make_spares(1)?;
        }
        let (spare, file) = self.spares.remove(0);
        let header = SegmentHeader { cluster: self.options.cluster, base, term_before };
        header.write(&mut self.disk, &file)?;
        self.disk.rename(&spare, &segment_name(base))?;
        self.names_unsynced = true;
        Ok(Segment::new(file, base, self.options.segment_bytes))
    }

    /// Waits until `count` empty segments are ready.
    pub(crate) fn make_spares(&mut self, count: usize) -> Result<(), StorageError> {
        while self.spares.len() < count {
            self.start_spare()?;
            let made = self.disk.wait_create();
            self.take_spare(made)?;
        }
        Ok(())
    }

    /// Sees to it that empty segments get ready, without waiting for them.
    pub(crate) fn prepare_spare(&mut self) -> Result<(), StorageError> {
        if self.making_spare.is_some() {
            let made = self.disk.finished_create();
            self.take_spare(made)?;
        }
        if self.spares.len() < SPARES_READY {
            self.start_spare()?;
        }
        Ok(())
    }

    fn start_spare(&mut self) -> Result<(), StorageError> {
        if self.making_spare.is_none() {
            let name = spare_name(self.spare_number);
            self.disk.start_create(&name, self.options.segment_bytes)?;
            self.spare_number += 1;
            self.making_spare = Some(name);
        }
        Ok(())
    }

    fn take_spare(&mut self, made: Result<Option<D::File>, DiskError>) -> Result<(), StorageError> {
        let made = made.inspect_err(|_| self.making_spare = None)?;
        if let Some(file) = made {
            let name = self.making_spare.take().expect("a spare that was made has a name");
            self.spares.push((name, file));
        }
        Ok(())
    }
}
