//! The core's snapshot: the ledger at a log end, in a small versioned layout of its own.
//!
//! ```text
//! magic 8 bytes "sqledger" | version u16 | term u64 | position u64 | last timestamp ns u64
//! terms | members | retention | schemas | groups | services | next session id u32 | sessions | digest u64
//! ```
//! Numbers of fixed width are little endian; lengths, counts and what is mostly small are LEB128. Lists are ordered by id, so equal ledgers
//! give equal bytes. The digest is XXH3-64 over all bytes before it. `docs/reference/storage.md` has the file around it.

use sequencer_wire::{Body, FrameKind, LogEnd, Position, SchemaOwner, Term, TermStart, TermTable};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::groups::{GROUP_SESSIONS_MAX, Group};
use super::retention::{PINS_MAX, Pin};
use super::services::{REPORTS_MAX, SKIPS_MAX, SWITCHES_MAX, ServiceProgress, ServiceState, Switch};
use super::sessions::{Cold, Hot, Session, WINDOW};
use super::{Ledger, SCHEMA_ID_MAX};
use crate::bytes::{Reader, Writer};
use crate::state::Snapshot;

const MAGIC: [u8; 8] = *b"sqledger";
const VERSION: u16 = 1;
const DIGEST_BYTES: usize = 8;

/// Why bytes are not a snapshot of the core. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It is not one at all, or of another version.
    #[error(
        "these bytes are no core snapshot of version {VERSION} (found version {found:?}); fetch another one"
    )]
    Unsupported {
        /// The version it names, if it is a snapshot.
        found: Option<u16>,
    },
    /// The digest does not fit.
    #[error("the snapshot's digest is {found:016x}, but its bytes give {expected:016x}; fetch it again")]
    Digest {
        /// By the bytes.
        expected: u64,
        /// As stored.
        found: u64,
    },
    /// The digest fits and the content does not: a bug, or made by hand.
    #[error("the snapshot's content makes no sense at byte {at}; report this with the file")]
    Content {
        /// Where.
        at: usize,
    },
}

/// Appends the snapshot of a log that ends at `end`.
pub(crate) fn encode_snapshot(
    ledger: &Ledger,
    end: LogEnd,
    last_timestamp_ns: u64,
    terms: &TermTable,
    into: &mut Vec<u8>,
) {
    let start = into.len();
    let mut writer = Writer::new(into);
    writer.raw(&MAGIC);
    writer.u16(VERSION);
    writer.u64(end.term.0);
    writer.u64(end.position.0);
    writer.u64(last_timestamp_ns);
    put_terms(&mut writer, terms);
    put_ledger(&mut writer, ledger);
    let digest = xxh3_64(&into[start..]);
    into.extend_from_slice(&digest.to_le_bytes());
}

/// Reads a whole snapshot.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    let body_bytes = bytes.len().saturating_sub(DIGEST_BYTES);
    let (body, tail) = bytes.split_at(body_bytes);
    let mut reader = Reader::new(body);
    if reader.raw(MAGIC.len()) != Some(&MAGIC) {
        return Err(SnapshotError::Unsupported { found: None });
    }
    let version = reader.u16();
    if version != Some(VERSION) {
        return Err(SnapshotError::Unsupported { found: version });
    }
    let (expected, found) = (xxh3_64(body), Reader::new(tail).u64().unwrap_or(0));
    if expected != found {
        return Err(SnapshotError::Digest { expected, found });
    }
    let snapshot = take_snapshot(&mut reader).filter(|_| reader.is_empty());
    snapshot.ok_or(SnapshotError::Content { at: reader.at() })
}

impl Ledger {
    /// XXH3-64 over the encoded ledger. Equal for all nodes whose logs end alike.
    pub fn digest(&self) -> u64 {
        let mut bytes = Vec::new();
        put_ledger(&mut Writer::new(&mut bytes), self);
        xxh3_64(&bytes)
    }
}

fn put_ledger(writer: &mut Writer<'_>, ledger: &Ledger) {
    put_members(writer, ledger);
    put_retention(writer, ledger);
    let schemas: Vec<_> = ledger.schemas.iter().collect();
    writer.varint(schemas.len() as u64);
    for (id, owner, version) in schemas {
        writer.u16(id);
        writer.u16(version);
        let (kind, owner) = match owner {
            SchemaOwner::Service(service) => (0, service),
            SchemaOwner::Class(class) => (1, u32::from(class)),
        };
        writer.u8(kind);
        writer.u32(owner);
    }
    writer.varint(ledger.groups.len() as u64);
    for (id, group) in &ledger.groups {
        writer.u32(*id);
        writer.u32(group.epoch);
        writer.u32(group.holder.unwrap_or(0));
        writer.u64(group.vacant_until_ns);
        writer.u64(group.rest_ns);
        writer.varint(group.sessions.len() as u64);
        for session in &group.sessions {
            writer.u32(*session);
        }
    }
    writer.varint(ledger.services.len() as u64);
    for (id, service) in &ledger.services {
        writer.u32(*id);
        put_service(writer, service);
    }
    writer.u32(ledger.sessions.next_id);
    writer.varint(ledger.sessions.count() as u64);
    for (hot, cold) in ledger.sessions.iter() {
        put_session(writer, hot, cold);
    }
}

fn take_snapshot(reader: &mut Reader<'_>) -> Option<Snapshot> {
    let end = LogEnd { term: Term(reader.u64()?), position: Position(reader.u64()?) };
    let last_timestamp_ns = reader.u64()?;
    let terms = take_terms(reader)?;
    let mut ledger = Ledger::new();
    take_members(reader, &mut ledger, end.position)?;
    take_retention(reader, &mut ledger)?;
    for _ in 0..reader.count(9)? {
        let (id, version) = (reader.u16()?, reader.u16()?);
        let (kind, owner) = (reader.u8()?, reader.u32()?);
        let owner = match kind {
            0 => SchemaOwner::Service(owner),
            1 => SchemaOwner::Class(owner.try_into().ok()?),
            _ => return None,
        };
        let is_new = id <= SCHEMA_ID_MAX && ledger.schemas.set(id, Some((owner, version))).is_none();
        is_new.then_some(())?;
    }
    for _ in 0..reader.count(29)? {
        let id = reader.u32()?;
        let (epoch, holder) = (reader.u32()?, reader.u32()?);
        let (vacant_until_ns, rest_ns) = (reader.u64()?, reader.u64()?);
        let count = reader.count(4).filter(|count| *count <= GROUP_SESSIONS_MAX)?;
        let sessions = (0..count).map(|_| reader.u32()).collect::<Option<Vec<u32>>>()?;
        let holder = (holder != 0).then_some(holder);
        ledger.groups.insert(id, Group { epoch, holder, vacant_until_ns, rest_ns, sessions });
    }
    for _ in 0..reader.count(64)? {
        let id = reader.u32()?;
        let service = take_service(reader)?;
        ledger.services.insert(id, service);
    }
    ledger.sessions.next_id = reader.u32()?;
    for _ in 0..reader.count(20)? {
        let session = take_session(reader)?;
        let is_new = session.hot.id != 0
            && session.hot.id < ledger.sessions.next_id
            && ledger.sessions.find(session.hot.id).is_none()
            && ledger.sessions.find_name(&session.cold.name).is_none();
        is_new.then_some(())?;
        ledger.sessions.put(session);
    }
    ledger.commit(end.position);
    Some(Snapshot { end, last_timestamp_ns, terms, ledger })
}

fn put_terms(writer: &mut Writer<'_>, terms: &TermTable) {
    writer.varint(terms.len() as u64);
    for start in terms {
        writer.u64(start.term.0);
        writer.u64(start.start.0);
    }
}

fn take_terms(reader: &mut Reader<'_>) -> Option<TermTable> {
    let mut terms = TermTable::new();
    let mut last = None;
    for _ in 0..reader.count(16)? {
        let start = TermStart { term: Term(reader.u64()?), start: Position(reader.u64()?) };
        let follows = last.is_none_or(|last: TermStart| start.term > last.term && start.start > last.start);
        (follows && start.term > Term::NONE).then_some(())?;
        last = Some(start);
        terms.push(start);
    }
    Some(terms)
}

fn put_members(writer: &mut Writer<'_>, ledger: &Ledger) {
    writer.u64(ledger.members_end.0);
    let mut bytes = [0; sequencer_wire::BODY_BYTES_MAX];
    let length = ledger.members.as_deref().map_or(0, |list| {
        let body = Body::Membership(*list);
        body.encode(&mut bytes);
        body.payload_bytes()
    });
    writer.bytes(&bytes[..length]);
}

fn take_members(reader: &mut Reader<'_>, ledger: &mut Ledger, end: Position) -> Option<()> {
    ledger.members_end = Position(reader.u64()?);
    (ledger.members_end <= end).then_some(())?;
    let bytes = reader.bytes()?;
    if !bytes.is_empty() {
        let Ok(Body::Membership(list)) = Body::decode(FrameKind::Membership, bytes) else { return None };
        ledger.members = Some(Box::new(list));
    }
    Some(())
}

fn put_retention(writer: &mut Writer<'_>, ledger: &Ledger) {
    let retention = &ledger.retention;
    writer.u64(retention.floor.0);
    // Positions are multiples of 8, so this is none.
    writer.u64(retention.archived.map_or(u64::MAX, |to| to.0));
    writer.varint(retention.pins.len() as u64);
    for pin in &retention.pins {
        writer.u64(pin.id);
        writer.u64(pin.position.0);
        writer.u64(pin.bytes_max);
    }
}

fn take_retention(reader: &mut Reader<'_>, ledger: &mut Ledger) -> Option<()> {
    ledger.retention.floor = Position(reader.u64()?);
    ledger.retention.archived = Some(reader.u64()?).filter(|to| *to != u64::MAX).map(Position);
    let count = reader.count(24).filter(|count| *count <= PINS_MAX)?;
    for _ in 0..count {
        let pin = Pin { id: reader.u64()?, position: Position(reader.u64()?), bytes_max: reader.u64()? };
        ledger.retention.pins.push(pin);
    }
    ledger.retention.pins.is_sorted_by(|one, next| one.id < next.id).then_some(())
}

fn put_switch(writer: &mut Writer<'_>, switch: &Switch) {
    writer.u32(switch.epoch);
    writer.u64(switch.version);
    writer.u64(switch.at.0);
}

fn take_switch(reader: &mut Reader<'_>) -> Option<Switch> {
    Some(Switch { epoch: reader.u32()?, version: reader.u64()?, at: Position(reader.u64()?) })
}

fn put_service(writer: &mut Writer<'_>, service: &ServiceState) {
    writer.bytes(service.name.as_bytes());
    writer.u16(service.agree);
    writer.u64(service.hold_bytes_max);
    writer.u64(service.tick_ns);
    put_switch(writer, &service.current);
    writer.u8(u8::from(service.previous_version.is_some()));
    writer.u64(service.previous_version.unwrap_or(0));
    writer.u32(service.newest_epoch);
    writer.varint(service.switches.len() as u64);
    for switch in &service.switches {
        put_switch(writer, switch);
    }
    writer.u64(service.last_k);
    writer.u64(service.last_cause.0);
    writer.u32(service.progress.epoch);
    writer.u64(service.progress.applied.0);
    writer.u64(service.progress.k);
    writer.u64(service.progress.digest);
    writer.varint(service.reports.len() as u64);
    for (epoch, replica) in &service.reports {
        writer.u32(*epoch);
        writer.u32(*replica);
    }
    writer.varint(service.skips.len() as u64);
    for position in &service.skips {
        writer.u64(position.0);
    }
    writer.u64(service.verified.0);
}

fn take_service(reader: &mut Reader<'_>) -> Option<ServiceState> {
    let name = reader.text()?.into();
    let (agree, hold_bytes_max, tick_ns) = (reader.u16()?, reader.u64()?, reader.u64()?);
    let current = take_switch(reader)?;
    let (has_previous, previous) = (reader.u8()?, reader.u64()?);
    let newest_epoch = reader.u32()?;
    let count = reader.count(20).filter(|count| *count <= SWITCHES_MAX)?;
    let switches = (0..count).map(|_| take_switch(reader)).collect::<Option<Vec<_>>>()?;
    let (last_k, last_cause) = (reader.u64()?, Position(reader.u64()?));
    let progress = ServiceProgress {
        epoch: reader.u32()?,
        applied: Position(reader.u64()?),
        k: reader.u64()?,
        digest: reader.u64()?,
    };
    let count = reader.count(8).filter(|count| *count <= REPORTS_MAX)?;
    let reports = (0..count).map(|_| Some((reader.u32()?, reader.u32()?))).collect::<Option<Vec<_>>>()?;
    let count = reader.count(8).filter(|count| *count <= SKIPS_MAX)?;
    let skips = (0..count).map(|_| Some(Position(reader.u64()?))).collect::<Option<Vec<_>>>()?;
    Some(ServiceState {
        name,
        agree,
        hold_bytes_max,
        tick_ns,
        current,
        previous_version: (has_previous == 1).then_some(previous),
        newest_epoch,
        switches,
        last_k,
        last_cause,
        progress,
        reports,
        skips,
        verified: Position(reader.u64()?),
    })
}

fn put_session(writer: &mut Writer<'_>, hot: &Hot, cold: &Cold) {
    writer.u32(hot.id);
    writer.u32(hot.epoch);
    writer.varint(u64::from(hot.group));
    writer.varint(u64::from(hot.class));
    writer.u8(u8::from(hot.is_live));
    writer.varint(hot.last);
    writer.bytes(cold.name.as_bytes());
    writer.varint(hot.timeout_ns);
    writer.varint(cold.idle_since.0);
    // Positions rise with the sequence, so each is written as the distance to the one before.
    let mut before = 0;
    for sequence in window_of(hot.last) {
        let place = hot.window[sequence as usize % WINDOW].0;
        writer.varint(place.wrapping_sub(before));
        before = place;
    }
}

fn take_session(reader: &mut Reader<'_>) -> Option<Session> {
    let mut hot = Hot {
        id: reader.u32()?,
        epoch: reader.u32()?,
        group: reader.varint()?.try_into().ok()?,
        class: reader.varint()?.try_into().ok()?,
        is_live: reader.u8()? == 1,
        last: reader.varint()?,
        ..Hot::default()
    };
    let name = reader.text()?.into();
    hot.timeout_ns = reader.varint()?;
    let cold = Cold { name, idle_since: Position(reader.varint()?) };
    let mut before: u64 = 0;
    for sequence in window_of(hot.last) {
        before = before.wrapping_add(reader.varint()?);
        hot.window[sequence as usize % WINDOW] = Position(before);
    }
    Some(Session { hot, cold })
}

/// The sequences in the window of a session whose last one is `last`, oldest first.
fn window_of(last: u64) -> std::ops::RangeInclusive<u64> {
    let first = last.saturating_sub(WINDOW as u64 - 1).max(1);
    first..=last
}
