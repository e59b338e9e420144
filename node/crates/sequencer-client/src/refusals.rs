//! What a refusal means for a session.

use sequencer_link::{Done, Reply};
use serde_json::{Map, Value};

use crate::event::{Event, Refusal};
use crate::session::{Session, State};

/// What has to be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Try again here.
    Retry,
    /// Another node leads, or will.
    Elsewhere,
    /// Open the session again, then go on.
    Reopen,
    /// The session does not exist any more.
    Gone,
    /// The epoch is not the newest.
    Stale,
    /// A record before this one was refused; that refusal says why.
    Gap,
    /// This record is refused for good.
    Final,
}

impl Fate {
    /// By the name of the refusal.
    pub(crate) fn of(kind: &str) -> Self {
        match kind {
            "backpressure" | "not_ready" => Self::Retry,
            "not_leader" | "handing_over" => Self::Elsewhere,
            "session_expired" => Self::Reopen,
            "unknown_session" | "session_lost" => Self::Gone,
            "stale_epoch" => Self::Stale,
            "sequence_gap" => Self::Gap,
            _ => Self::Final,
        }
    }
}

/// What an answer says of the node at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nothing.
    Stay,
    /// It does not lead, or not for long.
    LeaderAway,
    /// It makes no sense.
    Strange,
}

/// The refusal of a record while acknowledgements of records before it are still to come.
#[derive(Debug)]
pub(crate) struct PendingRefusal {
    number: u64,
    reply: Reply,
}

/// The refusal in a reply, if it is one.
pub(crate) fn refusal_of(reply: &Reply) -> Option<Refusal<'_>> {
    match reply {
        Reply::Done(_) => None,
        Reply::Refused { refusal, message, is_retryable, facts, .. } => {
            Some(Refusal { kind: refusal, message, is_retryable: *is_retryable, facts })
        }
    }
}

impl Session {
    /// Takes in an answer that may be this session's; `next_tag` is the first that later requests bear.
    pub(crate) fn on_answer(
        &mut self,
        tag: u32,
        reply: &Reply,
        next_tag: u32,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Outlook {
        if self.open_tag == Some(tag) {
            self.open_tag = None;
            return self.on_open_answer(reply, next_tag, now_ns, on_event);
        }
        if self.state != State::Open {
            return Outlook::Stay;
        }
        let is_close = self.close_tag == Some(tag);
        let is_keep_alive = self.keep_alive_tag == Some(tag);
        if is_close {
            self.close_tag = None;
        } else if is_keep_alive {
            self.keep_alive_tag = None;
        } else if tag.wrapping_sub(self.first_tag) > u32::MAX / 2 {
            return Outlook::Stay;
        }
        match reply {
            Reply::Done(Done::Admitted { .. }) if is_close => {
                self.close(on_event);
                Outlook::Stay
            }
            Reply::Done(Done::Alive) if is_keep_alive => Outlook::Stay,
            Reply::Done(_) => Outlook::Strange,
            Reply::Refused { sequence, .. } => {
                let refusal = refusal_of(reply).expect("it is a refusal");
                let fate = Fate::of(refusal.kind);
                match (fate, sequence) {
                    (Fate::Final, Some(sequence)) if !is_close && !is_keep_alive => {
                        self.on_record_refused(*sequence, reply, next_tag, on_event)
                    }
                    _ => self.on_refused(fate, &refusal, is_close, next_tag, now_ns, on_event),
                }
            }
        }
    }

    /// A refusal that says more of the session or the node than of a record.
    fn on_refused(
        &mut self,
        fate: Fate,
        refusal: &Refusal<'_>,
        is_close: bool,
        next_tag: u32,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Outlook {
        match fate {
            Fate::Retry => {
                self.retry_later(now_ns);
                self.window.rewind();
                self.first_tag = next_tag;
            }
            Fate::Elsewhere => {
                self.leader_away();
                return Outlook::LeaderAway;
            }
            Fate::Reopen => self.leader_here(),
            Fate::Gone if is_close => self.close(on_event),
            Fate::Gone => self.lose(refusal, on_event),
            Fate::Stale => {
                let current = refusal.facts.get("current").and_then(Value::as_u64).unwrap_or(u64::MAX);
                let own = u64::from(self.epoch) + u64::from(self.doubts);
                if self.doubts > 0 && now_ns < self.doubt_until_ns && current <= own {
                    // An opening of this client, thought lost, was taken in after all.
                    self.leader_here();
                } else {
                    self.fence(on_event);
                }
            }
            Fate::Final if is_close => {
                self.is_closing = false;
                let first = self.window.next();
                on_event(Event::Refused { first, count: 0, refusal: *refusal });
            }
            // A gap follows from a refusal that is told of by itself; a sign of life that is refused takes nothing away.
            Fate::Gap | Fate::Final => {}
        }
        Outlook::Stay
    }

    fn on_record_refused(
        &mut self,
        sequence: u64,
        reply: &Reply,
        next_tag: u32,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Outlook {
        let number = sequence.wrapping_sub(self.base);
        if number < self.window.oldest() || number >= self.window.unsent() {
            return Outlook::Strange;
        }
        // What is under way behind it leaves a gap and is refused for that.
        self.first_tag = next_tag;
        self.pending_refusal = Some(PendingRefusal { number, reply: reply.clone() });
        self.settle_refusal(on_event);
        Outlook::Stay
    }

    /// Gives up a refused record and all behind it, once everything before it is acknowledged.
    pub(crate) fn settle_refusal(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        let oldest = self.window.oldest();
        let Some(pending) = self.pending_refusal.take_if(|pending| pending.number == oldest) else { return };
        let refusal = refusal_of(&pending.reply).expect("only refusals are kept");
        self.give_up(&refusal, on_event);
    }

    /// Gives up all that is held. The sequence of the oldest goes to the record that is published next.
    fn give_up(&mut self, refusal: &Refusal<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        let (first, count) = self.window.clear();
        self.base = self.base.wrapping_sub(count);
        self.sent_end = self.window.next();
        if count > 0 {
            on_event(Event::Refused { first, count, refusal: *refusal });
        }
    }

    /// Takes on the role that is wanted once nothing bears the present one: what is under way will be answered, what was not sent is given up.
    pub(crate) fn settle_role(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        if self.role_epoch == self.wanted_role || self.window.oldest() < self.window.unsent() {
            return;
        }
        self.role_epoch = self.wanted_role;
        let message = "the session did not hold the role of its group any more when this was to be sent";
        let facts = Map::new();
        self.give_up(&Refusal { kind: "not_active", message, is_retryable: true, facts: &facts }, on_event);
    }

    pub(crate) fn close(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        self.state = State::Over;
        on_event(Event::SessionClosed { session: self.id });
    }

    pub(crate) fn lose(&mut self, refusal: &Refusal<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        self.state = State::Over;
        let (first, count) = self.window.clear();
        on_event(Event::SessionLost { session: self.id, first, count, refusal: *refusal });
    }

    pub(crate) fn fence(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        self.state = State::Fenced;
        let (first, count) = self.window.clear();
        on_event(Event::Fenced { session: self.id, epoch: self.epoch, first, count });
    }
}
