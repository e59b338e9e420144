//! Writes a log frame by frame and shows each frame to the rules, as the checker does.

use sequencer_wire::{
    BODY_BYTES_MAX, Body, CloseReason, FrameFields, FrameKind, Member, MemberRole, Members, Membership,
    NewTerm, NodeId, Position, Promote, RoleGranted, Rollback, Service, SessionClose, SessionOpen, Term,
    TrimFloor, decode_frame, encode_frame,
};

use crate::checker::{Rules, Verdict};
use crate::node::founder_data;

pub(super) const MS: u64 = 1_000_000;
/// Sessions that the scripts' rules allow.
pub(super) const SESSIONS_MAX: usize = 3;
/// Time-out of the scripts' sessions.
pub(super) const TIMEOUT_NS: u64 = 100 * MS;

/// A log that grows. Time stands still until `pass` lets it go on.
pub(super) struct Script {
    pub(super) rules: Rules,
    /// End of the log.
    pub(super) at: Position,
    term: Term,
    now_ns: u64,
    next_number: u64,
}

/// Header fields that frames of a script set; the rest is 0.
#[derive(Default, Clone, Copy)]
pub(super) struct Header {
    pub(super) source: u32,
    pub(super) epoch: u32,
    pub(super) sequence: u64,
    pub(super) cause: Position,
    pub(super) schema: (u16, u16),
}

impl Script {
    /// Three voters, of which the first leads.
    pub(super) fn new() -> Self {
        let founders = [NodeId(1), NodeId(2), NodeId(3)];
        let mut script = Self {
            rules: Rules::new(&founders, SESSIONS_MAX),
            at: Position(0),
            term: Term(0),
            now_ns: 1_000 * MS,
            next_number: 0,
        };
        script.lead(1);
        script
    }

    /// Log time passes.
    pub(super) fn pass(&mut self, ns: u64) -> &mut Self {
        self.now_ns += ns;
        self
    }

    /// A number that no message bears yet.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn show(&self, rules: &mut Rules, header: Header, body: &Body<'_>) -> (Verdict, Position) {
        let mut payload = vec![0; body.payload_bytes()];
        body.encode(&mut payload);
        self.show_bytes(rules, header, body.kind(), &payload)
    }

    fn show_bytes(
        &self,
        rules: &mut Rules,
        header: Header,
        kind: FrameKind,
        payload: &[u8],
    ) -> (Verdict, Position) {
        let term = if kind == FrameKind::NewTerm { Term(self.term.0 + 1) } else { self.term };
        let fields = FrameFields {
            kind,
            flags: 0,
            source_id: header.source,
            source_sequence: header.sequence,
            timestamp_ns: self.now_ns,
            cause: header.cause,
            schema_id: header.schema.0,
            schema_version: header.schema.1,
            epoch: header.epoch,
        };
        let mut bytes = vec![0; 64 + BODY_BYTES_MAX.max(payload.len())];
        let length = encode_frame(&mut bytes, self.at, term, &fields, payload).expect("it fits");
        let frame = decode_frame(&bytes[..length], self.at, self.term).expect("it was just encoded");
        (rules.on_frame(&frame), frame.end())
    }

    /// Appends a frame that is as it should be, and says where it stands.
    pub(super) fn write(&mut self, header: Header, body: Body<'_>) -> Position {
        let mut rules = std::mem::take(&mut self.rules);
        let (verdict, end) = self.show(&mut rules, header, &body);
        assert_eq!(verdict, Ok(()), "{body:?} at {}", self.at);
        self.rules = rules;
        std::mem::replace(&mut self.at, end)
    }

    /// Shows a frame that breaks a rule; the log stays as it is.
    pub(super) fn breaks(&self, rule: &str, header: Header, body: Body<'_>) {
        let (verdict, _) = self.show(&mut self.rules.clone(), header, &body);
        let broken = verdict.expect_err(rule);
        assert_eq!(broken.0, rule, "{body:?} at {}: {}", self.at, broken.1);
    }

    /// Shows bytes that are no body of their kind.
    pub(super) fn breaks_bytes(&self, rule: &str, kind: FrameKind, payload: &[u8]) {
        let (verdict, _) = self.show_bytes(&mut self.rules.clone(), Header::default(), kind, payload);
        assert_eq!(verdict.expect_err(rule).0, rule);
    }

    pub(super) fn new_term(&self, leader: u32) -> (Header, Body<'static>) {
        let new = NewTerm { term: Term(self.term.0 + 1), previous: self.term, leader: NodeId(leader) };
        (Header { source: leader, ..Header::default() }, Body::NewTerm(new))
    }

    pub(super) fn lead(&mut self, leader: u32) -> Position {
        let (header, body) = self.new_term(leader);
        let at = self.write(header, body);
        self.term = Term(self.term.0 + 1);
        at
    }

    pub(super) fn open(&mut self, session: u32, epoch: u32, name: &str) -> Position {
        self.write(of(session, epoch), open(name, 0))
    }

    pub(super) fn open_in(&mut self, group: u32, session: u32, epoch: u32, name: &str) -> Position {
        self.write(of(session, epoch), open(name, group))
    }

    pub(super) fn close(&mut self, session: u32, epoch: u32, reason: CloseReason) -> Position {
        self.write(of(session, epoch), close(reason))
    }

    pub(super) fn message(&mut self, session: u32, epoch: u32, sequence: u64) -> Position {
        let payload = self.number().to_le_bytes();
        self.write(numbered(session, epoch, sequence), Body::Message(&payload))
    }

    pub(super) fn grant(
        &mut self,
        group: u32,
        role_epoch: u32,
        session: u32,
        session_epoch: u32,
    ) -> Position {
        self.write(of(session, role_epoch), granted(group, session_epoch))
    }

    pub(super) fn service(&mut self, id: u32) -> Position {
        self.write(of(id, 0), service(1 << 40))
    }

    pub(super) fn output(&mut self, id: u32, epoch: u32, k: u64, cause: Position) -> Position {
        self.write(caused(id, epoch, k, cause), Body::Output(b"output"))
    }

    pub(super) fn end(&mut self, id: u32, epoch: u32, k: u64, next: Position) -> Position {
        self.write(caused(id, epoch, k, next), Body::OutputEnd)
    }

    pub(super) fn promote(&mut self, id: u32, epoch: u32, version: u64, at: Position) -> Position {
        self.write(of(id, epoch), Body::Promote(Promote { version, at }))
    }

    pub(super) fn rollback(&mut self, id: u32, epoch: u32, at: Position) -> Position {
        self.write(of(id, epoch), Body::Rollback(Rollback { at }))
    }

    pub(super) fn cancel(&mut self, id: u32, epoch: u32) -> Position {
        self.write(of(id, epoch), Body::Cancel)
    }

    pub(super) fn list(&mut self, next_id: u32, members: &[(u32, MemberRole)]) -> Position {
        self.write(Header::default(), list(next_id, members))
    }

    pub(super) fn trim(&mut self, floor: Position) -> Position {
        self.write(Header::default(), Body::TrimFloor(TrimFloor { floor }))
    }

    pub(super) fn tick(&mut self) -> Position {
        self.write(Header::default(), Body::Tick)
    }
}

/// A frame of a source in an epoch.
pub(super) fn of(source: u32, epoch: u32) -> Header {
    Header { source, epoch, ..Header::default() }
}

pub(super) fn numbered(source: u32, epoch: u32, sequence: u64) -> Header {
    Header { source, epoch, sequence, ..Header::default() }
}

pub(super) fn caused(source: u32, epoch: u32, sequence: u64, cause: Position) -> Header {
    Header { source, epoch, sequence, cause, ..Header::default() }
}

pub(super) fn open(name: &str, group: u32) -> Body<'_> {
    Body::SessionOpen(SessionOpen { timeout_ns: TIMEOUT_NS, group, class: 7, name })
}

pub(super) fn close(reason: CloseReason) -> Body<'static> {
    Body::SessionClose(SessionClose { reason })
}

pub(super) fn granted(group: u32, session_epoch: u32) -> Body<'static> {
    Body::RoleGranted(RoleGranted { group, session_epoch })
}

pub(super) fn service(hold_bytes_max: u64) -> Body<'static> {
    Body::Service(Service { version: 1, hold_bytes_max, tick_ns: 0, agree: 1, name: "matching" })
}

/// A list whose members have the data of founders.
pub(super) fn list(next_id: u32, members: &[(u32, MemberRole)]) -> Body<'static> {
    let with_data: Vec<_> =
        members.iter().map(|(id, role)| (*id, *role, founder_data(NodeId(*id)))).collect();
    list_with(next_id, &with_data)
}

pub(super) fn list_with(next_id: u32, listed: &[(u32, MemberRole, [u8; 16])]) -> Body<'static> {
    let mut members = Members::new();
    for (id, role, data) in listed {
        members.push(Member { id: NodeId(*id), role: *role, data: *data });
    }
    Body::Membership(Membership { next_id: NodeId(next_id), members })
}
