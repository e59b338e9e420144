//! What inhabitants are told, and what gateways do.

use sequencer_wire::{CloseReason, NodeId, Position};

use super::Script;
use super::script::TIMEOUT_NS;
use crate::actors::Told;

fn broken(script: &Script, told: Told) -> &'static str {
    script.rules.check_told(&told).expect_err("it is not so").0
}

#[test]
fn acknowledged_means_committed() {
    let mut script = Script::new();
    script.open(1, 1, "ann");
    let (first, second) = (script.message(1, 1, 1), script.message(1, 1, 2));
    let told = |session, sequence, at| Told::Admitted { session, sequence, at };
    assert_eq!(script.rules.check_told(&told(1, 1, first)), Ok(()));
    let rule = "acknowledged means committed";
    for wrong in [told(1, 1, second), told(1, 3, script.at), told(1, 0, first), told(2, 1, first)] {
        assert_eq!(broken(&script, wrong), rule);
    }
    // It stays true when the session is gone.
    script.close(1, 1, CloseReason::Closed);
    assert_eq!(script.rules.check_told(&told(1, 2, second)), Ok(()));
}

#[test]
fn an_open_answers_what_the_log_says() {
    let mut script = Script::new();
    let first = script.open(1, 1, "ann");
    script.message(1, 1, 1);
    let again = script.open(1, 2, "ann");
    let told = |epoch, last_sequence, at| Told::Opened { session: 1, epoch, last_sequence, at };
    assert_eq!(script.rules.check_told(&told(1, 0, first)), Ok(()));
    assert_eq!(script.rules.check_told(&told(2, 1, again)), Ok(()));
    for wrong in [told(2, 0, again), told(1, 1, again), told(2, 1, first), told(2, 1, script.at)] {
        assert_eq!(broken(&script, wrong), "an open answers what the log says");
    }
}

#[test]
fn two_gateways_never_act_at_once() {
    let mut script = Script::new();
    script.open_in(5, 1, 1, "east");
    script.open_in(5, 2, 1, "west");
    let acting = |session, role_epoch| Told::Acting { group: 5, session, role_epoch };
    let rule = "two gateways never act at once";
    assert_eq!(broken(&script, acting(1, 1)), rule);
    script.grant(5, 1, 1, 1);
    assert_eq!(script.rules.check_told(&acting(1, 1)), Ok(()));
    assert_eq!(broken(&script, acting(2, 1)), rule);
    assert_eq!(broken(&script, acting(1, 2)), rule);
    // It may not know yet that it has lost the role, but it has to by the next grant.
    script.close(1, 1, CloseReason::Revoked);
    assert_eq!(script.rules.check_told(&acting(1, 1)), Ok(()));
    script.pass(TIMEOUT_NS).grant(5, 2, 2, 1);
    assert_eq!(broken(&script, acting(1, 1)), rule);
    assert_eq!(script.rules.check_told(&acting(2, 2)), Ok(()));
}

#[test]
fn nonsense_gets_the_refusal_that_says_why() {
    let script = Script::new();
    let told = Told::WrongRefusal { expected: "a gap", got: "nothing".into() };
    assert_eq!(broken(&script, told), "nonsense gets the refusal that says why");
    assert_eq!(script.rules.check_told(&Told::NewNode { id: NodeId(4), data: [4; 16] }), Ok(()));
    assert_eq!(script.rules.floor(), Position(0));
}
