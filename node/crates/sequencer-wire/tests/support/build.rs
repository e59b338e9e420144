//! Makes valid frames, logs and messages out of plain numbers.

use sequencer_wire::{
    ClusterId, Envelope, FrameFields, FrameKind, LogEnd, LogHealth, NewTerm, NodeId, PeerMessage, Position,
    Term, TermStart, TermStarts, encode_frame, encode_new_term, encode_peer, frame_bytes,
};

/// The cluster that test messages belong to.
pub(crate) const CLUSTER: ClusterId = ClusterId(*b"test cluster 001");

/// One frame as bytes.
pub(crate) fn frame(at: u64, term: u64, fields: &FrameFields, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xEE; frame_bytes(payload.len())];
    let written = encode_frame(&mut bytes, Position(at), Term(term), fields, payload);
    assert_eq!(written, Ok(bytes.len()));
    bytes
}

/// A new-term frame as bytes.
pub(crate) fn new_term(at: u64, term: u64, previous: u64, leader: u32, timestamp_ns: u64) -> Vec<u8> {
    let mut bytes = vec![0xEE; frame_bytes(24)];
    let new_term = NewTerm { term: Term(term), previous: Term(previous), leader: NodeId(leader) };
    assert_eq!(encode_new_term(&mut bytes, Position(at), new_term, timestamp_ns), Ok(bytes.len()));
    bytes
}

/// Fields of a message frame.
pub(crate) fn message_fields() -> FrameFields {
    FrameFields {
        kind: FrameKind::Message,
        flags: 0,
        source_id: 7,
        source_sequence: 41,
        timestamp_ns: 1_700_000_000_123_456_789,
        cause: Position(72),
        schema_id: 3,
        schema_version: 2,
        epoch: 5,
    }
}

/// One frame of a log to be made.
#[derive(Debug, Clone)]
pub(crate) enum LogItem {
    /// Starts a term this much later than the last.
    Term { step: u64, leader: u32 },
    /// Any other kind, chosen by number.
    Other { kind: u8, source_sequence: u64, payload: Vec<u8> },
}

/// A log that starts at `at` after term `previous`, and where its frames and terms start. A term is started
/// first when there is none.
pub(crate) fn log(at: u64, previous: u64, items: &[LogItem]) -> (Vec<u8>, Vec<(u64, u64)>, Vec<TermStart>) {
    let (mut bytes, mut frames, mut terms, mut term) = (Vec::new(), Vec::new(), Vec::new(), previous);
    for item in items {
        let position = at + bytes.len() as u64;
        let step = match item {
            LogItem::Term { step, .. } => 1 + step % 1000,
            LogItem::Other { .. } => u64::from(term == 0),
        };
        if step > 0 {
            let leader = if let LogItem::Term { leader, .. } = item { *leader } else { 1 };
            frames.push((position, term));
            bytes.extend(new_term(position, term + step, term, leader, position));
            term += step;
            terms.push(TermStart { term: Term(term), start: Position(position) });
        }
        if let LogItem::Other { kind, source_sequence, payload } = item {
            let position = at + bytes.len() as u64;
            let kind = FrameKind::ALL[1 + usize::from(*kind) % 21];
            let fields = FrameFields { kind, source_sequence: *source_sequence, ..message_fields() };
            frames.push((position, term));
            bytes.extend(frame(position, term, &fields, payload));
        }
    }
    (bytes, frames, terms)
}

/// A message out of plain numbers: each number is used where the kind has room for one.
pub(crate) fn peer<'a>(
    kind: u8,
    numbers: [u64; 4],
    steps: &[(u16, u16)],
    frames: &'a [u8],
) -> PeerMessage<'a> {
    let [a, b, c, d] = numbers;
    let position = |number: u64| Position(number & !7);
    let end = LogEnd { term: Term(a), position: position(b) };
    match kind % 12 {
        0 => PeerMessage::PreVoteRequest { last: end },
        1 => PeerMessage::PreVoteResponse { granted: a % 2 == 1 },
        2 => PeerMessage::VoteRequest { last: end, transfer: c % 2 == 1 },
        3 => PeerMessage::VoteResponse { granted: b % 2 == 1, wall_ns: a },
        4 => PeerMessage::Append { previous: end, commit: position(c), round: d, frames },
        5 => PeerMessage::AppendAccepted {
            matched: position(a),
            durable: position(b),
            round: c,
            low_space: d % 2 == 1,
        },
        6 => {
            let mut terms = TermStarts::new();
            let (mut term, mut start) = (0, c >> 32 << 3);
            for (later, further) in steps {
                term += 1 + u64::from(*later);
                terms.push(TermStart { term: Term(term), start: Position(start) });
                start += 8 + u64::from(*further) * 8;
            }
            PeerMessage::AppendRejected { previous: position(a), end: position(b), round: d, terms }
        }
        7 => PeerMessage::TimeoutNow { end },
        8 => PeerMessage::StatusRequest { nonce: a },
        9 => {
            let offset = c >> 8;
            let total_bytes = offset + frames.len() as u64 + d % 100;
            PeerMessage::SnapshotChunk { last: end, total_bytes, offset, round: d, bytes: frames }
        }
        10 => PeerMessage::SnapshotReceived { position: position(a), offset: b, round: c },
        _ => {
            let health = [LogHealth::Clean, LogHealth::Doubtful, LogHealth::Damaged][(c % 3) as usize];
            PeerMessage::StatusResponse { nonce: d, health, last: end }
        }
    }
}

/// An envelope of the test cluster.
pub(crate) fn envelope(from: u32, to: u32, term: u64) -> Envelope {
    Envelope { cluster: CLUSTER, from: NodeId(from), to: NodeId(to), term: Term(term) }
}

/// A message as bytes.
pub(crate) fn peer_bytes(envelope: &Envelope, message: &PeerMessage<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_peer(&mut bytes, envelope, message);
    bytes
}
