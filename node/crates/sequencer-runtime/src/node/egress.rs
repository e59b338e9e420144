//! Committed frames to whoever subscribed.
//!
//! 1. A subscriber that is near the end is *live*: it gets frames straight from the log buffer, at the end of the turn in which they were committed.
//! 2. One that lags behind the buffer is served by the catch-up thread, which reads from segments what it needs; of these pieces at most one a turn
//!    is sent, so however many lag, a turn grows by one piece.
//! 3. Nobody is sent anything while what was sent before has not left: a slow reader waits for itself and holds one piece of memory.

use sequencer_link::{EndReason, Tell, encode_frames_head, encode_tell};
use sequencer_storage::{Disk, ReadError};
use sequencer_wire::Position;

use crate::node::catch_up::{CatchUp, Piece, Wanted};
use crate::node::links::{Links, Stage};
use crate::replica::Replica;

/// Bytes of frames after which one subscriber has had its share of a turn.
const LIVE_BYTES: u64 = 1 << 20;
/// Bytes read from segments at a time.
const PIECE_BYTES: usize = 256 << 10;

/// One subscription; a connection has at most one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscription {
    /// As the client named it.
    pub(crate) tag: u32,
    /// Everything below was sent.
    pub(crate) at: Position,
    /// It is near the end, and `at` is a frame boundary.
    pub(crate) is_live: bool,
    /// `at` is known to be a frame boundary: what does not verify there is damage.
    is_boundary: bool,
    /// A piece is being read for it.
    pub(crate) is_reading: bool,
}

impl Subscription {
    pub(crate) fn new(tag: u32, from: Position, readable: Position) -> Self {
        // A position in the middle may be no boundary; the catch-up thread finds out.
        let is_end = from == readable;
        Self { tag, at: from, is_live: is_end, is_boundary: is_end, is_reading: false }
    }
}

/// What all subscribers share.
pub(crate) struct Egress {
    pub(crate) catch_up: CatchUp,
    /// Where the next look for a lagging subscriber begins, so that each gets its turn.
    next: usize,
    pub(crate) subscribers: usize,
    pub(crate) frames_bytes: u64,
    head: Vec<u8>,
}

impl Egress {
    pub(crate) fn new(catch_up: CatchUp) -> Self {
        Self { catch_up, next: 0, subscribers: 0, frames_bytes: 0, head: Vec::new() }
    }

    /// Sends what can be sent at the end of a turn; true when somebody wants more at once.
    pub(crate) fn serve<D: Disk>(&mut self, replica: &Replica<D>, links: &mut Links) -> bool {
        let core = replica.core();
        let (readable, buffered) = (core.readable_end(), core.buffered_from());
        let mut wants_more = false;
        self.subscribers = 0;
        for index in links.places() {
            let mut sent_bytes = 0;
            let Some(link) = links.get(index) else { continue };
            let Stage::Client(client) = &mut link.stage else { continue };
            let Some(mut subscription) = client.subscription else { continue };
            self.subscribers += 1;
            subscription.is_live &= subscription.at >= buffered;
            let mut budget = LIVE_BYTES;
            while subscription.is_live && subscription.at < readable && budget > 0 && !link.is_blocked() {
                // The first slice: the rest of one block, so whole frames.
                let Some(bytes) = core.log_bytes(subscription.at, readable).next() else { break };
                let previous = core.terms().term_before(subscription.at);
                self.head.clear();
                encode_frames_head(
                    &mut self.head,
                    subscription.tag,
                    subscription.at,
                    previous,
                    readable,
                    bytes.len(),
                );
                link.send(&self.head, bytes, &mut sent_bytes);
                subscription.at = subscription.at.advanced(bytes.len() as u64);
                self.frames_bytes += bytes.len() as u64;
                budget = budget.saturating_sub(bytes.len() as u64);
            }
            wants_more |= subscription.is_live && subscription.at < readable && !link.is_blocked();
            if let Stage::Client(client) = &mut link.stage {
                client.subscription = Some(subscription);
            }
            links.counts.sent_bytes += sent_bytes;
        }
        self.ask(replica, links);
        wants_more
    }

    /// Asks for one piece for one of those who lag.
    fn ask<D: Disk>(&mut self, replica: &Replica<D>, links: &mut Links) {
        if self.catch_up.is_busy() || self.subscribers == 0 {
            return;
        }
        let core = replica.core();
        let readable = core.readable_end();
        let places = links.places().len();
        for step in 0..places {
            let index = (self.next + step) % places;
            let Some(link) = links.get(index) else { continue };
            if link.is_blocked() {
                continue;
            }
            let generation = link.generation;
            let Stage::Client(client) = &mut link.stage else { continue };
            let Some(subscription) = &mut client.subscription else { continue };
            if subscription.is_live || subscription.is_reading || subscription.at >= readable {
                continue;
            }
            subscription.is_reading = true;
            let previous = core.terms().term_before(subscription.at);
            self.catch_up.ask(Wanted {
                index,
                generation,
                from: subscription.at,
                to: readable,
                previous,
                limit_bytes: PIECE_BYTES,
            });
            self.next = index + 1;
            return;
        }
    }

    /// Takes in what the catch-up thread has read.
    pub(crate) fn take<D: Disk>(&mut self, replica: &Replica<D>, links: &mut Links) {
        let Some(piece) = self.catch_up.take() else { return };
        let Piece { wanted, outcome, bytes } = piece;
        let core = replica.core();
        let (readable, buffered) = (core.readable_end(), core.buffered_from());
        let mut sent_bytes = 0;
        if let Some(link) = links.get_same(wanted.index, wanted.generation)
            && let Stage::Client(client) = &mut link.stage
            && let Some(mut subscription) = client.subscription.filter(|held| held.at == wanted.from)
        {
            subscription.is_reading = false;
            match outcome {
                Ok(_) => {
                    self.head.clear();
                    encode_frames_head(
                        &mut self.head,
                        subscription.tag,
                        wanted.from,
                        wanted.previous,
                        readable,
                        bytes.len(),
                    );
                    subscription.at = wanted.from.advanced(bytes.len() as u64);
                    subscription.is_live = subscription.at >= buffered;
                    subscription.is_boundary = true;
                    client.subscription = Some(subscription);
                    link.send(&self.head, &bytes, &mut sent_bytes);
                    self.frames_bytes += bytes.len() as u64;
                }
                Err(error) => {
                    client.subscription = None;
                    let (reason, position) = match error {
                        ReadError::BelowStart { first, .. } => {
                            (EndReason::Trimmed, first.unwrap_or(readable))
                        }
                        ReadError::Damaged { .. } if !subscription.is_boundary => {
                            (EndReason::NoSuchPosition, wanted.from)
                        }
                        ReadError::Damaged { .. } => (EndReason::Damaged, wanted.from),
                        ReadError::Io { .. } => (EndReason::Damaged, wanted.from),
                    };
                    encode_tell(link.tail(), subscription.tag, &Tell::Ended { reason, position });
                }
            }
        }
        links.counts.sent_bytes += sent_bytes;
        self.catch_up.give_back(bytes);
    }
}
