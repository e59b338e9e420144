//! What the core knows of each other member.

use sequencer_wire::{LogEnd, NodeId, Position};

/// How the leader sends to a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It is not known where the logs part: one empty append at `next`, then wait.
    Probe,
    /// `next` follows what the follower has; appends are pipelined without waiting.
    Stream,
    /// Frames are being read from segments; the answer to this read is awaited, and no other is asked for meanwhile.
    Reading {
        /// Of the read.
        id: u64,
        /// Meanwhile it turned out not to be known where the logs part: probe when the read is answered.
        then_probe: bool,
    },
    /// It needs bytes from before the log's start and is sent the snapshot.
    Installing {
        /// The piece that is being read.
        read: Option<u64>,
        /// Where it begins.
        offset: u64,
        /// The snapshot that was begun.
        last: LogEnd,
    },
}

/// Another member as this node sees it. The leader's view of it is reset by each election.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    /// By the newest list.
    pub(crate) is_voter: bool,
    /// UUID of its data, as it has shown it in this life.
    pub(crate) data: [u8; 16],
    /// Its disk has reached its reserve.
    pub(crate) low_space: bool,
    /// Newest round of this leadership that it has answered.
    pub(crate) round: u64,
    /// It granted the vote or pre-vote of the current campaign.
    pub(crate) granted: bool,
    /// Its wall clock when it granted its vote.
    pub(crate) wall_ns: u64,
    pub(crate) flow: Flow,
    /// Next byte to send.
    pub(crate) next: Position,
    /// End of what it acknowledged as matching.
    pub(crate) matched: Position,
    /// End of what it acknowledged as durable; the only figure that counts for commit, so it never goes back.
    pub(crate) durable: Position,
    /// Commit position last sent to it.
    pub(crate) commit_sent: Position,
    /// Answers to appends of earlier rounds no longer move `next`.
    pub(crate) rewound_in_round: u64,
    /// Monotonic time of the last answer in this leadership.
    pub(crate) heard_ns: u64,
    /// Its answer to the current status inquiry.
    pub(crate) reported: Option<Reported>,
}

/// A peer's answer to a status inquiry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) last: LogEnd,
    pub(crate) damaged: bool,
}

impl Peer {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            is_voter: true,
            data: [0; 16],
            low_space: false,
            round: 0,
            granted: false,
            wall_ns: 0,
            flow: Flow::Probe,
            next: Position(0),
            matched: Position(0),
            durable: Position(0),
            commit_sent: Position(0),
            rewound_in_round: 0,
            heard_ns: 0,
            reported: None,
        }
    }

    /// Forgets what an earlier leadership knew; the first append will continue the log at `next`.
    pub(crate) fn start_leadership(&mut self, next: Position, now_ns: u64) {
        let Self { id, is_voter, data, .. } = *self;
        *self = Self { is_voter, data, heard_ns: now_ns, next, ..Self::new(id) };
    }
}
