//! Properties of the term table, against a slow twin that keeps the term of each 8-byte unit of the log in a
//! list.

mod support;

use proptest::prelude::*;
use sequencer_wire::{Position, TERM_STARTS_MAX, Term, TermStart, TermStarts, TermTable};
use support::properties::config;

/// The term of each unit, from position 0 on.
fn units(starts: &[TermStart], log_end: u64) -> Vec<u64> {
    (0..log_end / 8)
        .map(|unit| starts.iter().filter(|entry| entry.start.0 <= unit * 8).map(|entry| entry.term.0).max())
        .map(|term| term.unwrap_or(0))
        .collect()
}

prop_compose! {
    fn any_log()(
        first in prop_oneof![Just(0_u64), 0..20_u64],
        steps in proptest::collection::vec((1..4_u64, 1..6_u64), 0..50),
        last_units in 1..6_u64,
    ) -> (Vec<TermStart>, u64) {
        let (mut term, mut unit, mut starts) = (0, first, Vec::new());
        for (later, further) in steps {
            term += later;
            starts.push(TermStart { term: Term(term), start: Position(unit * 8) });
            unit += further;
        }
        (starts, (unit + last_units) * 8)
    }
}

fn table(starts: &[TermStart]) -> TermTable {
    let mut table = TermTable::new();
    for start in starts {
        table.push(*start);
    }
    table
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_table_knows_the_term_of_every_byte((starts, log_end) in any_log()) {
        let table = table(&starts);
        let units = units(&starts, log_end);
        prop_assert_eq!(table.last_term().0, starts.last().map_or(0, |last| last.term.0));
        prop_assert_eq!(table.iter().copied().collect::<Vec<_>>(), starts);
        for (unit, term) in units.iter().enumerate() {
            let position = Position(unit as u64 * 8);
            prop_assert_eq!(table.term_at(position).0, *term);
            prop_assert_eq!(table.term_before(position.advanced(8)).0, *term);
        }
        prop_assert_eq!(table.term_before(Position::START), Term::NONE);
    }

    #[test]
    fn the_table_knows_where_every_term_starts_and_ends((starts, log_end) in any_log()) {
        let table = table(&starts);
        let units = units(&starts, log_end);
        for term in 0..=table.last_term().0 + 1 {
            let first = units.iter().position(|unit| *unit == term && term != 0);
            let last = units.iter().rposition(|unit| *unit == term && term != 0);
            prop_assert_eq!(table.starts_at(Term(term)), first.map(|unit| Position(unit as u64 * 8)));
            let end = last.map(|unit| Position((unit as u64 + 1) * 8));
            prop_assert_eq!(table.end_of(Term(term), Position(log_end)), end);
        }
    }

    #[test]
    fn a_cut_table_is_that_of_the_shorter_log(
        (starts, log_end) in any_log(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut cut = table(&starts);
        let to = to.index(log_end as usize / 8 + 1) as u64 * 8;
        cut.cut(Position(to));
        let left: Vec<_> = starts.iter().copied().filter(|entry| entry.start.0 < to).collect();
        prop_assert_eq!(&cut, &table(&left));
        prop_assert_eq!((cut.len(), cut.is_empty()), (left.len(), left.is_empty()));
        prop_assert_eq!(cut.last_term(), table(&starts).term_before(Position(to)));
    }

    #[test]
    fn a_table_in_two_pieces_is_spliced_to_the_whole(
        (starts, log_end) in any_log(),
        at in any::<prop::sample::Index>(),
        overlap in 0..100_u64,
    ) {
        let at = at.index(log_end as usize / 8 + 1) as u64 * 8;
        // A stored log may begin below the snapshot that it is spliced to, and the snapshot may know terms above.
        let below: Vec<_> = starts.iter().copied().filter(|entry| entry.start.0 < at + overlap).collect();
        let rest: Vec<_> = starts.iter().copied().filter(|entry| entry.start.0 + overlap >= at).collect();
        let spliced = TermTable::splice(&table(&below), Position(at), &table(&rest));
        prop_assert_eq!(spliced, table(&starts));
    }

    #[test]
    fn a_suffix_is_the_last_entries(
        (starts, log_end) in any_log(),
        max in 0..60_usize,
        position in 0..400_u64,
    ) {
        let table = table(&starts);
        let max_held = max.min(TERM_STARTS_MAX);
        let last = |entries: &[TermStart]| entries[entries.len().saturating_sub(max_held)..].to_vec();
        prop_assert_eq!(table.suffix(max).as_slice().to_vec(), last(&starts));
        prop_assert_eq!(table.suffix_before(Position(log_end), max), table.suffix(max));
        let before: Vec<_> = starts.iter().copied().filter(|entry| entry.start.0 < position).collect();
        prop_assert_eq!(table.suffix_before(Position(position), max).as_slice().to_vec(), last(&before));
    }
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_term_does_not_start_twice() {
    let start = TermStart { term: Term(1), start: Position(0) };
    table(&[start, TermStart { start: Position(8), ..start }]);
}

#[test]
#[should_panic(expected = "does not follow")]
fn two_terms_do_not_start_at_one_position() {
    let start = TermStart { term: Term(1), start: Position(0) };
    table(&[start, TermStart { term: Term(2), ..start }]);
}

#[test]
#[should_panic(expected = "does not follow")]
fn no_term_is_zero() {
    TermStarts::new().push(TermStart::default());
}

#[test]
#[should_panic(expected = "does not follow")]
fn tables_of_two_histories_are_not_spliced() {
    let start = |term, start| TermStart { term: Term(term), start: Position(start) };
    let (below, rest) = (table(&[start(1, 0), start(5, 80)]), table(&[start(4, 160)]));
    let _ = TermTable::splice(&below, Position(120), &rest);
}

#[test]
fn a_splice_takes_what_starts_below_from_one_and_what_starts_at_or_past_from_the_other() {
    let start = |term, start| TermStart { term: Term(term), start: Position(start) };
    let below = table(&[start(1, 0), start(2, 80), start(3, 160)]);
    let rest = table(&[start(2, 72), start(4, 160), start(6, 240)]);
    let spliced = TermTable::splice(&below, Position(160), &rest);
    assert_eq!(spliced, table(&[start(1, 0), start(2, 80), start(4, 160), start(6, 240)]));
    assert_eq!(TermTable::splice(&below, Position::START, &TermTable::new()), TermTable::new());
}

#[test]
#[should_panic(expected = "holds 32 entries")]
fn a_list_has_a_bound() {
    let mut list = TermStarts::new();
    for number in 1..=33 {
        list.push(TermStart { term: Term(number), start: Position(number * 8) });
    }
}

#[test]
fn lists_are_equal_when_their_entries_are() {
    let mut list = TermStarts::default();
    assert!(list.is_empty());
    list.push(TermStart { term: Term(1), start: Position(0) });
    assert_eq!((list.len(), list != TermStarts::new()), (1, true));
    assert!(format!("{list:?}").starts_with("[TermStart"));
}
