//! The figures that a node shows in shared memory.

use sequencer_core::Role;

use crate::node::hot::Hot;

impl Hot {
    pub(super) fn show_counters(&mut self) {
        let status = self.replica.status();
        let (counts, counters) = (self.links.counts, status.counters);
        let values = [
            u64::from(status.role == Role::Leader),
            status.term.0,
            status.leader.map_or(0, |id| u64::from(id.0)),
            status.log_start.0,
            status.commit.0,
            status.durable.position.0,
            status.end.position.0,
            self.turns,
            counts.received_bytes,
            counts.sent_bytes,
            self.links.len() as u64,
            counts.accepted,
            counts.dialed,
            counts.refused,
            counts.closed,
            counts.dropped_peer_messages,
            self.answers.acknowledged,
            self.answers.voided,
            self.answers.len() as u64,
            self.egress.subscribers as u64,
            self.egress.frames_bytes,
            self.replica.core().ledger().session_count() as u64,
            counters.campaigns,
            counters.elections_won,
            counters.quorum_lost,
            counters.transfers,
            counters.catch_up_reads,
            counters.damaged_appends,
            counters.dropped_messages,
            counters.installs,
            counters.clock_jumps,
            self.disk.0,
            u64::from(self.disk.1),
        ];
        self.counters.show(&values);
    }
}

/// Names of the figures that `Hot::show_counters` shows, in its order.
pub(crate) const COUNTER_NAMES: [&str; 33] = [
    "is_leader",
    "term",
    "leader_id",
    "log_start_position",
    "commit_position",
    "durable_position",
    "end_position",
    "turns",
    "received_bytes",
    "sent_bytes",
    "connections",
    "connections_accepted",
    "connections_dialed",
    "connections_refused",
    "connections_closed",
    "peer_messages_dropped",
    "messages_acknowledged",
    "answers_voided",
    "answers_waiting",
    "subscribers",
    "subscribers_sent_bytes",
    "sessions",
    "campaigns",
    "elections_won",
    "quorums_lost",
    "transfers",
    "catch_up_reads",
    "appends_damaged",
    "messages_dropped",
    "snapshots_installed",
    "clock_jumps",
    "disk_free_bytes",
    "disk_is_low",
];
