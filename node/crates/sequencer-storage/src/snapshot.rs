//! Snapshots of the core: one file each, named by the position they are of. What is in them is for the core to say.
//!
//! ```text
//! 0 header sector | 512 bytes of the snapshot
//! ```
//! Saving: 1. The file is written under a temporary name and synced. 2. It gets its name, and the directory is synced. 3. When there are too
//! many, one between the oldest and the newest is removed, where it leaves the smallest gap.
//!
//! The oldest is the *base*: the log is kept from there on, and whoever needs bytes from before the log's start gets the base and
//! everything after it, so that no member lacks what the trim floor promises. The newest is where a restart begins to replay. Those
//! between are the bases to come.
//!
//! Invariant: a file that bears a snapshot's name was whole and synced before it got that name.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{ClusterId, LogEnd, Position, Term};

use crate::disk::{Disk, SECTOR_BYTES, Save};
use crate::error::{CorruptionCause, StorageError};
use crate::log::Log;
use crate::saving::Saving;
use crate::sector::{self, Decoded, Fields, Record, Taken};

const PREFIX: &str = "snapshot-";
const NEW: &str = "snapshot-new";
const DIGITS: usize = 20;
/// Most snapshots kept. More would let the log be trimmed closer to the floor; each costs the room of one.
const SNAPSHOTS_MAX: usize = 8;

/// A saved snapshot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The log end that it is of.
    pub end: LogEnd,
    /// Its size.
    pub bytes: u64,
}

/// A saved snapshot with its file.
pub(crate) struct SnapshotFile<F> {
    pub(crate) info: SnapshotInfo,
    pub(crate) file: F,
}

/// ```text
/// 16 cluster id 16 bytes | 32 position u64 | 40 term u64 | 48 bytes u64 | 56 crc32c of the bytes u32
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    cluster: ClusterId,
    end: LogEnd,
    bytes: u64,
    crc: u32,
}

impl Record for Header {
    const MAGIC: [u8; 8] = *b"sqsnapsh";

    fn sequence(&self) -> u64 {
        0
    }

    fn put(&self, fields: &mut Fields<'_>) {
        fields.bytes(&self.cluster.0);
        fields.u64(self.end.position.0);
        fields.u64(self.end.term.0);
        fields.u64(self.bytes);
        fields.u32(self.crc);
    }

    fn take(fields: &mut Taken<'_>) -> Option<Self> {
        let cluster = ClusterId(fields.array());
        let position = Position(fields.u64());
        let end = LogEnd { term: Term(fields.u64()), position };
        Some(Self { cluster, end, bytes: fields.u64(), crc: fields.u32() })
    }
}

pub(crate) fn snapshot_name(position: Position) -> String {
    format!("{PREFIX}{:0DIGITS$}", position.0)
}

/// The position in a snapshot's name; `None` for other files.
fn snapshot_position(name: &str) -> Option<Position> {
    let digits = name.strip_prefix(PREFIX)?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).map(Position)
}

/// Whether a file is a snapshot, finished or not.
pub(crate) fn is_snapshot(name: &str) -> bool {
    name == NEW || snapshot_position(name).is_some()
}

impl<D: Disk> Log<D> {
    /// The newest saved snapshot.
    pub fn snapshot(&self) -> Option<SnapshotInfo> {
        self.snapshots.last().map(|snapshot| snapshot.info)
    }

    /// The oldest saved snapshot: what is sent to those who need bytes from before the log's start.
    pub fn base_snapshot(&self) -> Option<SnapshotInfo> {
        self.snapshots.first().map(|snapshot| snapshot.info)
    }

    /// Saves a snapshot of the core as of `end`, a frame boundary of the durable log; durable when this returns.
    ///
    /// # Errors
    /// `SnapshotPosition`: the position is not in the durable log, or not newer than the present one. `Full`: nothing changed. `Disk`: the log is
    /// poisoned.
    pub fn save_snapshot(&mut self, end: LogEnd, bytes: &[u8]) -> Result<(), StorageError> {
        self.guarded(|log| {
            log.end_saving()?;
            log.begin_snapshot(end, bytes)?;
            log.wait_saved()?;
            Ok(())
        })
    }

    /// Starts what [`Log::save_snapshot`] does, and returns at once. [`Log::poll_saved`] says when it is done. Nothing else may be being saved.
    ///
    /// # Errors
    /// As of [`Log::save_snapshot`], but for `Full`, which [`Log::poll_saved`] tells.
    ///
    /// # Panics
    /// When something is being saved already.
    pub fn start_snapshot(&mut self, end: LogEnd, bytes: &[u8]) -> Result<(), StorageError> {
        self.guarded(|log| log.begin_snapshot(end, bytes))
    }

    fn begin_snapshot(&mut self, end: LogEnd, bytes: &[u8]) -> Result<(), StorageError> {
        let least = self.snapshot().map_or(self.start(), |present| present.end.position.advanced(1));
        let position = end.position;
        if position < least || position > self.durable || self.term_before(position) != end.term {
            return Err(StorageError::SnapshotPosition { position, least, most: self.durable });
        }
        remove_leftovers(&mut self.disk, end)?;
        let info = SnapshotInfo { end, bytes: bytes.len() as u64 };
        let (name, bytes) = (snapshot_name(end.position), encode(self.options.cluster, end, bytes));
        let save = Save::File { temporary: NEW.to_owned(), name, bytes };
        self.start_saving(Saving::Snapshot(info), save)
    }

    /// Removes those whose neighbours are nearest to each other while there are too many.
    pub(crate) fn thin_snapshots(&mut self) -> Result<(), StorageError> {
        // A crash before this may have left more than one too many.
        while self.snapshots.len() > SNAPSHOTS_MAX {
            let at = |index: usize| self.snapshots[index].info.end.position.0;
            let between = 1..self.snapshots.len() - 1;
            let Some(index) = between.min_by_key(|index| at(index + 1) - at(index - 1)) else { break };
            self.remove_snapshot(index)?;
        }
        Ok(())
    }

    pub(crate) fn remove_snapshot(&mut self, index: usize) -> Result<(), StorageError> {
        let removed = self.snapshots.remove(index);
        Ok(self.disk.remove(&snapshot_name(removed.info.end.position))?)
    }

    /// Adds up to `limit` bytes of the base snapshot from `offset` on to `into`; returns how many. Their checksum is not verified here.
    ///
    /// # Errors
    /// `NoSnapshot` when none is saved.
    pub fn read_base_snapshot(
        &mut self,
        offset: u64,
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, StorageError> {
        self.guarded(|log| {
            let Some(snapshot) = log.snapshots.first() else { return Err(StorageError::NoSnapshot) };
            let offset = offset.min(snapshot.info.bytes);
            let wanted = (snapshot.info.bytes - offset).min(limit as u64) as usize;
            let before = into.len();
            into.resize(before + wanted, 0);
            log.disk.read_at(&snapshot.file, SECTOR_BYTES as u64 + offset, &mut into[before..])?;
            Ok(wanted)
        })
    }
}

/// The whole file.
fn encode(cluster: ClusterId, end: LogEnd, bytes: &[u8]) -> Vec<u8> {
    let header = Header { cluster, end, bytes: bytes.len() as u64, crc: crc32c::crc32c(bytes) };
    let mut file = Vec::with_capacity(SECTOR_BYTES + bytes.len());
    file.extend_from_slice(&sector::encode(&header));
    file.extend_from_slice(bytes);
    file
}

/// Removes what an earlier try has left.
fn remove_leftovers<D: Disk>(disk: &mut D, end: LogEnd) -> Result<(), StorageError> {
    let names = disk.list()?;
    let name = snapshot_name(end.position);
    for leftover in [NEW, name.as_str()] {
        if names.iter().any(|name| name == leftover) {
            disk.remove(leftover)?;
        }
    }
    Ok(())
}

/// Writes a snapshot and gives it its name.
pub(crate) fn write_snapshot<D: Disk>(
    disk: &mut D,
    cluster: ClusterId,
    end: LogEnd,
    bytes: &[u8],
) -> Result<SnapshotFile<D::File>, StorageError> {
    remove_leftovers(disk, end)?;
    let name = snapshot_name(end.position);
    let info = SnapshotInfo { end, bytes: bytes.len() as u64 };
    let file = disk.create(NEW, SECTOR_BYTES as u64 + info.bytes)?;
    disk.write_at(&file, 0, &encode(cluster, end, bytes))?;
    let syncs = !teeth::is_active(Bug::InstallBeforeSync);
    if syncs {
        disk.sync(&file)?;
    }
    disk.rename(NEW, &name)?;
    if syncs {
        disk.sync_dir()?;
    }
    Ok(SnapshotFile { info, file })
}

/// Snapshots that were found, and the content of one of them.
pub(crate) type FoundAll<F> = (Vec<SnapshotFile<F>>, Option<(LogEnd, Vec<u8>)>);

/// A snapshot that was found, with its content.
pub(crate) type Found<F> = (SnapshotFile<F>, Vec<u8>);

/// The sound snapshots from `start` to `end`, oldest first, and what the newest holds. If damage has left none of them, and the log does not begin
/// at 0, so that its state cannot be rebuilt without one: those past the end, and what the oldest holds. Changes nothing.
///
/// # Errors
/// `Corruption` when the log does not begin at 0 and no sound snapshot reaches its start: the state cannot be rebuilt.
pub(crate) fn find_snapshots<D: Disk>(
    disk: &mut D,
    names: &[String],
    cluster: ClusterId,
    start: Position,
    end: Position,
) -> Result<FoundAll<D::File>, StorageError> {
    let (mut sound, mut past_end, mut content, mut damaged) = (Vec::new(), Vec::new(), None, None);
    for name in names {
        let Some(position) = snapshot_position(name).filter(|position| *position >= start) else { continue };
        match read_whole(disk, name, cluster, position)? {
            Some((snapshot, bytes)) if position <= end => {
                content = Some((snapshot.info.end, bytes));
                sound.push(snapshot);
            }
            Some((snapshot, bytes)) if start > Position::START => {
                content = content.or(Some((snapshot.info.end, bytes)));
                past_end.push(snapshot);
            }
            Some(_) => {}
            None => damaged = damaged.or(Some(name.clone())),
        }
    }
    if sound.is_empty() {
        sound = past_end;
    }
    if sound.is_empty() && start > Position::START {
        let cause = if damaged.is_some() { CorruptionCause::Snapshot } else { CorruptionCause::MissingFile };
        let file = damaged.unwrap_or_else(|| snapshot_name(start));
        return Err(StorageError::Corruption { file, offset: 0, cause });
    }
    Ok((sound, content))
}

/// Reads a snapshot; `None` when it is damaged.
fn read_whole<D: Disk>(
    disk: &mut D,
    name: &str,
    cluster: ClusterId,
    position: Position,
) -> Result<Option<Found<D::File>>, StorageError> {
    let file = disk.open(name)?;
    let size = disk.size(&file)?;
    if size < SECTOR_BYTES as u64 {
        return Ok(None);
    }
    let mut sector = [0; SECTOR_BYTES];
    disk.read_at(&file, 0, &mut sector)?;
    let header = match sector::decode::<Header>(&sector) {
        Decoded::Valid(header) => header,
        Decoded::Unsupported(version) => return Err(sector::unsupported(name, version)),
        Decoded::Absent | Decoded::Damaged => return Ok(None),
    };
    if header.cluster != cluster {
        let (file, expected, found) = (name.to_owned(), cluster, header.cluster);
        return Err(StorageError::WrongCluster { file, expected, found });
    }
    let fits = size - SECTOR_BYTES as u64 == header.bytes && header.end.position == position;
    if !fits {
        return Ok(None);
    }
    let mut bytes = vec![0; header.bytes as usize];
    disk.read_at(&file, SECTOR_BYTES as u64, &mut bytes)?;
    if crc32c::crc32c(&bytes) != header.crc {
        return Ok(None);
    }
    let info = SnapshotInfo { end: header.end, bytes: header.bytes };
    Ok(Some((SnapshotFile { info, file }, bytes)))
}
