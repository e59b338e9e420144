//! The first half of recovery: find out what a directory holds, changing nothing.
//!
//! 1. Read the watermark slots of every segment; the newest one gives W (synced) and D (intent).
//! 2. From the log's start on, check that each segment has a valid header that continues the one before, and verify its frames
//!    against position and term. The first thing that does not verify ends the valid prefix at E.
//! 3. Everything after that is set aside by name.
//!
//! Names appear in ascending order and are removed in descending order, and directory changes survive in order. So a segment
//! that is missing below one that exists was lost to something else than a crash, and the bytes before the highest base
//! may have been acknowledged even if the slots that would say so were lost with it. Only a loss of the highest segments
//! themselves cannot be seen.

use sequencer_wire::{LogEnd, Position, Term};

use crate::disk::{Disk, SECTOR_BYTES};
use crate::error::{CorruptionCause, StorageError};
use crate::log_start::LogStart;
use crate::options::Options;
use crate::scan::Scan;
use crate::sector::{self, Decoded, Heal, PAIR_BYTES};
use crate::segment::{SEGMENT_BYTES_MIN, Segment, SegmentHeader, segment_base, segment_name};
use crate::watermark::{SLOTS_BYTES, Watermark};

/// The first place that does not verify, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Position where the valid log ends.
    pub position: Position,
    /// File that holds, or should hold, this position.
    pub file: String,
    /// What is wrong there.
    pub cause: CorruptionCause,
}

/// What a directory holds.
pub(crate) struct Survey<F> {
    /// Segments of the valid prefix; the last one holds its end. Empty when not even the first one can be used.
    pub(crate) segments: Vec<Segment<F>>,
    /// Names of the segments behind, ascending.
    pub(crate) beyond: Vec<String>,
    /// Terms, end and last timestamp of the valid prefix.
    pub(crate) scan: Scan,
    pub(crate) watermark: Watermark,
    /// Copies of watermark slots that are damaged, each with its segment.
    pub(crate) heals: Vec<(F, Heal)>,
    /// Why the valid prefix ends where it does; `None` when it fills its last segment exactly.
    pub(crate) stop: Option<Damage>,
    /// Set when a segment is missing: the least that must be taken as possibly acknowledged.
    pub(crate) at_least: Option<LogEnd>,
}

struct Found<F> {
    segment: Segment<F>,
    header: Decoded<SegmentHeader>,
}

impl<F: Clone> Survey<F> {
    pub(crate) fn of<D: Disk<File = F>>(
        disk: &mut D,
        names: &[String],
        options: &Options,
        log_start: &LogStart,
    ) -> Result<Self, StorageError> {
        let LogStart { start, term_before, .. } = *log_start;
        let mut watermark = Watermark::default();
        let mut found = Vec::new();
        let mut heals = Vec::new();
        for name in names {
            // Those below the start are what a crash left of a trim.
            if let Some(base) = segment_base(name).filter(|base| *base >= start) {
                found.push(Found::read(disk, name, base, options, &mut watermark, &mut heals)?);
            }
        }
        if found.is_empty() {
            let (file, cause) = (segment_name(start), CorruptionCause::MissingFile);
            return Err(StorageError::Corruption { file, offset: 0, cause });
        }
        let mut survey = Self {
            segments: Vec::new(),
            beyond: Vec::new(),
            scan: Scan::new(start, term_before),
            watermark,
            heals,
            stop: None,
            at_least: None,
        };
        survey.verify(disk, found)?;
        Ok(survey)
    }

    fn verify<D: Disk<File = F>>(&mut self, disk: &mut D, found: Vec<Found<F>>) -> Result<(), StorageError> {
        let start = self.scan.at;
        if is_one_missing(&found, start) {
            self.at_least = Some(possibly_acknowledged(&found, start)?);
        }
        let mut found = found.into_iter().peekable();
        while let Some(next) = found.next() {
            let position = self.scan.at;
            if let Some(cause) = next.misfit(position, self.scan.term) {
                let file = segment_name(position);
                self.stop = Some(Damage { position, file, cause });
                self.beyond.push(next.segment.name);
                break;
            }
            let mut segment = next.segment;
            let next_base = found.peek().map(|next| next.segment.base);
            let limit = next_base.map_or(segment.room_end, |base| base.min(segment.room_end));
            let stop = self.scan.segment(disk, &segment, limit)?;
            segment.end = self.scan.at;
            if let Some(source) = stop {
                if !source.is_damage() {
                    return Err(StorageError::Unsupported { file: segment.name, source });
                }
                let cause = CorruptionCause::Frame(source);
                self.stop = Some(Damage { position: segment.end, file: segment.name.clone(), cause });
            }
            self.segments.push(segment);
            if self.stop.is_some() {
                break;
            }
        }
        self.beyond.extend(found.map(|found| found.segment.name));
        Ok(())
    }
}

impl<F: Clone> Found<F> {
    fn read<D: Disk<File = F>>(
        disk: &mut D,
        name: &str,
        base: Position,
        options: &Options,
        watermark: &mut Watermark,
        heals: &mut Vec<(F, Heal)>,
    ) -> Result<Self, StorageError> {
        let file = disk.open(name)?;
        let size = disk.size(&file)?;
        if size < SEGMENT_BYTES_MIN {
            let (file, cause) = (name.to_owned(), CorruptionCause::ShortFile(size));
            return Err(StorageError::Corruption { file, offset: size, cause });
        }
        let mut head = [0; SECTOR_BYTES + SLOTS_BYTES];
        disk.read_at(&file, 0, &mut head)?;
        for slot in 0..2 {
            let offset = Watermark::slot_offset(slot);
            let pair = &head[offset as usize..offset as usize + PAIR_BYTES];
            let pair = sector::decode_pair::<Watermark>(name, offset, pair)?;
            heals.extend(pair.heal.map(|heal| (file.clone(), heal)));
            if let Some(read) = pair.record
                && read.sequence > watermark.sequence
            {
                *watermark = read;
            }
        }
        let mut first = [0; SECTOR_BYTES];
        first.copy_from_slice(&head[..SECTOR_BYTES]);
        let header = sector::decode::<SegmentHeader>(&first);
        match &header {
            Decoded::Unsupported(version) => return Err(sector::unsupported(name, *version)),
            Decoded::Valid(header) if header.cluster != options.cluster => {
                let (file, expected, found) = (name.to_owned(), options.cluster, header.cluster);
                return Err(StorageError::WrongCluster { file, expected, found });
            }
            _ => {}
        }
        Ok(Self { segment: Segment::new(file, base, size), header })
    }

    /// Why this segment does not continue a log that ends at `at` in `term`.
    fn misfit(&self, at: Position, term: Term) -> Option<CorruptionCause> {
        if self.segment.base != at {
            return Some(CorruptionCause::MissingFile);
        }
        match &self.header {
            Decoded::Valid(header) if header.base == at && header.term_before == term => None,
            Decoded::Valid(_) => Some(CorruptionCause::HeaderChain),
            _ => Some(CorruptionCause::Header),
        }
    }
}

/// Whether a segment is missing below the highest one. The first frame of a segment is one that did not fit into the segment
/// before, so a segment whose base lies past that one's room does not follow it.
fn is_one_missing<F>(found: &[Found<F>], start: Position) -> bool {
    let starts = found.first().is_some_and(|first| first.segment.base == start);
    !starts || found.windows(2).any(|pair| pair[1].segment.base > pair[0].segment.room_end)
}

/// What may have been acknowledged when segments are missing below the highest one. Its header names the term there; without
/// it nothing safe can be claimed and the node must not start.
fn possibly_acknowledged<F>(found: &[Found<F>], start: Position) -> Result<LogEnd, StorageError> {
    match found.last() {
        Some(Found { segment, header: Decoded::Valid(header) }) if header.base == segment.base => {
            Ok(LogEnd { term: header.term_before, position: header.base })
        }
        last => {
            let file = last.map_or_else(|| segment_name(start), |last| last.segment.name.clone());
            Err(StorageError::Corruption { file, offset: 0, cause: CorruptionCause::MissingFile })
        }
    }
}
