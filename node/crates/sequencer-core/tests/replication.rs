//! How a leader's bytes reach its followers, and what a follower does with them.
//!
//! In: proposals, appends with logs made to measure, lost, doubled, reordered and damaged mail. Checked: the order of
//! effects, acknowledgements, cuts, bounds, and that the logs are the same bytes in the end.

mod kit;

use kit::{
    Cluster, Image, MESSAGE_BYTES, Mail, NEW_TERM_BYTES, Node, acknowledgements, appends, at, config, end,
    message, sends,
};
use proptest::prelude::*;
use sequencer_core::{Config, Effect, HardState, Outgoing, Role};
use sequencer_wire::{Frames, PeerMessage, Position, Term, TermStarts};

fn append<'a>(image: &'a Image, from: u64, to: u64, commit: u64, round: u64) -> PeerMessage<'a> {
    let frames = &image.bytes[from as usize..to as usize];
    PeerMessage::Append { previous: image.end_at(from), commit: Position(commit), round, frames }
}

/// A follower in the last term of its log.
fn follower(image: &Image) -> Node {
    let hard_state = HardState { term: image.end().term, ..HardState::default() };
    Node::with(config(2, 3), image, hard_state, at(0))
}

/// A cluster whose member 1 leads and whose members all hold its first frame.
fn led_cluster(voters: u32) -> Cluster {
    let mut cluster = Cluster::new(voters);
    cluster.elect(1);
    cluster.settle();
    cluster
}

fn assert_equal_logs(cluster: &Cluster) {
    for node in &cluster.nodes {
        assert!(node.stored == cluster.nodes[0].stored, "member {} holds another log", node.id());
    }
}

#[test]
fn bytes_leave_before_the_leaders_own_write_and_in_one_batch() {
    let mut cluster = led_cluster(3);
    let start = cluster.status(1).end.position.0;
    for _ in 0..3 {
        cluster.propose(1, 8);
    }
    assert!(cluster.take(|_| true).is_empty(), "nothing leaves before the flush");
    let now = cluster.now;
    let effects = cluster.node(1).flush(now);
    let to = start + 3 * MESSAGE_BYTES;
    assert_eq!(appends(&effects), [(2, start, to), (3, start, to)]);
    assert_eq!(effects[2..], [Effect::Write { from: Position(start), to: Position(to) }]);
    assert!(cluster.node(1).flush(now).is_empty(), "there is nothing new");
}

#[test]
fn a_new_leader_sends_its_first_frame_before_it_writes_it() {
    let mut node = Node::new(config(1, 3));
    let effects = node.win_election();
    let is_write = |effect: &Effect| matches!(effect, Effect::Write { .. });
    let write = effects.iter().position(is_write).expect("the first frame is written");
    let mut before = appends(&effects[..write]);
    before.sort_unstable();
    assert_eq!(before, [(2, 0, NEW_TERM_BYTES), (3, 0, NEW_TERM_BYTES)]);
}

#[test]
fn a_follower_acknowledges_only_what_is_durable() {
    let image = Image::of(&[(1, 3)]);
    let (first, all) = (NEW_TERM_BYTES + MESSAGE_BYTES, image.len());
    let mut node = follower(&Image::default());
    // A new round is answered at once, so that the leader knows that it is heard.
    let effects = node.hear(1, 1, append(&image, 0, first, 0, 1), at(0));
    assert_eq!(acknowledgements(&effects), [(first, 0)]);
    // Further bytes of the round are answered by the sync alone.
    let effects = node.hear(1, 1, append(&image, first, all, 0, 1), at(0));
    assert_eq!(effects, [Effect::Write { from: Position(first), to: Position(all) }]);
    assert_eq!(acknowledgements(&node.sync_to(first as usize, at(0))), [(all, first)]);
    assert_eq!(acknowledgements(&node.sync(at(0))), [(all, all)]);
    assert!(node.sync(at(0)).is_empty(), "nothing new is durable");
    // What is durable already is acknowledged at once: the first answer may have been lost.
    let effects = node.hear(1, 1, append(&image, first, all, 0, 1), at(0));
    assert_eq!(acknowledgements(&effects), [(all, all)]);
}

#[test]
fn an_acknowledgement_never_names_bytes_beyond_what_matches_the_leader() {
    // The follower has more than the leader says; nothing is known of the rest.
    let (image, longer) = (Image::of(&[(1, 1)]), Image::of(&[(1, 4)]));
    let mut node = follower(&longer);
    let message = append(&image, image.len(), image.len(), 0, 1);
    let effects = node.hear(1, 1, message, at(0));
    assert_eq!(acknowledgements(&effects), [(image.len(), image.len())]);
    assert_eq!(node.core.status().end, longer.end(), "and nothing is cut");
}

#[test]
fn what_an_earlier_leader_had_matched_is_forgotten_under_the_next() {
    let (image, longer) = (Image::of(&[(1, 1)]), Image::of(&[(1, 4)]));
    let mut node = follower(&longer);
    let whole = append(&longer, longer.len(), longer.len(), longer.len(), 1);
    assert_eq!(acknowledgements(&node.hear(1, 1, whole, at(0))), [(longer.len(), longer.len())]);
    // Leader 3 vouches for the shorter log only, and its round starts below that of the other.
    let part = append(&image, image.len(), image.len(), 0, 1);
    assert_eq!(acknowledgements(&node.hear(3, 2, part, at(0))), [(image.len(), image.len())]);
    assert_eq!(node.core.status().commit.0, longer.len(), "what was committed stays so");
}

#[test]
fn a_lost_append_is_repaired_by_the_next_heartbeat() {
    // Which of three appends are lost.
    for lost in 1..8_u8 {
        let mut cluster = led_cluster(2);
        for index in 0..3 {
            cluster.propose(1, 100);
            cluster.flush(1);
            let mail = cluster.take(|mail| mail.has_frames());
            assert_eq!(mail.len(), 1);
            if lost & (1 << index) == 0 {
                cluster.deliver(&mail);
            }
        }
        cluster.settle();
        cluster.heartbeat(1);
        cluster.settle();
        assert_equal_logs(&cluster);
        let status = cluster.status(1);
        assert_eq!(status.commit, status.end.position, "lost: {lost:#b}");
        assert_eq!(cluster.status(2).counters.cuts, 0);
    }
}

#[test]
fn a_lost_first_append_is_repeated_by_the_heartbeat() {
    let mut cluster = Cluster::new(3);
    cluster.campaign(1);
    let lost = cluster.take(|_| true);
    assert!(lost.iter().filter(|mail| mail.has_frames()).count() >= 2);
    cluster.settle();
    assert_eq!(cluster.status(1).commit.0, 0);
    cluster.heartbeat(1);
    cluster.settle();
    assert_eq!(cluster.status(1).commit.0, NEW_TERM_BYTES);
}

#[test]
fn lost_acknowledgements_are_made_good_by_the_next_heartbeat() {
    let mut cluster = led_cluster(2);
    let end = cluster.propose(1, 100);
    cluster.flush(1);
    cluster.sync(1);
    cluster.deliver_round();
    cluster.sync(2);
    assert!(!cluster.take(|mail| mail.from == 2).is_empty());
    assert!(cluster.status(1).commit.0 < end);
    cluster.heartbeat(1);
    cluster.deliver_all();
    assert_eq!(cluster.status(1).commit.0, end);
}

#[test]
fn several_rejections_of_one_round_rewind_once() {
    let mut cluster = led_cluster(2);
    let start = cluster.status(1).end.position.0;
    let mut mail = Vec::new();
    for _ in 0..4 {
        cluster.propose(1, 100);
        cluster.flush(1);
        mail.extend(cluster.take(Mail::has_frames));
    }
    // The first is lost, so each of the others is refused.
    cluster.deliver(&mail[1..]);
    let refusals = cluster.take(|mail| mail.from == 2);
    assert_eq!(refusals.len(), 3);
    let now = cluster.now;
    let sent: Vec<_> = refusals.iter().map(|mail| appends(&cluster.node(1).receive(mail, now))).collect();
    let end = cluster.status(1).end.position.0;
    let range = sent[0].first().map(|append| append.1).zip(sent[0].last().map(|append| append.2));
    assert_eq!(range, Some((start, end)), "everything again, from the gap on");
    assert!(sent[1].is_empty() && sent[2].is_empty(), "{sent:?}");
    cluster.settle();
    assert_equal_logs(&cluster);
}

proptest! {
    #![proptest_config(kit::cases(96))]

    /// Invariant: appends of one leader, however often and in whatever order they arrive, never cut, and what is
    /// acknowledged is a prefix of the leader's log.
    #[test]
    fn doubled_and_reordered_appends_never_cut(
        terms in prop::collection::vec(0..6_usize, 1..6),
        have in any::<prop::sample::Index>(),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..60),
    ) {
        let terms: Vec<_> = terms.iter().enumerate().map(|(index, count)| (index as u64 + 1, *count)).collect();
        let image = Image::of(&terms);
        let boundaries = image.boundaries();
        let term = image.end().term.0;
        let mut node = follower(&Image::parse(&image.bytes[..*have.get(&boundaries) as usize]));
        let mut round = 0;
        for (index, (from, to)) in order.iter().enumerate() {
            let (mut from, mut to) = (*from.get(&boundaries), *to.get(&boundaries));
            if from > to {
                (from, to) = (to, from);
            }
            round += u64::from(index % 5 == 0);
            let effects = node.hear(1, term, append(&image, from, to, 0, round), at(0));
            let has_cut = effects.iter().any(|effect| matches!(effect, Effect::Cut { .. }));
            prop_assert!(!has_cut);
            let more = if index % 3 == 0 { node.sync(at(0)) } else { Vec::new() };
            for (matched, durable) in acknowledgements(&effects).into_iter().chain(acknowledgements(&more)) {
                prop_assert!(durable <= matched && matched <= node.stored.len() as u64);
            }
            prop_assert!(image.bytes.starts_with(&node.stored));
        }
        prop_assert_eq!(node.core.status().counters.cuts, 0);
    }
}

#[test]
fn a_conflict_is_cut_where_it_begins_and_before_the_new_bytes_are_written() {
    let ours = Image::of(&[(1, 3), (2, 2)]);
    // The leader's log, and where it parts from ours.
    let base = Image::of(&[(1, 3)]).len();
    let table = [
        (Image::of(&[(1, 3), (3, 1)]), base),
        (Image::of(&[(1, 3), (3, 9)]), base),
        (Image::of(&[(1, 1), (3, 1)]), base - 2 * MESSAGE_BYTES),
        (Image::of(&[(1, 5), (3, 1)]), base),
        (Image::of(&[(3, 1)]), 0),
        (Image::of(&[(1, 3), (2, 1), (3, 1)]), ours.len() - MESSAGE_BYTES),
    ];
    for (theirs, common) in table {
        assert_eq!(ours.common_end(&theirs), common);
        let mut node = follower(&ours);
        // From the start: what is equal is passed over.
        let effects = node.hear(1, 3, append(&theirs, 0, theirs.len(), 0, 1), at(0));
        let disk: Vec<_> = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Cut { .. } | Effect::Write { .. }))
            .collect();
        let (cut, write) = (Position(common), Position(theirs.len()));
        assert_eq!(disk, [&Effect::Cut { to: cut }, &Effect::Write { from: cut, to: write }]);
        assert_eq!(acknowledgements(&effects), [(theirs.len(), common)], "only what was not cut is durable");
        assert!(node.stored == theirs.bytes);
        assert_eq!(node.core.status().counters.cuts, 1);
        assert_eq!(node.core.terms(), &theirs.terms);
    }
}

#[test]
fn a_longer_log_is_not_cut_by_an_append_that_ends_within_it() {
    let image = Image::of(&[(1, 6)]);
    for to in image.boundaries() {
        let mut node = follower(&image);
        node.hear(1, 1, append(&image, 0, to, 0, 1), at(0));
        assert_eq!((node.core.status().end, node.core.status().counters.cuts), (image.end(), 0));
    }
}

#[test]
#[should_panic(expected = "would remove committed bytes")]
fn a_forged_conflict_below_the_commit_position_stops_the_node() {
    let (ours, theirs) = (Image::of(&[(1, 3)]), Image::of(&[(1, 1), (2, 2)]));
    let mut node = follower(&ours);
    node.hear(1, 1, append(&ours, ours.len(), ours.len(), ours.len(), 1), at(0));
    assert_eq!(node.core.status().commit.0, ours.len());
    node.hear(3, 2, append(&theirs, 0, theirs.len(), 0, 1), at(0));
}

#[test]
fn an_append_of_a_term_that_is_over_changes_nothing() {
    let (ours, theirs) = (Image::of(&[(2, 3)]), Image::of(&[(1, 1)]));
    let mut node = follower(&ours);
    let deadline = node.core.next_deadline_ns();
    let effects = node.hear(1, 1, append(&theirs, 0, theirs.len(), theirs.len(), 9), at(100));
    let [(1, 2, Outgoing::AppendRejected { previous: Position(0), round: 9, .. })] = sends(&effects)[..]
    else {
        panic!("the old leader learns the new term from a refusal: {effects:?}");
    };
    assert_eq!(effects.len(), 1);
    let status = node.core.status();
    assert_eq!((status.leader, status.commit, status.end), (None, Position(0), ours.end()));
    assert_eq!(node.core.next_deadline_ns(), deadline, "it is no sign of a live leader");
}

#[test]
fn an_append_that_does_not_match_is_refused_with_the_own_terms() {
    let ours = Image::of(&[(1, 1), (3, 2), (4, 1)]);
    let end_of_1 = NEW_TERM_BYTES + MESSAGE_BYTES;
    // Log end before the append, terms told: those that start below it.
    let table = [
        (end(5, ours.len() + 800), 3), // beyond the own end
        (end(5, ours.len()), 3),
        (end(2, end_of_1 + NEW_TERM_BYTES), 2),
        (end(2, end_of_1), 1),
    ];
    for (previous, terms_told) in table {
        let mut node = follower(&ours);
        let message =
            PeerMessage::Append { previous, commit: Position(ours.len()), round: 4, frames: &[1; 64] };
        let effects = node.hear(1, 5, message, at(0));
        let [(1, 5, Outgoing::AppendRejected { previous: position, end, round: 4, terms })] =
            sends(&effects)[..]
        else {
            panic!("{effects:?}");
        };
        assert_eq!((position, end), (previous.position, Position(ours.len())));
        assert_eq!(terms.len(), terms_told);
        assert!(terms.as_slice().iter().eq(ours.terms.iter().take(terms_told)));
        assert!(node.stored == ours.bytes && node.core.status().commit.0 == 0);
    }
}

#[test]
fn bytes_on_the_way_stay_within_the_bound_and_one_block() {
    for payload_bytes in [0, 8, 100, 300, 464] {
        let mut cluster = led_cluster(3);
        let start = cluster.status(1).end.position.0;
        let limit = cluster.node(1).config.inflight_bytes_max;
        let block = cluster.node(1).config.block_bytes as u64;
        let now = cluster.now;
        let mut sent = [0; 2];
        let mut proposed = start;
        while proposed + 600 < start + cluster.node(1).config.uncommitted_bytes_max {
            proposed = cluster.propose(1, payload_bytes);
            for (peer, _, to) in appends(&cluster.node(1).flush(now)) {
                sent[peer as usize - 2] = to - start;
            }
        }
        for bytes in sent {
            assert!((limit..limit + block).contains(&bytes), "{bytes} bytes are on the way");
        }
        // Each answer lets as much follow.
        let acknowledged = start + sent[0];
        let (matched, durable) = (Position(acknowledged), Position(acknowledged));
        let answer = PeerMessage::AppendAccepted { matched, durable, round: 1, low_space: false };
        let effects = cluster.node(1).hear(2, 1, answer, now);
        let reached = appends(&effects).last().map_or(0, |(_, _, to)| to - acknowledged);
        assert!((limit..limit + block).contains(&reached), "{reached} bytes are on the way");
        assert!(appends(&effects).iter().all(|(peer, from, to)| *peer == 2 && to - from <= block));
    }
}

#[test]
fn a_follower_behind_the_log_buffer_is_served_from_the_stored_log() {
    let mut cluster = led_cluster(3);
    cluster.crash(3);
    let buffer = cluster.node(1).config.block_bytes as u64 * cluster.node(1).config.blocks as u64;
    while cluster.status(1).end.position.0 < 2 * buffer {
        for _ in 0..8 {
            cluster.propose(1, 333);
        }
        cluster.settle();
        cluster.heartbeat(1);
        cluster.settle();
    }
    cluster.restart(3);
    let now = cluster.now;
    cluster.node(1).holds_reads = true;
    cluster.heartbeat(1);
    cluster.deliver_all();
    let read = cluster.node(1).reads.pop().expect("the leader asks for stored bytes");
    assert_eq!((read.peer.0, read.from.0, read.limit_bytes), (3, NEW_TERM_BYTES, 512));
    assert!(cluster.node(1).reads.is_empty(), "one read at a time");
    assert!(cluster.node(1).flush(now).is_empty(), "it waits for the read");
    let effects = cluster.node(1).answer_read(read, now);
    let sent = appends(&effects);
    assert_eq!((sent.len(), sent[0].0, sent[0].1), (1, 3, NEW_TERM_BYTES));
    assert!(cluster.node(1).answer_read(read, now).is_empty(), "an answer counts once");
    cluster.node(1).holds_reads = false;
    cluster.settle();
    assert_equal_logs(&cluster);
    let reads = cluster.status(1).counters.catch_up_reads;
    assert!(reads * 512 >= buffer, "only {reads} reads");
    assert_eq!(cluster.status(3).counters.damaged_appends, 0);
}

#[test]
fn the_valid_prefix_of_a_damaged_append_is_taken_and_the_rest_repaired() {
    for damaged in 0..4_u64 {
        let mut cluster = led_cluster(2);
        let start = cluster.status(1).end.position.0;
        for _ in 0..4 {
            cluster.propose(1, 8);
        }
        cluster.flush(1);
        let mut mail = cluster.take(Mail::has_frames);
        let at_byte = mail[0].bytes.len() as u64 - (4 - damaged) * MESSAGE_BYTES + 50;
        mail[0].bytes[at_byte as usize] ^= 4;
        cluster.deliver(&mail);
        let status = cluster.status(2);
        assert_eq!(status.end.position.0, start + damaged * MESSAGE_BYTES, "frame {damaged} is damaged");
        assert_eq!(status.counters.damaged_appends, 1);
        cluster.settle();
        cluster.heartbeat(1);
        cluster.settle();
        assert_equal_logs(&cluster);
        assert_eq!(cluster.status(1).commit.0, start + 4 * MESSAGE_BYTES);
    }
}

#[test]
fn frames_cut_short_or_of_another_place_or_term_are_damage() {
    let image = Image::of(&[(1, 4)]);
    let from = NEW_TERM_BYTES;
    let whole = image.from(from);
    let foreign = Image::of(&[(2, 1)]).from(from).to_vec();
    let table: [(&str, Vec<u8>); 4] = [
        ("cut short", whole[..whole.len() - 8].to_vec()),
        ("out of place", whole[56..].to_vec()),
        ("a message of another term", foreign),
        ("no frame at all", vec![0xff; 128]),
    ];
    for (name, frames) in table {
        let mut node = follower(&Image::parse(&image.bytes[..from as usize]));
        let previous = image.end_at(from);
        node.hear(
            1,
            1,
            PeerMessage::Append { previous, commit: Position(0), round: 1, frames: &frames },
            at(0),
        );
        let valid = if name == "cut short" { from + 3 * MESSAGE_BYTES } else { from };
        assert_eq!(node.core.status().end.position.0, valid, "{name}");
        assert_eq!(node.core.status().counters.damaged_appends, 1, "{name}");
        let frames = Frames::new(&node.stored, Position(0), Term::NONE).count();
        assert_eq!(frames as u64, 1 + (valid - from) / MESSAGE_BYTES);
    }
}

#[test]
fn a_frame_that_exceeds_the_followers_block_is_not_taken() {
    let image = Image::of(&[(1, 1)]).message(1000).message(8);
    let mut node = follower(&Image::default());
    node.hear(1, 1, append(&image, 0, image.len(), 0, 1), at(0));
    assert_eq!(node.core.status().end.position.0, NEW_TERM_BYTES + MESSAGE_BYTES);
    assert_eq!(node.core.status().counters.frames_too_large, 1);
}

#[test]
fn an_answer_that_makes_no_sense_moves_nothing() {
    let mut node = Node::leader(config(1, 2), &Image::default(), at(0));
    node.sync(at(600));
    let end = node.core.status().end.position.0;
    let accepted = |matched, durable| PeerMessage::AppendAccepted {
        matched: Position(matched),
        durable: Position(durable),
        round: 1,
        low_space: false,
    };
    // An answer beyond the own end, one more durable than matched, and answers in terms that are over.
    let table = [(1, accepted(end + 8, end), 1), (1, accepted(0, end), 2), (0, accepted(end, end), 2)];
    for (term, message, dropped) in table {
        assert!(node.hear(2, term, message, at(600)).is_empty(), "{message:?}");
        assert_eq!(node.core.status().counters.dropped_messages, dropped);
    }
    let terms = TermStarts::new();
    let rejected = PeerMessage::AppendRejected { previous: Position(0), end: Position(0), round: 1, terms };
    assert!(node.hear(2, 0, rejected, at(600)).is_empty());
    assert_eq!(node.hear(2, 1, accepted(end, end), at(600)), [Effect::Committed { position: Position(end) }]);
}

#[test]
fn an_answer_in_a_newer_term_ends_the_leadership() {
    let answers = [
        PeerMessage::AppendAccepted {
            matched: Position(0),
            durable: Position(0),
            round: 1,
            low_space: false,
        },
        PeerMessage::AppendRejected {
            previous: Position(0),
            end: Position(0),
            round: 1,
            terms: TermStarts::new(),
        },
    ];
    for message in answers {
        let mut node = Node::leader(config(1, 3), &Image::default(), at(0));
        let effects = node.hear(2, 7, message, at(600));
        let saved = HardState { term: Term(7), vote: None, claim: None };
        let role = Effect::RoleChanged { role: Role::Follower, term: Term(7) };
        assert_eq!(effects, [Effect::SaveHardState(saved), role]);
    }
}

#[test]
fn what_a_deposed_leader_admitted_and_never_sent_is_replaced_by_its_successors_log() {
    let mut cluster = led_cluster(3);
    cluster.isolate(&[1]);
    let mut last = 0;
    for _ in 0..5 {
        last = cluster.propose(1, 20);
    }
    // The leader was cut off before it flushed.
    cluster.crash(3);
    cluster.restart(3);
    cluster.elect(2);
    cluster.propose(2, 30);
    cluster.settle();
    assert!(cluster.status(2).end.position.0 < last, "the new log is the shorter one");
    cluster.heal();
    cluster.heartbeat(2);
    cluster.settle();
    assert_equal_logs(&cluster);
    assert_eq!(cluster.status(1).commit, cluster.status(2).commit);
}

#[test]
fn a_large_batch_is_sent_in_appends_of_one_block() {
    let mut cluster = led_cluster(3);
    let now = cluster.now;
    let mut admitted = 0;
    while cluster.node(1).core.propose(&message(&[1; 77]), now).is_ok() {
        admitted += 1;
    }
    assert!(admitted > 50);
    cluster.settle();
    assert_equal_logs(&cluster);
    assert_eq!(cluster.status(1).commit, cluster.status(1).end.position);
}

#[test]
fn a_large_append_never_runs_over_the_log_buffer() {
    let settings = Config {
        block_bytes: 256,
        blocks: 7,
        uncommitted_bytes_max: 256,
        inflight_bytes_max: 256,
        ..config(2, 3)
    };
    assert_eq!(settings.validate(), Ok(()));
    let base = Image::default().new_term(1).message(48);
    let mut image = base.clone().message(0);
    for _ in 0..3 {
        image = image.message(0).message(168);
    }
    image = image.message(0).message(0).message(0);
    let mut node = Node::new(settings);
    let append = |image: &Image, from: u64| {
        let previous = image.end_at(from);
        (previous, image.from(from).to_vec())
    };
    for (image, from) in [(&base, 0), (&image, base.len())] {
        let (previous, frames) = append(image, from);
        let append = PeerMessage::Append { previous, commit: Position(0), round: 1, frames: &frames };
        node.hear(1, 1, append, at(0));
    }
    assert!(image.bytes.starts_with(&node.stored));
}
