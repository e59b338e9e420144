//! Appending and reading.

use crate::place::*;
use sequencer_wire::WireError;

contract!(
    a_new_log_is_empty,
    frames_come_back_after_a_close,
    frames_come_back_after_a_crash,
    a_batch_of_many_slices_rolls,
    reads_return_whole_frames,
    reads_outside_of_the_log_are_refused,
    a_frame_larger_than_a_segment_is_refused,
    bytes_that_are_not_frames_are_refused,
);

fn a_new_log_is_empty<P: Place>(place: &P) {
    Log::format(&mut place.disk(), &fsync(), UUID).unwrap();
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.end, LogEnd::default());
    assert_eq!(recovered.hard_state, HardState::default());
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.damage, None);
    assert!(recovered.terms.is_empty());
    assert_eq!((log.start(), log.end(), log.durable()), (Position::START, Position::START, Position::START));
    assert_eq!(log.data_uuid(), UUID);
    assert!(!log.start_sync().unwrap());
    assert_eq!(log.read(Position::START, 100, &mut Vec::new()).unwrap(), 0);
    log.cut(Position::START).unwrap();
    log.append(&[]).unwrap();
    log.append(&[&[]]).unwrap();
    assert_eq!(log.wait_durable().unwrap(), Position::START);
}

fn frames_come_back_after_a_close<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 200);
    assert!(read_all(&mut log) == bytes);
    drop(log.close().unwrap());
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert!(read_all(&mut log) == bytes);
    assert_eq!(log.durable(), log.end());
    assert_eq!(recovered.end, LogEnd { term: Term(1), position: log.end() });
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.scanned_frames, 201);
    assert!(recovered.report.segments > 3);
    assert_eq!((recovered.report.synced, recovered.report.intent), (log.end(), recovered.end));
    assert_eq!(recovered.last_timestamp_ns, 1000 + log.end().0 - 336);
    assert_eq!(&recovered.terms, log.terms());
    assert_eq!(recovered.terms.starts_at(Term(1)), Some(Position::START));
}

fn frames_come_back_after_a_crash<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 60);
    // Never synced, but in the page cache.
    let more = messages(log.end(), Term(1), 30, 100, 8);
    log.append(&[&more]).unwrap();
    bytes.extend(more);
    drop(log);
    let mut log = open(place, &fsync());
    assert!(read_all(&mut log) == bytes);
    assert_eq!(log.durable(), log.end());
}

fn a_batch_of_many_slices_rolls<P: Place>(place: &P) {
    let mut log = formatted(place, &fsync());
    log.maintain().unwrap();
    let bytes = new_term(Position::START, Term::NONE, Term(4));
    let mut slices = vec![bytes];
    for number in 0..40_u64 {
        let at = Position(slices.iter().map(|slice| slice.len() as u64).sum());
        if number == 20 {
            slices.push(new_term(at, Term(4), Term(6)));
        } else {
            slices.push(messages(at, if number < 20 { Term(4) } else { Term(6) }, 7, 333, number as u8));
        }
    }
    let borrowed: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
    log.append(&borrowed).unwrap();
    assert!(log.durable() < log.end());
    log.wait_durable().unwrap();
    assert!(read_all(&mut log) == slices.concat());
    assert_eq!(log.terms().len(), 2);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert!(read_all(&mut log) == slices.concat());
    assert_eq!(recovered.end.term, Term(6));
    assert!(recovered.report.segments > 5);
}

fn reads_return_whole_frames<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 120);
    let mut into = vec![42];
    for (limit, expected) in [(0, 72), (71, 72), (72, 72), (407, 72), (408, 408), (744, 744)] {
        into.truncate(1);
        assert_eq!(log.read(Position::START, limit, &mut into).unwrap(), expected, "limit {limit}");
        assert!(into[0] == 42 && into[1..] == bytes[..expected]);
    }
    // A limit that ends in another segment, and in the middle of its first frame.
    for limit in 10_000..10_700 {
        into.truncate(1);
        let taken = log.read(Position(5448), limit, &mut into).unwrap();
        assert!(taken <= limit && taken > limit - 336 && into[1..] == bytes[5448..5448 + taken]);
    }
    assert_eq!(log.read(log.end(), 100, &mut into).unwrap(), 0);
    // Not at a frame boundary: whatever is there, it does not verify.
    let outcome = log.read(Position(80), 100, &mut into);
    assert!(matches!(outcome, Err(StorageError::DamagedFrame { position: Position(80), .. })));
}

fn reads_outside_of_the_log_are_refused<P: Place>(place: &P) {
    let (mut log, _) = filled(place, &fsync(), 1);
    let end = log.end();
    let from = end.advanced(8);
    assert_eq!(log.read(from, 10, &mut Vec::new()), Err(StorageError::PastEnd { from, end }));
    assert_eq!(log.cut(from), Err(StorageError::PastEnd { from, end }));
    assert_eq!(log.start(), Position::START);
}

fn a_frame_larger_than_a_segment_is_refused<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 5);
    let room = (SEGMENT - 4096) as usize;
    let at = log.end();
    let large = message(at, Term(1), &vec![1; room - 48 + 8]);
    let outcome = log.append(&[&large]);
    assert_eq!(outcome, Err(StorageError::FrameTooLarge { at, bytes: room as u64 + 8, room: room as u64 }));
    assert!(read_all(&mut log) == bytes);
    let fitting = message(at, Term(1), &vec![1; room - 48]);
    log.append(&[&fitting]).unwrap();
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == [bytes, fitting].concat());
}

fn bytes_that_are_not_frames_are_refused<P: Place>(place: &P) {
    let mut log = formatted(place, &fsync());
    let at = Position::START;
    let not_frames = |outcome| match outcome {
        Err(StorageError::NotFrames(cause)) => cause,
        other => panic!("{other:?}"),
    };
    let early = not_frames(log.append(&[&message(at, Term(1), b"no term yet")]));
    assert!(matches!(early, WireError::NoTerm { .. }));
    let first = new_term(at, Term::NONE, Term(1));
    let short = not_frames(log.append(&[&first[..64]]));
    assert!(matches!(short, WireError::Truncated { .. }));
    let zeros = not_frames(log.append(&[&first, &[0; 64]]));
    assert!(matches!(zeros, WireError::LengthOutOfRange { .. }));
    let back = not_frames(log.append(&[&first, &new_term(Position(72), Term::NONE, Term(3))]));
    assert!(matches!(back, WireError::BrokenChain { .. }));
    assert_eq!(log.end(), Position::START);
    assert!(log.terms().is_empty());
    log.append(&[&first]).unwrap();
    assert!(read_all(&mut log) == first);
}
