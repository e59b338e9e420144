//! Formatting, identities and settings.

use crate::place::*;
use sequencer_wire::ClusterId;

contract!(
    a_directory_is_formatted_once,
    a_missing_identity_is_not_formatted,
    another_cluster_is_refused,
    another_node_is_refused,
    a_directory_of_other_files_is_refused,
    segment_sizes_are_checked_and_may_change,
    an_empty_log_takes_a_larger_segment_size,
);

fn a_directory_is_formatted_once<P: Place>(place: &P) {
    let (log, _) = filled(place, &fsync(), 5);
    drop(log);
    assert_eq!(Log::format(&mut place.disk(), &fsync(), UUID), Err(StorageError::AlreadyFormatted));
    assert_eq!(open(place, &fsync()).end(), Position(72 + 5 * 336));
}

fn a_missing_identity_is_not_formatted<P: Place>(place: &P) {
    assert_eq!(refusal(place, &fsync()), StorageError::NotFormatted);
    let (log, _) = filled(place, &fsync(), 5);
    drop(log);
    place.disk().remove("identity").unwrap();
    assert_eq!(refusal(place, &fsync()), StorageError::NotFormatted);
    // Nor is a directory with a log in it formatted over.
    let outcome = Log::format(&mut place.disk(), &fsync(), UUID);
    assert!(matches!(outcome, Err(StorageError::NotEmpty { .. })));
}

fn another_cluster_is_refused<P: Place>(place: &P) {
    drop(formatted(place, &fsync()));
    let expected = ClusterId([8; 16]);
    let error = refusal(place, &Options { cluster: expected, ..fsync() });
    assert_eq!(error, StorageError::WrongCluster { file: "identity".into(), expected, found: CLUSTER });
}

fn another_node_is_refused<P: Place>(place: &P) {
    drop(formatted(place, &fsync()));
    let error = refusal(place, &Options { node: NodeId(5), ..fsync() });
    assert_eq!(error, StorageError::WrongNode { file: "identity".into(), expected: NodeId(5), found: NODE });
}

fn a_directory_of_other_files_is_refused<P: Place>(place: &P) {
    place.disk().create("photo", 100).unwrap();
    let outcome = Log::format(&mut place.disk(), &fsync(), UUID);
    assert_eq!(outcome, Err(StorageError::NotEmpty { name: "photo".into() }));
}

fn segment_sizes_are_checked_and_may_change<P: Place>(place: &P) {
    for segment_bytes in [0, 4096, (16 << 10) - 512, (16 << 10) + 8] {
        let outcome = Log::format(&mut place.disk(), &Options { segment_bytes, ..fsync() }, UUID);
        assert!(matches!(outcome, Err(StorageError::SegmentBytes { .. })));
    }
    let (log, mut bytes) = filled(place, &fsync(), 100);
    drop(log);
    let larger = Options { segment_bytes: 3 * SEGMENT, ..fsync() };
    let mut log = open(place, &larger);
    let more = messages(log.end(), Term(1), 300, 288, 4);
    log.append(&[&more]).unwrap();
    log.wait_durable().unwrap();
    bytes.extend(more);
    drop(log);
    assert!(read_all(&mut open(place, &fsync())) == bytes);
}

fn an_empty_log_takes_a_larger_segment_size<P: Place>(place: &P) {
    let end = LogEnd { term: Term(4), position: Position(8000) };
    let mut log = formatted(place, &fsync());
    log.install(end, b"snapshot").unwrap();
    drop(log);
    let larger = Options { segment_bytes: 3 * SEGMENT, ..fsync() };
    let mut log = open(place, &larger);
    assert_eq!((log.start(), log.log_end()), (end.position, end));
    // The first frame alone is larger than the segment that was there.
    let large = message(end.position, end.term, &vec![7; SEGMENT as usize]);
    log.append(&[&large]).unwrap();
    log.wait_durable().unwrap();
    drop(log);
    let (log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((log.start(), log.end()), (end.position, end.position.advanced(large.len() as u64)));
    assert_eq!(recovered.snapshot, Some((end, b"snapshot".to_vec())));
}
