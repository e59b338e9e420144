//! What only a leader remembers, and what it does by itself: time-outs of sessions, grants of roles, ticks, votes on outputs.
//!
//! 1. Whatever a session sends, and every sign of life, is noted with the log's time. A new leader notes its own start for all.
//! 2. With each heartbeat a part of the sessions is looked through; those not heard for their time-out are closed by a frame.
//! 3. A vacant role is granted to the session of the group that has been open longest, once the last holder's time-out has passed: since
//!    the role became vacant, and since this leader started.
//! 4. When a service asks for ticks and the log has been silent for that long, a tick is appended.
//!
//! Nothing here is in the log, so nothing here may decide what a frame means: it only decides which frames a leader appends.

use std::collections::BTreeMap;

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Body, CloseReason, FrameKind, RoleGranted};

use crate::admission::Head;
use crate::core::Core;
use crate::event::Now;
use crate::ledger::{Group, Hot};

/// Outputs ahead of the last admitted for which votes are kept.
pub(crate) const VOTES_AHEAD_MAX: u64 = 64;
/// Replicas counted for one output.
const VOTERS_PER_OUTPUT_MAX: usize = 16;
/// Bytes of outputs kept that came too early, for all services together.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// A heartbeat looks at this part of all sessions, and at some at least.
const SCAN_PART: usize = 16;
const SCAN_LEAST: usize = 64;
/// Frames that one heartbeat appends at most for each reason, so that a wave of time-outs does not hold up messages.
const CLOSES_MAX: usize = 64;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Leadership {
    /// Log time at which this leadership started.
    started_ns: u64,
    /// Where the scan for time-outs goes on.
    cursor: usize,
    /// Votes on outputs that are not admitted yet, by service, epoch and k.
    votes: BTreeMap<(u32, u32, u64), Tally>,
    /// Bytes of outputs that wait for those before them.
    kept_bytes: usize,
}

/// What replicas have sent as one output.
#[derive(Debug, Default)]
struct Tally {
    /// Replica and hash.
    votes: Vec<(u32, u64)>,
    /// The output itself, where it came too early to be admitted.
    kept: Vec<Kept>,
}

/// An output that waits for those before it.
#[derive(Debug)]
pub(crate) struct Kept {
    hash: u64,
    pub(crate) head: Head,
    pub(crate) payload: Vec<u8>,
}

impl Tally {
    fn count(&self, hash: u64) -> u16 {
        self.votes.iter().filter(|(_, other)| *other == hash).count() as u16
    }
}

impl Leadership {
    /// Forgets what an earlier leadership knew.
    fn start(&mut self, now_ns: u64) {
        self.started_ns = now_ns;
        self.votes.clear();
        self.kept_bytes = 0;
        self.cursor = 0;
    }

    /// Notes what a replica sends as output `k`; returns how many replicas have sent the same. `next` is the first output that is
    /// not admitted.
    pub(crate) fn vote(
        &mut self,
        service: u32,
        epoch: u32,
        k: u64,
        next: u64,
        replica: u32,
        hash: u64,
    ) -> u16 {
        // What lies before is admitted, or of an epoch that is over.
        while let Some((first, _)) = self.votes.range((service, 0, 0)..(service, epoch, next)).next() {
            let first = *first;
            let gone = self.votes.remove(&first).unwrap_or_default();
            self.kept_bytes -= gone.kept.iter().map(|kept| kept.payload.len()).sum::<usize>();
        }
        let tally = self.votes.entry((service, epoch, k)).or_default();
        if !teeth::is_active(Bug::AgreeWithItself) {
            tally.votes.retain(|(other, _)| *other != replica);
        }
        if tally.votes.len() < VOTERS_PER_OUTPUT_MAX {
            tally.votes.push((replica, hash));
        }
        tally.count(hash)
    }

    /// Keeps an output that came too early, if there is room. One that is not kept is sent again.
    pub(crate) fn keep(&mut self, hash: u64, head: &Head, payload: &[u8]) {
        let Some(tally) = self.votes.get_mut(&(head.source_id, head.epoch, head.sequence)) else { return };
        let is_known = tally.kept.iter().any(|kept| kept.hash == hash);
        if !is_known
            && self.kept_bytes + payload.len() <= KEPT_BYTES_MAX
            && tally.kept.len() < VOTERS_PER_OUTPUT_MAX
        {
            self.kept_bytes += payload.len();
            tally.kept.push(Kept { hash, head: *head, payload: payload.to_vec() });
        }
    }

    /// Takes the output `k` if it was kept and enough replicas have sent it.
    pub(crate) fn take_agreed(&mut self, service: u32, epoch: u32, k: u64, needed: u16) -> Option<Kept> {
        let tally = self.votes.get_mut(&(service, epoch, k))?;
        let index = tally.kept.iter().position(|kept| tally.count(kept.hash) >= needed)?;
        let kept = tally.kept.swap_remove(index);
        self.kept_bytes -= kept.payload.len();
        Some(kept)
    }
}

impl Core {
    /// Starts a leadership: every session has its whole time-out before it.
    pub(crate) fn start_leadership(&mut self) {
        self.leadership.start(self.last_frame_ns);
        if !teeth::is_active(Bug::KeepTimeoutsOnElection) {
            self.ledger.sessions.hear_all(self.last_frame_ns);
        }
    }

    /// What a leader does by itself, with each heartbeat once it may append.
    pub(crate) fn keep_house(&mut self, now: Now) {
        if !self.is_ready() || self.transfer.is_some() {
            return;
        }
        self.record_identities(now);
        self.close_silent_sessions(now);
        self.grant_roles(now);
        self.tick_log(now);
    }

    fn close_silent_sessions(&mut self, now: Now) {
        let slots = self.ledger.sessions.slots();
        if slots == 0 {
            return;
        }
        let now_ns = self.clock.stamp(now);
        let count = (slots / SCAN_PART).max(SCAN_LEAST).min(slots);
        let mut closed = 0;
        for _ in 0..count {
            let slot = self.leadership.cursor % slots;
            self.leadership.cursor = slot + 1;
            let Hot { id, is_live, timeout_ns, heard_ns, .. } = *self.ledger.sessions.hot(slot);
            if id == 0 || !is_live {
                continue;
            }
            let silent_ns = if teeth::is_active(Bug::ExpireByWallClock) {
                now.wall_ns.saturating_sub(heard_ns)
            } else {
                now_ns.saturating_sub(heard_ns)
            };
            if silent_ns < timeout_ns {
                continue;
            }
            // Without room it is tried again when the scan comes round.
            if self.close_session(id, CloseReason::Expired, now).is_err() || closed == CLOSES_MAX {
                return;
            }
            closed += 1;
        }
    }

    fn grant_roles(&mut self, now: Now) {
        let now_ns = self.clock.stamp(now);
        // Log time may have leapt when this leader took over, and the last holder has not felt it.
        let started_ns = self.leadership.started_ns;
        let is_due = |group: &Group| {
            let rests_until_ns = group.vacant_until_ns.max(started_ns.saturating_add(group.rest_ns));
            now_ns >= rests_until_ns || teeth::is_active(Bug::GrantTooEarly)
        };
        let vacant: Vec<(u32, u32, u32)> = self
            .ledger
            .groups
            .iter()
            .filter(|(_, group)| group.holder.is_none() && is_due(group))
            .filter_map(|(id, group)| Some((*id, group.epoch, *group.sessions.first()?)))
            .collect();
        for (group, epoch, session) in vacant {
            let Some(slot) = self.ledger.sessions.find(session) else { continue };
            let session_epoch = self.ledger.sessions.hot(slot).epoch;
            let head = Head { epoch: epoch + 1, ..Head::of(FrameKind::RoleGranted, session) };
            let body = Body::RoleGranted(RoleGranted { group, session_epoch });
            if self.append_control(&head, &body, false, now).is_err() {
                return;
            }
        }
    }

    fn tick_log(&mut self, now: Now) {
        let asked =
            self.ledger.services.values().map(|service| service.tick_ns).filter(|tick_ns| *tick_ns > 0);
        let Some(interval_ns) = asked.min() else { return };
        let last_ns = self.last_frame_ns;
        let now_ns = self.clock.stamp(now);
        if now_ns.saturating_sub(last_ns) >= interval_ns {
            // A tick that finds no room is not needed: the log is not silent.
            let _ = self.append_control(&Head::of(FrameKind::Tick, 0), &Body::Tick, false, now);
        }
    }
}
