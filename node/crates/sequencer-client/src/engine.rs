//! Everything that a client decides, without sockets, clock or randomness: what is sent on which connection, what an answer means, whom to try next.
//! The driver tells it of connections and messages and does what it says. What the nodes say is taken in by `incoming`.

use sequencer_link::{Ask, Command, Record};
use sequencer_wire::{PAYLOAD_BYTES_MAX, Position};

use crate::commands::Commands;
use crate::error::{ClientError, Disconnect};
use crate::event::{Event, Purpose};
use crate::router::Router;
use crate::session::{Outgoing, Session, send};
use crate::settings::{SessionSettings, SubscribeAt};
use crate::standing::{Plan, Standing};
use crate::subscription::Subscription;

/// Both connections.
pub(crate) const PURPOSES: [Purpose; 2] = [Purpose::Leader, Purpose::Reader];

/// See the module's description.
pub(crate) struct Engine {
    addresses: Vec<String>,
    pub(crate) session: Option<Session>,
    /// Number of the next record while there is no session.
    next_number: u64,
    pub(crate) commands: Commands,
    pub(crate) subscription: Option<Subscription>,
    /// The leader still serves a subscription that nobody wants any more.
    pub(crate) has_to_unsubscribe: bool,
    pub(crate) standings: [Standing; 2],
    pub(crate) tags: u32,
    pub(crate) payload_bytes_max: usize,
}

impl Engine {
    /// `seed` draws the jitter of its attempts to connect.
    pub(crate) fn new(addresses: Vec<String>, answer_timeout_ns: u64, seed: u64) -> Self {
        let standings = PURPOSES.map(|purpose| {
            Standing::new(purpose, Router::new(addresses.clone(), purpose, seed), answer_timeout_ns)
        });
        Self {
            addresses,
            session: None,
            next_number: 1,
            commands: Commands::default(),
            subscription: None,
            has_to_unsubscribe: false,
            standings,
            tags: 0,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
        }
    }

    pub(crate) fn standing(&mut self, purpose: Purpose) -> &mut Standing {
        &mut self.standings[purpose as usize]
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    pub(crate) fn subscribed_to(&self) -> Option<Position> {
        self.subscription.as_ref()?.position
    }

    // What the caller asks for.

    pub(crate) fn open_session(&mut self, settings: SessionSettings) -> Result<(), ClientError> {
        settings.validate()?;
        if let Some(session) = &self.session {
            if session.is_alive() {
                return Err(ClientError::SessionOpen { name: session.settings.name.clone() });
            }
            self.next_number = session.window.next();
        }
        let mut session = Session::new(settings, self.next_number);
        if self.standing(Purpose::Leader).is_leader_here() {
            session.leader_here();
        }
        self.session = Some(session);
        Ok(())
    }

    #[inline]
    pub(crate) fn publish(&mut self, record: &Record<'_>, service: u32) -> Result<u64, ClientError> {
        let Some(session) = &mut self.session else { return Err(ClientError::NoSession) };
        session.publish(record, service, self.payload_bytes_max)
    }

    pub(crate) fn set_role(&mut self, role_epoch: u32) -> Result<(), ClientError> {
        match &mut self.session {
            Some(session) if session.is_alive() => {
                session.wanted_role = role_epoch;
                Ok(())
            }
            _ => Err(ClientError::NoSession),
        }
    }

    pub(crate) fn close_session(&mut self) -> Result<(), ClientError> {
        match &mut self.session {
            Some(session) if session.is_alive() => {
                session.is_closing = true;
                Ok(())
            }
            _ => Err(ClientError::NoSession),
        }
    }

    pub(crate) fn command(&mut self, command: Command<'_>) -> Result<u32, ClientError> {
        if command.body.len() > PAYLOAD_BYTES_MAX {
            let (bytes, limit_bytes) = (command.body.len(), PAYLOAD_BYTES_MAX);
            return Err(ClientError::TooLarge { bytes, limit_bytes });
        }
        Ok(self.commands.push(command, &mut self.tags))
    }

    pub(crate) fn subscribe(&mut self, from: Option<Position>, at: SubscribeAt, verifies: bool) {
        self.unsubscribe();
        let addresses = match &at {
            SubscribeAt::Address(address) => vec![address.clone()],
            SubscribeAt::Any | SubscribeAt::Leader => self.addresses.clone(),
        };
        let reader = self.standing(Purpose::Reader);
        if !addresses.contains(&reader.address) {
            reader.leave(Disconnect::Unneeded);
        }
        reader.router.replace(addresses);
        self.subscription = Some(Subscription::new(from, at, verifies));
    }

    pub(crate) fn unsubscribe(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            // A reader's connection is closed instead, unless it goes on with another subscription, which takes the place of this one.
            self.has_to_unsubscribe |=
                subscription.tag.is_some() && subscription.purpose() == Purpose::Leader;
        }
    }

    // What the driver tells and asks.

    fn is_needed(&self, purpose: Purpose) -> bool {
        let is_subscribed = self.subscription.as_ref().is_some_and(|held| held.purpose() == purpose);
        let has_session = self.session.as_ref().is_some_and(Session::is_alive);
        is_subscribed || (purpose == Purpose::Leader && (has_session || !self.commands.is_empty()))
    }

    /// What has to be done about a connection. A dial counts as begun.
    pub(crate) fn plan(&mut self, purpose: Purpose, now_ns: u64) -> Plan {
        let is_needed = self.is_needed(purpose);
        self.standing(purpose).plan(is_needed, now_ns)
    }

    /// The socket is connected; the handshake begins.
    pub(crate) fn greeting(&mut self, purpose: Purpose, now_ns: u64) {
        self.standing(purpose).greeting(now_ns);
    }

    /// Appends what has to be said on a connection now, but for batches.
    pub(crate) fn ask(
        &mut self,
        purpose: Purpose,
        now_ns: u64,
        into: &mut Vec<u8>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) {
        let Self { session, commands, subscription, has_to_unsubscribe, standings, tags, .. } = self;
        let standing = &mut standings[purpose as usize];
        if !standing.is_up() {
            return;
        }
        if purpose == Purpose::Leader && standing.is_leader_here() {
            if let Some(session) = session {
                session.settle_role(on_event);
                session.ask(into, tags, now_ns);
            }
            commands.ask(into);
        }
        if purpose == Purpose::Leader && std::mem::take(has_to_unsubscribe) {
            send(into, tags, &Ask::Unsubscribe);
        }
        if let Some(subscription) = subscription.as_mut().filter(|held| held.purpose() == purpose) {
            if purpose == Purpose::Reader || standing.is_leader_here() {
                subscription.ask(into, tags, now_ns);
            }
            if now_ns >= standing.ping_due_ns() {
                // No session has this number. Every node answers that it does not lead, or that it knows no such session.
                standing.ping_tag = Some(send(into, tags, &Ask::KeepAlive { session: 0, epoch: 0 }));
            }
        }
    }

    /// The next batch for the leader.
    #[inline]
    pub(crate) fn next_batch(&mut self, now_ns: u64) -> Option<Outgoing<'_>> {
        let Self { session, standings, tags, .. } = self;
        if !standings[Purpose::Leader as usize].is_leader_here() {
            return None;
        }
        session.as_mut()?.next_batch(tags, now_ns)
    }

    /// To be called when everything that is due has been said: nodes that owe an answer are held to it from here on.
    pub(crate) fn end_turn(&mut self, now_ns: u64) {
        let is_owed =
            self.commands.is_waiting() || self.session.as_ref().is_some_and(|session| session.is_waiting());
        for purpose in PURPOSES {
            let standing = self.standing(purpose);
            let is_owed = standing.ping_tag.is_some() || (purpose == Purpose::Leader && is_owed);
            standing.note_owed(is_owed, now_ns);
        }
    }

    /// When something is due by the passing of time alone.
    pub(crate) fn due_ns(&self, now_ns: u64) -> u64 {
        let mut due = u64::MAX;
        for (purpose, standing) in PURPOSES.into_iter().zip(&self.standings) {
            due = due.min(standing.due_ns(self.is_needed(purpose)));
            if let Some(held) = self.subscription.as_ref().filter(|held| held.purpose() == purpose)
                && standing.is_up()
            {
                due = due.min(standing.ping_due_ns());
                let may_ask = purpose == Purpose::Reader || standing.is_leader_here();
                if held.tag.is_none() && may_ask {
                    due = due.min(held.ask_ns);
                }
            }
        }
        match &self.session {
            Some(session) if self.standings[Purpose::Leader as usize].is_leader_here() => {
                due.min(session.due_ns(now_ns))
            }
            _ => due,
        }
    }
}
