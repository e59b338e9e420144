//! Settings that do not fit together are refused before anything is opened.
//!
//! In: one formatted simulated disk, settings with one thing wrong each. Checked: the field that the refusal names.

use sequencer_core::{Config, Now};
use sequencer_runtime::{Replica, ReplicaError, Settings};
use sequencer_storage::{Durability, Log, Options, SimDisk};
use sequencer_wire::{ClusterId, NodeId};

const CLUSTER: ClusterId = ClusterId([7; 16]);
const NOW: Now = Now { monotonic_ns: 0, wall_ns: 0 };

fn settings() -> Settings {
    let core = Config::new(CLUSTER, NodeId(1), vec![NodeId(1), NodeId(2), NodeId(3)], 5);
    let storage = Options {
        cluster: CLUSTER,
        node: NodeId(1),
        segment_bytes: 2 << 20,
        durability: Durability::Fsync,
        boot_id: [0; 16],
        reserve_bytes: 0,
    };
    Settings { core, storage, snapshot_every_bytes: 1 << 20 }
}

fn refused_field(change: impl FnOnce(&mut Settings)) -> Option<&'static str> {
    let mut disk = SimDisk::new(1);
    Log::format(&mut disk, &settings().storage, [1; 16]).expect("the disk is empty");
    let mut settings = settings();
    change(&mut settings);
    match Replica::open(disk, settings, NOW) {
        Ok(_) => None,
        Err(ReplicaError::Config(error)) => Some(error.path),
        Err(other) => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn settings_that_fit_together_are_taken() {
    assert_eq!(refused_field(|_| {}), None);
}

#[test]
fn the_refusal_names_the_field() {
    type Change = fn(&mut Settings);
    let table: [(&str, Change); 4] = [
        // A process on another node's disk would vote with that node's memory under its own name.
        ("storage.node", |settings| settings.storage.node = NodeId(2)),
        ("storage.cluster", |settings| settings.storage.cluster = ClusterId([8; 16])),
        // One message that no segment holds would stop every node that it reaches.
        ("core.block_bytes", |settings| settings.storage.segment_bytes = 1 << 20),
        ("id", |settings| settings.core.id = NodeId(0)),
    ];
    for (field, change) in table {
        assert_eq!(refused_field(change), Some(field));
    }
}
