//! Who is at the other end of a connection: taking connections in, and the handshake on those that were begun here or there.
//!
//! A connection has a place of its own kind only when its other side is known: a member one of its own, a client one of `limits.connections`. Before that
//! it has one of a few that the next to come may take away, so nobody is kept out by those who say nothing.

use std::io::ErrorKind;

use sequencer_core::Now;
use sequencer_link::{Acceptor, RefusalCode, Refused, Role as LinkRole, peek_message};
use sequencer_wire::{MEMBERS_MAX, NodeId};

use crate::error::ReplicaError;
use crate::node::hot::{Hot, nonce};
use crate::node::links::{ClientLink, Stage};
use crate::node::peers::GREETING_NS_MAX;

/// Connections that have not said who they are. A greeting takes a millisecond; one more drives out the oldest.
const GREETING_MAX: usize = 64;
/// Connections of members: each has one, and a newer one replaces it.
const PEERS_MAX: usize = 2 * MEMBERS_MAX;

enum Greeted {
    Accepted(sequencer_link::Introduced),
    Dialed { id: NodeId, data: [u8; 16] },
}

impl Hot {
    pub(super) fn accept(&mut self, now: Now) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.links.counts.accepted += 1;
                    let core = self.replica.core();
                    let (cluster, node, data) = (core.config().cluster, core.config().id, core.config().data);
                    let acceptor = Box::new(Acceptor::new(cluster, node, data, self.payload_bytes_max));
                    let deadline_ns = now.monotonic_ns + GREETING_NS_MAX;
                    // Who comes too fast drives out those who say nothing, and never a member that greets at once.
                    if let (GREETING_MAX.., Some(oldest)) = self.links.greeting() {
                        let message = format!(
                            "{GREETING_MAX} connections were begun after this one, which has not said who it is"
                        );
                        self.refuse(oldest, &Refused { code: RefusalCode::TooManyConnections, message });
                    }
                    // When this one broke at once, there is nothing to greet.
                    let _index = self.links.add(stream, Stage::Accepted { acceptor, deadline_ns });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // None waits, or this one broke before it was taken. The poll tells of the next.
                Err(_) => return,
            }
        }
    }

    pub(super) fn refuse(&mut self, index: usize, refused: &Refused) {
        self.links.counts.refused += 1;
        if let Some(link) = self.links.get(index) {
            refused.encode(link.tail());
            link.is_closing = true;
            link.is_readable = false;
        }
    }

    pub(super) fn take_greetings(&mut self, index: usize, now: Now) -> Result<(), ReplicaError> {
        let Some(link) = self.links.get(index) else { return Ok(()) };
        let message = match peek_message(link.input.bytes()) {
            Ok(Some(message)) => message.to_vec(),
            Ok(None) => return Ok(()),
            Err(error) => {
                self.refuse(index, &Refused::from(error));
                return Ok(());
            }
        };
        link.input.consume(message.len());
        let mut bytes = Vec::new();
        let outcome = match &mut link.stage {
            Stage::Accepted { acceptor, .. } => acceptor
                .receive(&message, &self.keys, nonce(), &mut bytes)
                .and_then(|known| known.map(Greeted::Accepted).map_or(Ok(None), |known| Ok(Some(known)))),
            Stage::Dialing { initiator, target, .. } => {
                let target = *target;
                initiator.receive(&message, &mut bytes).map(|welcomed| {
                    welcomed.map(|welcomed| Greeted::Dialed { id: target, data: welcomed.data })
                })
            }
            Stage::Peer | Stage::Client(_) => unreachable!("the handshake is over"),
        };
        let outcome = outcome.and_then(|greeted| self.check_room(greeted));
        let Some(link) = self.links.get(index) else { return Ok(()) };
        if outcome.is_ok() {
            link.tail().extend_from_slice(&bytes);
        }
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(greeted)) => {
                self.welcome(index, greeted);
                // What follows the handshake may have come with it.
                self.take_messages(index, now)
            }
            Err(refused) => {
                self.refuse(index, &refused);
                Ok(())
            }
        }
    }

    /// Clients have `limits.connections` places; members have their own.
    fn check_room(&self, greeted: Option<Greeted>) -> Result<Option<Greeted>, Refused> {
        let limit = self.config.limits.connections;
        let (is_full, limit, of) = match &greeted {
            Some(Greeted::Accepted(known)) if known.hello.role == LinkRole::Peer => {
                (self.links.peer_count() >= PEERS_MAX, PEERS_MAX, "members, which is more than a cluster has")
            }
            Some(Greeted::Accepted(_)) => (
                self.links.client_count() >= limit,
                limit,
                "clients, which is the most; see limits.connections",
            ),
            Some(Greeted::Dialed { .. }) | None => (false, 0, ""),
        };
        if is_full {
            let message = format!("there are connections of {limit} {of}");
            return Err(Refused { code: RefusalCode::TooManyConnections, message });
        }
        Ok(greeted)
    }

    /// The other side is known.
    fn welcome(&mut self, index: usize, greeted: Greeted) {
        let (id, data) = match greeted {
            Greeted::Dialed { id, data } => {
                self.peers.dialed(id);
                (id, data)
            }
            Greeted::Accepted(known) if known.hello.role == LinkRole::Peer => {
                let id = known.hello.node;
                if id.0 == 0 || id == self.peers.own {
                    let message = format!("{id} cannot be a member that connects to {}", self.peers.own);
                    return self.refuse(index, &Refused { code: RefusalCode::WrongNode, message });
                }
                self.peers.learn(id, &known.hello.address);
                (id, known.hello.data)
            }
            Greeted::Accepted(known) => {
                let client =
                    ClientLink { class: known.class, role: known.hello.role, taken: 0, subscription: None };
                let tell = self.leader();
                if let Some(link) = self.links.get(index) {
                    link.stage = Stage::Client(Box::new(client));
                    tell.encode(link.tail());
                }
                return;
            }
        };
        match self.replica.check_peer(id, data) {
            Ok(()) => self.links.become_peer(index, id),
            Err(refusal) => {
                let code = match refusal {
                    sequencer_core::PeerRefusal::WrongData { .. } => RefusalCode::WrongData,
                    sequencer_core::PeerRefusal::Retired { .. } => RefusalCode::Retired,
                };
                self.refuse(index, &Refused { code, message: refusal.to_string() });
            }
        }
    }
}
