//! Fuzzing of `decode_frame`. In go raw bytes, and valid frames that were spoiled and, for half of them,
//! sealed again so that the checks behind the checksum are reached. Checked: no panic, the same verdict as
//! the slow twin, nothing past the frame is looked at, and what decodes encodes to the same bytes.

mod support;

use bolero::TypeGenerator;
use sequencer_wire::{
    FrameFields, FrameKind, HEADER_BYTES, Position, Term, decode_frame, encode_frame, header_kind,
    header_timestamp_ns, peek_length,
};
use support::mutate::{self, Mutation};
use support::twin_frame::{self, TwinFrame};
use support::{build, error_name, fuzz::bounded};

/// Holds the decoder to everything that it promises about `bytes`, and returns the name of the error.
fn check_decoder(bytes: &[u8], at: u64, previous: u64) -> Result<(), String> {
    let decoded = decode_frame(bytes, Position(at), Term(previous));
    let twin = twin_frame::decode(bytes, at, previous);
    let frame = match (decoded, twin) {
        (Ok(frame), Ok(twin)) => {
            let fields = frame.fields;
            let in_numbers = TwinFrame {
                whole: frame.bytes.len(),
                term: frame.term.0,
                kind: fields.kind as u8,
                flags: fields.flags,
                source_id: fields.source_id,
                source_sequence: fields.source_sequence,
                timestamp_ns: fields.timestamp_ns,
                cause: fields.cause.0,
                schema_id: fields.schema_id,
                schema_version: fields.schema_version,
                epoch: fields.epoch,
                payload: frame.payload.to_vec(),
            };
            assert_eq!(in_numbers, twin);
            frame
        }
        (Err(error), Err(name)) => {
            assert_eq!(error_name(&error), name);
            assert!(error.to_string().contains(&at.to_string()), "the error names the position");
            return Err(name.to_owned());
        }
        (fast, twin) => panic!("decoder and twin disagree: {fast:?}, {twin:?}"),
    };

    let whole = frame.bytes.len();
    assert_eq!(peek_length(bytes, Position(at)), Ok(whole));
    assert_eq!(frame.bytes, &bytes[..whole]);
    assert_eq!(frame.end().0, at + whole as u64);
    assert_eq!(header_timestamp_ns(frame.bytes), frame.fields.timestamp_ns);
    assert_eq!(header_kind(frame.bytes), Some(frame.fields.kind));
    assert_eq!(frame.new_term().is_some(), frame.fields.kind == FrameKind::NewTerm);
    // Nothing past the frame counts, and nothing of it may be missing.
    assert_eq!(decode_frame(&bytes[..whole], Position(at), Term(previous)), Ok(frame));
    assert!(decode_frame(&bytes[..whole - 1], Position(at), Term(previous)).is_err());

    let mut again = vec![0xA5; whole];
    assert_eq!(encode_frame(&mut again, frame.at, frame.term, &frame.fields, frame.payload), Ok(whole));
    assert_eq!(again, frame.bytes);
    Ok(())
}

#[test]
fn raw_bytes() {
    bounded(bolero::check!(), 400_000).for_each(|input: &[u8]| {
        // Most raw input has an impossible length; a second run gives it one that leads further.
        let _ = check_decoder(input, 1 << 20, 3);
        if input.len() >= HEADER_BYTES {
            let mut bytes = input.to_vec();
            let length = HEADER_BYTES + usize::from(input[0]) % (input.len() - HEADER_BYTES + 1);
            bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
            let _ = check_decoder(&bytes, 0, u64::from(input[1] % 3));
            mutate::reseal_frame(&mut bytes, 0, u64::from(input[1] % 3));
            let _ = check_decoder(&bytes, 0, u64::from(input[1] % 3));
        }
    });
}

#[derive(Debug, Clone, TypeGenerator)]
struct Spoiled {
    at: u64,
    near_the_end: bool,
    previous: u8,
    term_step: u8,
    claimed_previous: Option<u8>,
    kind: u8,
    source_id: u32,
    source_sequence: u64,
    timestamp_ns: u64,
    cause: u64,
    schema: (u16, u16),
    #[generator(bolero::generator::produce::<Vec<u8>>().with().len(0..400usize))]
    payload: Vec<u8>,
    #[generator(bolero::generator::produce::<Vec<Mutation>>().with().len(0..4usize))]
    mutations: Vec<Mutation>,
    reseal: bool,
}

impl Spoiled {
    fn at(&self) -> u64 {
        if self.near_the_end { u64::MAX - self.at % 512 } else { self.at >> 1 }
    }

    fn previous(&self) -> u64 {
        u64::from(self.previous % 4)
    }

    fn bytes(&self) -> Vec<u8> {
        let kind = FrameKind::ALL[usize::from(self.kind) % FrameKind::ALL.len()];
        // A frame that the encoder refuses for its position is made for another one and sealed for the real
        // one.
        let at = self.at() >> 1;
        let mut bytes = if kind == FrameKind::NewTerm {
            let term = self.previous() + 1 + u64::from(self.term_step);
            build::new_term(at, term, self.previous(), self.source_id, self.timestamp_ns)
        } else {
            let fields = FrameFields {
                kind,
                flags: 0,
                source_id: self.source_id,
                source_sequence: self.source_sequence,
                timestamp_ns: self.timestamp_ns,
                cause: Position(self.cause),
                schema_id: self.schema.0,
                schema_version: self.schema.1,
                epoch: self.schema.0.into(),
            };
            build::frame(at, self.previous().max(1), &fields, &self.payload)
        };
        if let (FrameKind::NewTerm, Some(claimed)) = (kind, self.claimed_previous) {
            bytes[56] = claimed % 4;
        }
        mutate::reseal_frame(&mut bytes, self.at(), self.previous());
        for mutation in &self.mutations {
            mutate::apply(mutation, &mut bytes);
        }
        if self.reseal {
            mutate::reseal_frame(&mut bytes, self.at(), self.previous());
        }
        bytes
    }
}

#[test]
fn spoiled_frames() {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    let counted = std::panic::AssertUnwindSafe(std::cell::RefCell::new(&mut seen));
    bounded(bolero::check!(), 400_000).with_type::<Spoiled>().for_each(|input| {
        let verdict = check_decoder(&input.bytes(), input.at(), input.previous());
        let name = verdict.err().unwrap_or_else(|| "Ok".to_owned());
        *counted.borrow_mut().entry(name).or_default() += 1;
    });
    // The target is worth little when it stops reaching some of the code.
    for name in [
        "Ok",
        "Truncated",
        "LengthOutOfRange",
        "PositionOutOfRange",
        "Checksum",
        "UnsupportedVersion",
        "UnsupportedKind",
        "UnsupportedFlags",
        "NonZeroReserved",
        "NonZeroPadding",
        "PayloadLength",
        "BrokenChain",
        "NoTerm",
    ] {
        assert!(seen.contains_key(name), "no input led to {name}: {seen:?}");
    }
}
