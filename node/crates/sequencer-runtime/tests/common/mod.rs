//! What tests and benchmarks of a replica over real files share: settings, opening, and stand-ins for its peers.

#![allow(dead_code, reason = "each test and benchmark uses its part")]

pub(crate) mod cluster;
pub(crate) mod followers;
pub(crate) mod leader;

use sequencer_core::{Config, Now, Proposal};
use sequencer_runtime::{Replica, Settings};
use sequencer_storage::{Disk, Durability, Log, Options, RecoveryReport, StorageError};
use sequencer_wire::{ClusterId, FrameKind, NodeId, Position};

pub(crate) const CLUSTER: ClusterId = ClusterId(*b"cluster in files");

/// Settings of member `id` of a cluster with `voters` members, numbered from 1.
pub(crate) fn settings(id: u32, voters: u32, durability: Durability, segment_bytes: u64) -> Settings {
    let voters = (1..=voters).map(NodeId).collect();
    let core = Config::new(CLUSTER, NodeId(id), voters, u64::from(id));
    let (node, boot_id) = (NodeId(id), [1; 16]);
    Settings {
        core,
        storage: Options { cluster: CLUSTER, node, segment_bytes, durability, boot_id, reserve_bytes: 0 },
        snapshot_every_bytes: u64::MAX,
    }
}

/// Opens the member's log, and formats the disk first when it is empty.
pub(crate) fn open<D: Disk>(mut disk: D, settings: &Settings, now: Now) -> (Replica<D>, RecoveryReport) {
    let uuid = [settings.storage.node.0 as u8; 16];
    match Log::format(&mut disk, &settings.storage, uuid) {
        Ok(()) | Err(StorageError::AlreadyFormatted) => {}
        Err(error) => panic!("the directory cannot be formatted: {error}"),
    }
    Replica::open(disk, settings.clone(), now).expect("the log opens")
}

/// A message of a client.
pub(crate) fn proposal(number: u64, payload: &[u8]) -> Proposal<'_> {
    Proposal {
        kind: FrameKind::ClusterVersion,
        source_id: 7,
        source_sequence: number,
        cause: Position::START,
        schema_id: 1,
        schema_version: 1,
        payload,
    }
}
