//! The durable state of one node: log segments, watermark, hard state, snapshots of the core, and the recovery of all of them after a crash.
//! What is written and in which order belongs here, with a disk for production and a hostile simulated one for tests.
//! Nothing here knows of Raft roles, peers or sockets; which bytes are committed is for the core to say.

mod append;
mod chores;
mod cut;
mod disk;
mod error;
mod file_disk;
mod hard_state;
mod identity;
mod log;
mod log_reader;
mod log_start;
mod open;
mod options;
mod read;
mod recovery;
mod saving;
mod scan;
mod sector;
mod segment;
mod sim_disk;
mod sim_faults;
mod sim_file;
mod sim_state;
mod slot_file;
mod snapshot;
mod splitmix;
mod survey;
mod sync;
mod sync_thread;
mod trim;
mod watermark;

pub use disk::{Disk, DiskError, Operation, SECTOR_BYTES, Save, SyncId};
pub use error::{CorruptionCause, StorageError};
pub use file_disk::{FileDisk, FileHandle};
pub use log::{Log, Space, frame_room};
pub use log_reader::{LogReader, ReadError};
pub use options::{Durability, Options, SEGMENT_BYTES_DEFAULT};
pub use recovery::{Recovered, RecoveryReport};
pub use saving::Saved;
pub use sequencer_wire::{Claim, HardState};
pub use sim_disk::{SimCounters, SimDisk, SimHandle};
pub use sim_faults::Flip;
pub use snapshot::SnapshotInfo;
pub use splitmix::SplitMix64;
pub use survey::Damage;
