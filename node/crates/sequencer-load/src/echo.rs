//! What comes back, compared with what was sent.

use hdrhistogram::Histogram;
use sequencer_wire::{FrameKind, Frames, Position, Term};

use crate::report::histogram;

/// Time and number at the start of each message.
pub(crate) const HEADER_BYTES: usize = 16;
pub(crate) const FILLER: u8 = 7;
/// The whole filler of one message in this many is compared, as the peers do; the checksum of each was compared before.
const FILLER_CHECK_EVERY: u64 = 64;

/// See the module's description.
pub(crate) struct Echoes {
    /// Of whom; frames of others are passed over.
    pub(crate) session: u32,
    /// The next number.
    pub(crate) received: u64,
    pub(crate) damaged: u64,
    pub(crate) rtt_ns: Histogram<u64>,
    pub(crate) last_ns: u64,
    pub(crate) longest_gap_ns: u64,
    size: usize,
}

impl Echoes {
    pub(crate) fn new(session: u32, size: usize) -> Self {
        Self { session, received: 0, damaged: 0, rtt_ns: histogram(), last_ns: 0, longest_gap_ns: 0, size }
    }

    /// Takes in frames that nobody has verified yet: each checksum is computed once.
    pub(crate) fn take(&mut self, from: Position, previous: Term, frames: &[u8], now_ns: u64) {
        let before = self.received;
        for frame in Frames::new(frames, from, previous) {
            let Ok(frame) = frame else {
                self.damaged += 1;
                break;
            };
            if frame.fields.kind == FrameKind::Message && frame.fields.source_id == self.session {
                self.note(frame.payload, now_ns);
            }
        }
        if self.received > before {
            self.longest_gap_ns = self.longest_gap_ns.max(now_ns - self.last_ns.min(now_ns));
            self.last_ns = now_ns;
        }
    }

    fn note(&mut self, payload: &[u8], now_ns: u64) {
        let number = |at: usize| {
            payload
                .get(at..at + 8)
                .map_or(u64::MAX, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        };
        let (intended_ns, sequence) = (number(0), number(8));
        let is_due = self.received.is_multiple_of(FILLER_CHECK_EVERY);
        let is_filler = |filler: &[u8]| !is_due || filler.iter().all(|byte| *byte == FILLER);
        let is_whole = payload.len() == self.size && payload.get(HEADER_BYTES..).is_some_and(is_filler);
        self.damaged += u64::from(sequence != self.received || !is_whole);
        self.rtt_ns.saturating_record(now_ns.saturating_sub(intended_ns).max(1));
        self.received += 1;
    }
}
