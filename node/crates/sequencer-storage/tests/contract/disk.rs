//! The disks themselves.

use crate::place::*;
use sequencer_storage::DiskError;

contract!(a_disk_keeps_its_files, a_disk_refuses_what_it_cannot_do, a_disk_syncs_in_the_background,);

fn a_disk_keeps_its_files<P: Place>(place: &P) {
    let mut disk = place.disk();
    let file = disk.create("one", 3000).unwrap();
    assert_eq!(disk.size(&file).unwrap(), 3000);
    let mut read = vec![1; 3000];
    disk.read_at(&file, 0, &mut read).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
    disk.write_at(&file, 700, &[5; 1000]).unwrap();
    disk.sync(&file).unwrap();
    disk.create("two", 10).unwrap();
    disk.rename("one", "uno").unwrap();
    disk.remove("two").unwrap();
    disk.sync_dir().unwrap();
    drop((file, disk));
    let mut disk = place.disk();
    assert_eq!(disk.list().unwrap(), ["uno"]);
    let file = disk.open("uno").unwrap();
    disk.read_at(&file, 0, &mut read).unwrap();
    assert!(read.iter().enumerate().all(|(at, byte)| *byte == if (700..1700).contains(&at) { 5 } else { 0 }));
}

fn a_disk_refuses_what_it_cannot_do<P: Place>(place: &P) {
    let mut disk = place.disk();
    let file = disk.create("one", 100).unwrap();
    let name = || "one".to_owned();
    let exists = Some(DiskError::Exists { name: name() });
    assert_eq!(disk.create("one", 5).err(), exists);
    disk.create("two", 5).unwrap();
    assert_eq!(disk.rename("two", "one").err(), exists);
    let missing =
        |outcome: Result<(), DiskError>| assert!(matches!(outcome, Err(DiskError::NotFound { .. })));
    missing(disk.open("three").map(drop));
    missing(disk.remove("three"));
    missing(disk.rename("three", "four"));
    let outside = DiskError::OutOfRange { name: name(), offset: 90, end: 101, size: 100 };
    assert_eq!(disk.read_at(&file, 90, &mut [0; 11]).err(), Some(outside.clone()));
    assert_eq!(disk.write_at(&file, 90, &[0; 11]).err(), Some(outside));
}

fn a_disk_syncs_in_the_background<P: Place>(place: &P) {
    let mut disk = place.disk();
    let files = [disk.create("one", 100).unwrap(), disk.create("two", 100).unwrap()];
    assert_eq!(disk.wait_sync().unwrap(), None);
    assert_eq!(disk.finished_sync().unwrap(), None);
    let first = disk.start_sync(&files, true).unwrap();
    assert_eq!(disk.wait_sync().unwrap(), Some(first));
    let second = disk.start_sync(&files[1..], false).unwrap();
    assert!(second > first);
    loop {
        if let Some(id) = disk.finished_sync().unwrap() {
            assert_eq!(id, second);
            break;
        }
        std::thread::yield_now();
    }
}

#[test]
fn one_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FileDisk::open(directory.path()).unwrap();
    assert!(matches!(FileDisk::open(directory.path()), Err(DiskError::Locked { .. })));
    drop(disk);
    FileDisk::open(directory.path()).unwrap();
}

#[test]
fn names_stay_inside_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::open(&directory.path().join("new/deep")).unwrap();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "lock", "A", "a\0b", ".hidden", &"a".repeat(65)]
    {
        let refused = Some(DiskError::InvalidName { name: name.to_owned() });
        assert_eq!(disk.create(name, 1).err(), refused);
        assert_eq!(disk.open(name).err(), refused);
        assert_eq!(disk.remove(name).err(), refused);
        assert_eq!(disk.rename(name, "b").err(), refused);
    }
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn finished_syncs_wake_the_owner() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let wake = move || sender.send(()).unwrap();
    let mut disk = FileDisk::open_with_wake(directory.path(), wake).unwrap();
    let file = disk.create("one", 100).unwrap();
    for _ in 0..3 {
        let id = disk.start_sync(std::slice::from_ref(&file), true).unwrap();
        receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(disk.finished_sync().unwrap(), Some(id));
    }
}
