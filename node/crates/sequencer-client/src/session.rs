//! One session: what is published, what is under way, and what is known of it.
//!
//! ```text
//!            leader is here            opened
//!   Away ------------------> Ready ---(open)---> Opening ---------> Open      (batches go out only here)
//!     ^                        ^                    |                |
//!     |                        +---- try again -----+-- expired -----+
//!     +------ the leader is gone, or says that it does not lead -----+        Over, Fenced: never left again
//! ```
//! 1. `publish` encodes a record into the window. A turn sends all that is not sent as one batch.
//! 2. Answers acknowledge from the oldest on. What is acknowledged leaves the window.
//! 3. When the leader is gone, everything that is not acknowledged counts as not sent. The session is opened again by its name and id, which fences off
//!    whatever the old connection may still hold, and all of it is sent again, oldest first, with the sequences that it had. Repeats are answered, not admitted.
//!
//! Invariant: a record keeps its sequence for as long as it may have been sent, so it can be admitted once at most.
//! Invariant: a sequence is given to another record only after the leader refused the first one for good in the epoch that is open.

use sequencer_link::{Ask, BATCH_BYTES, BatchHead, BatchKind, Open, Record, encode_ask};
use sequencer_wire::PAYLOAD_BYTES_MAX;

use crate::error::ClientError;
use crate::refusals::PendingRefusal;
use crate::settings::SessionSettings;
use crate::window::Window;

const RETRY_NS_MIN: u64 = 5_000_000;
const RETRY_NS_MAX: u64 = 500_000_000;
/// Tags between the oldest batch whose refusal counts and the newest; far more than can be under way.
const TAGS_OPEN: u32 = 1 << 30;

/// Where a session stands; see the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Away,
    Ready,
    Opening,
    Open,
    Over,
    Fenced,
}

/// A batch that is to be sent: a head, and the pieces that follow it.
pub(crate) struct Outgoing<'a> {
    pub(crate) head: [u8; BATCH_BYTES],
    pub(crate) pieces: [&'a [u8]; 2],
}

/// See the module's description.
pub(crate) struct Session {
    pub(crate) settings: SessionSettings,
    pub(crate) timeout_ns: u64,
    pub(crate) state: State,
    pub(crate) window: Window,
    /// Its id; 0 while it was never opened.
    pub(crate) id: u32,
    pub(crate) epoch: u32,
    /// Epoch of the group's role that batches bear; 0 while the session does not hold it.
    pub(crate) role_epoch: u32,
    /// What it shall be as soon as nothing of the present one is under way.
    pub(crate) wanted_role: u32,
    /// What is added to a record's number to get its sequence.
    pub(crate) base: u64,
    /// Number after the last record that was ever sent.
    pub(crate) sent_end: u64,
    /// Batches from this tag on count; what earlier ones are refused for says nothing any more.
    pub(crate) first_tag: u32,
    pub(crate) open_tag: Option<u32>,
    pub(crate) close_tag: Option<u32>,
    pub(crate) keep_alive_tag: Option<u32>,
    /// Openings whose answers were lost: each may have raised the epoch, or may still do so until then.
    pub(crate) doubts: u32,
    pub(crate) doubt_until_ns: u64,
    /// When the leader was last sent anything in the open epoch.
    pub(crate) spoke_ns: u64,
    /// Nothing is tried before.
    pub(crate) retry_ns: u64,
    pub(crate) retries: u32,
    pub(crate) pending_refusal: Option<PendingRefusal>,
    pub(crate) is_closing: bool,
}

impl Session {
    /// A session that is opened as soon as a leader is found. The next record has this number.
    pub(crate) fn new(settings: SessionSettings, next: u64) -> Self {
        Self {
            timeout_ns: u64::try_from(settings.timeout.as_nanos()).unwrap_or(u64::MAX),
            state: State::Away,
            window: Window::new(settings.window_messages, settings.window_bytes, next),
            id: settings.resume,
            epoch: 0,
            role_epoch: 0,
            wanted_role: 0,
            base: 0,
            sent_end: next,
            first_tag: 0,
            open_tag: None,
            close_tag: None,
            keep_alive_tag: None,
            doubts: 0,
            doubt_until_ns: 0,
            spoke_ns: 0,
            retry_ns: 0,
            retries: 0,
            pending_refusal: None,
            is_closing: false,
            settings,
        }
    }

    /// Whether a connection to the leader is needed.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, State::Over | State::Fenced)
    }

    /// Whether the session was opened by this client before.
    pub(crate) fn was_open(&self) -> bool {
        self.epoch > 0
    }

    /// Epoch that batches bear.
    pub(crate) fn batch_epoch(&self) -> u32 {
        if self.settings.group == 0 { self.epoch } else { self.role_epoch }
    }

    /// Takes in a record; `service` is asked, or 0.
    ///
    /// # Errors
    /// Every [`ClientError`] of sessions; nothing has changed.
    #[inline]
    pub(crate) fn publish(
        &mut self,
        record: &Record<'_>,
        service: u32,
        payload_bytes_max: usize,
    ) -> Result<u64, ClientError> {
        let bytes = record.payload.len();
        let limit_bytes = payload_bytes_max.min(self.window.payload_bytes_max).min(PAYLOAD_BYTES_MAX);
        if !self.is_alive() || self.is_closing || bytes > limit_bytes || self.settings.group != 0 {
            self.check_publish(bytes, limit_bytes)?;
        }
        self.window.push(record, service).ok_or_else(|| ClientError::WindowFull {
            messages: self.window.len(),
            bytes: self.window.bytes(),
            limit_messages: self.settings.window_messages,
            limit_bytes: self.settings.window_bytes,
        })
    }

    #[cold]
    fn check_publish(&self, bytes: usize, limit_bytes: usize) -> Result<(), ClientError> {
        match self.state {
            State::Over => return Err(ClientError::NoSession),
            State::Fenced => return Err(ClientError::Fenced { session: self.id, epoch: self.epoch }),
            _ if self.is_closing => return Err(ClientError::Closing),
            _ => {}
        }
        if bytes > limit_bytes {
            return Err(ClientError::TooLarge { bytes, limit_bytes });
        }
        let has_role = self.role_epoch != 0 && self.role_epoch == self.wanted_role;
        if self.settings.group != 0 && !has_role {
            return Err(ClientError::NoRole { group: self.settings.group });
        }
        Ok(())
    }

    /// The leader is at hand and admits, or does so again; or it takes the session for idle.
    pub(crate) fn leader_here(&mut self) {
        if self.is_alive() {
            self.void_answers();
            self.state = State::Ready;
        }
    }

    /// There is no leader at hand. What this one still acknowledges counts.
    pub(crate) fn leader_away(&mut self) {
        if self.is_alive() {
            self.void_answers();
            self.state = State::Away;
        }
    }

    /// No answer is waited for any more. Records that were sent count as not sent once the session is open again.
    fn void_answers(&mut self) {
        if self.open_tag.take().is_some() {
            self.doubts += 1;
            self.doubt_until_ns = u64::MAX;
        }
        self.keep_alive_tag = None;
        self.close_tag = None;
        self.pending_refusal = None;
    }

    /// Appends what has to be asked now, but for batches.
    pub(crate) fn ask(&mut self, into: &mut Vec<u8>, tags: &mut u32, now_ns: u64) {
        match self.state {
            State::Ready if now_ns >= self.retry_ns => {
                let open = Open {
                    name: &self.settings.name,
                    group: self.settings.group,
                    timeout_ns: self.timeout_ns,
                    resume: self.id,
                };
                self.open_tag = Some(send(into, tags, &Ask::Open(open)));
                self.state = State::Opening;
            }
            State::Open if self.is_closing && self.window.len() == 0 && self.close_tag.is_none() => {
                let close = Ask::Close { session: self.id, epoch: self.epoch };
                self.close_tag = Some(send(into, tags, &close));
            }
            State::Open if now_ns >= self.keep_alive_due_ns() && self.keep_alive_tag.is_none() => {
                let sign = Ask::KeepAlive { session: self.id, epoch: self.epoch };
                self.keep_alive_tag = Some(send(into, tags, &sign));
                self.spoke_ns = now_ns;
            }
            _ => {}
        }
    }

    /// The next batch that is to be sent; its records count as sent.
    #[inline]
    pub(crate) fn next_batch(&mut self, tags: &mut u32, now_ns: u64) -> Option<Outgoing<'_>> {
        let may_send = self.state == State::Open && now_ns >= self.retry_ns && self.pending_refusal.is_none();
        if !may_send || (self.settings.group != 0 && self.role_epoch != self.wanted_role) {
            return None;
        }
        let part = self.window.take_part()?;
        self.sent_end = self.sent_end.max(self.window.unsent());
        self.spoke_ns = now_ns;
        let tag = next_tag(tags);
        // Tags come round again; what was sent so long ago was answered long ago.
        if tag.wrapping_sub(self.first_tag) > TAGS_OPEN {
            self.first_tag = tag.wrapping_sub(TAGS_OPEN / 2);
        }
        let head = BatchHead {
            kind: BatchKind::Publish,
            tag,
            source: self.id,
            epoch: self.batch_epoch(),
            first: part.first.wrapping_add(self.base),
            count: part.count,
            extra: part.service,
        };
        let pieces = self.window.pieces(&part);
        Some(Outgoing { head: head.seal(&pieces), pieces })
    }

    /// Whether the leader owes an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        match self.state {
            State::Opening => true,
            State::Open => {
                self.window.unsent() > self.window.oldest()
                    || self.keep_alive_tag.is_some()
                    || self.close_tag.is_some()
            }
            _ => false,
        }
    }

    /// Tries again a little later; the wait grows.
    pub(crate) fn retry_later(&mut self, now_ns: u64) {
        self.retry_ns = now_ns + (RETRY_NS_MIN << self.retries.min(7)).min(RETRY_NS_MAX);
        self.retries += 1;
    }

    fn keep_alive_due_ns(&self) -> u64 {
        self.spoke_ns.saturating_add(self.timeout_ns / 3)
    }

    /// When [`Self::ask`] or [`Self::next_batch`] has something to do by the passing of time alone.
    pub(crate) fn due_ns(&self, now_ns: u64) -> u64 {
        match self.state {
            State::Ready => self.retry_ns,
            State::Open => {
                let keep_alive =
                    if self.keep_alive_tag.is_none() { self.keep_alive_due_ns() } else { u64::MAX };
                // What could be sent by now waits for the socket, not for time.
                if self.retry_ns > now_ns { keep_alive.min(self.retry_ns) } else { keep_alive }
            }
            _ => u64::MAX,
        }
    }
}

/// The next tag; 0 is nobody's.
pub(crate) fn next_tag(tags: &mut u32) -> u32 {
    *tags = tags.wrapping_add(1).max(1);
    *tags
}

/// Encodes a request under a new tag, which is returned.
pub(crate) fn send(into: &mut Vec<u8>, tags: &mut u32, ask: &Ask<'_>) -> u32 {
    let tag = next_tag(tags);
    encode_ask(into, tag, ask);
    tag
}
