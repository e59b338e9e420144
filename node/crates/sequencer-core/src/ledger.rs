//! The state that admission needs, as a function of the log's bytes: sessions, services, role groups, schemas, membership and
//! retention.
//!
//! What belongs here: what a frame changes, and taking it back. What does not: whether a frame may be appended, which
//! `admission` asks, and what only a leader remembers, which `leadership` holds.
//!
//! The ledger always stands at the end of the log; the journal holds what uncommitted frames replaced. See
//! `docs/internals/exactly-once.md`.
//!
//! Invariant: the ledger equals the replay of the log up to its end.

use std::collections::BTreeMap;

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{
    Body, BodyError, CloseReason, Frame, FrameFields, FrameKind, Member, Membership, NodeId, Position,
    Retention as Hold, SnapshotStep,
};

mod codec;
mod groups;
mod journal;
mod retention;
mod schemas;
mod services;
mod sessions;

pub use self::codec::SnapshotError;
pub(crate) use self::codec::{decode_snapshot, encode_snapshot};
pub use self::groups::{GROUP_SESSIONS_MAX, Group};
use self::journal::{Before, Journal};
pub(crate) use self::retention::bounded;
pub use self::retention::{Holder, PINS_MAX, Pin, Retention};
pub use self::schemas::SCHEMA_ID_MAX;
use self::schemas::Schemas;
use self::services::{REPORTS_MAX, SKIPS_MAX};
pub use self::services::{SWITCHES_MAX, ServiceProgress, ServiceState, Switch};
pub use self::sessions::WINDOW;
pub(crate) use self::sessions::{Hot, Sessions};

/// See the module's description.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) sessions: Sessions,
    pub(crate) services: BTreeMap<u32, ServiceState>,
    pub(crate) groups: BTreeMap<u32, Group>,
    pub(crate) schemas: Schemas,
    pub(crate) retention: Retention,
    /// `None` until the first membership frame: the voters are those of the configuration.
    members: Option<Box<Membership>>,
    /// End of the frame that holds the list.
    members_end: Position,
    /// Rises whenever the list changes, also when it is taken back.
    members_version: u64,
    journal: Journal,
    /// Frames that made no sense after those before them: a leader's bug. They were applied as far as they could be.
    oddities: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// The ledger of an empty log.
    pub fn new() -> Self {
        Self {
            sessions: Sessions::new(),
            services: BTreeMap::new(),
            groups: BTreeMap::new(),
            schemas: Schemas::default(),
            retention: Retention::default(),
            members: None,
            members_end: Position::START,
            members_version: 0,
            journal: Journal::default(),
            oddities: 0,
        }
    }

    /// Applies the frame at the end of the log.
    ///
    /// # Errors
    /// [`BodyError`] when the body is of a layout that this software does not know; nothing has changed.
    pub fn apply(&mut self, frame: &Frame<'_>) -> Result<(), BodyError> {
        let FrameFields { kind, source_id, source_sequence, cause, .. } = frame.fields;
        match kind {
            FrameKind::Message | FrameKind::SequencedQuery => {
                match self.sessions.find(source_id) {
                    Some(slot) => self.record_message(slot, source_sequence, frame.at),
                    None => self.oddities += 1,
                }
                Ok(())
            }
            FrameKind::Output => {
                self.record_output(source_id, source_sequence, cause, frame.at);
                Ok(())
            }
            _ => self.apply_control(frame.at, frame.end(), &frame.fields, &frame.body()?),
        }
    }

    #[inline]
    pub(crate) fn record_message(&mut self, slot: usize, sequence: u64, at: Position) {
        let session = self.sessions.hot(slot).id;
        if sequence != self.sessions.hot(slot).last + 1 {
            // Only a bug gets here; undoing it needs the whole session.
            self.keep_session(at, session);
            self.sessions.record(slot, sequence, at);
            return self.note_oddity();
        }
        let replaced = self.sessions.record(slot, sequence, at);
        self.journal.push(at, Before::Message { session, replaced });
    }

    #[inline]
    pub(crate) fn record_output(&mut self, service: u32, k: u64, cause: Position, at: Position) {
        let Some(state) = self.services.get_mut(&service) else { return self.note_oddity() };
        if k != state.last_k + 1 {
            // Only a bug gets here; undoing it needs the whole service.
            let service_before = Box::new(state.clone());
            state.last_k = k;
            state.last_cause = cause;
            self.journal.push(at, Before::Service { id: service, service: Some(service_before) });
            return self.note_oddity();
        }
        state.last_k = k;
        let last_cause = std::mem::replace(&mut state.last_cause, cause);
        self.journal.push(at, Before::Output { service, last_cause });
    }

    #[cold]
    fn note_oddity(&mut self) {
        self.oddities += 1;
    }

    /// Applies a frame of any other kind.
    pub(crate) fn apply_control(
        &mut self,
        at: Position,
        end: Position,
        fields: &FrameFields,
        body: &Body<'_>,
    ) -> Result<(), BodyError> {
        let (source, epoch) = (fields.source_id, fields.epoch);
        match *body {
            Body::SessionOpen(open) => {
                let known = self.sessions.find(source);
                self.keep_session(at, source);
                self.keep_group(at, open.group);
                match known {
                    Some(slot) => {
                        self.leave_group(slot, fields.timestamp_ns);
                        self.sessions.reopen(slot, epoch, open.timeout_ns);
                    }
                    None => self.sessions.create(source, epoch, &open),
                }
                if let Some(group) = self.groups.get_mut(&open.group) {
                    group.enter(source);
                }
            }
            Body::SessionClose(close) => {
                let Some(slot) = self.sessions.find(source) else {
                    self.note_oddity();
                    return Ok(());
                };
                self.keep_session(at, source);
                self.keep_group(at, self.sessions.hot(slot).group);
                self.leave_group(slot, fields.timestamp_ns);
                match close.reason {
                    CloseReason::Expired => self.sessions.expire(slot, at),
                    CloseReason::Closed | CloseReason::Evicted | CloseReason::Revoked => {
                        self.sessions.remove(source)
                    }
                }
            }
            Body::RoleGranted(granted) => {
                self.keep_group(at, granted.group);
                if let Some(group) = self.groups.get_mut(&granted.group) {
                    group.epoch = epoch;
                    group.holder = Some(source);
                }
            }
            Body::Schema(schema) => {
                let entry = self.schemas.set(schema.id, Some((schema.owner, schema.version)));
                self.journal.push(at, Before::Schema { id: schema.id, entry });
            }
            Body::Membership(list) => self.set_members(at, end, list),
            Body::TrimFloor(floor) => {
                self.keep_retention(at);
                self.retention.floor = self.retention.floor.max(floor.floor);
            }
            Body::Retention(hold) => {
                self.keep_retention(at);
                self.apply_hold(&hold);
            }
            Body::Service(service) => {
                self.keep_service(at, source);
                let first = Switch { epoch: 1, version: service.version, at };
                let state = self.services.entry(source).or_insert_with(|| ServiceState {
                    name: service.name.into(),
                    agree: 1,
                    hold_bytes_max: 0,
                    tick_ns: 0,
                    current: first,
                    previous_version: None,
                    newest_epoch: 1,
                    switches: Vec::new(),
                    last_k: 0,
                    last_cause: Position::START,
                    progress: ServiceProgress::default(),
                    reports: Vec::new(),
                    skips: Vec::new(),
                    verified: at,
                });
                state.agree = service.agree;
                state.hold_bytes_max = service.hold_bytes_max;
                state.tick_ns = service.tick_ns;
            }
            Body::OutputEnd
            | Body::Progress(_)
            | Body::Divergence(_)
            | Body::Skip
            | Body::SnapshotMarker(_)
            | Body::Promote(_)
            | Body::Rollback(_)
            | Body::Cancel => self.apply_to_service(at, fields, body),
            Body::Message(_) | Body::Query(_) | Body::Output(_) => {
                unreachable!("messages and outputs are recorded, not applied")
            }
            Body::NewTerm(_) | Body::Tick | Body::ClusterVersion(_) => {}
        }
        Ok(())
    }

    fn apply_to_service(&mut self, at: Position, fields: &FrameFields, body: &Body<'_>) {
        let (id, epoch) = (fields.source_id, fields.epoch);
        if let Body::SnapshotMarker(marker) = body
            && marker.what == SnapshotStep::Wanted
        {
            return;
        }
        self.keep_service(at, id);
        let Some(state) = self.services.get_mut(&id) else { return self.note_oddity() };
        match *body {
            Body::Promote(promote) => {
                state.open(Switch { epoch, version: promote.version, at: promote.at.max(at) });
            }
            Body::Rollback(rollback) => match state.version_before_newest() {
                Some(version) => state.open(Switch { epoch, version, at: rollback.at.max(at) }),
                None => self.note_oddity(),
            },
            Body::Cancel => state.switches.retain(|switch| switch.epoch != epoch),
            Body::OutputEnd if state.switches.is_empty() => self.note_oddity(),
            Body::OutputEnd => state.advance(),
            Body::Progress(progress) => {
                let (applied, k) = (fields.cause, fields.source_sequence);
                state.progress = ServiceProgress { epoch, applied, k, digest: progress.digest };
            }
            Body::Divergence(report) => {
                push_bounded(&mut state.reports, (epoch, report.replica), REPORTS_MAX)
            }
            Body::Skip => push_bounded(&mut state.skips, fields.cause, SKIPS_MAX),
            Body::SnapshotMarker(marker) => state.verified = state.verified.max(marker.position),
            _ => unreachable!("the caller passes what concerns a service"),
        }
    }

    fn apply_hold(&mut self, hold: &Hold) {
        match *hold {
            Hold::Archived { to } => self.retention.archived = Some(to),
            Hold::Pin { id, position, bytes_max } => {
                let pins = &mut self.retention.pins;
                pins.retain(|pin| pin.id != id);
                let index = pins.partition_point(|pin| pin.id < id);
                pins.insert(index, Pin { id, position, bytes_max });
            }
            Hold::Unpin { id } => self.retention.pins.retain(|pin| pin.id != id),
        }
    }

    fn keep_session(&mut self, at: Position, id: u32) {
        let session = self.sessions.get(id).map(Box::new);
        self.journal.push(at, Before::Session { id, next_id: self.sessions.next_id, session });
    }

    fn keep_service(&mut self, at: Position, id: u32) {
        let service = self.services.get(&id).cloned().map(Box::new);
        self.journal.push(at, Before::Service { id, service });
    }

    /// Also makes the group if it does not exist yet. Group 0 is none.
    fn keep_group(&mut self, at: Position, id: u32) {
        if id != 0 {
            let group = self.groups.get(&id).cloned().map(Box::new);
            self.journal.push(at, Before::Group { id, group });
            self.groups.entry(id).or_default();
        }
    }

    fn keep_retention(&mut self, at: Position) {
        self.journal.push(at, Before::Retention(Box::new(self.retention.clone())));
    }

    fn leave_group(&mut self, slot: usize, now_ns: u64) {
        let Hot { id, group, timeout_ns, .. } = *self.sessions.hot(slot);
        if let Some(group) = self.groups.get_mut(&group) {
            group.leave(id, now_ns, timeout_ns);
        }
    }

    fn set_members(&mut self, at: Position, end: Position, list: Membership) {
        let members = self.members.replace(Box::new(list));
        let members_end = std::mem::replace(&mut self.members_end, end);
        self.members_version += 1;
        self.journal.push(at, Before::Members { members, members_end });
    }

    /// Drops what can no longer be taken back.
    pub(crate) fn commit(&mut self, committed: Position) {
        self.journal.forget_below(committed);
    }

    /// Takes back what the frames at or past `to` did.
    pub(crate) fn undo(&mut self, to: Position) {
        if teeth::is_active(Bug::KeepOverlay) {
            return;
        }
        while let Some(before) = self.journal.pop_from(to) {
            self.put_back(before);
        }
    }

    fn put_back(&mut self, before: Before) {
        match before {
            Before::Message { session, replaced } => {
                let slot = self.sessions.find(session).expect("a message was admitted from it");
                self.sessions.unrecord(slot, replaced);
            }
            Before::Session { id, next_id, session } => {
                self.sessions.restore(id, session.map(|session| *session));
                self.sessions.next_id = next_id;
            }
            Before::Output { service, last_cause } => {
                let state = self.services.get_mut(&service).expect("an output was admitted for it");
                state.last_k -= 1;
                state.last_cause = last_cause;
            }
            Before::Service { id, service } => put_entry(&mut self.services, id, service),
            Before::Group { id, group } => put_entry(&mut self.groups, id, group),
            Before::Schema { id, entry } => {
                self.schemas.set(id, entry);
            }
            Before::Members { members, members_end } => {
                self.members = members;
                self.members_end = members_end;
                self.members_version += 1;
            }
            Before::Retention(retention) => self.retention = *retention,
        }
    }

    /// Room for what may be uncommitted at one time.
    pub(crate) fn reserve_journal(&mut self, entries: usize) {
        self.journal.reserve(entries);
    }

    /// The newest list of members; `None` if no frame holds one.
    pub fn members(&self) -> Option<&Membership> {
        self.members.as_deref()
    }

    /// The newest list whose frame ends at or below `durable`.
    pub(crate) fn members_by(&self, durable: Position) -> Option<&Membership> {
        let mut list = self.members.as_deref();
        let mut list_end = self.members_end;
        for entry in self.journal.iter().rev() {
            if list_end <= durable {
                break;
            }
            if let Before::Members { members, members_end } = &entry.before {
                list = members.as_deref();
                list_end = *members_end;
            }
        }
        list
    }

    /// What any list that may still count says of a member: the newest, or one that a cut could bring back.
    pub(crate) fn listed(&self, id: NodeId) -> Option<Member> {
        let replaced = self.journal.iter().filter_map(|entry| match &entry.before {
            Before::Members { members, .. } => members.as_deref(),
            _ => None,
        });
        let mut lists = self.members.as_deref().into_iter().chain(replaced);
        lists.find_map(|list| list.members.get(id).copied())
    }

    /// Lists in frames that end past `committed`.
    pub fn lists_after(&self, committed: Position) -> usize {
        let replaced = self.journal.iter().filter_map(|entry| match &entry.before {
            Before::Members { members_end, .. } => Some(*members_end),
            _ => None,
        });
        replaced.chain([self.members_end]).filter(|end| *end > committed).count()
    }

    /// Whether a cut could take the log back to a time without a list.
    pub(crate) fn may_lose_lists(&self) -> bool {
        let is_first =
            |entry: &journal::Entry| matches!(&entry.before, Before::Members { members: None, .. });
        self.members.is_none() || self.journal.iter().any(is_first)
    }

    pub(crate) fn members_end(&self) -> Position {
        self.members_end
    }

    pub(crate) fn members_version(&self) -> u64 {
        self.members_version
    }

    /// Whether the newest list may still be taken back.
    pub(crate) fn is_membership_pending(&self) -> bool {
        self.members_end > self.journal.committed()
    }

    /// The floor as far as it is committed.
    pub fn committed_floor(&self) -> Position {
        let pending = self.journal.iter().find_map(|entry| match &entry.before {
            Before::Retention(retention) => Some(retention.floor),
            _ => None,
        });
        pending.unwrap_or(self.retention.floor)
    }

    /// A service's state at the end of the log, committed or not: for checkers and for status pages that say so.
    pub fn service(&self, id: u32) -> Option<&ServiceState> {
        self.services.get(&id)
    }

    /// A role group's state at the end of the log, committed or not.
    pub fn group(&self, id: u32) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// What the log must keep, as of its end.
    pub fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Sessions kept, idle ones included.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    /// About the bytes that a snapshot takes, so that encoding it does not copy it again and again.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.sessions.count() * 160 + (self.services.len() + self.groups.len()) * 256 + (64 << 10)
    }

    /// Frames that made no sense after those before them, in this life.
    pub fn oddities(&self) -> u64 {
        self.oddities
    }

    /// Entries that a cut could take back.
    pub fn journal_len(&self) -> usize {
        self.journal.len()
    }
}

fn push_bounded<T: PartialEq>(list: &mut Vec<T>, item: T, max: usize) {
    if list.len() == max {
        list.remove(0);
    }
    list.push(item);
}

fn put_entry<T>(map: &mut BTreeMap<u32, T>, id: u32, before: Option<Box<T>>) {
    match before {
        Some(value) => {
            map.insert(id, *value);
        }
        None => {
            map.remove(&id);
        }
    }
}
