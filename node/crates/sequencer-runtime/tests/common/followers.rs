//! Followers that a leader under test believes in: they grant every vote and hold durably, at once, whatever they are sent.

use std::time::{Duration, Instant};

use sequencer_core::{Core, Effect, Now, Outgoing, Role};
use sequencer_runtime::{Host, Replica};
use sequencer_storage::Disk;
use sequencer_wire::{Envelope, NodeId, PeerMessage, Position, Term, encode_peer};

use super::CLUSTER;

/// How long an election may take; it waits for nothing but the own disk.
const ELECTION_MAX: Duration = Duration::from_secs(30);

/// A host whose peers exist only as their answers. Allocates nothing after its construction.
pub(crate) struct Followers {
    leader: NodeId,
    /// The newest answer of each follower; acknowledgements are cumulative, so older ones are not missed.
    answers: Vec<(NodeId, Option<(Term, PeerMessage<'static>)>)>,
    message: Vec<u8>,
    /// Bytes handed over for sending.
    pub(crate) sent_bytes: u64,
}

impl Followers {
    /// The other members of a cluster of `voters`, numbered from 1; none when the leader is alone.
    pub(crate) fn new(leader: u32, voters: u32) -> Self {
        let others = (1..=voters).filter(|id| *id != leader).map(|id| (NodeId(id), None));
        Self {
            leader: NodeId(leader),
            answers: others.collect(),
            message: Vec::with_capacity(4096),
            sent_bytes: 0,
        }
    }

    /// Delivers the answers that the followers have given so far.
    pub(crate) fn deliver<D: Disk>(&mut self, replica: &mut Replica<D>, now: Now) {
        for index in 0..self.answers.len() {
            let (from, answer) = &mut self.answers[index];
            let from = *from;
            let Some((term, answer)) = answer.take() else { continue };
            let mut message = std::mem::take(&mut self.message);
            message.clear();
            encode_peer(&mut message, &Envelope { cluster: CLUSTER, from, to: self.leader, term }, &answer);
            let received = replica.receive(&message, now, self).expect("the disk works");
            received.expect("the answer is well formed");
            self.message = message;
        }
    }

    /// Makes `replica`, whose log is empty, a leader that admits messages. `now` is past its election deadline.
    pub(crate) fn elect<D: Disk>(&mut self, replica: &mut Replica<D>, now: Now) {
        let started = Instant::now();
        while replica.status().role != Role::Leader || replica.core().readable_end() == Position::START {
            assert!(started.elapsed() < ELECTION_MAX, "no election within {ELECTION_MAX:?}");
            replica.turn(now, self).expect("the disk works");
            self.deliver(replica, now);
        }
    }
}

impl Host for Followers {
    fn send(&mut self, _to: NodeId, header: &[u8], frames: &[u8]) {
        self.sent_bytes += (header.len() + frames.len()) as u64;
    }

    fn observe(&mut self, effect: &Effect, _core: &Core) {
        let Effect::Send { to, term, message } = effect else { return };
        let answer = match *message {
            Outgoing::PreVoteRequest { .. } => PeerMessage::PreVoteResponse { granted: true },
            Outgoing::VoteRequest { .. } => PeerMessage::VoteResponse { granted: true, wall_ns: 0 },
            Outgoing::Append { to: end, round, .. } => {
                PeerMessage::AppendAccepted { matched: end, durable: end, round, low_space: false }
            }
            ref other => panic!("followers know no answer to {other:?}"),
        };
        if let Some(slot) = self.answers.iter_mut().find(|(id, _)| id == to) {
            slot.1 = Some((*term, answer));
        }
    }
}
