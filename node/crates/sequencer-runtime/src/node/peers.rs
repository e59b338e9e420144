//! Whom this node connects to.
//!
//! Of two members the one with the higher id connects to the one with the lower: so there is one connection between two members, and a node that
//! joins needs to know the others' addresses while none of them needs to know its own beforehand. Where a member listens is said by the
//! configuration, and by itself when it connects.

use std::net::SocketAddr;

use mio::net::TcpStream;
use sequencer_core::Now;
use sequencer_link::{Hello, Initiator, Role};
use sequencer_wire::{ClusterId, NodeId};

use crate::node::config::resolve;
use crate::node::links::{Links, Stage};

/// A connection and its handshake must be there within this.
pub(crate) const GREETING_NS_MAX: u64 = 2_000_000_000;
/// The first wait before another try, and the longest.
const RETRY_NS: std::ops::Range<u64> = 10_000_000..1_000_000_000;

struct Known {
    id: NodeId,
    /// As configured or as it said; empty if unknown.
    address: String,
    /// Looked up once; a name that stands for another address later is looked up anew after a failure.
    resolved: Option<SocketAddr>,
    retry_ns: u64,
    next_try_ns: u64,
}

/// What all connections to members are begun with.
pub(crate) struct Peers {
    pub(crate) cluster: ClusterId,
    pub(crate) own: NodeId,
    pub(crate) data: [u8; 16],
    pub(crate) address: String,
    pub(crate) identity: String,
    pub(crate) secret: Option<Vec<u8>>,
    known: Vec<Known>,
}

impl Peers {
    pub(crate) fn new(
        cluster: ClusterId,
        own: NodeId,
        data: [u8; 16],
        address: String,
        credential: Option<(String, Vec<u8>)>,
        configured: &[(NodeId, String)],
    ) -> Self {
        let (identity, secret) =
            credential.map_or((String::new(), None), |(name, secret)| (name, Some(secret)));
        let mut peers = Self { cluster, own, data, address, identity, secret, known: Vec::new() };
        for (id, address) in configured.iter().filter(|(id, _)| *id != own) {
            peers.learn(*id, address);
        }
        peers
    }

    /// A member listens there.
    pub(crate) fn learn(&mut self, id: NodeId, address: &str) {
        if address.is_empty() || id == self.own {
            return;
        }
        match self.known.iter_mut().find(|known| known.id == id) {
            Some(known) if known.address == address => {}
            Some(known) => {
                known.address = address.to_owned();
                known.resolved = None;
            }
            None => self.known.push(Known {
                id,
                address: address.to_owned(),
                resolved: None,
                retry_ns: RETRY_NS.start,
                next_try_ns: 0,
            }),
        }
    }

    /// Where a member listens; the own address for the own id.
    pub(crate) fn address_of(&self, id: NodeId) -> &str {
        if id == self.own {
            return &self.address;
        }
        self.known.iter().find(|known| known.id == id).map_or("", |known| &known.address)
    }

    /// Begins the connections that are due.
    pub(crate) fn dial(&mut self, links: &mut Links, nonce: &mut impl FnMut() -> [u8; 32], now: Now) {
        for known in &mut self.known {
            let is_due = known.id < self.own
                && !links.is_connected(known.id)
                && !links.is_dialing(known.id)
                && now.monotonic_ns >= known.next_try_ns;
            if !is_due {
                continue;
            }
            if known.retry_ns > RETRY_NS.start {
                // The last try came to nothing; the name may stand for another address now.
                known.resolved = None;
            }
            known.next_try_ns = now.monotonic_ns + known.retry_ns;
            known.retry_ns = (known.retry_ns * 2).min(RETRY_NS.end);
            if known.resolved.is_none() {
                known.resolved = resolve(&known.address);
            }
            let Some(address) = known.resolved else { continue };
            let Ok(stream) = TcpStream::connect(address) else {
                known.resolved = None;
                continue;
            };
            let hello = Hello {
                role: Role::Peer,
                cluster: self.cluster,
                node: self.own,
                data: self.data,
                nonce: nonce(),
                identity: self.identity.clone(),
                address: self.address.clone(),
            };
            let mut bytes = Vec::new();
            let initiator = Initiator::new(&hello, Some(known.id), self.secret.clone(), &mut bytes);
            let deadline_ns = now.monotonic_ns + GREETING_NS_MAX;
            let stage = Stage::Dialing { initiator: Box::new(initiator), target: known.id, deadline_ns };
            if let Some(index) = links.add(stream, stage) {
                if let Some(link) = links.get(index) {
                    link.tail().extend_from_slice(&bytes);
                }
                links.counts.dialed += 1;
            }
        }
    }

    /// A connection that was begun is open.
    pub(crate) fn dialed(&mut self, id: NodeId) {
        if let Some(known) = self.known.iter_mut().find(|known| known.id == id) {
            known.retry_ns = RETRY_NS.start;
        }
    }

    /// When the next connection is due.
    pub(crate) fn next_try_ns(&self, links: &Links) -> u64 {
        let waits = self.known.iter().filter(|known| {
            known.id < self.own && !links.is_connected(known.id) && !links.is_dialing(known.id)
        });
        waits.map(|known| known.next_try_ns).min().unwrap_or(u64::MAX)
    }
}
