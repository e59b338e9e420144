//! What a gateway may conclude: from the log, whether it holds the role; from the answers to its signs of life, for how long it may act.
//!
//! 1. A role that is granted to its session in its epoch is its own until a frame closes that session or opens it again.
//! 2. It may act under a role while a sign of life that a leader accepted was sent less than half of its time-out ago, by its own clock.
//!
//! Invariant: once fenced, a process never holds a role again. Its session goes on in another process.

use std::collections::BTreeMap;

use sequencer_wire::{Body, Frame, Position};

/// Signs of life that are not answered; older ones are forgotten.
const UNANSWERED_MAX: usize = 32;

/// What one process has read in the log about its group.
#[derive(Debug, Clone)]
pub(super) struct RoleView {
    group: u32,
    session: u32,
    session_epoch: u32,
    /// The epoch of the role, while it is its own.
    role: Option<u32>,
    /// The session that was granted the role last, as far as this was read.
    holder: Option<u32>,
    is_vacant: bool,
    fenced_at: Option<Position>,
}

impl RoleView {
    pub(super) fn new(group: u32, session: u32, session_epoch: u32) -> Self {
        let (role, holder, fenced_at) = (None, None, None);
        Self { group, session, session_epoch, role, holder, is_vacant: false, fenced_at }
    }

    /// The next frame of the log.
    pub(super) fn read(&mut self, frame: &Frame<'_>) {
        let (source, epoch) = (frame.fields.source_id, frame.fields.epoch);
        match frame.body() {
            Ok(Body::RoleGranted(granted)) if granted.group == self.group => {
                self.is_vacant = false;
                self.holder = Some(source);
                let is_own = source == self.session && granted.session_epoch == self.session_epoch;
                self.role = (is_own && self.fenced_at.is_none()).then_some(epoch);
            }
            Ok(Body::SessionClose(_)) => self.leave(source, epoch >= self.session_epoch, frame.at),
            Ok(Body::SessionOpen(_)) => self.leave(source, epoch > self.session_epoch, frame.at),
            _ => {}
        }
    }

    /// A session was closed or opened again; `is_newer` says whether that ends this process's epoch if it is its own.
    fn leave(&mut self, source: u32, is_newer: bool, at: Position) {
        if self.holder == Some(source) {
            self.holder = None;
            self.is_vacant = true;
        }
        if source == self.session && is_newer {
            self.role = None;
            self.fenced_at.get_or_insert(at);
        }
    }

    /// A leader says that the role of `found` is not its own, and knows one as new as `current`. A leader that knows less has
    /// lost its place.
    pub(super) fn doubt(&mut self, found: u32, current: u32) {
        if current >= found && self.role == Some(found) {
            self.role = None;
        }
    }

    pub(super) fn role(&self) -> Option<u32> {
        self.role
    }

    pub(super) fn fenced_at(&self) -> Option<Position> {
        self.fenced_at
    }

    /// The role was lost by its holder and not granted again, as far as this was read.
    pub(super) fn is_vacant(&self) -> bool {
        self.is_vacant
    }
}

/// Until when a process may act, by its own clock.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    timeout_ns: u64,
    drift_ppm: i64,
    /// When each sign of life was sent that is not answered, by its own clock.
    sent: BTreeMap<u64, u64>,
    count: u64,
    until_ns: u64,
}

impl Lease {
    pub(super) fn new(timeout_ns: u64, drift_ppm: i64) -> Self {
        Self { timeout_ns, drift_ppm, sent: BTreeMap::new(), count: 0, until_ns: 0 }
    }

    fn own_ns(&self, now_ns: u64) -> u64 {
        (i128::from(now_ns) * i128::from(1_000_000 + self.drift_ppm) / 1_000_000) as u64
    }

    /// A sign of life goes out. Returns its number.
    pub(super) fn ask(&mut self, now_ns: u64) -> u64 {
        self.count += 1;
        self.sent.insert(self.count, self.own_ns(now_ns));
        if self.sent.len() > UNANSWERED_MAX {
            self.sent.pop_first();
        }
        self.count
    }

    /// A leader has accepted a sign of life.
    pub(super) fn accept(&mut self, number: u64) {
        if let Some(sent_ns) = self.sent.remove(&number) {
            self.until_ns = self.until_ns.max(sent_ns + self.timeout_ns / 2);
        }
    }

    pub(super) fn holds(&self, now_ns: u64) -> bool {
        self.own_ns(now_ns) < self.until_ns
    }
}

#[cfg(test)]
mod tests {
    use sequencer_wire::{
        CloseReason, FrameFields, FrameKind, Frames, RoleGranted, SessionClose, SessionOpen, Term,
        encode_frame, frame_bytes,
    };

    use super::*;
    use crate::profile::MS;

    /// A log of bodies, each with source and epoch.
    fn log(frames: &[(u32, u32, Body<'_>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (source_id, epoch, body) in frames {
            let mut payload = vec![0; body.payload_bytes()];
            body.encode(&mut payload);
            let at = bytes.len();
            bytes.resize(at + frame_bytes(payload.len()), 0);
            let fields = FrameFields {
                kind: body.kind(),
                flags: 0,
                source_id: *source_id,
                source_sequence: 0,
                timestamp_ns: 0,
                cause: Position(0),
                schema_id: 0,
                schema_version: 0,
                epoch: *epoch,
            };
            encode_frame(&mut bytes[at..], Position(at as u64), Term(1), &fields, &payload).unwrap();
        }
        bytes
    }

    fn read(view: &mut RoleView, bytes: &[u8]) -> Vec<FrameKind> {
        let frames = Frames::new(bytes, Position(0), Term(1)).map(Result::unwrap);
        frames.map(|frame| (view.read(&frame), frame.fields.kind).1).collect()
    }

    fn granted(session_epoch: u32) -> Body<'static> {
        Body::RoleGranted(RoleGranted { group: 1, session_epoch })
    }

    fn open() -> Body<'static> {
        Body::SessionOpen(SessionOpen { timeout_ns: 1, group: 1, class: 2, name: "one" })
    }

    fn expired() -> Body<'static> {
        Body::SessionClose(SessionClose { reason: CloseReason::Expired })
    }

    #[test]
    fn a_role_is_held_from_its_grant_on() {
        let mut view = RoleView::new(1, 7, 3);
        read(&mut view, &log(&[(7, 3, open()), (7, 5, granted(3))]));
        assert_eq!((view.role(), view.fenced_at()), (Some(5), None));
    }

    #[test]
    fn a_grant_to_another_epoch_or_group_is_not_its_own() {
        let mut view = RoleView::new(1, 7, 3);
        let elsewhere = Body::RoleGranted(RoleGranted { group: 2, session_epoch: 3 });
        read(&mut view, &log(&[(7, 5, granted(2)), (7, 6, elsewhere)]));
        assert_eq!(view.role(), None);
    }

    #[test]
    fn an_end_of_its_session_takes_the_role_for_ever() {
        let mut view = RoleView::new(1, 7, 3);
        read(&mut view, &log(&[(7, 5, granted(3)), (7, 3, expired()), (7, 6, granted(3))]));
        assert_eq!((view.role(), view.fenced_at().is_some()), (None, true));
    }

    #[test]
    fn another_open_of_its_session_takes_the_role() {
        let mut view = RoleView::new(1, 7, 3);
        read(&mut view, &log(&[(7, 5, granted(3)), (7, 4, open())]));
        assert_eq!((view.role(), view.fenced_at().is_some(), view.is_vacant()), (None, true, true));
    }

    #[test]
    fn the_role_is_vacant_between_an_end_and_the_next_grant() {
        let mut view = RoleView::new(1, 7, 3);
        read(&mut view, &log(&[(8, 5, granted(1)), (8, 1, expired())]));
        assert!(view.is_vacant());
        read(&mut view, &log(&[(7, 6, granted(3))]));
        assert_eq!((view.is_vacant(), view.role()), (false, Some(6)));
    }

    #[test]
    fn only_a_leader_that_knows_as_much_casts_doubt() {
        let mut view = RoleView::new(1, 7, 3);
        read(&mut view, &log(&[(7, 5, granted(3))]));
        view.doubt(5, 4);
        assert_eq!(view.role(), Some(5));
        view.doubt(5, 6);
        assert_eq!(view.role(), None);
    }

    #[test]
    fn a_lease_counts_from_when_the_sign_of_life_was_sent() {
        let mut lease = Lease::new(400 * MS, 0);
        let number = lease.ask(100 * MS);
        assert!(!lease.holds(110 * MS));
        lease.accept(number);
        assert!(lease.holds(299 * MS));
        assert!(!lease.holds(300 * MS));
    }

    #[test]
    fn an_earlier_answer_does_not_shorten_a_lease() {
        let mut lease = Lease::new(400 * MS, 0);
        let (first, second) = (lease.ask(100 * MS), lease.ask(200 * MS));
        lease.accept(second);
        lease.accept(first);
        lease.accept(first);
        assert!(lease.holds(399 * MS));
    }

    #[test]
    fn a_slow_clock_makes_a_lease_longer() {
        let mut lease = Lease::new(400 * MS, -2_000);
        let number = lease.ask(0);
        lease.accept(number);
        assert!(lease.holds(200 * MS));
        assert!(!lease.holds(201 * MS));
    }
}
