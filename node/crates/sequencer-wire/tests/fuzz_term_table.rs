//! Fuzzing of the term table while a log grows and is cut. In go frames and cuts in any order, and raw bytes
//! that claim to be frames. Checked after each step: the table kept along the way is the table of a fresh
//! walk over the log, and its suffixes travel in a message unchanged.

mod support;

use bolero::TypeGenerator;
use sequencer_wire::{
    Frames, PeerMessage, Position, TERM_STARTS_MAX, Term, TermStart, TermTable, decode_peer,
};
use support::build::{self, CLUSTER, LogItem, envelope};
use support::fuzz::bounded;

#[derive(Debug, Clone, TypeGenerator)]
enum Step {
    /// Frames of a later term.
    Term { step: u16, leader: u32, messages: u8 },
    /// Frames of the same term.
    Messages { messages: u8 },
    /// Bytes that are no frames, or frames left over from before the last cut.
    Noise { from: u16, bytes: u8 },
    /// The log is cut at one of its frames.
    Cut { at: u16 },
}

/// The table of whatever is valid in `log`, and where that ends.
fn walked(log: &[u8]) -> (TermTable, u64) {
    let (mut table, mut walk) = (TermTable::new(), Frames::new(log, Position::START, Term::NONE));
    for frame in walk.by_ref().flatten() {
        table.record(&frame);
    }
    assert_eq!(walk.term(), table.last_term());
    (table, walk.position().0)
}

fn check_suffixes(table: &TermTable, log_end: u64) {
    let all: Vec<TermStart> = table.iter().copied().collect();
    let terms = table.suffix_before(Position(log_end), TERM_STARTS_MAX);
    assert_eq!(terms.as_slice(), &all[all.len() - terms.len()..]);
    assert_eq!(terms.len(), all.len().min(TERM_STARTS_MAX));
    let message =
        PeerMessage::AppendRejected { previous: Position(8), end: Position(log_end), round: 1, terms };
    let bytes = build::peer_bytes(&envelope(1, 2, 3), &message);
    assert_eq!(decode_peer(&bytes, CLUSTER), Ok((envelope(1, 2, 3), message, bytes.len())));
    for window in all.windows(2) {
        assert_eq!(table.end_of(window[0].term, Position(log_end)), Some(window[1].start));
        assert_eq!(table.term_before(window[1].start), window[0].term);
        assert_eq!(table.term_at(window[1].start), window[1].term);
    }
}

#[test]
fn growing_and_cut_logs() {
    let steps = bolero::generator::produce::<Vec<Step>>();
    bounded(bolero::check!(), 20_000).with_generator(steps).for_each(|steps| {
        let (mut log, mut table, mut boundaries) = (Vec::<u8>::new(), TermTable::new(), vec![0_u64]);
        let mut left_over = Vec::new();
        for step in steps {
            let end = log.len() as u64;
            let message = LogItem::Other { kind: 0, source_sequence: end, payload: vec![7; 3] };
            let items = match *step {
                Step::Term { step, leader, messages } => {
                    let mut items = vec![LogItem::Term { step: step.into(), leader }];
                    items.resize(1 + usize::from(messages % 4), message);
                    items
                }
                Step::Messages { messages } => vec![message; usize::from(messages % 4)],
                Step::Noise { from, bytes } => {
                    // What a reader finds past the end must not change what it makes of the log.
                    let mut noisy = log.clone();
                    noisy.extend_from_slice(left_over.get(usize::from(from) & !7..).unwrap_or_default());
                    noisy.resize(noisy.len() + usize::from(bytes), bytes);
                    let (found, valid) = walked(&noisy);
                    assert!(valid >= end);
                    let mut found_before = found.clone();
                    found_before.cut(Position(end));
                    assert_eq!(found_before, table);
                    continue;
                }
                Step::Cut { at } => {
                    let to = boundaries[usize::from(at) % boundaries.len()];
                    boundaries.retain(|boundary| *boundary <= to);
                    left_over = log.split_off(to as usize);
                    table.cut(Position(to));
                    Vec::new()
                }
            };
            let end = log.len() as u64;
            let (bytes, frames, terms) = build::log(end, table.last_term().0, &items);
            log.extend(bytes);
            boundaries.extend(frames.iter().map(|(start, _)| *start).filter(|start| *start > 0));
            boundaries.push(log.len() as u64);
            terms.into_iter().for_each(|start| table.push(start));
            assert_eq!(walked(&log), (table.clone(), log.len() as u64));
            check_suffixes(&table, log.len() as u64);
        }
    });
}

#[test]
fn raw_bytes() {
    bounded(bolero::check!(), 200_000).for_each(|input: &[u8]| {
        let (table, valid) = walked(input);
        assert_eq!(walked(&input[..valid as usize]), (table, valid));
    });
}
