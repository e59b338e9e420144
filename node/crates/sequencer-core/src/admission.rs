//! Admitting requests: the hot path of a leader.
//!
//! 1. Only a leader that has committed in its own term answers.
//! 2. The rules of the request's kind are asked against the ledger at the end of the log. A repeat is answered and appends nothing.
//! 3. There must be room: in the uncommitted window, on the disks, and in a frame.
//! 4. The frame is encoded at the end of the log and applied to the ledger.
//!
//! Cost of one message: one look into the session's 32 bytes, one copy into the log buffer, one checksum over it, one entry in the
//! journal. No allocation, no system call; the bytes leave the node with the next [`crate::Event::Flush`], together with all that was
//! admitted before it.
//!
//! Invariant: a refusal changes nothing. Invariant: what an answer rests on is committed before it may be told.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Body, FrameFields, FrameKind, Position, encode_frame, frame_bytes};

use crate::answer::{Answer, Outcome};
use crate::core::Core;
use crate::event::Now;
use crate::refusal::Refusal;
use crate::request::{Message, Request};
use crate::status::Role;

mod control;
mod members;
mod outputs;
mod sessions;
mod switches;

/// Where a rule leads.
pub(crate) type Ruling = Result<Outcome, Refusal>;

/// A frame to be appended, but for its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) kind: FrameKind,
    pub(crate) source_id: u32,
    pub(crate) sequence: u64,
    pub(crate) epoch: u32,
    pub(crate) cause: Position,
    pub(crate) schema_id: u16,
    pub(crate) schema_version: u16,
}

impl Head {
    /// A frame that bears no more than its source.
    pub(crate) fn of(kind: FrameKind, source_id: u32) -> Self {
        Self { kind, source_id, sequence: 0, epoch: 0, cause: Position(0), schema_id: 0, schema_version: 0 }
    }
}

impl Core {
    /// Takes in one request. What it appends leaves the node with the next [`crate::Event::Flush`].
    pub fn request(&mut self, request: &Request<'_>, now: Now) -> Answer {
        let is_leading = self.check_leading();
        let result = is_leading.and_then(|()| self.rule_on(request, now));
        // What is decided without a look at the ledger may be said at once.
        let after = match &result {
            Ok(Outcome::Repeat { .. }) if teeth::is_active(Bug::AnswerFromOverlay) => Position(0),
            Ok(Outcome::Repeat { first }) => Position(first.0 + 1),
            Ok(Outcome::Voted { .. }) => Position(0),
            Err(
                Refusal::NotLeader { .. }
                | Refusal::NotReady { .. }
                | Refusal::HandingOver { .. }
                | Refusal::Backpressure { .. }
                | Refusal::LogFull
                | Refusal::TooLarge { .. }
                | Refusal::ReservedKind { .. }
                | Refusal::Malformed(_)
                | Refusal::OutOfRange { .. },
            ) => Position(0),
            // Its own frame, and everything else that it may rest on.
            Ok(_) | Err(_) => self.log.end(),
        };
        if let Err(refusal) = &result {
            *self.refusals.entry(refusal.kind()).or_default() += 1;
        }
        let round = match &result {
            // Stays true, or is mended by what the caller does next.
            Ok(Outcome::Voted { .. } | Outcome::Admitted { .. } | Outcome::Opened { .. })
            | Ok(Outcome::Repeat { .. } | Outcome::AlreadyAdmitted { .. })
            | Err(Refusal::SequenceGap { .. } | Refusal::OutputGap { .. }) => 0,
            Err(_) if after == Position(0) => 0,
            Ok(Outcome::Alive) | Err(_) => self.round + 1,
        };
        Answer { result, after, round, term: self.term }
    }

    /// Brings what a batch of requests needs nearer to the processor, before they are made one by one. Changes nothing. With many
    /// sessions a message spends most of its time waiting for memory; in a batch these waits overlap.
    pub fn warm(&self, requests: &[Request<'_>]) {
        for request in requests {
            if let Request::Message(message) | Request::Query { message, .. } = request {
                self.ledger.sessions.touch(message.session, message.sequence);
            }
        }
    }

    /// What [`Core::request`] would say to a message without admitting it: `None` if it is the next one of its session.
    ///
    /// Tools that change the cluster name a session of theirs and its next sequence, so that a tool that was replaced is refused
    /// and a command that is sent twice is carried out once: asked before, admitted after it.
    ///
    /// # Errors
    /// What it would be refused for, but for its size and the room there is.
    pub fn check_message(&self, message: &Message<'_>) -> Result<Option<Outcome>, Refusal> {
        self.check_leading()?;
        self.judge_message(message).map(|(_, repeat)| repeat)
    }

    /// How often each kind of refusal was given in this life.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusals.iter().map(|(kind, count)| (*kind, *count))
    }

    fn rule_on(&mut self, request: &Request<'_>, now: Now) -> Ruling {
        match request {
            Request::Message(message) => self.admit_message(message, now),
            Request::Query { service, message } => self.admit_query(*service, message, now),
            Request::Open(open) => self.admit_open(open, now),
            Request::Close { session, epoch } => self.admit_close(*session, *epoch, now),
            Request::KeepAlive { session, epoch } => self.hear_session(*session, *epoch, now),
            Request::Output(output) => self.admit_output(output, now),
            Request::OutputEnd(end) => self.admit_output_end(end, now),
            Request::Progress(progress) => self.admit_progress(progress, now),
            Request::Member(change) => self.admit_member_change(change, now),
            other => self.admit_control(other, now),
        }
    }

    pub(crate) fn check_leading(&self) -> Result<(), Refusal> {
        if self.role != Role::Leader {
            return Err(Refusal::NotLeader { leader: self.leader });
        }
        if !self.is_ready() {
            return Err(Refusal::NotReady { term: self.term });
        }
        Ok(())
    }

    /// Whether a frame of the own term is committed.
    pub(crate) fn is_ready(&self) -> bool {
        self.commit > self.term_start
    }

    /// Whether a frame of this size may be appended. Ingress is what fills the disk; the rest is what it takes to free it.
    pub(crate) fn check_room(&self, payload_bytes: usize, is_ingress: bool) -> Result<(), Refusal> {
        let limit_bytes = self.config.block_bytes - frame_bytes(0);
        if payload_bytes > limit_bytes {
            return Err(Refusal::TooLarge { bytes: payload_bytes, limit_bytes });
        }
        if let Some(transfer) = &self.transfer
            && !teeth::is_active(Bug::TransferWithoutStop)
        {
            return Err(Refusal::HandingOver { target: transfer.target });
        }
        if is_ingress && self.is_log_full() {
            return Err(Refusal::LogFull);
        }
        // Bytes that followers committed before this node's own disk was handed them stay in the log buffer all the same.
        let uncommitted_bytes = self.log.end().0 - self.commit.min(self.written).0;
        let limit_bytes = self.config.uncommitted_bytes_max;
        if uncommitted_bytes + frame_bytes(payload_bytes) as u64 > limit_bytes {
            return Err(Refusal::Backpressure { uncommitted_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Fewer voters than a majority have room on their disks, or the leader itself has none.
    fn is_log_full(&self) -> bool {
        let with_room = self.peers.iter().filter(|peer| peer.is_voter && !peer.low_space).count();
        self.low_space || with_room + 1 < self.majority()
    }

    /// Encodes a frame at the end of the log. The caller has checked the room, and applies it to the ledger.
    #[inline]
    pub(crate) fn append(&mut self, head: &Head, payload: &[u8], now: Now) -> (Position, u64) {
        let at = self.log.end();
        let timestamp_ns = self.clock.stamp(now);
        let fields = head.at_time(timestamp_ns);
        let room = self.log.reserve(frame_bytes(payload.len()), self.written);
        let bytes = encode_frame(room, at, self.term, &fields, payload)
            .expect("the size was checked and the room reserved");
        self.log.advance(bytes);
        self.last_frame_ns = timestamp_ns;
        (at, timestamp_ns)
    }

    /// Appends and applies a frame that is neither a message nor an output.
    pub(crate) fn append_control(
        &mut self,
        head: &Head,
        body: &Body<'_>,
        is_ingress: bool,
        now: Now,
    ) -> Ruling {
        let mut payload = [0; sequencer_wire::BODY_BYTES_MAX];
        let payload = &mut payload[..body.payload_bytes()];
        self.check_room(payload.len(), is_ingress)?;
        body.encode(payload);
        let (at, timestamp_ns) = self.append(head, payload, now);
        let fields = head.at_time(timestamp_ns);
        self.ledger
            .apply_control(at, self.log.end(), &fields, body)
            .expect("the body was made here, so it is known");
        self.follow_members();
        Ok(Outcome::Admitted { at, timestamp_ns })
    }
}

impl Head {
    fn at_time(&self, timestamp_ns: u64) -> FrameFields {
        let Self { kind, source_id, sequence, epoch, cause, schema_id, schema_version } = *self;
        FrameFields {
            kind,
            flags: 0,
            source_id,
            source_sequence: sequence,
            timestamp_ns,
            cause,
            schema_id,
            schema_version,
            epoch,
        }
    }
}
