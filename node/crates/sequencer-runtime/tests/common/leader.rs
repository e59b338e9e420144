//! A leader that a follower under test believes in: it sends frames one append after another and hears no answers.

use sequencer_core::Now;
use sequencer_runtime::Host;
use sequencer_wire::{
    Envelope, FrameFields, FrameKind, LogEnd, NEW_TERM_BYTES, NewTerm, NodeId, Position, Term,
    encode_append_header, encode_frame, encode_new_term, frame_bytes,
};

use super::CLUSTER;

const TERM: Term = Term(1);

/// The log it leads is empty at first.
pub(crate) struct Leader {
    envelope: Envelope,
    end: LogEnd,
    /// The append last made; reused.
    message: Vec<u8>,
}

impl Leader {
    /// `frames_bytes_max` is the most that one append will carry; nothing is allocated later.
    pub(crate) fn new(id: u32, follower: u32, frames_bytes_max: usize) -> Self {
        let envelope = Envelope { cluster: CLUSTER, from: NodeId(id), to: NodeId(follower), term: TERM };
        Self { envelope, end: LogEnd::default(), message: Vec::with_capacity(frames_bytes_max + 256) }
    }

    /// End of what it has sent.
    pub(crate) fn end(&self) -> Position {
        self.end.position
    }

    /// The append with the first frame of its term.
    pub(crate) fn new_term(&mut self, now: Now) -> &[u8] {
        let at = self.end.position;
        let new_term = NewTerm { term: TERM, previous: self.end.term, leader: self.envelope.from };
        let frames = self.begin(frame_bytes(NEW_TERM_BYTES));
        encode_new_term(frames, at, new_term, now.wall_ns).expect("there is room");
        self.end = LogEnd { term: TERM, position: at.advanced(frames.len() as u64) };
        &self.message
    }

    /// An append with `count` messages of the same payload.
    pub(crate) fn messages(&mut self, count: usize, payload: &[u8], now: Now) -> &[u8] {
        let mut fields = FrameFields {
            kind: FrameKind::ClusterVersion,
            flags: 0,
            source_id: 7,
            source_sequence: 0,
            timestamp_ns: now.wall_ns,
            cause: Position::START,
            schema_id: 1,
            schema_version: 1,
            epoch: 0,
        };
        let mut at = self.end.position;
        let frames = self.begin(count * frame_bytes(payload.len()));
        for frame in frames.chunks_exact_mut(frame_bytes(payload.len())) {
            fields.source_sequence += 1;
            encode_frame(frame, at, TERM, &fields, payload).expect("there is room");
            at = at.advanced(frame.len() as u64);
        }
        self.end.position = at;
        &self.message
    }

    /// Starts an append after all that was sent, which counts as committed, and returns the place of its frames.
    fn begin(&mut self, frames_bytes: usize) -> &mut [u8] {
        self.message.clear();
        let (previous, commit) = (self.end, self.end.position);
        encode_append_header(&mut self.message, &self.envelope, previous, commit, 1, frames_bytes);
        let frames_at = self.message.len();
        self.message.resize(frames_at + frames_bytes, 0);
        &mut self.message[frames_at..]
    }
}

/// A host whose peers never answer.
#[derive(Default)]
pub(crate) struct Deaf {
    /// Bytes handed over for sending.
    pub(crate) sent_bytes: u64,
}

impl Host for Deaf {
    fn send(&mut self, _to: NodeId, header: &[u8], frames: &[u8]) {
        self.sent_bytes += (header.len() + frames.len()) as u64;
    }
}
