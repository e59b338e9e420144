//! What the nodes say, and what it means.

use sequencer_link::{Reply, Tell, Welcomed, decode_tell};

use crate::engine::Engine;
use crate::error::Disconnect;
use crate::event::{Event, Purpose};
use crate::refusals::Outlook;
use crate::session::State;
use crate::standing::Change;
use crate::subscription::{AfterEnd, Subscription};

impl Engine {
    /// The handshake is done.
    pub(crate) fn connected(
        &mut self,
        purpose: Purpose,
        welcomed: &Welcomed,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) {
        if purpose == Purpose::Leader {
            self.payload_bytes_max = welcomed.payload_bytes_max as usize;
        }
        let standing = self.standing(purpose);
        standing.welcomed(welcomed, now_ns);
        on_event(Event::Connected { purpose, node: welcomed.node, address: &standing.address });
    }

    /// The connection is gone, or did not come about.
    pub(crate) fn lost(
        &mut self,
        purpose: Purpose,
        why: &Disconnect,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) {
        let standing = self.standing(purpose);
        standing.lost(why, now_ns);
        on_event(Event::Disconnected { purpose, address: &standing.address, why });
        if let Some(subscription) = self.subscription.as_mut().filter(|held| held.purpose() == purpose) {
            subscription.tag = None;
        }
        if purpose == Purpose::Leader {
            self.has_to_unsubscribe = false;
            self.leader_away(on_event);
        }
    }

    fn leader_away(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        self.commands.void(on_event);
        if let Some(session) = &mut self.session {
            session.leader_away();
        }
    }

    /// Takes in one whole message.
    ///
    /// # Errors
    /// Why the connection must be closed; [`Self::lost`] is to be called then.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        purpose: Purpose,
        message: &[u8],
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Disconnect> {
        let (head, tell) = decode_tell(message).map_err(Disconnect::Protocol)?;
        self.standing(purpose).heard(now_ns);
        match tell {
            Tell::Admitted { session, epoch, first, positions } => {
                self.standing(purpose).works(now_ns);
                match &mut self.session {
                    Some(held) => held.on_admitted(session, epoch, first, positions, on_event),
                    None => Ok(()),
                }
            }
            Tell::Frames { from, previous, commit, frames } => {
                let is_wanted =
                    |held: &&mut Subscription| held.tag == Some(head.tag) && held.purpose() == purpose;
                let Some(subscription) = self.subscription.as_mut().filter(is_wanted) else { return Ok(()) };
                subscription.on_frames(from, previous, frames)?;
                on_event(Event::Frames { from, previous, commit, frames });
                self.standing(purpose).works(now_ns);
                Ok(())
            }
            Tell::Answer { json } => self.on_answer(purpose, head.tag, json, now_ns, on_event),
            Tell::Leader(leader) => {
                let change = self.standing(purpose).on_leader(&leader, now_ns);
                on_event(Event::Leader { purpose, leader });
                match change {
                    Change::None => {}
                    Change::Away => self.leader_away(on_event),
                    Change::Here => {
                        self.commands.void(on_event);
                        if let Some(session) = &mut self.session {
                            session.leader_here();
                        }
                    }
                }
                Ok(())
            }
            Tell::Ended { reason, position } => {
                let is_wanted =
                    |held: &&mut Subscription| held.tag == Some(head.tag) && held.purpose() == purpose;
                let Some(subscription) = self.subscription.as_mut().filter(is_wanted) else { return Ok(()) };
                match subscription.on_ended(reason, position, now_ns) {
                    AfterEnd::AskAgain => {}
                    AfterEnd::Elsewhere => {
                        let position = subscription.position.unwrap_or(position);
                        return Err(Disconnect::NotServed { reason, position });
                    }
                    AfterEnd::Over => {
                        self.subscription = None;
                        on_event(Event::SubscriptionEnded { reason, position });
                    }
                }
                Ok(())
            }
        }
    }

    fn on_answer(
        &mut self,
        purpose: Purpose,
        tag: u32,
        json: &[u8],
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Disconnect> {
        let standing = &mut self.standings[purpose as usize];
        if standing.ping_tag == Some(tag) {
            standing.ping_tag = None;
            return Ok(());
        }
        if purpose == Purpose::Reader {
            return Ok(());
        }
        let strange = Disconnect::Unexpected {
            what: "an answer",
            found: u64::from(tag),
            expected: u64::from(self.tags),
        };
        let Ok(reply) = serde_json::from_slice::<Reply>(json) else { return Err(strange) };
        if self.commands.is_answered_by(tag) {
            on_event(Event::Answer { tag, reply: &reply });
            return Ok(());
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        let next_tag = self.tags.wrapping_add(1).max(1);
        match session.on_answer(tag, &reply, next_tag, now_ns, on_event) {
            Outlook::Stay => {
                if session.state == State::Open {
                    self.standing(purpose).works(now_ns);
                }
                Ok(())
            }
            Outlook::LeaderAway => {
                self.standing(purpose).leader_away(now_ns);
                Ok(())
            }
            Outlook::Strange => Err(strange),
        }
    }
}
