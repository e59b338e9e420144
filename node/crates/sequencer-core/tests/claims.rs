//! Doubt about the own log: what a node with a claim may do, and what settles the claim.
//!
//! In: nodes that start with a claim, made-up answers, and clusters that lost power. Checked: campaigns, votes, when a
//! claim is lowered or dropped, and that it is saved before anything reveals it (the kit checks each status answer).

mod kit;

use kit::{Cluster, Image, MESSAGE_BYTES, Node, acknowledgements, at, at_ns, config, end, sends};
use proptest::prelude::*;
use sequencer_core::{Claim, Effect, Event, HardState, Outgoing, Role};
use sequencer_wire::{LogEnd, LogHealth, NodeId, PeerMessage, Position, Term};

fn claim(end: LogEnd, damaged: bool) -> Option<Claim> {
    Some(Claim { end, damaged, membership: false })
}

/// Member 1 of `voters`, in the term of the claim.
fn node(voters: u32, image: &Image, claim: Option<Claim>) -> Node {
    let term = claim.map_or(image.end().term, |claim| claim.end.term.max(image.end().term));
    Node::with(config(1, voters), image, HardState { term, vote: None, claim }, at(0))
}

/// Lets the election time-out pass; returns the nonce that the others are asked with, if they are.
fn ask(node: &mut Node) -> Option<u64> {
    let now = at_ns(node.core.next_deadline_ns());
    let effects = node.step(Event::Tick, now);
    let nonces: Vec<_> = sends(&effects)
        .into_iter()
        .map(|(to, _, message)| match message {
            Outgoing::StatusRequest { nonce } => (to, nonce),
            other => panic!("a node with a claim sends {other:?}"),
        })
        .collect();
    let peers: Vec<_> = nonces.iter().map(|(to, _)| *to).collect();
    assert!(peers.is_empty() || peers == node.peers(), "all voters are asked: {peers:?}");
    assert!(nonces.windows(2).all(|pair| pair[0].1 == pair[1].1));
    nonces.first().map(|(_, nonce)| *nonce)
}

fn answer(nonce: u64, health: LogHealth, last: LogEnd) -> PeerMessage<'static> {
    PeerMessage::StatusResponse { nonce, health, last }
}

#[test]
fn a_node_with_a_claim_never_campaigns() {
    let image = Image::of(&[(2, 2)]);
    for damaged in [false, true] {
        let mut node = node(3, &image, claim(end(2, image.len() + 800), damaged));
        for _ in 0..20 {
            assert_eq!(ask(&mut node).is_some(), !damaged, "a damaged claim is not settled by asking");
            let status = node.core.status();
            assert_eq!((status.role, status.term), (Role::Follower, Term(2)));
        }
        assert_eq!(node.core.status().counters.pre_votes, 0);
        assert_eq!(node.core.status().counters.campaigns, 0);
    }
}

#[test]
fn each_inquiry_has_a_nonce_of_its_own() {
    let mut node = node(3, &Image::default(), claim(end(1, 800), false));
    let nonces: std::collections::BTreeSet<_> = (0..10).map(|_| ask(&mut node)).collect();
    assert_eq!(nonces.len(), 10);
}

#[test]
fn votes_are_judged_by_the_claim_as_if_its_bytes_were_there() {
    let image = Image::of(&[(2, 2)]);
    let claimed = end(3, image.len() + 800);
    // The candidate's log end, whether it gets the vote of a node with that claim.
    let table = [
        (image.end(), false),
        (end(2, 8000), false),
        (end(3, claimed.position.0 - 8), false),
        (claimed, true),
        (end(3, claimed.position.0 + 8), true),
        (end(4, 72), true),
    ];
    for (last, expected) in table {
        for damaged in [false, true] {
            let mut node = node(3, &image, claim(claimed, damaged));
            let effects = node.hear(2, 5, PeerMessage::PreVoteRequest { last }, at(0));
            let answered = Outgoing::PreVoteResponse { granted: expected };
            assert_eq!(sends(&effects), [(2, if expected { 5 } else { 3 }, answered)], "{last:?}");
            let request = PeerMessage::VoteRequest { last, transfer: false };
            let effects = node.hear(2, 5, request, at(0));
            let answered = Outgoing::VoteResponse { granted: expected, wall_ns: at(0).wall_ns };
            assert_eq!(sends(&effects), [(2, 5, answered)], "{last:?}");
        }
    }
}

#[test]
fn a_claim_that_the_own_log_reaches_is_settled_at_the_start() {
    let image = Image::of(&[(2, 2), (3, 1)]);
    let table = [
        (image.end(), true),
        (end(3, image.len() - MESSAGE_BYTES), true),
        (end(2, 8000), true), // an older term's bytes beyond the start of term 3 were not committed
        (end(3, image.len() + 8), false),
    ];
    for (claimed, is_settled) in table {
        for damaged in [false, true] {
            let mut node = node(3, &image, claim(claimed, damaged));
            let expected = if is_settled { None } else { claim(claimed, damaged) };
            assert_eq!(node.core.status().claim, expected);
            assert_eq!(node.core.status().counters.claims_repaired, u64::from(is_settled));
            // The first answer reveals it, so it is saved before.
            let effects = node.hear(2, 3, PeerMessage::StatusRequest { nonce: 5 }, at(0));
            let saved = HardState { term: Term(3), vote: None, claim: None };
            assert_eq!(effects.first() == Some(&Effect::SaveHardState(saved)), is_settled);
        }
    }
}

#[test]
fn a_leaders_log_settles_a_claim_once_it_is_durable_and_before_it_is_acknowledged() {
    let (image, longer) = (Image::of(&[(2, 2)]), Image::of(&[(2, 4)]));
    let newer = Image::of(&[(2, 2), (3, 0)]);
    for (theirs, term) in [(&longer, 2), (&newer, 3)] {
        for damaged in [false, true] {
            let mut node = node(3, &image, claim(longer.end(), damaged));
            let (previous, frames) = (image.end(), theirs.from(image.len()));
            let append = PeerMessage::Append { previous, commit: Position(0), round: 1, frames };
            let effects = node.hear(2, term, append, at(0));
            assert_eq!(acknowledgements(&effects), [(theirs.len(), image.len())], "it follows as any other");
            assert_eq!(node.core.status().claim, claim(longer.end(), damaged), "not durable yet");
            let effects = node.sync(at(0));
            let saved = HardState { term: Term(term), vote: None, claim: None };
            assert_eq!(effects[0], Effect::SaveHardState(saved));
            assert_eq!(acknowledgements(&effects), [(theirs.len(), theirs.len())]);
            assert_eq!(node.core.status().counters.claims_repaired, 1);
        }
    }
}

#[test]
fn a_durable_log_below_the_claim_leaves_it() {
    let (image, longer) = (Image::of(&[(2, 2)]), Image::of(&[(2, 4)]));
    let mut node = node(3, &image, claim(end(2, longer.len() + 8), false));
    let (previous, frames) = (image.end(), longer.from(image.len()));
    node.hear(2, 2, PeerMessage::Append { previous, commit: Position(0), round: 1, frames }, at(0));
    node.sync(at(0));
    assert_eq!(node.core.status().claim, claim(end(2, longer.len() + 8), false));
    assert_eq!(node.saved.claim, node.core.status().claim);
}

#[test]
fn a_status_answer_tells_the_health_and_the_durable_end() {
    let (image, longer) = (Image::of(&[(2, 2)]), Image::of(&[(2, 4)]));
    let table = [
        (None, LogHealth::Clean),
        (claim(end(2, 8000), false), LogHealth::Doubtful),
        (claim(end(2, 8000), true), LogHealth::Damaged),
    ];
    for (claim, health) in table {
        let mut node = node(3, &image, claim);
        let (previous, frames) = (image.end(), longer.from(image.len()));
        node.hear(2, 2, PeerMessage::Append { previous, commit: Position(0), round: 1, frames }, at(0));
        // While it hears a leader it does not answer; the leader's log will settle the claim.
        assert_eq!(node.hear(3, 3, PeerMessage::StatusRequest { nonce: 76 }, at(1)), []);
        assert_eq!(node.core.status().term, Term(2));
        // Later it answers in the term of the question, saved before, or in its own when that is newer.
        for (asked, answered) in [(3, 3), (9, 9), (5, 9)] {
            let effects = node.hear(3, asked, PeerMessage::StatusRequest { nonce: 77 }, at(5000));
            let last = image.end();
            assert_eq!(
                sends(&effects),
                [(3, answered, Outgoing::StatusResponse { nonce: 77, health, last })]
            );
            assert_eq!(node.core.status().term, Term(answered));
        }
    }
}

#[test]
fn a_claim_is_lowered_to_the_highest_answer_once_all_voters_have_answered() {
    let image = Image::of(&[(2, 2)]);
    let own = image.end();
    let claimed = end(2, own.position.0 + 800);
    let (clean, doubtful, damaged) = (LogHealth::Clean, LogHealth::Doubtful, LogHealth::Damaged);
    let (shorter, between) = (end(2, 72), end(2, own.position.0 + 400));
    // Answers of members 2 and 3, the claim afterwards.
    let table = [
        ([Some((clean, shorter)), Some((clean, own))], None),
        ([Some((doubtful, own)), Some((doubtful, own))], None),
        ([Some((clean, LogEnd::default())), Some((clean, LogEnd::default()))], None),
        ([Some((clean, shorter)), Some((clean, between))], claim(between, false)),
        ([Some((doubtful, between)), Some((clean, own))], claim(between, false)),
        // One of them holds what is claimed, and more, or bytes of a newer term: it can lead.
        ([Some((clean, claimed)), Some((clean, own))], claim(claimed, false)),
        ([Some((clean, own)), Some((clean, end(3, 72)))], claim(claimed, false)),
        // Somebody may hold more than it can read, or has not answered.
        ([Some((damaged, own)), Some((clean, own))], claim(claimed, false)),
        ([Some((clean, own)), Some((damaged, claimed))], claim(claimed, false)),
        ([Some((clean, own)), None], claim(claimed, false)),
        ([None, None], claim(claimed, false)),
    ];
    for (answers, expected) in table {
        let mut node = node(3, &image, claim(claimed, false));
        let nonce = ask(&mut node).expect("it asks");
        let mut effects = Vec::new();
        for (peer, (health, last)) in
            [2, 3].into_iter().zip(answers).filter_map(|(peer, answer)| Some((peer, answer?)))
        {
            assert_eq!(node.core.status().claim, claim(claimed, false), "one answer is not enough");
            effects.extend(node.hear(peer, 3, answer(nonce, health, last), at(700)));
        }
        assert_eq!(node.core.status().claim, expected, "{answers:?}");
        let is_settled = expected != claim(claimed, false);
        assert_eq!(node.core.status().counters.claims_settled, u64::from(is_settled));
        let saved = HardState { term: Term(3), vote: None, claim: expected };
        assert!(!is_settled || effects.contains(&Effect::SaveHardState(saved)));
        assert_eq!(node.saved.claim, expected);
        // Without a claim it campaigns again; with one it asks again.
        let now = at_ns(node.core.next_deadline_ns());
        node.step(Event::Tick, now);
        let role = if expected.is_none() { Role::PreCandidate } else { Role::Follower };
        assert_eq!(node.core.status().role, role);
    }
}

#[test]
fn answers_of_an_earlier_inquiry_or_of_one_voter_twice_settle_nothing() {
    let claimed = claim(end(1, 800), false);
    let mut node = node(3, &Image::default(), claimed);
    let old = ask(&mut node).expect("it asks");
    node.hear(2, 2, answer(old, LogHealth::Clean, LogEnd::default()), at(700));
    let nonce = ask(&mut node).expect("it asks again");
    // The second question is asked in term 3; an answer of an older term proves nothing.
    for (peer, term, nonce) in
        [(3, 3, old), (2, 3, old), (2, 3, nonce), (2, 3, nonce), (3, 3, nonce + 1), (3, 2, nonce)]
    {
        node.hear(peer, term, answer(nonce, LogHealth::Clean, LogEnd::default()), at(1400));
        assert_eq!(node.core.status().claim, claimed, "{peer} {nonce}");
    }
    node.hear(3, 3, answer(nonce, LogHealth::Clean, LogEnd::default()), at(1400));
    assert_eq!(node.core.status().claim, None);
}

#[test]
fn a_voters_newer_answer_replaces_its_older_one() {
    let claimed = claim(end(1, 800), false);
    let mut node = node(3, &Image::default(), claimed);
    let nonce = ask(&mut node).expect("it asks");
    for (peer, health) in [(2, LogHealth::Clean), (2, LogHealth::Damaged), (3, LogHealth::Clean)] {
        node.hear(peer, 2, answer(nonce, health, LogEnd::default()), at(700));
        assert_eq!(node.core.status().claim, claimed);
    }
}

#[test]
fn a_damaged_claim_is_never_settled_by_answers() {
    let claimed = claim(end(1, 800), true);
    let mut node = node(3, &Image::default(), claimed);
    for _ in 0..3 {
        assert_eq!(ask(&mut node), None);
    }
    // Not even by answers that nobody asked for.
    for nonce in [1, 2] {
        for peer in [2, 3] {
            node.hear(peer, 1, answer(nonce, LogHealth::Clean, LogEnd::default()), at(700));
        }
    }
    assert_eq!(node.core.status().claim, claimed);
}

#[test]
fn a_lone_voter_settles_its_doubt_by_itself_and_its_damage_never() {
    let image = Image::of(&[(2, 2)]);
    for damaged in [false, true] {
        let mut node = node(1, &image, claim(end(2, 8000), damaged));
        for _ in 0..3 {
            let now = at_ns(node.core.next_deadline_ns());
            node.step(Event::Tick, now);
        }
        let role = if damaged { Role::Follower } else { Role::Leader };
        assert_eq!((node.core.status().role, node.core.status().claim.is_some()), (role, damaged));
    }
}

/// A cluster of three whose logs and claims are given, as after a loss of power.
fn powerless(members: [(&Image, Option<Claim>); 3]) -> Cluster {
    let nodes = (1..).zip(members).map(|(id, (image, claim))| {
        let hard_state = HardState { term: Term(2), vote: None, claim };
        Node::with(config(id, 3), image, hard_state, at(0))
    });
    Cluster::of(nodes.collect())
}

/// Lets each member tick when it is due, `ticks` times in all, and delivers everything; who leads then?
fn leader_after(cluster: &mut Cluster, ticks: usize) -> Option<u32> {
    for _ in 0..ticks {
        let ids = cluster.up();
        let next = ids.iter().min_by_key(|id| cluster.node(**id).core.next_deadline_ns()).copied();
        cluster.tick_when_due(next.expect("somebody is up"));
        cluster.settle();
    }
    let leads = |id: &u32| cluster.status(*id).role == Role::Leader;
    cluster.up().into_iter().find(leads)
}

#[test]
fn a_cluster_that_lost_power_as_a_whole_starts_again_by_itself() {
    let (short, long) = (Image::of(&[(2, 2)]), Image::of(&[(2, 4)]));
    let doubt = claim(end(2, 8000), false);
    for members in [
        [(&short, doubt), (&short, doubt), (&long, doubt)],
        [(&long, doubt), (&short, None), (&short, doubt)],
    ] {
        let mut cluster = powerless(members);
        let leader = leader_after(&mut cluster, 40).expect("one leads");
        assert_eq!(cluster.status(leader).commit, cluster.status(leader).end.position);
        for id in 1..=3 {
            assert!(cluster.node(id).stored.starts_with(&long.bytes), "the longest log survives");
            assert_eq!(cluster.status(id).claim, None);
        }
    }
}

#[test]
fn while_a_voter_that_may_hold_the_bytes_is_silent_or_damaged_nobody_leads() {
    let (short, long) = (Image::of(&[(2, 2)]), Image::of(&[(2, 4)]));
    let (doubt, damage) = (claim(long.end(), false), claim(long.end(), true));
    let mut cluster = powerless([(&short, None), (&short, doubt), (&long, None)]);
    cluster.crash(3);
    assert_eq!(leader_after(&mut cluster, 40), None);
    // With the third everything is known again.
    cluster.restart(3);
    assert_eq!(leader_after(&mut cluster, 40), Some(3));

    let mut cluster = powerless([(&short, None), (&short, doubt), (&short, damage)]);
    assert_eq!(leader_after(&mut cluster, 40), None);
}

proptest! {
    #![proptest_config(kit::cases(128))]

    /// Invariant: what a majority held durably is held by every later leader, when any number of voters lost a tail of it
    /// and claim it, as long as one copy is whole.
    #[test]
    fn a_leader_holds_what_a_majority_acknowledged(
        voters in 1..=5_u32,
        messages in 1..5_usize,
        whole in any::<prop::sample::Index>(),
        lost in prop::collection::vec(prop::option::of((any::<prop::sample::Index>(), prop::bool::weighted(0.3))), 5),
    ) {
        let log = Image::of(&[(2, messages)]);
        let majority = voters as usize / 2 + 1;
        let whole = whole.index(majority);
        let nodes = (1..=voters).map(|id| {
            // The first members acknowledged the whole log, the others got nothing of the last message.
            let index = id as usize - 1;
            let acknowledged = if index < majority { log.len() } else { log.len() - MESSAGE_BYTES };
            let boundaries = log.boundaries();
            let kept = boundaries.iter().filter(|boundary| **boundary < acknowledged).copied().collect::<Vec<_>>();
            let (kept, claim) = match lost[index] {
                Some((end, damaged)) if index != whole => {
                    (*end.get(&kept), claim(log.end_at(acknowledged), damaged))
                }
                _ => (acknowledged, None),
            };
            let image = Image::parse(&log.bytes[..kept as usize]);
            Node::with(config(id, voters), &image, HardState { term: Term(2), vote: None, claim }, at(0))
        });
        let mut cluster = Cluster::of(nodes.collect());
        if let Some(leader) = leader_after(&mut cluster, 60) {
            prop_assert!(cluster.node(leader).stored.starts_with(&log.bytes));
        }
        let has_damage = lost.iter().take(voters as usize).flatten().any(|(_, damaged)| *damaged);
        if !has_damage {
            prop_assert!(cluster.status(1).leader.is_some_and(|leader| leader > NodeId(0)), "nobody leads");
        }
    }
}
