//! The client: one poll, two sockets, the clock. It acts; what to do is for the engine to say.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use sequencer_link::{Command, Hello, NONCE_BYTES, Record};
use sequencer_wire::{NodeId, Position};

use crate::engine::{Engine, PURPOSES};
use crate::error::{ClientError, Disconnect};
use crate::event::{Event, Purpose};
use crate::link::{Intake, Link};
use crate::settings::{SessionSettings, Settings, SubscribeAt};
use crate::standing::Plan;

const WAKER: Token = Token(0);
/// Tokens of the links, in the order of their purposes.
const LINKS: [Token; 2] = [Token(1), Token(2)];

/// One session and one subscription of a cluster. One thread owns it and calls [`Client::poll`] again and again; nothing happens in between, and no other
/// thread is started.
///
/// ```no_run
/// # use sequencer_client::*;
/// # fn run(cluster: sequencer_wire::ClusterId) -> Result<(), ClientError> {
/// let mut client = Client::new(Settings::new(cluster, vec!["127.0.0.1:7400".to_owned()]))?;
/// client.open_session(SessionSettings::new("orders"))?;
/// let record = Record { schema_id: 0, schema_version: 0, cause: sequencer_wire::Position(0), payload: b"one" };
/// client.publish(&record)?;
/// while client.unacknowledged() > 0 {
///     client.poll(None, &mut |event| {
///         if let Event::Admitted { positions, .. } = event {
///             println!("it stands at {:?}", positions.iter().next());
///         }
///     })?;
/// }
/// # Ok(()) }
/// ```
pub struct Client {
    settings: Settings,
    engine: Engine,
    links: [Link; 2],
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    start: Instant,
}

impl Client {
    /// A client that connects as soon as a session, a command or a subscription needs it.
    ///
    /// # Errors
    /// [`ClientError::Setting`], [`ClientError::System`].
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        settings.validate()?;
        let system = |what| move |source| ClientError::System { what, source };
        let poll = Poll::new().map_err(system("a poll cannot be made"))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(system("a waker cannot be made"))?;
        let mut seed = [0; 8];
        random(&mut seed).map_err(system("there is no randomness"))?;
        let answer_timeout_ns = settings.answer_timeout.as_nanos() as u64;
        Ok(Self {
            engine: Engine::new(settings.addresses.clone(), answer_timeout_ns, u64::from_le_bytes(seed)),
            links: LINKS.map(Link::new),
            poll,
            events: Events::with_capacity(16),
            waker: Arc::new(waker),
            start: Instant::now(),
            settings,
        })
    }

    /// Ends a [`Client::poll`] that waits, from another thread; or the next one, if none does.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Begins to open a session; [`Event::Opened`] follows. A client has one at a time.
    ///
    /// # Errors
    /// [`ClientError::Setting`], [`ClientError::SessionOpen`].
    pub fn open_session(&mut self, settings: SessionSettings) -> Result<(), ClientError> {
        self.engine.open_session(settings)
    }

    /// Takes a record into the session's window and returns its number (see [`Event`]). It leaves with the next [`Client::poll`], in one batch with all others
    /// that were published by then; before the session is open, and while there is no connection, it waits. The payload is copied.
    ///
    /// # Errors
    /// [`ClientError::WindowFull`] asks to poll first; [`ClientError::TooLarge`], [`ClientError::NoSession`], [`ClientError::Closing`],
    /// [`ClientError::Fenced`] and [`ClientError::NoRole`] are about the record or the session. The client is as before.
    #[inline]
    pub fn publish(&mut self, record: &Record<'_>) -> Result<u64, ClientError> {
        self.engine.publish(record, 0)
    }

    /// The same for a question to a service, which answers it in the log, at exactly its position.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn query(&mut self, service: u32, record: &Record<'_>) -> Result<u64, ClientError> {
        self.engine.publish(record, service)
    }

    /// For a session in a group: the epoch of the role that was granted to it, as read in the log, or 0 when it was taken away. Only while it holds the role
    /// may it publish; each opening of the session, also one after a change of leader, takes it away. What was published and not sent by then is refused.
    ///
    /// # Errors
    /// [`ClientError::NoSession`].
    pub fn set_role(&mut self, role_epoch: u32) -> Result<(), ClientError> {
        self.engine.set_role(role_epoch)
    }

    /// Begins to close the session for good, once all that was published is acknowledged; [`Event::SessionClosed`] follows. A session that is not closed goes
    /// on in the cluster until its time-out, and can be opened again after that.
    ///
    /// # Errors
    /// [`ClientError::NoSession`].
    pub fn close_session(&mut self) -> Result<(), ClientError> {
        self.engine.close_session()
    }

    /// Sends a command to the leader, at once or as soon as there is one; [`Event::Answer`] or [`Event::AnswerLost`] follows with the tag returned. It takes
    /// [`sequencer_link::Role::Operator`].
    ///
    /// # Errors
    /// [`ClientError::TooLarge`].
    pub fn command(&mut self, command: Command<'_>) -> Result<u32, ClientError> {
        self.engine.command(command)
    }

    /// Reads the committed log from a position on, or from its end, for ever: [`Event::Frames`] follow. It takes the place of an earlier subscription. Without
    /// `verify` the frames' checksums are left to the caller.
    pub fn subscribe(&mut self, from: Option<Position>, at: SubscribeAt, verify: bool) {
        self.engine.subscribe(from, at, verify);
    }

    /// Ends the subscription; no frames are delivered from here on.
    pub fn unsubscribe(&mut self) {
        self.engine.unsubscribe();
    }

    /// Where the next frame that is delivered will begin; `None` without a subscription, and before the end of the log is known.
    pub fn subscribed_to(&self) -> Option<Position> {
        self.engine.subscribed_to()
    }

    /// Records that are published and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.engine.session().map_or(0, |session| session.window.len())
    }

    /// Bytes of them.
    pub fn unacknowledged_bytes(&self) -> usize {
        self.engine.session().map_or(0, |session| session.window.bytes())
    }

    /// Id and epoch of the session; `None` while there is none that was opened.
    pub fn session(&self) -> Option<(u32, u32)> {
        self.engine.session().filter(|session| session.was_open()).map(|session| (session.id, session.epoch))
    }

    /// How long a [`Client::poll`] can be put off as long as nothing is readable at the client's descriptor ([`AsRawFd`]); `None`: for ever, zero: not at
    /// all. What was published or asked for since the last one waits for the next in any case. For those whose own loop waits for many things.
    pub fn due(&self) -> Option<Duration> {
        self.wait(self.now_ns(), None)
    }

    /// One turn: sends what was published, waits until something happens but no longer than `timeout` (`None`: for ever, zero: not at all), takes in what has
    /// arrived, and tells of it. It may return without having told anything.
    ///
    /// # Errors
    /// [`ClientError::System`]. Whatever happens to connections is told as an event.
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), ClientError> {
        let now_ns = self.now_ns();
        self.say_all(now_ns, on_event);
        let wait = self.wait(now_ns, timeout);
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            Err(source) => return Err(ClientError::System { what: "the poll failed", source }),
        }
        for event in &self.events {
            if let Some(place) = LINKS.iter().position(|token| *token == event.token()) {
                self.links[place].on_ready(event);
            }
        }
        let now_ns = self.now_ns();
        for purpose in PURPOSES {
            if let Err(why) = self.take_in(purpose, now_ns, on_event) {
                self.lose(purpose, &why, now_ns, on_event);
            }
        }
        // Only after what has arrived was taken in: a caller that comes back late must not take its own silence for the node's.
        self.plan_all(now_ns, on_event);
        self.say_all(now_ns, on_event);
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// How long the poll may wait.
    fn wait(&self, now_ns: u64, timeout: Option<Duration>) -> Option<Duration> {
        if self.links.iter().any(Link::is_readable) {
            return Some(Duration::ZERO);
        }
        let due_ns = self.engine.due_ns(now_ns);
        let due = (due_ns != u64::MAX).then(|| Duration::from_nanos(due_ns.saturating_sub(now_ns)));
        match (timeout, due) {
            (Some(timeout), Some(due)) => Some(timeout.min(due)),
            (timeout, due) => timeout.or(due),
        }
    }

    /// Makes and leaves connections.
    fn plan_all(&mut self, now_ns: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        for purpose in PURPOSES {
            match self.engine.plan(purpose, now_ns) {
                Plan::Stay => {}
                Plan::Dial(address) => {
                    if let Err(why) = self.links[purpose as usize].dial(&address, self.poll.registry()) {
                        self.lose(purpose, &why, now_ns, on_event);
                    }
                }
                Plan::Leave(why) => self.lose(purpose, &why, now_ns, on_event),
            }
        }
    }

    /// Says what has to be said.
    fn say_all(&mut self, now_ns: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        for purpose in PURPOSES {
            if let Err(why) = self.say(purpose, now_ns, on_event) {
                self.lose(purpose, &why, now_ns, on_event);
            }
        }
        self.engine.end_turn(now_ns);
    }

    /// Sends what has to be said on a connection. A batch is made only when all before it has left, so none waits in a buffer while more is published.
    fn say(
        &mut self,
        purpose: Purpose,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Disconnect> {
        let link = &mut self.links[purpose as usize];
        if !link.is_open() {
            return Ok(());
        }
        link.flush()?;
        let has_left = link.is_drained();
        self.engine.ask(purpose, now_ns, link.tail(), on_event);
        while purpose == Purpose::Leader
            && has_left
            && let Some(batch) = self.engine.next_batch(now_ns)
        {
            link.send([&batch.head, batch.pieces[0], batch.pieces[1]])?;
            if !link.is_drained() {
                return Ok(());
            }
        }
        link.flush()
    }

    /// Takes in what has arrived on a connection.
    fn take_in(
        &mut self,
        purpose: Purpose,
        now_ns: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Disconnect> {
        let link = &mut self.links[purpose as usize];
        let settings = &self.settings;
        if link.connected(|| hello(settings), settings.secret.as_ref())? {
            self.engine.greeting(purpose, now_ns);
        }
        if !link.is_readable() || link.read()? == Intake::Nothing {
            return Ok(());
        }
        if !link.is_open() {
            match link.greet()? {
                Some(welcomed) => self.engine.connected(purpose, &welcomed, now_ns, on_event),
                None => return Ok(()),
            }
        }
        while let Some(message) = link.message()? {
            let bytes = message.len();
            self.engine.receive(purpose, message, now_ns, on_event)?;
            link.consume(bytes);
        }
        Ok(())
    }

    fn lose(&mut self, purpose: Purpose, why: &Disconnect, now_ns: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        self.links[purpose as usize].close(self.poll.registry());
        self.engine.lost(purpose, why, now_ns, on_event);
    }
}

/// The descriptor of the poll: readable when [`Client::poll`] has something to take in. It is for waiting alone.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

impl AsRawFd for Client {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

fn hello(settings: &Settings) -> Result<Hello, Disconnect> {
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce).map_err(Disconnect::Connect)?;
    Ok(Hello {
        role: settings.role,
        cluster: settings.cluster,
        node: NodeId(0),
        data: [0; 16],
        nonce,
        identity: settings.identity.clone(),
        address: String::new(),
    })
}

fn random(into: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(into).map_err(std::io::Error::other)
}
