//! Missing, foreign and damaged segments, and frames of the future.

use crate::kit::*;

#[test]
fn a_missing_first_segment_is_claimed_and_the_log_starts_anew() {
    let (disk, bytes) = closed(100);
    let end = LogEnd { term: Term(1), position: Position(bytes.len() as u64) };
    for lost in [true, false] {
        let disk = disk.fork();
        if lost {
            disk.lose_file(FIRST).unwrap();
        } else {
            disk.flip_bit(FIRST, 40, 1);
        }
        let (mut log, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.report.health, LogHealth::Damaged);
        assert_eq!(recovered.end, LogEnd::default());
        assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
        assert_eq!(log.read(Position::START, 10, &mut Vec::new()).unwrap(), 0);
        log.append(&[&bytes]).unwrap();
        log.close().unwrap();
        let (mut log, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.report.health, recovered.hard_state.claim), (LogHealth::Clean, None));
        let mut read = Vec::new();
        log.read(Position::START, usize::MAX, &mut read).unwrap();
        assert!(read == bytes);
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_claimed_even_without_slots_behind_it() {
    let (disk, mut log, bytes) = filled(30);
    // The watermark that covers the second segment's end is in the second segment; the third has none yet.
    for _ in 0..60 {
        log.append(&[&messages(log.end(), Term(1), 1, 288, 7)]).unwrap();
        if disk.clone().list().unwrap().iter().filter(|name| name.ends_with("segment")).count() == 3 {
            break;
        }
        log.wait_durable().unwrap();
    }
    let acknowledged = log.durable();
    drop(log);
    let names = disk.clone().list().unwrap();
    let segments: Vec<&String> = names.iter().filter(|name| name.ends_with("segment")).collect();
    disk.lose_file(segments[1]).unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Damaged);
    assert!(recovered.end.position.0 < acknowledged.0 && recovered.end.position.0 > bytes.len() as u64 / 2);
    let claim = recovered.hard_state.claim.unwrap();
    assert!(claim.damaged && claim.end.position >= acknowledged);
    // The slots that knew of the last change of membership may have been in it.
    assert!(claim.membership);
    // Without a header that names the term, nothing safe can be claimed.
    disk.flip_bit(segments[2], 20, 0);
    assert_eq!(corruption(refusal(&disk)).1, CorruptionCause::MissingFile);
}

#[test]
fn a_log_without_segments_is_corruption() {
    let (disk, _) = closed(3);
    disk.lose_file(FIRST).unwrap();
    assert_eq!(corruption(refusal(&disk)), (FIRST.into(), CorruptionCause::MissingFile));
}

#[test]
fn a_segment_of_another_cluster_is_refused() {
    let (disk, _) = closed(3);
    let other = Options { cluster: sequencer_wire::ClusterId([8; 16]), ..fsync() };
    let foreign = SimDisk::new(1);
    Log::format(&mut foreign.clone(), &other, UUID).unwrap();
    disk.set_file_bytes(FIRST, &foreign.file_bytes(FIRST).unwrap());
    let (expected, found) = (CLUSTER, other.cluster);
    assert_eq!(refusal(&disk), StorageError::WrongCluster { file: FIRST.into(), expected, found });
}

/// Changes a frame and makes its checksum right again.
fn change_frame(disk: &SimDisk, at: u64, length: usize, byte: usize, value: u8) {
    let mut bytes = disk.file_bytes(FIRST).unwrap();
    let frame = &mut bytes[4096 + at as usize..4096 + at as usize + length];
    frame[byte] = value;
    let mut seed = [0; 24];
    seed[..8].copy_from_slice(&at.to_le_bytes());
    seed[8..16].copy_from_slice(&1_u64.to_le_bytes());
    seed[16..].copy_from_slice(&(length as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&seed), &frame[8..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    disk.set_file_bytes(FIRST, &bytes);
}

#[test]
fn frames_of_the_future_are_refused_and_not_cut() {
    for (byte, value) in [(8, 2), (9, 200), (11, 1)] {
        let (disk, _) = closed(5);
        change_frame(&disk, 72 + 336, 336, byte, value);
        let error = refusal(&disk);
        let StorageError::Unsupported { file, source } = error else { panic!("{error:?}") };
        assert_eq!(file, FIRST);
        assert!(!source.is_damage());
    }
    // A change that the software understands goes through, so the checksum above was the right one.
    let (disk, _) = closed(5);
    change_frame(&disk, 72 + 336, 336, 12, 77);
    open(&disk).unwrap();
}

#[test]
fn damage_is_noticed_when_it_is_read() {
    let (disk, mut log, bytes) = filled(20);
    let position = Position(72 + 336 * 7);
    disk.flip_bit(FIRST, 4096 + position.0 + 200, 3);
    let mut into = vec![1, 2];
    assert_eq!(log.read(Position(72), 336 * 7, &mut into).unwrap(), 336 * 7);
    assert!(into[2..] == bytes[72..72 + 336 * 7]);
    into.truncate(2);
    let outcome = log.read(Position(72), 336 * 8, &mut into);
    let Err(StorageError::DamagedFrame { file, position: found, cause }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((file.as_str(), found, into.len()), (FIRST, position, 2));
    assert!(matches!(cause, WireError::Checksum { .. }));
}

#[test]
fn segments_beyond_damage_are_kept_until_the_log_goes_on() {
    let (disk, bytes) = closed(200);
    disk.flip_bit(FIRST, 4096 + 72 + 336 * 4, 0);
    let before: Vec<_> = content(&disk).into_iter().filter(|(name, _)| name.ends_with("segment")).collect();
    drop(open(&disk).unwrap());
    let (mut log, recovered) = open(&disk).unwrap();
    let after: Vec<_> = content(&disk).into_iter().filter(|(name, _)| name.ends_with("segment")).collect();
    assert!(before == after);
    assert_eq!(recovered.report.segments_beyond, before.len() - 1);
    let end = log.end();
    log.append(&[&bytes[end.0 as usize..end.0 as usize + 336]]).unwrap();
    let left: Vec<_> =
        disk.clone().list().unwrap().into_iter().filter(|name| name.ends_with("segment")).collect();
    assert_eq!(left, [FIRST]);
}
