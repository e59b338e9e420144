//! One run: a warm-up, then the measured phase.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use sequencer_client::{Client, ClientError, Event, Record, SessionSettings, Settings, SubscribeAt};
use sequencer_wire::Position;
use serde::Deserialize;
use thiserror::Error;

use crate::echo::{Echoes, FILLER, HEADER_BYTES};
use crate::report::{Report, RoundTrip};

/// Shorter waits are as fine as the kernel can make them.
const FINE: Duration = Duration::from_millis(2);
/// Messages published before echoes are looked at again.
const BURST_MAX: u64 = 256;
/// Warm-up is the same for all loads, as the peers have it.
const WARMUP_RATE: f64 = 20_000.0;
const WARMUP_WINDOW: u64 = 1000;
/// Wait for what is missing after the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Wait for a session at the start.
const OPEN: Duration = Duration::from_secs(15);
const SECOND_NS: f64 = 1e9;

/// How the client waits for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// It sleeps until something happens.
    Wait,
    /// It looks again and again, and lets others run in between.
    Yield,
    /// It looks again and again.
    Spin,
}

/// What load.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Bytes of a message, at least 16.
    pub size: usize,
    /// Messages per second; 0 for a closed loop, which sends the next when one comes back.
    pub rate: f64,
    /// Most messages sent and not yet back.
    pub window: u64,
    /// Measured seconds.
    pub seconds: f64,
    /// Seconds of warm-up before.
    pub warmup_seconds: f64,
    /// How the client waits.
    pub idle: Idle,
}

/// Why there are no figures.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A part of the load makes no sense.
    #[error("{field} is {found}, but must be {expected}")]
    Setting {
        /// Which.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// The client failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No session within the time.
    #[error("no session was opened within {0:?}: no leader admits; see `sequencer status`")]
    NoSession(Duration),
    /// The session ended.
    #[error("the session ended: {0}")]
    SessionEnded(String),
}

impl Load {
    fn check(&self) -> Result<(), LoadError> {
        let check = |holds: bool, field, found, expected| {
            if holds { Ok(()) } else { Err(LoadError::Setting { field, found, expected }) }
        };
        check(self.size >= HEADER_BYTES, "size", self.size as f64, "at least 16 bytes")?;
        check(self.rate >= 0.0 && self.rate.is_finite(), "rate", self.rate, "0 or a number above it")?;
        check((1..=1 << 24).contains(&self.window), "window", self.window as f64, "1 to 16 million")?;
        check(
            self.seconds > 0.0 && self.seconds <= 86_400.0,
            "seconds",
            self.seconds,
            "above 0 and at most a day",
        )?;
        check(
            (0.0..=3600.0).contains(&self.warmup_seconds),
            "warmup_seconds",
            self.warmup_seconds,
            "0 to an hour",
        )
    }
}

/// Runs the load on the cluster that `settings` name; blocks for as long as it says.
///
/// # Errors
/// [`LoadError`]. Connections that are lost in between are no error: they are counted, and what was sent is sent again.
pub fn run(settings: Settings, load: &Load) -> Result<Report, LoadError> {
    load.check()?;
    let mut runner = Runner::open(settings, load)?;
    let warmup =
        Load { rate: WARMUP_RATE, window: WARMUP_WINDOW.min(load.window.max(WARMUP_WINDOW)), ..*load };
    runner.phase(&warmup, load.warmup_seconds)?;
    runner.phase(load, load.seconds)
}

struct Runner {
    client: Client,
    start: Instant,
    session: u32,
    message: Vec<u8>,
    interruptions: u64,
    ended: Option<String>,
}

impl Runner {
    fn open(settings: Settings, load: &Load) -> Result<Self, LoadError> {
        let mut client = Client::new(settings)?;
        let window = load.window.max(WARMUP_WINDOW) as usize;
        let record_bytes = load.size + 64;
        let name = format!("bench-{}", std::process::id());
        client.open_session(SessionSettings {
            window_messages: window,
            window_bytes: (window * record_bytes).next_power_of_two().clamp(1 << 20, 1 << 30),
            ..SessionSettings::new(name)
        })?;
        client.subscribe(None, SubscribeAt::Leader, false);
        let start = Instant::now();
        let mut session = None;
        let mut runner = Self {
            client,
            start,
            session: 0,
            message: vec![FILLER; load.size],
            interruptions: 0,
            ended: None,
        };
        while session.is_none() || runner.client.subscribed_to().is_none() {
            if start.elapsed() > OPEN {
                return Err(LoadError::NoSession(OPEN));
            }
            runner.client.poll(Some(Duration::from_millis(100)), &mut |event| {
                if let Event::Opened { session: id, .. } = event {
                    session = Some(id);
                }
            })?;
        }
        runner.session = session.unwrap_or_default();
        Ok(runner)
    }

    fn phase(&mut self, load: &Load, seconds: f64) -> Result<Report, LoadError> {
        let mut echoes = Echoes::new(self.session, load.size);
        let (mut due, mut sent) = (0, 0);
        let start_ns = self.now_ns();
        echoes.last_ns = start_ns;
        let end_ns = start_ns + (seconds * SECOND_NS) as u64;
        let interruptions = self.interruptions;
        loop {
            let now = self.now_ns();
            if now >= end_ns {
                break;
            }
            let before = (sent, echoes.received);
            let is_open = load.rate > 0.0;
            due = if is_open {
                ((now - start_ns) as f64 * load.rate / SECOND_NS) as u64 + 1
            } else {
                echoes.received + load.window
            };
            let limit = due.min(echoes.received + load.window).min(sent + BURST_MAX);
            if sent == echoes.received {
                // Nothing was under way, so nothing was missed.
                echoes.last_ns = now;
            }
            while sent < limit {
                let intended = start_ns + (sent as f64 * SECOND_NS / load.rate) as u64;
                if !self.publish(sent, if is_open { intended } else { now })? {
                    break;
                }
                sent += 1;
            }
            let next_ns = start_ns + (sent as f64 * SECOND_NS / load.rate.max(f64::MIN_POSITIVE)) as u64;
            let timeout = if load.idle == Idle::Wait && sent == before.0 {
                let until = if is_open { next_ns.min(end_ns) } else { end_ns };
                Duration::from_nanos(until.saturating_sub(self.now_ns()))
            } else {
                Duration::ZERO
            };
            self.turn(timeout, &mut echoes)?;
            if (sent, echoes.received) == before {
                match load.idle {
                    Idle::Wait => {}
                    Idle::Yield => std::thread::yield_now(),
                    Idle::Spin => std::hint::spin_loop(),
                }
            }
        }
        let received_in_time = echoes.received;
        let deadline = Instant::now() + DRAIN;
        while echoes.received < sent && Instant::now() < deadline {
            self.turn(Duration::from_millis(1), &mut echoes)?;
        }
        Ok(Report {
            due: if load.rate > 0.0 { due } else { sent },
            sent,
            received: echoes.received,
            damaged: echoes.damaged,
            throughput_per_s: received_in_time as f64 / seconds.max(f64::MIN_POSITIVE),
            rtt_us: RoundTrip::of(&echoes.rtt_ns),
            longest_gap_ms: echoes.longest_gap_ns as f64 / 1e6,
            interruptions: self.interruptions - interruptions,
        })
    }

    /// False when the window is full.
    fn publish(&mut self, number: u64, intended_ns: u64) -> Result<bool, LoadError> {
        self.message[..8].copy_from_slice(&intended_ns.to_le_bytes());
        self.message[8..HEADER_BYTES].copy_from_slice(&number.to_le_bytes());
        let record = Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: &self.message };
        match self.client.publish(&record) {
            Ok(_) => Ok(true),
            Err(ClientError::WindowFull { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn turn(&mut self, timeout: Duration, echoes: &mut Echoes) -> Result<(), LoadError> {
        let timeout = self.wait_finely(timeout);
        let (start, interruptions, ended) = (self.start, &mut self.interruptions, &mut self.ended);
        self.client.poll(Some(timeout), &mut |event| match event {
            Event::Frames { from, previous, frames, .. } => {
                echoes.take(from, previous, frames, start.elapsed().as_nanos() as u64);
            }
            Event::Disconnected { .. } => *interruptions += 1,
            Event::Refused { refusal, .. }
            | Event::OpenRefused { refusal, .. }
            | Event::SessionLost { refusal, .. } => *ended = Some(refusal.message.to_owned()),
            Event::Fenced { .. } => *ended = Some("another process has opened it".to_owned()),
            Event::SubscriptionEnded { reason, .. } => {
                *ended = Some(format!("the subscription ended: {reason:?}"))
            }
            _ => {}
        })?;
        self.ended.take().map_or(Ok(()), |why| Err(LoadError::SessionEnded(why)))
    }

    /// Waits for what arrives when the wait is short, and returns what is left of it: `epoll_wait` counts in milliseconds, and a message that is due
    /// must not be sent up to one late.
    fn wait_finely(&self, timeout: Duration) -> Duration {
        if timeout.is_zero() || timeout > FINE {
            return timeout;
        }
        let left = Timespec { tv_sec: 0, tv_nsec: i64::from(timeout.subsec_nanos()) };
        // An interruption is an end of the wait like any other.
        let _ready = rustix::event::poll(
            &mut [PollFd::from_borrowed_fd(self.client.as_fd(), PollFlags::IN)],
            Some(&left),
        );
        Duration::ZERO
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}
