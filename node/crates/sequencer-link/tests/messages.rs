//! Messages of clients and nodes: what is written is read back, and damage is never taken for something else.
//!
//! In: random messages of every kind; single bits flipped; lengths that lie. Checked: equality, the error, and that nothing panics.

use proptest::prelude::*;
use sequencer_link::{
    Ask, BatchKind, BatchWriter, Command, EndReason, Leader, LinkError, MESSAGE_BYTES_MAX, Open, Positions,
    Record, Tell, decode_ask, decode_ask_again, decode_tell, encode_ask, encode_tell, peek_message,
};
use sequencer_wire::{NodeId, Position, Term};

fn text() -> impl Strategy<Value = String> {
    "[a-zäß0-9.:-]{0,40}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// An ask that owns what it names.
#[derive(Debug, Clone)]
enum OwnedAsk {
    Open(String, u32, u64, u32),
    Close(u32, u32),
    KeepAlive(u32, u32),
    Command(u8, [u32; 3], [u64; 2], Vec<u8>),
    Subscribe(u64),
    Unsubscribe,
}

impl OwnedAsk {
    fn as_ask(&self) -> Ask<'_> {
        match self {
            Self::Open(name, group, timeout_ns, resume) => {
                Ask::Open(Open { name, group: *group, timeout_ns: *timeout_ns, resume: *resume })
            }
            Self::Close(session, epoch) => Ask::Close { session: *session, epoch: *epoch },
            Self::KeepAlive(session, epoch) => Ask::KeepAlive { session: *session, epoch: *epoch },
            Self::Command(kind, [source_id, epoch, replica], [sequence, cause], body) => {
                Ask::Command(Command {
                    kind: *kind,
                    source_id: *source_id,
                    epoch: *epoch,
                    sequence: *sequence,
                    cause: Position(*cause),
                    replica: *replica,
                    body,
                })
            }
            Self::Subscribe(from) => Ask::Subscribe { from: Position(*from) },
            Self::Unsubscribe => Ask::Unsubscribe,
        }
    }
}

fn ask() -> impl Strategy<Value = OwnedAsk> {
    prop_oneof![
        (text(), any::<u32>(), any::<u64>(), any::<u32>())
            .prop_map(|(a, b, c, d)| OwnedAsk::Open(a, b, c, d)),
        any::<(u32, u32)>().prop_map(|(a, b)| OwnedAsk::Close(a, b)),
        any::<(u32, u32)>().prop_map(|(a, b)| OwnedAsk::KeepAlive(a, b)),
        (any::<u8>(), any::<[u32; 3]>(), any::<[u64; 2]>(), bytes())
            .prop_map(|(a, b, c, d)| OwnedAsk::Command(a, b, c, d)),
        any::<u64>().prop_map(OwnedAsk::Subscribe),
        Just(OwnedAsk::Unsubscribe),
    ]
}

fn check_ask(message: &[u8], tag: u32, ask: &Ask<'_>) -> Result<(), TestCaseError> {
    let whole = peek_message(message).expect("the length is sound").expect("it is whole");
    prop_assert_eq!(whole.len(), message.len());
    let (head, found) = decode_ask(whole).expect("it was written just now");
    prop_assert_eq!((head.tag, &found), (tag, ask));
    prop_assert_eq!(decode_ask_again(whole).expect("the same").1, found);
    // Cut short it is not there yet.
    prop_assert_eq!(peek_message(&message[..message.len() - 1]), Ok(None));
    Ok(())
}

proptest! {
    #[test]
    fn asks_are_read_as_they_were_written(owned in ask(), tag in any::<u32>(), before in bytes()) {
        let mut into = before.clone();
        encode_ask(&mut into, tag, &owned.as_ask());
        prop_assert_eq!(&into[..before.len()], &before[..]);
        check_ask(&into[before.len()..], tag, &owned.as_ask())?;
    }

    #[test]
    fn batches_are_read_as_they_were_written(
        records in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u64>(), bytes()), 1..20),
        [source, epoch, extra] in any::<[u32; 3]>(),
        first in 0..u64::MAX / 2,
        is_publish in any::<bool>(),
    ) {
        let kind = if is_publish { BatchKind::Publish } else { BatchKind::Outputs };
        let mut into = vec![1, 2, 3];
        let mut writer = BatchWriter::begin(&mut into, kind, source, epoch, first, extra);
        let written: Vec<Record<'_>> = records
            .iter()
            .map(|(schema_id, schema_version, cause, payload)| Record {
                schema_id: *schema_id,
                schema_version: *schema_version,
                cause: Position(*cause),
                payload,
            })
            .collect();
        written.iter().for_each(|record| writer.push(&mut into, record));
        writer.seal(&mut into);
        let (_, ask) = decode_ask(&into[3..]).expect("it was written just now");
        let Ask::Batch(batch) = ask else { panic!("a batch became something else") };
        prop_assert_eq!((batch.kind, batch.source, batch.epoch, batch.first, batch.extra), (kind, source, epoch, first, extra));
        let found: Vec<_> = batch.records().map(|record| record.expect("each record is whole")).collect();
        prop_assert_eq!(found, written);
        // Written again from what was read, it is the same.
        let mut again = Vec::new();
        encode_ask(&mut again, 0, &ask);
        prop_assert_eq!(&again[..], &into[3..]);
    }

    #[test]
    fn tells_are_read_as_they_were_written(
        tag in any::<u32>(), [session, epoch] in any::<[u32; 2]>(), [first, from, term] in any::<[u64; 3]>(),
        places in prop::collection::vec(any::<u64>(), 0..50), json in bytes(), address in text(), is_here in any::<bool>(),
    ) {
        let places: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
        // Frames are a multiple of 8 bytes.
        let frames = vec![5; json.len() / 8 * 8];
        let tells = [
            Tell::Admitted { session, epoch, first, positions: Positions::new(&places) },
            Tell::Answer { json: &json },
            Tell::Frames { from: Position(from), previous: Term(term), commit: Position(first), frames: &frames },
            Tell::Leader(Leader { term: Term(term), id: (session != 0).then_some(NodeId(session)), address: &address, is_here }),
            Tell::Ended { reason: EndReason::Trimmed, position: Position(from) },
        ];
        for tell in tells {
            let mut into = Vec::new();
            encode_tell(&mut into, tag, &tell);
            let whole = peek_message(&into).expect("the length is sound").expect("it is whole");
            prop_assert_eq!(whole.len(), into.len());
            let (head, found) = decode_tell(whole).expect("it was written just now");
            prop_assert_eq!((head.tag, found), (tag, tell));
        }
    }

    #[test]
    fn a_flipped_bit_is_refused(owned in ask(), bit in any::<prop::sample::Index>()) {
        let mut into = Vec::new();
        encode_ask(&mut into, 7, &owned.as_ask());
        // The length is judged by whoever waits for the message.
        let bit = 32 + bit.index(into.len() * 8 - 32);
        into[bit / 8] ^= 1 << (bit % 8);
        let is_checksum = matches!(decode_ask(&into), Err(LinkError::Checksum { .. }));
        prop_assert!(is_checksum);
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 16..300), kind in 0..80_u8) {
        bytes[8] = kind;
        let length = bytes.len() / 8 * 8;
        let _any = (peek_message(&bytes).is_ok(), decode_ask(&bytes).is_ok(), decode_tell(&bytes).is_ok());
        // With the checksum out of the way, the content itself is judged.
        if let Ok((_, Ask::Batch(batch))) = decode_ask_again(&bytes[..length]) {
            prop_assert!(batch.records().count() <= batch.count as usize);
        }
    }
}

#[test]
fn lengths_that_no_message_has_are_refused_before_anything_is_waited_for() {
    for bytes in [0_u32, 8, 20, MESSAGE_BYTES_MAX as u32 + 8, u32::MAX] {
        let mut head = [0; 16];
        head[..4].copy_from_slice(&bytes.to_le_bytes());
        assert!(matches!(peek_message(&head), Err(LinkError::Length { .. })), "{bytes}");
    }
    assert_eq!(peek_message(&[0xff; 15]), Ok(None));
}

#[test]
fn a_batch_that_lies_about_its_records_ends_with_an_error() {
    let mut into = Vec::new();
    let mut writer = BatchWriter::begin(&mut into, BatchKind::Publish, 1, 1, 1, 0);
    let record = Record { schema_id: 0, schema_version: 0, cause: Position(0), payload: b"four" };
    writer.push(&mut into, &record);
    writer.seal(&mut into);
    for (count, payload_bytes) in [(2_u32, 4_u32), (1, 40), (1, u32::MAX), (1, 12)] {
        let mut lie = into.clone();
        lie[32..36].copy_from_slice(&count.to_le_bytes());
        lie[40..44].copy_from_slice(&payload_bytes.to_le_bytes());
        let (_, ask) = decode_ask_again(&lie).expect("the head is sound");
        let Ask::Batch(batch) = ask else { panic!("a batch became something else") };
        assert!(batch.records().last().expect("there is one").is_err(), "{count} {payload_bytes}");
    }
}
