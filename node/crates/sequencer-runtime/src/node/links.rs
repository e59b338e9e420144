//! The connections of a node: bytes in, bytes out, and where each stands.
//!
//! Sockets never block. What does not leave at once waits in the connection's output; readiness is remembered, because the poll tells of
//! a change only once.
//!
//! Invariant: whatever is sent on one connection leaves in the order in which it was sent.

use std::io::{ErrorKind, IoSlice, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sequencer_link::{Acceptor, Initiator, InputBuffer, OutputBuffer, Role};
use sequencer_wire::NodeId;

use crate::host::Host;
use crate::node::egress::Subscription;

/// Bytes asked of a socket at one time.
const READ_BYTES: usize = 256 << 10;
/// Peer messages that wait for a peer which does not read; more are dropped, as the network may do too.
const PEER_OUTPUT_BYTES_MAX: usize = 32 << 20;
/// Tokens below this are the node's own.
pub(crate) const FIRST_TOKEN: usize = 2;

/// Where a connection stands.
pub(crate) enum Stage {
    /// It was accepted, and the handshake is under way.
    Accepted { acceptor: Box<Acceptor>, deadline_ns: u64 },
    /// It was begun by this node, and the handshake is under way.
    Dialing { initiator: Box<Initiator>, target: NodeId, deadline_ns: u64 },
    /// A member of the cluster.
    Peer,
    /// Somebody who uses it.
    Client(Box<ClientLink>),
}

/// What the node knows of a client's connection.
pub(crate) struct ClientLink {
    pub(crate) class: u16,
    pub(crate) role: Role,
    /// Records of the oldest message in the input that were admitted before there was no more room.
    pub(crate) taken: u32,
    pub(crate) subscription: Option<Subscription>,
}

pub(crate) struct Link {
    stream: TcpStream,
    /// Tells this connection from an earlier one in the same place.
    pub(crate) generation: u32,
    pub(crate) stage: Stage,
    pub(crate) input: InputBuffer,
    output: OutputBuffer,
    /// There may be something to read.
    pub(crate) is_readable: bool,
    is_writable: bool,
    /// The oldest message waits for room in the log.
    pub(crate) is_held: bool,
    /// To be closed once the output has left.
    pub(crate) is_closing: bool,
}

/// What came of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// Some bytes, or none now.
    Open,
    /// The other side has closed the connection, or it broke.
    Closed,
}

/// All connections.
pub(crate) struct Links {
    slots: Vec<Option<Link>>,
    free: Vec<usize>,
    generation: u32,
    registry: Registry,
    /// Where each member is connected.
    peers: Vec<(NodeId, usize)>,
    pub(crate) counts: LinkCounts,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LinkCounts {
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) dropped_peer_messages: u64,
    pub(crate) accepted: u64,
    pub(crate) dialed: u64,
    pub(crate) refused: u64,
    pub(crate) closed: u64,
}

impl Links {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            generation: 0,
            registry,
            peers: Vec::new(),
            counts: LinkCounts::default(),
        }
    }

    /// Takes a connection in. `None` when it broke at once.
    pub(crate) fn add(&mut self, mut stream: TcpStream, stage: Stage) -> Option<usize> {
        // Batches form by themselves; a small one must not wait for the next.
        stream.set_nodelay(true).ok()?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.registry.register(&mut stream, Token(index + FIRST_TOKEN), interest).is_err() {
            self.free.push(index);
            return None;
        }
        self.generation += 1;
        self.slots[index] = Some(Link {
            stream,
            generation: self.generation,
            stage,
            input: InputBuffer::new(READ_BYTES),
            output: OutputBuffer::new(),
            is_readable: false,
            is_writable: false,
            is_held: false,
            is_closing: false,
        });
        Some(index)
    }

    pub(crate) fn get(&mut self, index: usize) -> Option<&mut Link> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// The connection, if it is still that one.
    pub(crate) fn get_same(&mut self, index: usize, generation: u32) -> Option<&mut Link> {
        self.get(index).filter(|link| link.generation == generation)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Places that may hold a connection.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Link)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    pub(crate) fn close(&mut self, index: usize) {
        if let Some(mut link) = self.slots.get_mut(index).and_then(Option::take) {
            // It fails only when the socket is not registered, and then there is nothing to undo.
            let _unregistered = self.registry.deregister(&mut link.stream);
            self.peers.retain(|(_, at)| *at != index);
            self.free.push(index);
            self.counts.closed += 1;
        }
    }

    /// From here on the connection carries a member's messages. An earlier one of the same member is closed: it is newer knowledge that
    /// the member has begun this one.
    pub(crate) fn become_peer(&mut self, index: usize, id: NodeId) {
        let earlier = self.peers.iter().find(|(peer, _)| *peer == id).map(|(_, at)| *at);
        if let Some(earlier) = earlier.filter(|at| *at != index) {
            self.close(earlier);
        }
        if let Some(link) = self.get(index) {
            link.stage = Stage::Peer;
        }
        self.peers.push((id, index));
    }

    pub(crate) fn is_connected(&self, id: NodeId) -> bool {
        self.peers.iter().any(|(peer, _)| *peer == id)
    }

    /// Whether a connection to this member has been begun and is not open yet.
    pub(crate) fn is_dialing(&self, id: NodeId) -> bool {
        self.iter().any(|(_, link)| matches!(link.stage, Stage::Dialing { target, .. } if target == id))
    }

    /// Connections of clients and operators.
    pub(crate) fn client_count(&self) -> usize {
        self.iter().filter(|(_, link)| matches!(link.stage, Stage::Client(_))).count()
    }

    /// Connections of members.
    pub(crate) fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// How many connections to this node have said too little of themselves yet, and which of them came first.
    pub(crate) fn greeting(&self) -> (usize, Option<usize>) {
        let greeting =
            self.iter().filter(|(_, link)| matches!(link.stage, Stage::Accepted { .. }) && !link.is_closing);
        let (mut count, mut oldest) = (0, None);
        for (index, link) in greeting {
            count += 1;
            if oldest.is_none_or(|(_, generation)| link.generation < generation) {
                oldest = Some((index, link.generation));
            }
        }
        (count, oldest.map(|(index, _)| index))
    }

    /// Reads once.
    pub(crate) fn read(&mut self, index: usize) -> ReadOutcome {
        let Some(link) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return ReadOutcome::Closed;
        };
        let room = link.input.room(READ_BYTES);
        let wanted = room.len();
        match link.stream.read(room) {
            Ok(0) => ReadOutcome::Closed,
            Ok(bytes) => {
                link.input.filled(bytes);
                self.counts.received_bytes += bytes as u64;
                // A stream that gave less than was asked for has no more; the poll tells when it does (epoll(7), "edge-triggered").
                link.is_readable = bytes == wanted;
                ReadOutcome::Open
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                link.is_readable = false;
                ReadOutcome::Open
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => ReadOutcome::Open,
            Err(_) => ReadOutcome::Closed,
        }
    }

    /// Lets everything that waits leave, as far as the sockets take it, and closes what is done or broken.
    pub(crate) fn flush(&mut self) {
        for index in self.places() {
            let Some(link) = self.slots[index].as_mut() else { continue };
            let is_broken = link.flush(&mut self.counts.sent_bytes).is_err();
            if is_broken || (link.is_closing && link.output.is_empty()) {
                self.close(index);
            }
        }
    }
}

impl Link {
    pub(crate) fn on_ready(&mut self, is_readable: bool, is_writable: bool) {
        self.is_readable |= is_readable;
        self.is_writable |= is_writable;
    }

    /// Whether a connection that was begun is there, and can be written to.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.stream.take_error(), Ok(None))
    }

    pub(crate) fn output_bytes(&self) -> usize {
        self.output.len()
    }

    /// To append messages to; they leave with the next flush.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        self.output.tail()
    }

    fn flush(&mut self, sent_bytes: &mut u64) -> std::io::Result<()> {
        while self.is_writable && !self.output.is_empty() {
            match self.stream.write(self.output.bytes()) {
                Ok(bytes) => {
                    *sent_bytes += bytes as u64;
                    self.output.consume(bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the socket takes nothing more, so that what is sent now only waits.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.is_writable
    }

    /// Sends what waits and then `head` and `rest`, from where they are, in one write; what does not leave at once is copied to the output.
    pub(crate) fn send(&mut self, head: &[u8], rest: &[u8], sent_bytes: &mut u64) {
        let mut left = 0;
        if self.is_writable {
            let waiting = self.output.bytes();
            match self.stream.write_vectored(&[IoSlice::new(waiting), IoSlice::new(head), IoSlice::new(rest)])
            {
                Ok(bytes) => {
                    *sent_bytes += bytes as u64;
                    let old = bytes.min(waiting.len());
                    self.output.consume(old);
                    left = bytes - old;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                // What is wrong shows again when the output is flushed.
                Err(_) => {}
            }
        }
        if left < head.len() {
            self.output.extend(&head[left..]);
        }
        let left = left.saturating_sub(head.len());
        if left < rest.len() {
            self.output.extend(&rest[left..]);
        }
    }
}

impl Host for Links {
    fn send(&mut self, to: NodeId, header: &[u8], frames: &[u8]) {
        let index = self.peers.iter().find(|(peer, _)| *peer == to).map(|(_, index)| *index);
        let link = index.and_then(|index| self.slots[index].as_mut());
        match link.filter(|link| link.output.len() <= PEER_OUTPUT_BYTES_MAX) {
            Some(link) => link.send(header, frames, &mut self.counts.sent_bytes),
            None => self.counts.dropped_peer_messages += 1,
        }
    }
}
