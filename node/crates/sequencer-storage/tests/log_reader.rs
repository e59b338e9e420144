//! Reading a log's segments while somebody else owns them.
//!
//! In: a log in a real directory that goes on and is trimmed while it is read; positions that are no boundary; a flipped bit. Checked: exactly
//! the log's bytes come, whole frames at a time, from every boundary and with every limit; everything else is an error that names the place.

mod common;

use std::os::unix::fs::FileExt;

use common::*;
use sequencer_storage::{Durability, FileDisk, Log, LogReader, ReadError};
use sequencer_wire::{Position, Term, TermTable};

struct Place {
    directory: tempfile::TempDir,
    log: Log<FileDisk>,
    bytes: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = options(Durability::Memory);
        let mut disk = FileDisk::open(directory.path()).unwrap();
        Log::format(&mut disk, &options, UUID).unwrap();
        let (log, _) = Log::open(disk, options).unwrap();
        let mut place = Self { directory, log, bytes: Vec::new() };
        place.append(&new_term(Position::START, Term::NONE, Term(1)));
        place
    }

    fn append(&mut self, frames: &[u8]) {
        self.log.append(&[frames]).unwrap();
        self.bytes.extend_from_slice(frames);
    }

    /// `count` messages of a few hundred bytes each.
    fn fill(&mut self, count: usize) {
        for index in 0..count {
            let frame =
                message(self.log.end(), self.log.log_end().term, &vec![index as u8; 100 + index * 37 % 400]);
            self.append(&frame);
        }
    }

    fn terms(&self) -> &TermTable {
        self.log.terms()
    }

    fn reader(&self) -> LogReader {
        LogReader::new(self.directory.path())
    }

    /// Everything from `from` on, by pieces of about `limit` bytes.
    fn read_all(&self, reader: &mut LogReader, from: Position, limit: usize) -> Vec<u8> {
        let (mut at, mut found) = (from, Vec::new());
        while at < self.log.end() {
            let read =
                reader.read(at, self.log.end(), self.terms().term_before(at), limit, &mut found).unwrap();
            assert!(read > 0, "nothing at {at} with limit {limit}");
            at = at.advanced(read as u64);
        }
        found
    }
}

#[test]
fn every_boundary_and_every_limit_gives_the_logs_bytes() {
    let mut place = Place::new();
    place.fill(60);
    let end = place.log.end();
    place.append(&new_term(end, Term(1), Term(4)));
    place.fill(60);
    assert!(place.bytes.len() > 2 * SEGMENT as usize, "several segments");
    let mut reader = place.reader();
    let mut at = 0;
    while at < place.bytes.len() {
        let found = place.read_all(&mut reader, Position(at as u64), 3000);
        assert!(found == place.bytes[at..], "from {at}");
        at += sequencer_wire::peek_length(&place.bytes[at..], Position(at as u64)).unwrap();
    }
    for limit in [1, 48, 100, 500, 5000, 1 << 20] {
        assert!(place.read_all(&mut reader, Position::START, limit) == place.bytes, "limit {limit}");
    }
}

#[test]
fn a_reader_follows_into_segments_that_did_not_exist_when_it_began() {
    let mut place = Place::new();
    place.fill(3);
    let mut reader = place.reader();
    let mut found = place.read_all(&mut reader, Position::START, 1 << 20);
    for _ in 0..20 {
        let from = place.log.end();
        place.fill(11);
        found.extend(place.read_all(&mut reader, from, 700));
    }
    assert!(found == place.bytes);
    assert!(place.bytes.len() > 3 * SEGMENT as usize, "several segments");
}

#[test]
fn nothing_is_read_past_what_the_caller_knows() {
    let mut place = Place::new();
    place.fill(10);
    let to = place.log.end();
    place.fill(10);
    let mut found = Vec::new();
    let read = place.reader().read(Position::START, to, Term::NONE, 1 << 20, &mut found).unwrap();
    assert_eq!((read as u64, &found[..]), (to.0, &place.bytes[..to.0 as usize]));
    assert_eq!(place.reader().read(to, to, Term(1), 1 << 20, &mut found).unwrap(), 0);
}

#[test]
fn trimmed_positions_say_where_the_log_begins() {
    let mut place = Place::new();
    place.fill(120);
    let end = place.log.log_end();
    place.log.save_snapshot(end, b"state").unwrap();
    let mut reader = place.reader();
    assert_eq!(reader.first().unwrap(), Some(Position::START));
    let start = place.log.trim(end.position).unwrap();
    assert!(start > Position::START);
    let mut found = b"as it was".to_vec();
    match reader.read(Position::START, end.position, Term::NONE, 1000, &mut found) {
        Err(ReadError::BelowStart { first, from, .. }) => {
            assert_eq!((first, from), (Some(start), Position::START))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(found, b"as it was");
    assert!(place.read_all(&mut reader, start, 1000) == place.bytes[start.0 as usize..]);
}

#[test]
fn a_position_between_boundaries_and_a_flipped_bit_are_damage() {
    let mut place = Place::new();
    place.fill(10);
    let end = place.log.end();
    let mut found = Vec::new();
    let mut reader = place.reader();
    let between = reader.read(Position(80), end, Term(1), 1000, &mut found);
    assert!(matches!(between, Err(ReadError::Damaged { at: Position(80), .. })), "{between:?}");
    // A term that is not the right one is noticed as well.
    assert!(matches!(
        reader.read(Position(72), end, Term(2), 1000, &mut found),
        Err(ReadError::Damaged { .. })
    ));
    let segment = std::fs::OpenOptions::new()
        .write(true)
        .open(place.directory.path().join(format!("{:020}.segment", 0)));
    segment.unwrap().write_all_at(&[0xee], 4096 + 300).unwrap();
    let read = reader.read(Position::START, end, Term::NONE, 1 << 20, &mut found).unwrap();
    assert!(found == place.bytes[..read], "what lies before the damage is good");
    let at = Position(read as u64);
    assert!(matches!(reader.read(at, end, Term(1), 1 << 20, &mut found), Err(ReadError::Damaged { .. })));
}

#[test]
fn a_directory_without_a_log_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut reader = LogReader::new(directory.path());
    assert_eq!(reader.first().unwrap(), None);
    let missing = LogReader::new(&directory.path().join("missing")).first();
    assert!(matches!(missing, Err(ReadError::Io { .. })));
}

/// A reader still has a segment open that a trim has freed and that holds other positions by now.
#[test]
fn a_segment_that_is_used_again_is_not_taken_for_what_it_was() {
    let mut place = Place::new();
    place.fill(120);
    let end = place.log.log_end();
    place.log.save_snapshot(end, b"state").unwrap();
    let mut reader = place.reader();
    let mut found = Vec::new();
    assert!(reader.read(Position::START, end.position, Term::NONE, 1000, &mut found).unwrap() > 0);
    let start = place.log.trim(end.position).unwrap();
    place.fill(150);
    found.clear();
    match reader.read(Position(72), end.position, Term(1), 1000, &mut found) {
        Err(ReadError::BelowStart { first, .. }) => assert_eq!(first, Some(start)),
        other => panic!("{other:?}"),
    }
    assert!(place.read_all(&mut reader, start, 1000) == place.bytes[start.0 as usize..]);
}
