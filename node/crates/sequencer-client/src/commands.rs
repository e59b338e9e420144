//! Commands that wait to be sent, and those that wait for their answer.
//!
//! Invariant: a command is sent once at most. Whether one whose answer was lost is in the log only the caller can find out.

use sequencer_link::{Ask, Command, encode_ask};

use crate::event::Event;
use crate::session::next_tag;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    encoded: Vec<u8>,
    queued: Vec<u32>,
    sent: Vec<u32>,
}

impl Commands {
    /// Takes one in; returns its tag.
    pub(crate) fn push(&mut self, command: Command<'_>, tags: &mut u32) -> u32 {
        let tag = next_tag(tags);
        encode_ask(&mut self.encoded, tag, &Ask::Command(command));
        self.queued.push(tag);
        tag
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.sent.is_empty()
    }

    /// Whether an answer is owed.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Appends what was not sent yet.
    pub(crate) fn ask(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.encoded);
        self.sent.append(&mut self.queued);
    }

    /// Whether this is the answer to one; it is not waited for any more.
    pub(crate) fn is_answered_by(&mut self, tag: u32) -> bool {
        let place = self.sent.iter().position(|sent| *sent == tag);
        place.map(|place| self.sent.remove(place)).is_some()
    }

    /// The answers that are owed will not come.
    pub(crate) fn void(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        for tag in self.sent.drain(..) {
            on_event(Event::AnswerLost { tag });
        }
    }
}
