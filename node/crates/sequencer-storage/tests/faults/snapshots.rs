//! Snapshots and the record of the log's start: damaged, missing, foreign, and disks that fail while they change.

use crate::kit::*;

#[test]
fn a_start_record_damaged_twice_is_corruption_and_once_is_healed() {
    let (disk, start) = trimmed();
    for slot in [0, 1024] {
        let damaged = disk.fork();
        damaged.flip_bit("logstart", slot + 30, 2);
        let twice = damaged.fork();
        twice.flip_bit("logstart", slot + 512 + 99, 2);
        assert_eq!(corruption(refusal(&twice)), ("logstart".into(), CorruptionCause::BothCopies));
        assert_eq!(open(&damaged).unwrap().1.start, start);
        // The other copy may go now.
        damaged.flip_bit("logstart", slot + 512 + 30, 2);
        assert_eq!(open(&damaged).unwrap().1.start, start);
    }
    disk.lose_file("logstart").unwrap();
    assert_eq!(corruption(refusal(&disk)), ("logstart".into(), CorruptionCause::MissingFile));
}

#[test]
fn values_without_a_meaning_in_the_start_record_are_damage() {
    let (disk, _) = trimmed();
    let newest = |disk: &SimDisk| {
        let bytes = disk.file_bytes("logstart").unwrap();
        if bytes[16] > bytes[1024 + 16] { 0 } else { 1024 }
    };
    // A start that is no position, one that no log reaches, an unknown flag, and a term before position 0.
    for (field, value) in [(24, 4), (24, u64::MAX - 7), (40, 2), (24, 0)] {
        let disk = disk.fork();
        let slot = newest(&disk);
        let mut bytes = disk.file_bytes("logstart").unwrap();
        for copy in [slot, slot + 512] {
            let sector = &mut bytes[copy..copy + 512];
            sector[field..field + 8].copy_from_slice(&value.to_le_bytes());
            let crc = crc32c::crc32c_append(crc32c::crc32c(&sector[..8]), &sector[12..]);
            sector[8..12].copy_from_slice(&crc.to_le_bytes());
        }
        disk.set_file_bytes("logstart", &bytes);
        assert_eq!(corruption(refusal(&disk)), ("logstart".into(), CorruptionCause::BothCopies));
    }
}

#[test]
fn damaged_snapshots_are_passed_over_while_another_one_is_sound() {
    let (disk, _) = trimmed();
    // In the header, in the content, cut short, and gone.
    let harms: [fn(&SimDisk, &str); 4] = [
        |disk, name| assert!(disk.flip_bit(name, 40, 1)),
        |disk, name| assert!(disk.flip_bit(name, 512, 7)),
        |disk, name| disk.set_file_bytes(name, &disk.file_bytes(name).unwrap()[..600]),
        |disk, name| disk.lose_file(name).unwrap(),
    ];
    for harm in harms {
        for (damaged, sound) in [(60, 120), (120, 60)] {
            let disk = disk.fork();
            harm(&disk, &snapshot_name(damaged));
            let (log, recovered) = open(&disk).unwrap();
            let end = boundary(sound);
            assert_eq!(recovered.snapshot, Some((end, snapshot_bytes(end))));
            assert_eq!(
                (log.snapshot(), log.base_snapshot().map(|base| base.end)),
                (log.base_snapshot(), Some(end))
            );
            drop(log);
            // The damaged one is gone, and with the other one the state.
            assert_eq!(disk.file_bytes(&snapshot_name(damaged)), None);
            harm(&disk, &snapshot_name(sound));
            let (_, cause) = corruption(refusal(&disk));
            assert!(matches!(cause, CorruptionCause::Snapshot | CorruptionCause::MissingFile), "{cause:?}");
        }
    }
}

#[test]
fn a_log_from_its_beginning_needs_no_snapshot() {
    let (disk, mut log, bytes) = filled(30);
    log.save_snapshot(boundary(20), b"snapshot").unwrap();
    log.close().unwrap();
    disk.flip_bit(&snapshot_name(20), 512, 0);
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.snapshot, log.snapshot()), (None, None));
    let mut read = Vec::new();
    log.read(Position::START, usize::MAX, &mut read).unwrap();
    assert!(read == bytes);
    log.save_snapshot(boundary(20), b"once more").unwrap();
}

#[test]
fn a_log_from_its_beginning_that_is_damaged_below_its_snapshots_saves_new_ones() {
    let (disk, mut log, _) = filled(30);
    for count in [10, 20] {
        log.save_snapshot(boundary(count), b"snapshot").unwrap();
    }
    log.close().unwrap();
    disk.flip_bit(FIRST, 4096 + boundary(5).position.0 + 100, 0);
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.end, recovered.snapshot, log.snapshot()), (boundary(5), None, None));
    log.append(&[&messages(log.end(), Term(1), 10, 288, 3)]).unwrap();
    log.wait_durable().unwrap();
    log.save_snapshot(boundary(8), b"snapshot").unwrap();
    log.save_snapshot(boundary(15), b"snapshot").unwrap();
}

#[test]
fn an_installation_is_not_finished_without_its_snapshot() {
    let (disk, mut log, _) = filled(100);
    let end = LogEnd { term: Term(5), position: Position(80_000) };
    // The stop comes with the first segment that is removed.
    disk.stop_after(10);
    log.install(end, b"installed").unwrap_err();
    disk.crash_process();
    let name = format!("snapshot-{:020}", end.position.0);
    let damaged = disk.fork();
    assert!(damaged.flip_bit(&name, 512, 1));
    assert_eq!(corruption(refusal(&damaged)), (name, CorruptionCause::Snapshot));
    let (log, recovered) = open(&disk).unwrap();
    assert_eq!((log.start(), recovered.snapshot), (end.position, Some((end, b"installed".to_vec()))));
}

#[test]
fn a_snapshot_of_another_cluster_or_of_the_future_is_refused() {
    let (disk, _) = trimmed();
    let name = snapshot_name(60);
    let seal = |disk: &SimDisk, byte: usize, value: u8| {
        let mut bytes = disk.file_bytes(&name).unwrap();
        bytes[byte] = value;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..512]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        disk.set_file_bytes(&name, &bytes);
    };
    let future = disk.fork();
    seal(&future, 12, 9);
    let expected = StorageError::UnsupportedFormat { file: name.clone(), version: 9, supported: 1 };
    assert_eq!(refusal(&future), expected);
    seal(&disk, 16, 8);
    assert!(matches!(refusal(&disk), StorageError::WrongCluster { file, .. } if file == name));
}

#[test]
fn a_trimmed_log_without_its_first_segment_is_claimed_and_without_any_is_corruption() {
    let (disk, start) = trimmed();
    let first = format!("{:020}.segment", start.0);
    disk.lose_file(&first).unwrap();
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.report.health, LogHealth::Damaged);
    assert_eq!((recovered.start, recovered.end), (start, boundary(36)));
    let end = boundary(150);
    assert_eq!(recovered.hard_state.claim, Some(Claim { end, damaged: true, membership: false }));
    assert_eq!(recovered.snapshot, Some((boundary(60), snapshot_bytes(boundary(60)))));
    // Peers send it again.
    log.append(&[&messages(start, Term(1), 114, 288, 3)]).unwrap();
    log.close().unwrap();
    let (log, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.start, recovered.end, recovered.hard_state.claim), (start, end, None));
    log.close().unwrap();
    for name in disk.clone().list().unwrap().iter().filter(|name| name.ends_with(".segment")) {
        disk.lose_file(name).unwrap();
    }
    assert_eq!(corruption(refusal(&disk)), (first, CorruptionCause::MissingFile));
}

#[test]
fn no_room_for_a_snapshot_or_an_installation_changes_nothing() {
    let (disk, mut log, bytes) = filled(30);
    disk.set_free_bytes(Some(600));
    let (end, installed) = (boundary(20), LogEnd { term: Term(5), position: Position(80_000) });
    let full = StorageError::Full { name: "snapshot-new".into(), bytes: 512 + 1000 };
    assert_eq!(log.save_snapshot(end, &[1; 1000]), Err(full));
    assert!(matches!(log.install(installed, b"new"), Err(StorageError::Full { .. })));
    disk.set_free_bytes(Some(SEGMENT + 600));
    assert!(matches!(log.install(installed, &[1; 1000]), Err(StorageError::Full { .. })));
    assert_eq!((log.start(), log.end().0, log.snapshot()), (Position::START, bytes.len() as u64, None));
    disk.set_free_bytes(None);
    log.save_snapshot(end, &[1; 1000]).unwrap();
    log.install(installed, &[1; 1000]).unwrap();
    assert_eq!(log.log_end(), installed);
}

type Change = fn(&mut Log<SimDisk>) -> Result<(), StorageError>;

#[test]
fn every_failing_operation_of_a_change_poisons_and_the_next_life_finds_one_state_or_the_other() {
    let changes: [Change; 3] = [
        |log| log.save_snapshot(boundary(140), &snapshot_bytes(boundary(140))),
        |log| log.trim(boundary(130).position).map(drop),
        |log| log.install(LogEnd { term: Term(5), position: Position(80_000) }, b"installed"),
    ];
    let mut failed = 0;
    for change in changes {
        for operation in [
            Operation::Create,
            Operation::Write,
            Operation::Sync,
            Operation::SyncDir,
            Operation::Rename,
            Operation::Remove,
        ] {
            let (disk, start) = trimmed();
            let (mut log, _) = open(&disk).unwrap();
            disk.fail_next(operation);
            if change(&mut log).is_ok() {
                continue;
            }
            failed += 1;
            assert_eq!(log.trim(Position::START), Err(StorageError::Poisoned));
            assert_eq!(log.space(), Err(StorageError::Poisoned));
            assert_eq!(log.save_snapshot(boundary(150), b""), Err(StorageError::Poisoned));
            assert_eq!(log.install(boundary(150), b""), Err(StorageError::Poisoned));
            assert_eq!(log.read_base_snapshot(0, 1, &mut Vec::new()), Err(StorageError::Poisoned));
            drop(log);
            for seed in 0..8 {
                let disk = disk.fork();
                disk.lose_power(&mut SplitMix64::new(seed));
                let (mut log, recovered) = open(&disk).unwrap();
                let context = format!("{operation:?}, seed {seed}");
                assert_eq!(recovered.report.health, LogHealth::Clean, "{context}");
                let (snapshot, bytes) = recovered.snapshot.unwrap();
                if recovered.start == Position(80_000) {
                    assert_eq!((log.end(), &bytes[..]), (recovered.start, &b"installed"[..]), "{context}");
                } else {
                    assert!(recovered.start >= start && recovered.end == boundary(150), "{context}");
                    assert_eq!(bytes, snapshot_bytes(snapshot), "{context}");
                }
                let mut read = Vec::new();
                log.read(recovered.start, usize::MAX, &mut read).unwrap();
                assert_eq!(read.len() as u64, log.end().0 - recovered.start.0, "{context}");
            }
        }
    }
    assert!(failed > 12, "{failed}");
}
