//! What comes of opening a session.
//!
//! Each opening raises the epoch by one, so the epoch tells whether anybody else has opened the name in between: nobody has if it is one above the last,
//! or further by no more than the openings of this client whose answers were lost.

use sequencer_link::{Done, Reply};
use serde_json::Map;

use crate::event::{Event, Refusal};
use crate::refusals::{Fate, Outlook, refusal_of};
use crate::session::{Session, State};

/// How long after an opening that was answered a node may still come upon an earlier one, whose answer was lost: the rest of a connection that the client
/// had closed before it made the next.
const DOUBT_NS: u64 = 10_000_000_000;

/// What the answer to an opening says when it was taken.
#[derive(Debug, Clone, Copy)]
struct Opened {
    session: u32,
    epoch: u32,
    last_sequence: u64,
    is_resumed: bool,
}

impl Session {
    /// Takes in the answer to the opening that is under way; its tag has been compared. `next_tag` is the first that later requests bear.
    pub(crate) fn on_open_answer(
        &mut self,
        reply: &Reply,
        next_tag: u32,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Outlook {
        match reply {
            Reply::Done(Done::Opened { session, epoch, last_sequence, is_resumed, .. }) => {
                let opened = Opened {
                    session: *session,
                    epoch: *epoch,
                    last_sequence: *last_sequence,
                    is_resumed: *is_resumed,
                };
                self.on_opened(opened, next_tag, now_ns, on_event);
                Outlook::Stay
            }
            Reply::Done(_) => Outlook::Strange,
            Reply::Refused { .. } => {
                let refusal = refusal_of(reply).expect("it is a refusal");
                self.on_open_refused(&refusal, now_ns, on_event)
            }
        }
    }

    fn on_opened(&mut self, opened: Opened, next_tag: u32, now_ns: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        let Opened { session, epoch, last_sequence, is_resumed } = opened;
        let was_open = self.was_open();
        let raised = if was_open { epoch.wrapping_sub(self.epoch.wrapping_add(1)) } else { 0 };
        if raised > self.doubts {
            return self.fence(on_event);
        }
        self.doubts = if now_ns < self.doubt_until_ns { self.doubts - raised } else { 0 };
        if self.doubt_until_ns == u64::MAX {
            self.doubt_until_ns = now_ns + DOUBT_NS;
        }
        if !was_open {
            self.base = last_sequence.wrapping_add(1).wrapping_sub(self.window.oldest());
        }
        let acknowledged = self.window.oldest().wrapping_sub(1).wrapping_add(self.base);
        let sent = self.sent_end.wrapping_sub(1).wrapping_add(self.base);
        if was_open && last_sequence < acknowledged {
            let message = format!(
                "the session's last sequence is {last_sequence}, but {acknowledged} was acknowledged: the cluster has lost committed messages; stop and find out why"
            );
            let facts = Map::new();
            let refusal =
                Refusal { kind: "acknowledged_lost", message: &message, is_retryable: false, facts: &facts };
            return self.lose(&refusal, on_event);
        }
        if was_open && last_sequence > sent {
            return self.fence(on_event);
        }
        (self.id, self.epoch) = (session, epoch);
        self.state = State::Open;
        self.first_tag = next_tag;
        self.spoke_ns = now_ns;
        (self.retry_ns, self.retries) = (0, 0);
        self.window.rewind();
        on_event(Event::Opened { session, epoch, last_sequence, is_resumed });
        if self.settings.group != 0 {
            self.give_up_role(last_sequence, on_event);
        }
    }

    /// Opening a session of a group takes its role away. What was admitted before cannot be asked for any more, and nothing else will be admitted.
    fn give_up_role(&mut self, last_sequence: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        let admitted =
            last_sequence.wrapping_add(1).wrapping_sub(self.base).wrapping_sub(self.window.oldest());
        self.acknowledge_unknown(admitted, on_event);
        self.wanted_role = 0;
        self.settle_role(on_event);
    }

    fn on_open_refused(
        &mut self,
        refusal: &Refusal<'_>,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Outlook {
        match Fate::of(refusal.kind) {
            Fate::Elsewhere => {
                self.leader_away();
                return Outlook::LeaderAway;
            }
            Fate::Retry | Fate::Reopen => self.open_again_later(now_ns),
            Fate::Gone if self.is_closing && self.window.len() == 0 => self.close(on_event),
            // A session whose records are under way is not given up because there is no room just now.
            _ if self.was_open() && refusal.is_retryable => self.open_again_later(now_ns),
            _ if self.id != 0 => self.lose(refusal, on_event),
            _ => {
                self.state = State::Over;
                let (first, count) = self.window.clear();
                on_event(Event::OpenRefused { first, count, refusal: *refusal });
            }
        }
        Outlook::Stay
    }

    fn open_again_later(&mut self, now_ns: u64) {
        self.state = State::Ready;
        self.retry_later(now_ns);
    }
}
