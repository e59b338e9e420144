//! Invariant 14, changes of membership, and who may lead.

use sequencer_wire::MemberRole::{self, Learner, Voter};
use sequencer_wire::NodeId;

use super::Script;
use super::script::{Header, list, list_with};
use crate::node::founder_data;

const ONE: &str = "members change one at a time";
const TWICE: &str = "14. no id is used twice";
const FOUNDERS: [(u32, MemberRole); 3] = [(1, Voter), (2, Voter), (3, Voter)];

fn with(more: &[(u32, MemberRole)]) -> Vec<(u32, MemberRole)> {
    FOUNDERS.iter().chain(more).copied().collect()
}

#[test]
fn a_dead_voter_is_replaced_step_by_step() {
    let mut script = Script::new();
    script.list(4, &FOUNDERS);
    script.list(5, &with(&[(4, Learner)]));
    script.list(5, &[(1, Voter), (2, Voter), (4, Learner)]);
    script.list(5, &[(1, Voter), (2, Voter), (4, Voter)]);
    assert_eq!(script.rules.voters(), [NodeId(1), NodeId(2), NodeId(4)]);
    assert!(script.rules.is_member(NodeId(4)) && !script.rules.is_member(NodeId(3)));
    script.lead(4);
}

#[test]
fn the_first_list_may_repeat_the_configuration_and_no_other() {
    let mut script = Script::new();
    script.list(4, &FOUNDERS);
    script.breaks(ONE, Header::default(), list(4, &FOUNDERS));
}

#[test]
fn members_change_one_at_a_time() {
    let mut script = Script::new();
    let none = Header::default();
    script.breaks(ONE, none, list(6, &with(&[(4, Learner), (5, Learner)])));
    script.breaks(ONE, none, list(5, &[(1, Voter), (2, Voter), (4, Learner)]));
    script.breaks(ONE, none, list(4, &[(1, Voter)]));
    // A new member does not vote at once, and no voter becomes a learner.
    script.breaks(ONE, none, list(5, &with(&[(4, Voter)])));
    script.breaks(ONE, none, list(4, &[(1, Voter), (2, Voter), (3, Learner)]));
    script.list(5, &with(&[(4, Learner)]));
    script.breaks(ONE, none, list(6, &with(&[(4, Voter), (5, Learner)])));
}

#[test]
fn ids_are_not_used_for_two_disks() {
    let mut script = Script::new();
    let none = Header::default();
    script.list(5, &with(&[(4, Learner)]));
    script.list(5, &FOUNDERS);
    script.breaks(TWICE, none, list(5, &with(&[(4, Learner)])));
    script.breaks(TWICE, none, list(6, &with(&[(4, Learner)])));
    let same = |id: u32| (id, Voter, founder_data(NodeId(id)));
    script.breaks(TWICE, none, list_with(5, &[same(1), same(2), (3, Voter, [9; 16])]));
    script.list(6, &with(&[(5, Learner)]));
}

#[test]
fn the_next_id_rises_above_all_members() {
    let mut script = Script::new();
    let none = Header::default();
    script.list(8, &FOUNDERS);
    script.breaks(TWICE, none, list(5, &with(&[(4, Learner)])));
    script.breaks(TWICE, none, list(8, &with(&[(7, Learner)])));
    script.list(9, &with(&[(8, Learner)]));
    script.breaks(TWICE, none, list(8, &[(1, Voter), (2, Voter), (3, Voter)]));
    assert_eq!(script.rules.members().len(), 4);
}

#[test]
fn the_leader_stays_a_member() {
    let mut script = Script::new();
    let without_first = [(2, Voter), (3, Voter)];
    script.breaks("the leader stays a member", Header::default(), list(4, &without_first));
    script.lead(2);
    script.list(4, &without_first);
}

#[test]
fn only_voters_lead() {
    let mut script = Script::new();
    let leads = |script: &Script, node| {
        let (header, body) = script.new_term(node);
        script.breaks("only voters lead", header, body);
    };
    leads(&script, 4);
    script.list(5, &with(&[(4, Learner)]));
    leads(&script, 4);
    script.list(5, &[(1, Voter), (2, Voter), (4, Learner)]);
    leads(&script, 3);
    script.list(5, &[(1, Voter), (2, Voter), (4, Voter)]);
    script.lead(4);
}
