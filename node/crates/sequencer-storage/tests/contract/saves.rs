//! What is made durable in the background, and segments that are used again.

use crate::place::*;
use crate::snapshots::{boundary, read_from_start, save};
use sequencer_storage::{Save, Saved, SnapshotInfo};

contract!(
    a_disk_saves_in_the_background,
    what_is_saved_in_the_background_counts_when_it_is_told,
    a_cut_waits_for_what_is_being_saved_and_it_is_told_afterwards,
    segments_that_a_trim_frees_are_used_again,
);

fn a_disk_saves_in_the_background<P: Place>(place: &P) {
    let mut disk = place.disk();
    assert!(disk.wait_save().unwrap().is_none() && disk.finished_save().unwrap().is_none());
    let (temporary, name) = ("new".to_owned(), "one".to_owned());
    disk.start_save(Save::File { temporary, name, bytes: vec![7; 3000] }).unwrap();
    let file = disk.wait_save().unwrap().unwrap();
    assert_eq!((disk.size(&file).unwrap(), disk.list().unwrap()), (3000, vec!["one".to_owned()]));
    disk.start_save(Save::Bytes { file: file.clone(), offset: 100, bytes: vec![8; 50] }).unwrap();
    let again = loop {
        if let Some(file) = disk.finished_save().unwrap() {
            break file;
        }
        std::thread::yield_now();
    };
    let mut read = vec![0; 3000];
    disk.read_at(&again, 0, &mut read).unwrap();
    assert!(read.iter().enumerate().all(|(at, byte)| *byte == if (100..150).contains(&at) { 8 } else { 7 }));
    drop((file, again));
    disk.start_save(Save::File { temporary: "new".to_owned(), name: "two".to_owned(), bytes: vec![1] })
        .unwrap();
    assert!(disk.wait_save().unwrap().is_some());
    assert_eq!(disk.list().unwrap(), ["one", "two"]);
}

fn what_is_saved_in_the_background_counts_when_it_is_told<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 150);
    let (snapshot, floor) = (boundary(80), boundary(100).position);
    log.start_snapshot(snapshot, &snapshot_bytes(snapshot)).unwrap();
    assert!(log.is_saving() && log.snapshot().is_none());
    assert_eq!(log.start_trim(floor), Ok(false), "one thing at a time");
    let mut append = |log: &mut Log<P::Disk>, salt| {
        let more = messages(log.end(), Term(1), 20, 288, salt);
        log.append(&[&more]).unwrap();
        bytes.extend(more);
        log.wait_durable().unwrap();
    };
    append(&mut log, 1);
    let info = SnapshotInfo { end: snapshot, bytes: snapshot_bytes(snapshot).len() as u64 };
    assert_eq!(told(&mut log), Saved::Snapshot(info));
    assert_eq!(log.snapshot(), Some(info));
    assert_eq!(log.start_trim(floor), Ok(true));
    assert_eq!(log.start(), Position::START, "not before it is durable");
    append(&mut log, 2);
    let start = boundary(72).position;
    assert_eq!(told(&mut log), Saved::Start(start));
    assert_eq!((log.start(), log.poll_saved()), (start, Ok(None)));
    append(&mut log, 3);
    drop(log);
    let mut log = open(place, &fsync());
    assert!(log.start() == start && read_from_start(&mut log) == bytes[start.0 as usize..]);
}

fn told<D: Disk>(log: &mut Log<D>) -> Saved {
    loop {
        if let Some(saved) = log.poll_saved().unwrap() {
            return saved;
        }
        std::thread::yield_now();
    }
}

fn a_cut_waits_for_what_is_being_saved_and_it_is_told_afterwards<P: Place>(place: &P) {
    let (mut log, bytes) = filled(place, &fsync(), 150);
    save(&mut log, 80);
    assert_eq!(log.start_trim(boundary(100).position), Ok(true));
    log.cut(boundary(120).position).unwrap();
    let start = boundary(72).position;
    assert_eq!(log.start(), start);
    assert!(log.is_saving(), "nobody was told yet");
    assert_eq!(log.poll_saved(), Ok(Some(Saved::Start(start))));
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..boundary(120).position.0 as usize]);
}

fn segments_that_a_trim_frees_are_used_again<P: Place>(place: &P) {
    let (mut log, mut bytes) = filled(place, &fsync(), 150);
    save(&mut log, 144);
    // Four segments of 36 go; they hold frames that verify, of other positions.
    let start = log.trim(boundary(150).position).unwrap();
    assert_eq!(start, boundary(144).position);
    assert_eq!(place.names().iter().filter(|name| name.starts_with("spare-")).count(), 4);
    for salt in 0..5 {
        let more = messages(log.end(), Term(1), 30, 288, salt);
        log.append(&[&more]).unwrap();
        bytes.extend(more);
        log.wait_durable().unwrap();
    }
    // Cuts within one of them, and a crash that leaves a torn tail in the next.
    bytes.truncate(log.end().0 as usize - 336 * 10);
    log.cut(Position(bytes.len() as u64)).unwrap();
    let more = messages(log.end(), Term(1), 3, 288, 9);
    log.append(&[&more]).unwrap();
    bytes.extend(more);
    log.wait_durable().unwrap();
    drop(log);
    let (mut log, recovered) = Log::open(place.disk(), fsync()).unwrap();
    assert_eq!((recovered.report.health, recovered.end.position.0), (LogHealth::Clean, bytes.len() as u64));
    assert!(read_from_start(&mut log) == bytes[start.0 as usize..]);
}
