//! Fuzzing of the `Frames` walk and of the term table made from it. In go raw bytes, and logs of several
//! terms that were spoiled in one place and, for half of them, sealed again there. Checked: no panic, the
//! frames before the damage are all found and are those that were written, the walk stops after one error,
//! and a clean end is the end of the bytes.

mod support;

use bolero::TypeGenerator;
use sequencer_wire::{Frames, Position, Term, TermTable};
use support::build::{self, LogItem};
use support::mutate::{self, Mutation};
use support::{error_name, fuzz::bounded, twin_frame};

/// Walks `bytes` with the slow twin: where each frame starts, the term after each, and the error at the end.
fn twin_walk(bytes: &[u8], at: u64, previous: u64) -> (Vec<(u64, u64, u8)>, Option<&'static str>) {
    let (mut frames, mut position, mut term) = (Vec::new(), at, previous);
    while position < at + bytes.len() as u64 {
        match twin_frame::decode(&bytes[(position - at) as usize..], position, term) {
            Ok(frame) => {
                frames.push((position, frame.term, frame.kind));
                position += frame.whole as u64;
                term = frame.term;
            }
            Err(name) => return (frames, Some(name)),
        }
    }
    (frames, None)
}

/// Holds walk and table to what they promise, and returns the frames found.
fn check_walk(bytes: &[u8], at: u64, previous: u64) -> Vec<(u64, u64, u8)> {
    let mut walk = Frames::new(bytes, Position(at), Term(previous));
    let mut table = TermTable::new();
    if previous != 0 {
        table.push(sequencer_wire::TermStart { term: Term(previous), start: Position::START });
    }
    let (mut found, mut error, mut joined) = (Vec::new(), None, Vec::new());
    while let Some(item) = walk.next() {
        assert!(error.is_none(), "nothing comes after an error");
        match item {
            Ok(frame) => {
                assert_eq!((walk.position(), walk.term()), (frame.end(), frame.term));
                found.push((frame.at.0, frame.term.0, frame.fields.kind as u8));
                joined.extend_from_slice(frame.bytes);
                table.record(&frame);
                assert_eq!(table.last_term(), frame.term);
                assert_eq!(table.term_at(frame.at), frame.term);
                assert_eq!(table.term_before(frame.end()), frame.term);
            }
            Err(failed) => error = Some(error_name(&failed)),
        }
    }
    assert!(walk.next().is_none());
    let stands = (walk.position().0 - at) as usize;
    assert_eq!(joined, &bytes[..stands]);
    assert_eq!(error.is_none(), stands == bytes.len());
    let (twin_found, twin_error) = twin_walk(bytes, at, previous);
    assert_eq!(found, twin_found);
    assert_eq!(error.as_deref(), twin_error);
    // The table agrees with a walk of the frames, whatever position is asked for.
    for window in found.windows(2) {
        assert_eq!(table.term_before(Position(window[1].0)), Term(window[0].1));
    }
    found
}

#[test]
fn raw_bytes() {
    bounded(bolero::check!(), 200_000).for_each(|input: &[u8]| {
        check_walk(input, 64, 2);
        check_walk(input, 0, 0);
    });
}

#[derive(Debug, Clone, TypeGenerator)]
enum Item {
    Term {
        step: u16,
        leader: u32,
    },
    Other {
        kind: u8,
        source_sequence: u64,
        #[generator(bolero::generator::produce::<Vec<u8>>().with().len(0..80usize))]
        payload: Vec<u8>,
    },
}

#[derive(Debug, Clone, TypeGenerator)]
struct SpoiledLog {
    at: u32,
    previous: u8,
    #[generator(bolero::generator::produce::<Vec<Item>>().with().len(1..12usize))]
    items: Vec<Item>,
    spoiled: u8,
    #[generator(bolero::generator::produce::<Vec<Mutation>>().with().len(0..3usize))]
    mutations: Vec<Mutation>,
    reseal: bool,
}

#[test]
fn spoiled_logs() {
    bounded(bolero::check!(), 80_000).with_type::<SpoiledLog>().for_each(|input| {
        let items: Vec<_> = input
            .items
            .iter()
            .map(|item| match item.clone() {
                Item::Term { step, leader } => LogItem::Term { step: step.into(), leader },
                Item::Other { kind, source_sequence, payload } => {
                    LogItem::Other { kind, source_sequence, payload }
                }
            })
            .collect();
        let at = u64::from(input.at) * 8;
        let previous = u64::from(input.previous % 3);
        let (mut bytes, starts, _) = build::log(at, previous, &items);
        assert_eq!(
            check_walk(&bytes, at, previous).len(),
            starts.len(),
            "a log as written is walked to its end"
        );

        let (position, term) = starts[usize::from(input.spoiled) % starts.len()];
        let mut tail = bytes.split_off((position - at) as usize);
        for mutation in &input.mutations {
            mutate::apply(mutation, &mut tail);
        }
        if input.reseal {
            mutate::reseal_frame(&mut tail, position, term);
        }
        bytes.extend(tail);
        let found = check_walk(&bytes, at, previous);
        let before = starts.iter().take_while(|(start, _)| *start < position).count();
        assert!(found.len() >= before, "frames before the damage are found");
    });
}
