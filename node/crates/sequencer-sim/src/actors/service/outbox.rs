//! What a replica has emitted and not read in the log, and how much of it is on its way.

use std::collections::VecDeque;

use sequencer_wire::{Frame, FrameKind};

use super::machine::Emitted;

/// What an output in the log says to a replica.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is not the next of its own outputs.
    Other,
    /// It is the next of its own: that one need not be sent any more.
    Own,
    /// It stands where the replica has something else.
    Differs(Emitted),
}

/// See the module's description.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    /// In order of epoch and k.
    waiting: VecDeque<Emitted>,
    /// How many of them, from the front, are on their way.
    sent: usize,
    /// Which sending this is; replies to earlier ones say nothing any more.
    round: u64,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn front(&self) -> Option<&Emitted> {
        self.waiting.front()
    }

    pub(super) fn push(&mut self, output: Emitted) {
        self.waiting.push_back(output);
    }

    /// Takes over what a snapshot held.
    pub(super) fn restore(&mut self, saved: Outbox) {
        self.waiting = saved.waiting;
        self.resend();
    }

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// Those that shall be sent now, in order, so that at most `window` are on their way.
    pub(super) fn take_due(&mut self, window: usize) -> impl Iterator<Item = &Emitted> {
        let from = self.sent;
        self.sent = self.waiting.len().min(window).max(from);
        self.waiting.range(from..self.sent)
    }

    /// Nothing is on its way any more, as far as one knows.
    pub(super) fn resend(&mut self) {
        self.sent = 0;
        self.round += 1;
    }

    /// A leader misses an output. Those that were sent together with it are refused as well, and mended by sending it once.
    pub(super) fn resend_from(&mut self, round: u64, epoch: u32, k: u64) {
        let missed = self.waiting.iter().position(|output| (output.epoch, output.k) == (epoch, k));
        if let Some(index) = missed.filter(|index| *index < self.sent && round == self.round) {
            self.sent = index;
            self.round += 1;
        }
    }

    /// An output of its service stands in the log.
    pub(super) fn see(&mut self, frame: &Frame<'_>) -> Seen {
        let fields = frame.fields;
        let place = (fields.epoch, fields.source_sequence);
        if self.front().is_none_or(|first| (first.epoch, first.k) != place) {
            return Seen::Other;
        }
        let Some(own) = self.waiting.pop_front() else { return Seen::Other };
        self.sent = self.sent.saturating_sub(1);
        let is_same = own.payload == frame.payload
            && (own.cause, own.schema_id) == (fields.cause, fields.schema_id)
            && own.is_end == (fields.kind == FrameKind::OutputEnd);
        if is_same { Seen::Own } else { Seen::Differs(own) }
    }
}
