//! Cutting.

use crate::place::*;

contract!(
    a_cut_lasts,
    a_cut_across_segments_lasts,
    a_cut_to_the_start_lasts,
    frames_follow_a_cut_at_the_same_positions,
);

fn cut_and_check<P: Place>(place: &P, to: u64) {
    let (mut log, mut bytes) = filled(place, &fsync(), 200);
    log.append(&[&messages(log.end(), Term(1), 3, 288, 1)]).unwrap();
    assert!(log.start_sync().unwrap());
    log.append(&[&messages(log.end(), Term(1), 3, 288, 2)]).unwrap();
    log.cut(Position(to)).unwrap();
    bytes.truncate(to as usize);
    assert_eq!((log.end(), log.durable()), (Position(to), Position(to)));
    assert!(read_all(&mut log) == bytes);
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Clean);
    assert_eq!(recovered.report.damage, None);
    assert!(read_all(&mut log) == bytes);
    let more = messages(log.end(), Term(1), 100, 200, 9);
    let more = if to == 0 { new_term(Position::START, Term::NONE, Term(3)) } else { more };
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    bytes.extend(more);
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == bytes);
}

fn a_cut_lasts<P: Place>(place: &P) {
    cut_and_check(place, 72 + 336 * 198);
}

fn a_cut_across_segments_lasts<P: Place>(place: &P) {
    cut_and_check(place, 72 + 336 * 50);
}

fn a_cut_to_the_start_lasts<P: Place>(place: &P) {
    cut_and_check(place, 0);
}

fn frames_follow_a_cut_at_the_same_positions<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 200);
    let to = 72 + 336 * 36;
    log.cut(Position(to)).unwrap();
    bytes.truncate(to as usize);
    // Same term, same sizes, same places, other payload: nothing of the old frames may come back behind the new ones.
    let more = messages(log.end(), Term(1), 40, 288, 77);
    log.append(&[&more]).unwrap();
    bytes.extend(more);
    drop(log);
    let mut log = open(place, &fsync());
    assert!(read_all(&mut log) == bytes);
}
