//! What a leader says to a request, and when it may be told.

use sequencer_wire::{Position, Term, VOTERS_MAX};

use crate::core::Core;
use crate::refusal::Refusal;
use crate::status::Role;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the log.
    Admitted {
        /// Position of its frame.
        at: Position,
        /// Its timestamp, nanoseconds since the Unix epoch.
        timestamp_ns: u64,
    },
    /// The session is open.
    Opened {
        /// Its id.
        session: u32,
        /// Its epoch.
        epoch: u32,
        /// Last sequence of it in the log; what was sent after that is not.
        last_sequence: u64,
        /// Whether it existed before.
        is_resumed: bool,
        /// Position of the frame.
        at: Position,
    },
    /// The same was admitted before.
    Repeat {
        /// Where the first stands.
        first: Position,
    },
    /// The same was admitted before, too long ago to say where.
    AlreadyAdmitted {
        /// The last one admitted.
        last: u64,
    },
    /// The session is alive.
    Alive,
    /// Other replicas must agree first.
    Voted {
        /// Replicas that have sent the same so far.
        votes: u16,
        /// How many it takes.
        needed: u16,
    },
}

/// The answer to a request. It may rest on frames that are not committed, so it may be told only when [`Core::telling`] says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What came of it.
    pub result: Result<Outcome, Refusal>,
    /// It may be told once the leader of `term` has committed up to here.
    pub after: Position,
    /// It may be told once a majority has answered this round of heartbeats, which began after the request; 0 for answers that stay
    /// true whoever leads. A leader that does not know yet that it was deposed could otherwise say of a session that it does not exist.
    pub round: u64,
    /// The term in which it was given.
    pub term: Term,
}

/// Whether an answer may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Now.
    Now,
    /// Not yet.
    Wait,
    /// Never: this node has lost its place, and what the answer rests on may be cut. The caller asks again.
    Void,
}

impl Core {
    /// The newest round of heartbeats that a majority has answered: when it began, nobody else led.
    fn confirmed_round(&self) -> u64 {
        let mut rounds = [0; VOTERS_MAX];
        for (slot, id) in rounds.iter_mut().zip(self.voters.as_slice()) {
            *slot = if *id == self.config.id {
                u64::MAX
            } else {
                self.peer_index(*id).map_or(0, |index| self.peers[index].round)
            };
        }
        let rounds = &mut rounds[..self.voters.as_slice().len()];
        rounds.sort_unstable();
        rounds.len().checked_sub(self.majority()).map_or(0, |index| rounds[index])
    }

    /// Whether `answer` may be told to whoever asked.
    pub fn telling(&self, answer: &Answer) -> Telling {
        if answer.after == Position(0) && answer.round == 0 {
            Telling::Now
        } else if self.role != Role::Leader || self.term != answer.term {
            Telling::Void
        } else if self.commit >= answer.after && self.confirmed_round() >= answer.round {
            Telling::Now
        } else {
            Telling::Wait
        }
    }
}
