//! What the suites share: a member on an in-memory disk, a network in the test's hands, and logs made to measure.
//!
//! Real: the core, the frames and the encoding of peer messages. Not real: disk, network and clocks. Every effect is
//! carried out in the order given, as the runtime does it, and on the way each is held against what must always be true:
//! nothing is sent that reveals an unsaved term, vote or claim; writes continue the stored log; cuts stay above the
//! commit position; the commit position only grows.

#![allow(dead_code, reason = "each suite uses a part")]

mod cluster;
pub(crate) mod desk;
mod image;
mod node;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;
use sequencer_core::{Config, Effect, Now, Outgoing, Proposal};
use sequencer_wire::{ClusterId, FrameKind, LogEnd, NodeId, Position, Term};

#[allow(unused_imports, reason = "each suite uses a part")]
pub(crate) use cluster::Cluster;
#[allow(unused_imports, reason = "each suite uses a part")]
pub(crate) use image::{Image, MESSAGE_BYTES, NEW_TERM_BYTES};
#[allow(unused_imports, reason = "each suite uses a part")]
pub(crate) use node::{Mail, Node};

/// The cluster that all members belong to.
pub(crate) const CLUSTER: ClusterId = ClusterId(*b"core test kit 01");
/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
/// The election time-out of [`config`].
pub(crate) const TIMEOUT_NS: u64 = 300 * MS;
/// The heartbeat interval of [`config`].
pub(crate) const HEARTBEAT_NS: u64 = 50 * MS;
/// The wall clock when the monotonic clock reads 0.
pub(crate) const WALL_NS: u64 = 1_700_000_000_000_000_000;

/// This many cases of a property. A case that failed is kept in a file beside the test and tried first from then on.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

/// Settings of member `id` of the voters `1..=voters`, with a log buffer small enough to run over in a test.
pub(crate) fn config(id: u32, voters: u32) -> Config {
    let mut config =
        Config::new(CLUSTER, NodeId(id), (1..=voters).map(NodeId).collect(), 1000 + u64::from(id));
    assert_eq!((config.election_timeout_ns, config.heartbeat_ns), (TIMEOUT_NS, HEARTBEAT_NS));
    config.block_bytes = 512;
    config.blocks = 40;
    config.inflight_bytes_max = 2048;
    config.uncommitted_bytes_max = 8192;
    config
}

/// Both clocks at `ms` milliseconds after the start.
pub(crate) fn at(ms: u64) -> Now {
    at_ns(ms * MS)
}

/// Both clocks at `ns` nanoseconds after the start.
pub(crate) fn at_ns(ns: u64) -> Now {
    Now { monotonic_ns: ns, wall_ns: WALL_NS + ns }
}

/// A message with this payload.
pub(crate) fn message(payload: &[u8]) -> Proposal<'_> {
    Proposal {
        kind: FrameKind::ClusterVersion,
        source_id: 7,
        source_sequence: 1,
        cause: Position(0),
        schema_id: 3,
        schema_version: 1,
        payload,
    }
}

/// A log end in short.
pub(crate) fn end(term: u64, position: u64) -> LogEnd {
    LogEnd { term: Term(term), position: Position(position) }
}

/// The messages among the effects, with their receivers and terms.
pub(crate) fn sends(effects: &[Effect]) -> Vec<(u32, u64, Outgoing)> {
    effects
        .iter()
        .filter_map(|effect| match *effect {
            Effect::Send { to, term, message } => Some((to.0, term.0, message)),
            _ => None,
        })
        .collect()
}

/// The commit positions among the effects.
pub(crate) fn commits(effects: &[Effect]) -> Vec<u64> {
    effects
        .iter()
        .filter_map(|effect| match *effect {
            Effect::Committed { position } => Some(position.0),
            _ => None,
        })
        .collect()
}

/// The acknowledgements among the effects: matched, durable.
pub(crate) fn acknowledgements(effects: &[Effect]) -> Vec<(u64, u64)> {
    sends(effects)
        .into_iter()
        .filter_map(|(_, _, message)| match message {
            Outgoing::AppendAccepted { matched, durable, .. } => Some((matched.0, durable.0)),
            _ => None,
        })
        .collect()
}

/// The appends among the effects: receiver, from, to.
pub(crate) fn appends(effects: &[Effect]) -> Vec<(u32, u64, u64)> {
    sends(effects)
        .into_iter()
        .filter_map(|(peer, _, message)| match message {
            Outgoing::Append { from, to, .. } => Some((peer, from.0, to.0)),
            _ => None,
        })
        .collect()
}
