//! The bounds of the settings.
//!
//! In: settings with one field out of bounds, and at each bound. Checked: the error names the field and its value, and
//! the core refuses to start with it.

mod kit;

use kit::{at, config};
use sequencer_core::{Config, Core, Restored};
use sequencer_wire::{FRAME_BYTES_MAX, NodeId};

type Change = fn(&mut Config);

fn changed(change: Change) -> Config {
    let mut config = config(1, 3);
    change(&mut config);
    config
}

fn voters(config: &mut Config, ids: impl IntoIterator<Item = u32>) {
    config.voters = ids.into_iter().map(NodeId).collect();
}

#[test]
fn each_setting_out_of_bounds_is_named_with_its_value() {
    let table: [(Change, &str, u64); 24] = [
        (|config| voters(config, 1..=10), "voters", 10),
        (|config| voters(config, [1, 2, 2]), "voters", 3),
        (|config| voters(config, [0, 1, 2]), "voters", 3),
        (|config| config.id = NodeId(0), "id", 0),
        (|config| config.sessions_max = 0, "sessions_max", 0),
        (|config| config.session_timeout_ns_min = 0, "session_timeout_ns_min", 0),
        (|config| config.session_timeout_ns_max = 1, "session_timeout_ns_min", 100_000_000),
        (|config| config.snapshot_chunk_bytes = 0, "snapshot_chunk_bytes", 0),
        (|config| config.heartbeat_ns = 0, "heartbeat_ns", 0),
        (|config| config.heartbeat_ns = 100_000_001, "heartbeat_ns", 100_000_001),
        (|config| config.election_timeout_ns = 0, "heartbeat_ns", 50_000_000),
        (|config| config.election_timeout_ns = 149_999_999, "heartbeat_ns", 50_000_000),
        (|config| config.block_bytes = 0, "block_bytes", 0),
        (|config| config.block_bytes = 248, "block_bytes", 248),
        (|config| config.block_bytes = 260, "block_bytes", 260),
        (|config| config.block_bytes = FRAME_BYTES_MAX + 8, "block_bytes", FRAME_BYTES_MAX as u64 + 8),
        (|config| config.blocks = 0, "blocks", 0),
        (|config| config.blocks = 35, "blocks", 35),
        (|config| config.uncommitted_bytes_max = 9217, "blocks", 40),
        // Sums that would overflow.
        (|config| config.uncommitted_bytes_max = u64::MAX, "blocks", 40),
        (|config| config.uncommitted_bytes_max = u64::MAX - 512, "blocks", 40),
        (|config| config.uncommitted_bytes_max = 511, "uncommitted_bytes_max", 511),
        (|config| config.inflight_bytes_max = 0, "inflight_bytes_max", 0),
        (|config| config.inflight_bytes_max = 511, "inflight_bytes_max", 511),
    ];
    for (change, path, found) in table {
        let config = changed(change);
        let error = config.validate().expect_err(path);
        assert_eq!((error.path, error.found), (path, found), "{error}");
        let sentence = error.to_string();
        assert!(sentence.contains(path) && sentence.contains(&found.to_string()), "{sentence}");
        assert_eq!(Core::new(config, Restored::default(), at(0)).err(), Some(error));
    }
}

#[test]
fn each_setting_at_its_bound_is_taken() {
    let table: [Change; 9] = [
        |config| voters(config, [1]),
        |config| voters(config, (1..=9).rev()),
        |config| config.heartbeat_ns = 1,
        |config| config.heartbeat_ns = 100_000_000,
        |config| (config.block_bytes, config.blocks) = (256, 70),
        |config| config.blocks = 36,
        |config| config.uncommitted_bytes_max = 9216,
        |config| config.uncommitted_bytes_max = 512,
        |config| config.inflight_bytes_max = 512,
    ];
    for change in table {
        let config = changed(change);
        assert_eq!(config.validate(), Ok(()), "{config:?}");
    }
}

#[test]
fn the_defaults_are_within_bounds() {
    for voters in 1..=9 {
        let config = Config::new(kit::CLUSTER, NodeId(1), (1..=voters).map(NodeId).collect(), 7);
        assert_eq!(config.validate(), Ok(()));
    }
}
