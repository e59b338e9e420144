//! Three replicas over real files, with real syncs, through the events of a cluster's life.
//!
//! Checked: each member reads back exactly the acknowledged messages, in order, from equal bytes; what was admitted and never
//! acknowledged does not come back. Not real: network and clock, see `common/cluster.rs`.

mod common;

use common::cluster::Cluster;
use sequencer_storage::Durability;
use sequencer_wire::{LogHealth, Position};

/// Numbers of messages that are never acknowledged.
const LOST: u64 = 1_000_000;

/// Expects that every running member shows the messages `0..count` and nothing else.
fn expect_messages(cluster: &mut Cluster, count: u64) {
    let expected: Vec<u64> = (0..count).collect();
    let running: Vec<usize> = cluster.running().collect();
    let logs: Vec<_> = running.iter().map(|index| cluster.read(*index)).collect();
    for (index, (numbers, bytes)) in running.iter().zip(&logs) {
        assert!(*numbers == expected, "member {index} shows {} messages instead of {count}", numbers.len());
        let common = bytes.len().min(logs[0].1.len());
        assert!(bytes[..common] == logs[0].1[..common], "members {index} and {} differ", running[0]);
    }
}

fn a_cluster_lives_through_kill_transfer_and_restart(durability: Durability) {
    let mut cluster = Cluster::new(3, durability);
    let end = cluster.propose(0..1000);
    cluster.run_until_all_have(end);
    expect_messages(&mut cluster, 1000);

    // The leader dies with messages on its disk that nobody else has. The others go on, further than their log buffers reach.
    let killed = cluster.leader().expect("there is a leader");
    cluster.cut_off(killed);
    for number in LOST..LOST + 10 {
        cluster.propose_at(killed, number);
    }
    cluster.kill(killed);
    let end = cluster.propose(1000..3000);
    cluster.run_until_all_have(end);
    expect_messages(&mut cluster, 3000);

    // It comes back, drops what was never acknowledged and catches up from segments.
    let report = cluster.start(killed);
    assert_eq!(report.health, LogHealth::Clean, "nothing that a process wrote is lost with it");
    let end = cluster.propose(3000..3100);
    cluster.run_until_all_have(end);
    expect_messages(&mut cluster, 3100);
    assert_eq!(cluster.replica(killed).status().counters.cuts, 1);
    let leader = cluster.leader().expect("there is a leader");
    assert!(cluster.replica(leader).status().counters.catch_up_reads > 0);

    // It takes the lead again, by request, with no election time-out.
    let before = cluster.replica(leader).status();
    cluster.transfer(killed);
    cluster.run_until("the target leads", |cluster| cluster.leader() == Some(killed));
    let end = cluster.propose(3100..3200);
    cluster.run_until_all_have(end);
    expect_messages(&mut cluster, 3200);
    let after = cluster.replica(killed).status();
    assert_eq!((after.term.0, after.counters.pre_votes), (before.term.0 + 1, 0));
    assert_eq!(cluster.replica(leader).status().counters.transfers_timed_out, 0);

    // After a clean stop nothing is repaired, and nothing is shown but what was known to be committed.
    for index in 0..3 {
        cluster.close(index);
    }
    for index in 0..3 {
        let report = cluster.start(index);
        assert_eq!((report.health, report.cut_bytes, report.segments_beyond), (LogHealth::Clean, 0, 0));
        assert_eq!((report.synced, report.intent.position), (end, end));
        let readable = cluster.replica(index).core().readable_end();
        assert!(readable > Position::START && readable <= end);
    }
    let end = cluster.propose(3200..3300);
    cluster.run_until_all_have(end);
    expect_messages(&mut cluster, 3300);
}

#[test]
fn a_cluster_with_fsync_durability_lives_through_kill_transfer_and_restart() {
    a_cluster_lives_through_kill_transfer_and_restart(Durability::Fsync);
}

#[test]
fn a_cluster_with_memory_durability_lives_through_kill_transfer_and_restart() {
    a_cluster_lives_through_kill_transfer_and_restart(Durability::Memory);
}
