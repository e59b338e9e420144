//! Fuzzing of `decode_peer`. In go raw bytes, and valid messages that were spoiled and, for half of them,
//! sealed again. Checked: no panic, the same verdict as the slow twin, nothing past the message is looked at,
//! and what decodes encodes to the same bytes.

mod support;

use bolero::TypeGenerator;
use sequencer_wire::{
    ClusterId, ENVELOPE_BYTES, LogEnd, PeerMessage, decode_peer, encode_peer, peek_peer_length,
};
use support::build::{self, CLUSTER};
use support::mutate::{self, Mutation};
use support::{error_name, fuzz::bounded, twin_peer};

/// The values of a body in the order of the layout.
fn in_numbers(message: &PeerMessage<'_>) -> Vec<u64> {
    let pair = |end: LogEnd| [end.term.0, end.position.0];
    match *message {
        PeerMessage::PreVoteRequest { last } => pair(last).to_vec(),
        PeerMessage::PreVoteResponse { granted } => vec![granted.into()],
        PeerMessage::VoteRequest { last, transfer } => vec![last.term.0, last.position.0, transfer.into()],
        PeerMessage::VoteResponse { granted, wall_ns } => vec![wall_ns, granted.into()],
        PeerMessage::Append { previous, commit, round, .. } => {
            vec![previous.term.0, previous.position.0, commit.0, round]
        }
        PeerMessage::AppendAccepted { matched, durable, round, low_space } => {
            vec![matched.0, durable.0, round, low_space.into()]
        }
        PeerMessage::SnapshotChunk { last, total_bytes, offset, round, .. } => {
            vec![last.term.0, last.position.0, total_bytes, offset, round]
        }
        PeerMessage::SnapshotReceived { position, offset, round } => vec![position.0, offset, round],
        PeerMessage::AppendRejected { previous, end, round, terms } => {
            let list = terms.as_slice();
            let mut numbers = vec![previous.0, end.0, round, list.len() as u64];
            numbers.extend(list.iter().flat_map(|entry| [entry.term.0, entry.start.0]));
            numbers
        }
        PeerMessage::TimeoutNow { end } => pair(end).to_vec(),
        PeerMessage::StatusRequest { nonce } => vec![nonce],
        PeerMessage::StatusResponse { nonce, health, last } => {
            vec![nonce, last.term.0, last.position.0, health as u64]
        }
    }
}

/// Holds the decoder to everything that it promises about `bytes`, and returns the name of the error.
fn check_decoder(bytes: &[u8], cluster: ClusterId) -> Result<(), String> {
    let (envelope, message, taken) = match (decode_peer(bytes, cluster), twin_peer::decode(bytes, cluster.0))
    {
        (Ok(decoded), Ok(twin)) => {
            let (envelope, message, taken) = decoded;
            assert_eq!((envelope.cluster, envelope.from.0, envelope.to.0), (cluster, twin.from, twin.to));
            assert_eq!((envelope.term.0, message.kind() as u8, taken), (twin.term, twin.kind, twin.length));
            assert_eq!(in_numbers(&message), twin.body);
            if let PeerMessage::Append { frames: bytes, .. } | PeerMessage::SnapshotChunk { bytes, .. } =
                message
            {
                assert_eq!(bytes, twin.frames);
            }
            decoded
        }
        (Err(error), Err(name)) => {
            assert_eq!(error_name(&error), name);
            return Err(name.to_owned());
        }
        (fast, twin) => panic!("decoder and twin disagree: {fast:?}, {twin:?}"),
    };
    assert_eq!(peek_peer_length(bytes), Ok(taken));
    assert_eq!(decode_peer(&bytes[..taken], cluster), Ok((envelope, message, taken)));
    assert!(decode_peer(&bytes[..taken - 1], cluster).is_err());
    let mut again = vec![0xA5; 3];
    encode_peer(&mut again, &envelope, &message);
    assert_eq!(again[3..], bytes[..taken]);
    Ok(())
}

#[test]
fn raw_bytes() {
    bounded(bolero::check!(), 400_000).for_each(|input: &[u8]| {
        let _ = check_decoder(input, CLUSTER);
        if input.len() >= ENVELOPE_BYTES {
            let mut bytes = input.to_vec();
            let length = ENVELOPE_BYTES + usize::from(input[0]) % (input.len() - ENVELOPE_BYTES + 1);
            bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
            mutate::reseal_peer(&mut bytes);
            let _ = check_decoder(&bytes, CLUSTER);
            // A known envelope lets the body be anything.
            bytes[8..12].copy_from_slice(&[1, 1 + input[9] % 12, 0, 0]);
            bytes[20..24].fill(0);
            bytes[24..40].copy_from_slice(&CLUSTER.0);
            mutate::reseal_peer(&mut bytes);
            let _ = check_decoder(&bytes, CLUSTER);
        }
    });
}

#[derive(Debug, Clone, TypeGenerator)]
struct Spoiled {
    kind: u8,
    nodes: (u32, u32),
    term: u64,
    numbers: [u64; 4],
    #[generator(bolero::generator::produce::<Vec<(u16, u16)>>().with().len(0..=32usize))]
    steps: Vec<(u16, u16)>,
    #[generator(bolero::generator::produce::<Vec<u8>>().with().len(0..200usize))]
    frames: Vec<u8>,
    #[generator(bolero::generator::produce::<Vec<Mutation>>().with().len(0..4usize))]
    mutations: Vec<Mutation>,
    count: Option<u8>,
    reseal: bool,
}

#[test]
fn spoiled_messages() {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    let counted = std::panic::AssertUnwindSafe(std::cell::RefCell::new(&mut seen));
    bounded(bolero::check!(), 400_000).with_type::<Spoiled>().for_each(|input| {
        let message = build::peer(input.kind, input.numbers, &input.steps, &input.frames);
        let mut bytes =
            build::peer_bytes(&build::envelope(input.nodes.0, input.nodes.1, input.term), &message);
        for mutation in &input.mutations {
            mutate::apply(mutation, &mut bytes);
        }
        if let (Some(count), true) = (input.count, bytes.len() > 73) {
            bytes[72] = count % 40;
        }
        if input.reseal {
            mutate::reseal_peer(&mut bytes);
        }
        let name = check_decoder(&bytes, CLUSTER).err().unwrap_or_else(|| "Ok".to_owned());
        *counted.borrow_mut().entry(name).or_default() += 1;
    });
    // The target is worth little when it stops reaching some of the code.
    for name in [
        "Ok",
        "PeerTruncated",
        "PeerLengthOutOfRange",
        "PeerChecksum",
        "UnsupportedPeerVersion",
        "UnsupportedPeerKind",
        "UnsupportedPeerFlags",
        "PeerNonZeroReserved",
        "WrongCluster",
        "PeerBodyLength",
        "PeerValue",
        "PeerMisaligned",
        "PeerChunkOutOfRange",
        "TooManyTermStarts",
        "TermStartsNotAscending",
    ] {
        assert!(seen.contains_key(name), "no input led to {name}: {seen:?}");
    }
}
