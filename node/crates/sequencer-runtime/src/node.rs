//! A running member: a replica, the sockets and threads that serve it, and a handle for the process around it.
//!
//! Reading order: `hot`, then `greeting`, `links`, `ingress`, `answers`, `egress`, `peers`, `control`.

mod answers;
mod catch_up;
mod clock;
mod config;
mod control;
mod counters;
mod egress;
mod error;
mod figures;
mod greeting;
mod hot;
mod ingress;
mod links;
mod peers;

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use sequencer_link::Role;
use sequencer_storage::{FileDisk, Log, RecoveryReport, StorageError};
use sequencer_wire::{LogHealth, NodeId};
use serde_json::json;

use crate::error::ReplicaError;
use crate::node::answers::Answers;
use crate::node::catch_up::CatchUp;
use crate::node::clock::Clock;
pub use crate::node::config::Idle;
pub use crate::node::config::parse_uuid;
use crate::node::config::{NodeConfig, resolve};
use crate::node::control::{Command, Control};
use crate::node::counters::Counters;
use crate::node::egress::Egress;
pub use crate::node::error::NodeError;
use crate::node::figures::COUNTER_NAMES;
use crate::node::hot::{Hot, LISTENER, WAKER};
use crate::node::links::Links;
use crate::node::peers::Peers;
use crate::replica::Replica;

/// A running member. Dropping it stops it without handing leadership over.
pub struct Node {
    controls: Sender<Control>,
    waker: Arc<Waker>,
    ended: Mutex<Ended>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
    /// What opening the log found.
    pub report: RecoveryReport,
}

struct Ended {
    outcome: Receiver<Result<(), ReplicaError>>,
    /// Once known, why it ended; empty for a clean stop.
    why: Option<String>,
}

impl Node {
    /// Makes the directory of the configuration a new member's. Done once in a member's life, and never by itself: a member whose data are gone has
    /// lost what it had acknowledged, and comes back under a new id.
    ///
    /// A directory that was made so with the same identity is left as it is.
    ///
    /// # Errors
    /// [`NodeError`]; a directory with another identity, or with files of something else, is not touched.
    pub fn init(config: &[u8]) -> Result<(), NodeError> {
        let config = NodeConfig::parse(config)?;
        let options = config.storage()?;
        config.settings(0)?.validate().map_err(ReplicaError::from)?;
        let mut disk = FileDisk::open(&config.log_directory()).map_err(storage)?;
        match Log::format(&mut disk, &options, config.data.0) {
            Ok(()) => Ok(()),
            Err(StorageError::AlreadyFormatted) => {
                let (log, _) = Log::open(disk, options).map_err(ReplicaError::from)?;
                check_data(&config, log.data_uuid())
            }
            Err(error) => Err(ReplicaError::from(error).into()),
        }
    }

    /// Opens the log, binds the port and starts.
    ///
    /// # Errors
    /// [`NodeError`]: nothing runs.
    pub fn start(config: &[u8]) -> Result<Self, NodeError> {
        let config = NodeConfig::parse(config)?;
        let keys = config.keys()?;
        let seed = u64::from_le_bytes(hot::nonce()[..8].try_into().expect("eight of 32 bytes"));
        let settings = config.settings(seed)?;
        let payload_bytes_max = config.limits.payload_bytes.min(u64::from(u32::MAX)) as u32;
        let poll = Poll::new().map_err(|source| NodeError::Io { what: "epoll".to_owned(), source })?;
        let failed = |what: String| move |source| NodeError::Io { what, source };
        let waker = Waker::new(poll.registry(), WAKER).map_err(failed("eventfd".to_owned()))?;
        let waker = Arc::new(waker);
        let wake = {
            let waker = Arc::clone(&waker);
            // It fails only when the poll is gone, and then nobody sleeps.
            move || drop(waker.wake())
        };
        let disk = FileDisk::open_with_wake(&config.log_directory(), wake.clone()).map_err(storage)?;
        let clock = Clock::new();
        let now = clock.now();
        let (replica, report) = Replica::open(disk, settings, now)?;
        let data = replica.core().config().data;
        check_data(&config, data)?;
        let listen = resolve(&config.listen)
            .ok_or_else(|| NodeError::config("listen", format!("{:?} is no address", config.listen)))?;
        let mut listener =
            TcpListener::bind(listen).map_err(failed(format!("listening on {}", config.listen)))?;
        let address = listener.local_addr().map_err(failed("the own address".to_owned()))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(failed("epoll".to_owned()))?;
        let registry = poll.registry().try_clone().map_err(failed("epoll".to_owned()))?;
        let catch_up = CatchUp::start(&config.log_directory(), wake)?;
        let counters = Counters::create(&config.directory, &COUNTER_NAMES, now.wall_ns)?;
        let configured: Vec<_> =
            config.peers.iter().map(|peer| (NodeId(peer.id), peer.address.clone())).collect();
        let credential = keys
            .credentials
            .iter()
            .find(|known| known.role == Role::Peer && !keys.insecure)
            .map(|known| (known.identity.clone(), known.secret.clone()));
        let advertised =
            if config.advertise.is_empty() { address.to_string() } else { config.advertise.clone() };
        let own = NodeId(config.node);
        let peers = Peers::new(config.cluster_id(), own, data, advertised, credential, &configured);
        let (controls, taken) = channel();
        let (tell_end, outcome) = sync_channel(1);
        let hot = Hot {
            leader_told: (replica.core().leader().0, None, false),
            config,
            replica,
            poll,
            listener,
            links: Links::new(registry),
            peers,
            keys,
            answers: Answers::default(),
            egress: Egress::new(catch_up),
            controls: taken,
            counters,
            clock,
            payload_bytes_max,
            told: sequencer_wire::Position::START,
            housekeeping_at_ns: 0,
            stop_at_ns: None,
            turns: 0,
            disk: (0, false),
            _waker: Arc::clone(&waker),
        };
        let run = move || {
            let outcome = hot.run();
            // The receiver lives as long as the handle; without it nobody asks.
            let _gone = tell_end.send(outcome);
        };
        let thread = std::thread::Builder::new()
            .name("hot".to_owned())
            .spawn(run)
            .map_err(failed("the hot loop's thread".to_owned()))?;
        let ended = Mutex::new(Ended { outcome, why: None });
        Ok(Self { controls, waker, ended, thread: Some(thread), address, report })
    }

    /// What opening the log found, as JSON.
    pub fn report_json(&self) -> Vec<u8> {
        let report = &self.report;
        let health = match report.health {
            LogHealth::Clean => "clean",
            LogHealth::Doubtful => "doubtful",
            LogHealth::Damaged => "damaged",
        };
        let damage = report.damage.as_ref().map(|damage| {
            json!({ "file": damage.file, "position": damage.position.0, "cause": damage.cause.to_string() })
        });
        let value = json!({
            "health": health,
            "scanned_bytes": report.scanned_bytes,
            "scanned_frames": report.scanned_frames,
            "segments": report.segments,
            "segments_beyond": report.segments_beyond,
            "cut_bytes": report.cut_bytes,
            "synced": report.synced.0,
            "acknowledged_at_most": report.intent.position.0,
            "stops": damage,
        });
        value.to_string().into_bytes()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it stands, as JSON.
    ///
    /// # Errors
    /// `TimedOut`, `Stopped`.
    pub fn status(&self, timeout: Duration) -> Result<Vec<u8>, NodeError> {
        let (reply, answer) = sync_channel(1);
        self.ask(Control::Status(reply), &answer, timeout)
    }

    /// Carries a command out, JSON in and out.
    ///
    /// # Errors
    /// `Command` when it is not understood; `TimedOut`: it may or may not be carried out; `Stopped`.
    pub fn command(&self, json: &[u8], timeout: Duration) -> Result<Vec<u8>, NodeError> {
        let command = Command::parse(json)?;
        let (reply, answer) = sync_channel(1);
        self.ask(Control::Command(Box::new(command), reply), &answer, timeout)
    }

    /// Asks it to stop: to hand leadership over if it leads and `hand_over` says so, to make everything durable, and to end. See [`Node::wait`].
    pub fn stop(&self, hand_over: bool) {
        // When it has ended, there is nothing to stop.
        let _ended = self.controls.send(Control::Stop { hand_over });
        self.wake();
    }

    /// Waits for its end: `None` while it runs, an empty text after a clean stop, else why it ended.
    pub fn wait(&self, timeout: Duration) -> Option<String> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.why.is_none() {
            ended.why = match ended.outcome.recv_timeout(timeout) {
                Ok(Ok(())) => Some(String::new()),
                Ok(Err(error)) => Some(error.to_string()),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(
                    "the hot loop panicked; its message is on standard error, and this is a bug".to_owned(),
                ),
            };
        }
        ended.why.clone()
    }

    fn ask(
        &self,
        control: Control,
        answer: &Receiver<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Vec<u8>, NodeError> {
        self.controls.send(control).map_err(|_| NodeError::Stopped)?;
        self.wake();
        answer.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => NodeError::TimedOut(timeout),
            RecvTimeoutError::Disconnected => NodeError::Stopped,
        })
    }

    fn wake(&self) {
        // It fails only when the poll is gone, and then the loop has ended.
        let _ended = self.waker.wake();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop(false);
        if let Some(thread) = self.thread.take() {
            // A panic was reported by its hook.
            let _ended = thread.join();
        }
    }
}

fn storage(error: sequencer_storage::DiskError) -> NodeError {
    ReplicaError::from(StorageError::Disk(error)).into()
}

fn check_data(config: &NodeConfig, found: [u8; 16]) -> Result<(), NodeError> {
    if config.data.0 == found {
        return Ok(());
    }
    let message = format!(
        "{} holds the data {}; check which directory this node was given",
        config.directory.display(),
        config::show_uuid(found)
    );
    Err(NodeError::config("data", message))
}
