//! Good bodies of every kind, each with what is worth noting about it.

use sequencer_wire::{
    Body, CloseReason, Diverged, Divergence, Member, MemberRole, Members, Membership, NewTerm, NodeId,
    Position, Progress, Promote, Query, Retention, RoleGranted, Rollback, Schema, SchemaOwner, Service,
    SessionClose, SessionOpen, SnapshotMarker, SnapshotStep, Term, TrimFloor,
};

/// A body as bytes.
pub(crate) fn encoded(body: &Body<'_>) -> Vec<u8> {
    let mut bytes = vec![0xEE; body.payload_bytes()];
    body.encode(&mut bytes);
    bytes
}

/// So many members, of whom the first vote. Their ids are even.
pub(crate) fn members(count: u32, voters: u32) -> Members {
    let mut members = Members::new();
    for id in 1..=count {
        let role = if id <= voters { MemberRole::Voter } else { MemberRole::Learner };
        members.push(Member { id: NodeId(id * 2), role, data: [id as u8; 16] });
    }
    members
}

fn list(next_id: u32, members: Members) -> Body<'static> {
    Body::Membership(Membership { next_id: NodeId(next_id), members })
}

fn opened(timeout_ns: u64, group: u32, class: u16, name: &'static str) -> Body<'static> {
    Body::SessionOpen(SessionOpen { timeout_ns, group, class, name })
}

fn registered(version: u64, agree: u16, name: &'static str) -> Body<'static> {
    Body::Service(Service { version, hold_bytes_max: 1 << 40, tick_ns: 1_000_000, agree, name })
}

/// The longest name, 64 bytes of which the last three are one character.
const LONGEST_NAME: &str = "a name of sixty-four bytes of which three are one character: €";

/// Good bodies by name.
pub(crate) fn good() -> Vec<(&'static str, Body<'static>)> {
    let (at, max) = (Position(4096), u64::MAX);
    let start = NewTerm { term: Term(7), previous: Term(1), leader: NodeId(3) };
    let diverged = |what| Divergence { replica: 3, what, expected: 0x0123_4567_89AB_CDEF, actual: max };
    let marker = |what, position| Body::SnapshotMarker(SnapshotMarker { what, position });
    let schema = |id, version, owner| Body::Schema(Schema { id, version, owner });
    let close = |reason| Body::SessionClose(SessionClose { reason });
    vec![
        ("a new term", Body::NewTerm(start)),
        ("a message", Body::Message(b"hello")),
        ("an empty message", Body::Message(b"")),
        ("an output", Body::Output(b"\x00\xFF")),
        ("the end of an epoch's outputs", Body::OutputEnd),
        ("progress", Body::Progress(Progress { digest: 0x0123_4567_89AB_CDEF })),
        ("an output that differs", Body::Divergence(diverged(Diverged::Output))),
        ("a digest that differs", Body::Divergence(diverged(Diverged::Digest))),
        ("a frame is passed over", Body::Skip),
        ("a query", Body::Query(Query { service: 7, request: b"how many?" })),
        ("a query without a question", Body::Query(Query { service: u32::MAX, request: b"" })),
        ("a session with a name of one byte", opened(30_000_000_000, 0, 0, "a")),
        ("a session in a group, with the longest name", opened(max, u32::MAX, u16::MAX, LONGEST_NAME)),
        ("a session is closed by its client", close(CloseReason::Closed)),
        ("a session has expired", close(CloseReason::Expired)),
        ("a session makes room", close(CloseReason::Evicted)),
        ("a session is ended by an operator", close(CloseReason::Revoked)),
        ("a tick", Body::Tick),
        ("a role", Body::RoleGranted(RoleGranted { group: 4, session_epoch: 6 })),
        ("a snapshot is wanted", marker(SnapshotStep::Wanted, Position::START)),
        ("a snapshot is verified", marker(SnapshotStep::Verified, at)),
        ("one voter", list(3, members(1, 1))),
        ("three voters and a learner", list(9, members(4, 3))),
        ("the most members, nine of them voters", list(u32::MAX, members(16, 9))),
        ("a trim floor", Body::TrimFloor(TrimFloor { floor: at })),
        ("a schema of a service", schema(1, 2, SchemaOwner::Service(u32::MAX))),
        ("a schema of a class", schema(u16::MAX, u16::MAX, SchemaOwner::Class(u16::MAX))),
        ("a service with a name of one byte", registered(1, 1, "s")),
        ("a service with the longest name", registered(max, u16::MAX, LONGEST_NAME)),
        ("a promotion", Body::Promote(Promote { version: max, at })),
        ("a promotion is called off", Body::Cancel),
        ("a rollback", Body::Rollback(Rollback { at })),
        ("a cluster version", Body::ClusterVersion(b"1")),
        ("archived", Body::Retention(Retention::Archived { to: at })),
        ("a pin", Body::Retention(Retention::Pin { id: max, position: at, bytes_max: 1 << 40 })),
        ("no pin any more", Body::Retention(Retention::Unpin { id: max })),
    ]
}
