//! Where two logs part: the leader finds it from the follower's answers.
//!
//! In: pairs of logs that obey log matching, with up to a hundred terms that only one side has. The twin compares the
//! bytes frame by frame. Checked: the first frames sent start exactly at the twin's point, the follower cuts exactly
//! there, and the number of refusals is bounded by the terms that one answer carries.

mod kit;

use kit::{Image, Node, acknowledgements, appends, at, config};
use proptest::prelude::*;
use sequencer_core::{Effect, HardState, Outgoing};
use sequencer_wire::{PeerMessage, TERM_STARTS_MAX, Term};

/// What it took to bring the follower's log to the leader's.
#[derive(Debug, Default, PartialEq, Eq)]
struct Repair {
    rejections: usize,
    /// Heartbeats without which nothing would have gone on.
    heartbeats: usize,
    cuts: Vec<u64>,
    /// Where the first frames that the follower took in began.
    first_taken: Option<u64>,
}

/// Lets member 1 lead with `ours` and repair member 2, which starts with `theirs`; nothing is lost.
fn repair(ours: &Image, theirs: &Image) -> Repair {
    let newest = ours.end().term.max(theirs.end().term);
    let hard_state = HardState { term: newest, ..HardState::default() };
    let mut leader = Node::with(config(1, 2), ours, hard_state, at(0));
    let mut follower = Node::with(config(2, 2), theirs, hard_state, at(0));
    leader.win_election();
    let mut now = at(700);
    leader.sync(now);
    // Of what it sent so far only the first append is of interest.
    leader.outbox.retain(|mail| matches!(mail.message(), PeerMessage::Append { .. }));
    assert_eq!(leader.outbox.len(), 1);

    let mut repair = Repair::default();
    while !leader.outbox.is_empty() {
        for mail in std::mem::take(&mut leader.outbox) {
            let before = follower.stored.len();
            let mut effects = follower.receive(&mail, now);
            effects.extend(follower.sync(now));
            for effect in &effects {
                if let Effect::Cut { to } = effect {
                    repair.cuts.push(to.0);
                }
            }
            let is_taken = mail.has_frames() && !acknowledgements(&effects).is_empty();
            if let (true, PeerMessage::Append { previous, .. }) = (is_taken, mail.message()) {
                repair.first_taken.get_or_insert(previous.position.0);
            }
            assert!(before <= follower.stored.len() || !repair.cuts.is_empty());
        }
        for mail in std::mem::take(&mut follower.outbox) {
            repair.rejections += usize::from(matches!(mail.message(), PeerMessage::AppendRejected { .. }));
            leader.receive(&mail, now);
        }
        if leader.outbox.is_empty() && follower.stored != leader.stored {
            repair.heartbeats += 1;
            assert!(repair.heartbeats <= 2, "the repair does not go on");
            now = kit::at_ns(leader.core.next_deadline_ns());
            leader.step(sequencer_core::Event::Tick, now);
        }
    }
    assert!(follower.stored == leader.stored, "the logs still differ");
    assert_eq!(leader.core.status().commit, leader.core.status().end.position);
    assert_eq!(follower.core.terms(), leader.core.terms());
    repair
}

/// Refusals that suffice when `unknown` of the follower's terms are not the leader's.
fn rejections_max(unknown: usize) -> usize {
    unknown / TERM_STARTS_MAX + 1
}

/// A log of `terms` terms from `first` on, each with its new-term frame alone.
fn terms(first: u64, count: u64, step: u64) -> Vec<(u64, usize)> {
    (0..count).map(|index| (first + index * step, 0)).collect()
}

#[test]
fn the_point_is_found_for_any_number_of_terms_that_only_the_follower_has() {
    for unknown in [0, 1, 2, 31, 32, 33, 63, 64, 65, 100] {
        // Odd terms are the follower's, even ones the leader's.
        let common = vec![(1, 2), (3, 1)];
        let ours = Image::of(&[&common[..], &[(4, 1), (6, 3)]].concat());
        let theirs = Image::of(&[&common[..], &terms(5, unknown, 2)].concat());
        let found = repair(&ours, &theirs);
        let expected = Image::of(&common).len();
        assert_eq!(found.first_taken, Some(expected), "{unknown} terms");
        assert!(found.rejections <= rejections_max(unknown as usize), "{unknown} terms: {found:?}");
        let cuts = if unknown == 0 { vec![] } else { vec![expected] };
        assert_eq!(found.cuts, cuts, "{unknown} terms");
    }
}

#[test]
fn logs_with_nothing_in_common_are_replaced_from_the_start() {
    for unknown in [1, 32, 40] {
        let (ours, theirs) = (Image::of(&[(200, 2), (202, 1)]), Image::of(&terms(1, unknown, 2)));
        let found = repair(&ours, &theirs);
        assert_eq!((found.first_taken, &found.cuts[..]), (Some(0), &[0][..]), "{unknown} terms");
        assert!(found.rejections <= rejections_max(unknown as usize), "{unknown} terms: {found:?}");
    }
}

#[test]
fn a_follower_with_a_whole_prefix_loses_nothing() {
    let terms: Vec<_> = (1..=80).map(|term| (term, term as usize % 3)).collect();
    let ours = Image::of(&terms);
    for length in ours.boundaries() {
        let theirs = Image::parse(&ours.bytes[..length as usize]);
        let found = repair(&ours, &theirs);
        assert_eq!((found.first_taken, &found.cuts[..]), (Some(length), &[][..]));
        assert!(found.rejections <= 1, "{found:?}");
    }
}

#[test]
fn the_last_common_term_may_be_longer_on_either_side() {
    // Messages of the last common term here and there, and whether each side has a term after it.
    for (ours_has, theirs_has) in [(0, 4), (4, 0), (2, 3), (3, 3)] {
        for (ours_next, theirs_next) in [(true, true), (true, false), (false, true), (false, false)] {
            let log = |messages, next: Option<u64>| {
                let mut terms = vec![(1, 1), (2, messages)];
                terms.extend(next.map(|term| (term, 2)));
                Image::of(&terms)
            };
            let ours = log(ours_has, ours_next.then_some(4));
            let theirs = log(theirs_has, theirs_next.then_some(3));
            let common = ours.common_end(&theirs);
            let found = repair(&ours, &theirs);
            assert_eq!(found.first_taken, Some(common));
            let expected = if theirs.len() > common { vec![common] } else { vec![] };
            assert_eq!(found.cuts, expected, "{ours_has} {theirs_has} {ours_next} {theirs_next}");
        }
    }
}

#[test]
fn a_rewind_is_followed_by_the_missing_bytes_at_once_however_long_the_log() {
    for messages in [1, 100] {
        let ours = Image::of(&[(1, messages), (2, 1)]);
        let theirs = Image::of(&[(1, messages)]);
        let mut leader = Node::leader(config(1, 2), &ours, at(0));
        let mut follower = Node::with(config(2, 2), &theirs, HardState::default(), at(0));
        let now = at(600);
        leader.sync(now);
        let first = leader.outbox.pop().expect("the first append");
        follower.saved.term = Term(1);
        let rejection = follower.receive(&first, now);
        let Some(Effect::Send { message: Outgoing::AppendRejected { .. }, .. }) = rejection.last() else {
            panic!("{rejection:?}");
        };
        let rejection = follower.outbox.pop().expect("the refusal");
        let effects = leader.receive(&rejection, now);
        let ranges = appends(&effects);
        assert_eq!(
            ranges.first().map(|range| range.1),
            Some(theirs.len()),
            "{messages} messages: {effects:?}"
        );
    }
}

/// Two logs that obey log matching: a common part, of whose last term either side may have more, and then terms that
/// only one side has.
fn two_logs() -> impl Strategy<Value = (Image, Image)> {
    let term = (0..3_u8, 0..3_usize);
    let own = (0..4_usize, prop::collection::vec(term.clone(), 0..90));
    (prop::collection::vec(term, 0..50), own.clone(), own).prop_map(|(common, ours, theirs)| {
        let mut last = 0;
        let common: Vec<_> = common
            .into_iter()
            .map(|(gap, messages)| {
                last += u64::from(gap) + 1;
                (last, messages)
            })
            .collect();
        // Each side extends the last common term and adds terms of its own parity.
        let side = |(more, own): (usize, Vec<(u8, usize)>), parity: u64| {
            let mut log = common.clone();
            if let Some(last) = log.last_mut() {
                last.1 += more;
            }
            let mut term = 2 * (last / 2 + 1) + parity;
            for (gap, messages) in own {
                log.push((term, messages));
                term += 2 * (u64::from(gap) + 1);
            }
            Image::of(&log)
        };
        (side(ours, 0), side(theirs, 1))
    })
}

proptest! {
    #![proptest_config(kit::cases(192))]

    /// Invariant: the follower keeps exactly what is the same bytes, and the search is short.
    #[test]
    fn the_rewind_finds_what_a_comparison_of_all_bytes_finds((ours, theirs) in two_logs()) {
        let common = ours.common_end(&theirs);
        let is_unknown = |start: &&sequencer_wire::TermStart| start.start.0 >= common;
        let unknown = theirs.terms.iter().filter(is_unknown).count();
        let found = repair(&ours, &theirs);
        prop_assert_eq!(found.first_taken, Some(common));
        let cuts = if theirs.len() > common { vec![common] } else { vec![] };
        prop_assert_eq!(&found.cuts, &cuts);
        prop_assert!(found.rejections <= rejections_max(unknown), "{:?} for {} terms", found, unknown);
    }

    /// The same while heartbeats fall between, and answers are doubled and come late: still only the tail that differs is
    /// cut, and at most once.
    #[test]
    fn late_and_doubled_answers_do_not_mislead_the_search(
        (ours, theirs) in two_logs(),
        late in prop::collection::vec(any::<(bool, bool, prop::sample::Index)>(), 20..80),
    ) {
        let common = ours.common_end(&theirs);
        let newest = ours.end().term.max(theirs.end().term);
        let hard_state = HardState { term: newest, ..HardState::default() };
        let mut leader = Node::with(config(1, 2), &ours, hard_state, at(0));
        let mut follower = Node::with(config(2, 2), &theirs, hard_state, at(0));
        leader.win_election();
        leader.sync(at(700));
        let term = Term(newest.0 + 1);
        let mut seen = Vec::new();
        let mut now = at(700);
        for (is_heartbeat, is_doubled, index) in late {
            if is_heartbeat {
                now = kit::at_ns(leader.core.next_deadline_ns());
                leader.step(sequencer_core::Event::Tick, now);
            }
            let mut mail = std::mem::take(&mut leader.outbox);
            mail.append(&mut follower.outbox);
            if mail.is_empty() {
                mail.extend(seen.last().cloned());
            }
            if is_doubled && !seen.is_empty() {
                mail.push(index.get(&seen).clone());
            }
            for mail in mail {
                if mail.decode().0.term == term {
                    let node = if mail.to == 1 { &mut leader } else { &mut follower };
                    let effects = node.receive(&mail, now);
                    for effect in &effects {
                        if let Effect::Cut { to } = effect {
                            prop_assert_eq!(to.0, common);
                        }
                    }
                    node.sync(now);
                    seen.push(mail);
                }
            }
        }
        prop_assert!(follower.core.status().counters.cuts <= 1);
        // Left alone it finds the end.
        for _ in 0..2 * rejections_max(100) + 400 {
            let mut mail = std::mem::take(&mut leader.outbox);
            mail.append(&mut follower.outbox);
            if mail.is_empty() {
                now = kit::at_ns(leader.core.next_deadline_ns());
                leader.step(sequencer_core::Event::Tick, now);
            }
            for mail in mail {
                let node = if mail.to == 1 { &mut leader } else { &mut follower };
                let effects = node.receive(&mail, now);
                prop_assert!(appends(&effects).iter().all(|(_, from, to)| from <= to));
                node.sync(now);
            }
            if follower.stored == leader.stored {
                break;
            }
        }
        prop_assert!(follower.stored == leader.stored);
    }
}
