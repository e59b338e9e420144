use std::cell::RefCell;
use std::rc::Rc;

use sequencer_core::{Outcome, Refusal};
use sequencer_wire::Position;

use super::log::{SERVICE, TestLog};
use super::run;
use super::stage::{Stage, switching_log};
use crate::actors::service::Store;
use crate::actors::service::outbox::{Outbox, Seen};
use crate::actors::{Actor, Asked};

fn store() -> Rc<RefCell<Store>> {
    Rc::new(RefCell::new(Store::default()))
}

/// Epoch and k of the outputs among what was sent.
fn outputs(sent: &[(u64, Asked)]) -> Vec<(u32, u64)> {
    let place = |asked: &Asked| match asked {
        Asked::Output { epoch, k, .. } => Some((*epoch, *k)),
        Asked::OutputEnd(end) => Some((end.epoch, end.k)),
        _ => None,
    };
    sent.iter().filter_map(|(_, asked)| place(asked)).collect()
}

#[test]
fn a_replica_sends_what_its_version_answers_and_forgets_what_the_log_holds() {
    let (mut log, emitted) = switching_log();
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let (mut old, mut new) = (stage.replica(1, false, &store), stage.replica(2, false, &store));
    assert_eq!(outputs(&stage.act(&mut old)), [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]);
    assert_eq!(outputs(&stage.act(&mut new)), [(2, 1)]);
    assert!(!old.is_done(&stage.log) && !new.is_done(&stage.log));
    log.outputs(&emitted);
    stage.commit(&log);
    assert_eq!((stage.act(&mut old).len(), stage.act(&mut new).len()), (0, 0));
    assert!(old.is_done(&stage.log) && new.is_done(&stage.log));
}

#[test]
fn what_was_refused_before_an_end_goes_out_again_when_that_is_read() {
    let (mut log, emitted) = switching_log();
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut new = stage.replica(2, false, &store);
    assert_eq!(outputs(&stage.act(&mut new)), [(2, 1)]);
    assert_eq!(outputs(&stage.act(&mut new)), [], "it is on its way");
    log.outputs(&emitted[..6]);
    stage.commit(&log);
    assert_eq!(outputs(&stage.act(&mut new)), [(2, 1)]);
}

#[test]
fn a_restored_replica_sends_the_outputs_that_the_log_does_not_hold() {
    let (mut log, emitted) = switching_log();
    log.outputs(&emitted[..2]);
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut replica = stage.replica(1, false, &store);
    stage.act(&mut replica);
    stage.with(|view| replica.save(view));
    drop(replica);
    let mut twin = stage.replica(1, false, &store);
    let saved = store.borrow().newest(1);
    twin.start_from(saved);
    assert_eq!(twin.machine.applied, log.end(), "it reads no cause again");
    assert_eq!(outputs(&stage.act(&mut twin)), [(1, 3), (1, 4), (1, 5), (1, 6)]);
}

#[test]
fn a_replica_that_starts_from_the_beginning_ends_up_with_the_same_outbox() {
    let (mut log, emitted) = switching_log();
    log.outputs(&emitted[..2]);
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut replica = stage.replica(1, false, &store);
    replica.start_from(None);
    assert_eq!(outputs(&stage.act(&mut replica)), [(1, 3), (1, 4), (1, 5), (1, 6)]);
}

#[test]
fn a_snapshot_of_another_version_will_do_once_the_log_holds_what_its_own_owed() {
    let (mut log, emitted) = switching_log();
    let mut stage = Stage::new();
    stage.commit(&log);
    for (admitted, will_do) in [(0..5, false), (5..6, true), (6..7, true)] {
        log.outputs(&emitted[admitted]);
        stage.commit(&log);
        let store = store();
        let mut replica = stage.replica(2, false, &store);
        stage.act(&mut replica);
        stage.with(|view| replica.save(view));
        let any = store.borrow().any(1, Position(0), &mut stage.rng);
        assert_eq!(any.as_ref().map(|saved| saved.outbox.is_empty()), will_do.then_some(true));
        assert!(store.borrow().any(1, Position(log.end().0 + 1), &mut stage.rng).is_none());
    }
}

#[test]
fn the_log_is_needed_from_the_newest_snapshot_of_the_version_that_is_furthest_behind() {
    let (mut log, _) = switching_log();
    let mut store = Store::default();
    let mut at = [Position(0); 2];
    for (version, index) in [(1, 0), (1, 0), (2, 1)] {
        assert_eq!(store.needed_from(2), None);
        log.message(3);
        at[index] = log.end();
        store.save(version, &run(&log, &[]).0, &Outbox::default());
    }
    assert_eq!(store.needed_from(2), Some(at[0]));
}

#[test]
fn a_gap_is_mended_once_from_where_it_is() {
    let (log, _) = switching_log();
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut replica = stage.replica(1, false, &store);
    let sent = stage.act(&mut replica);
    let tag = sent[0].0;
    for found in [5, 6] {
        let gap = Refusal::OutputGap { service: SERVICE, epoch: 1, found, expected: 4 };
        stage.reply(&mut replica, tag, Err(gap));
    }
    assert_eq!(outputs(&stage.act(&mut replica)), [(1, 4), (1, 5), (1, 6)]);
    let late = Refusal::OutputGap { service: SERVICE, epoch: 1, found: 6, expected: 4 };
    stage.reply(&mut replica, tag, Err(late));
    assert_eq!(outputs(&stage.act(&mut replica)), [], "that refusal was for what was sent before");
    stage.now_ns += 1_000_000_000;
    assert_eq!(outputs(&stage.act(&mut replica)).len(), 6, "nothing has moved for a while");
}

#[test]
fn an_outbox_sees_only_the_next_of_its_own() {
    let (mut log, emitted) = switching_log();
    let mut outbox = Outbox::default();
    emitted[1..3].iter().for_each(|output| outbox.push(output.clone()));
    log.outputs(&emitted[..2]);
    let mut frames: Vec<_> = log.frames().collect();
    let second = frames.pop().expect("it was written");
    let first = frames.pop().expect("it was written");
    assert_eq!(outbox.see(&first), Seen::Other);
    assert_eq!(outbox.see(&second), Seen::Own);
    assert_eq!(outbox.see(&second), Seen::Other);
    assert_eq!(outbox.len(), 1);
}

#[test]
fn a_replica_that_goes_wrong_reports_itself_until_it_is_heard_and_stops() {
    let (mut log, emitted) = switching_log();
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut replica = stage.replica(1, true, &store);
    replica.wrong_after = Some(1);
    stage.act(&mut replica);
    log.outputs(&emitted[..3]);
    stage.commit(&log);
    stage.act(&mut replica);
    for is_heard in [false, true] {
        let sent = stage.act(&mut replica);
        let [(tag, Asked::Divergence { epoch: 1, k: 2, cause, report, .. })] = sent.as_slice() else {
            panic!("it sends {sent:?}");
        };
        assert_eq!(*cause, emitted[1].cause);
        assert!(report.replica == 10 && report.expected != report.actual);
        assert!(!replica.is_done(&stage.log));
        if is_heard {
            stage.reply(&mut replica, *tag, Ok(Outcome::AlreadyAdmitted { last: 0 }));
        }
    }
    assert_eq!(stage.act(&mut replica), []);
    assert!(replica.is_done(&stage.log));
}

#[test]
fn poison_is_passed_over_once_a_skip_stands_further_on() {
    let mut log = TestLog::new();
    let poison = log.message(97);
    log.message(1);
    let (mut stage, store) = (Stage::new(), store());
    stage.commit(&log);
    let mut replica = stage.replica(1, false, &store);
    stage.act(&mut replica);
    assert_eq!(replica.machine.applied, poison);
    assert!(!replica.is_done(&stage.log));
    log.skip(poison);
    stage.commit(&log);
    stage.act(&mut replica);
    assert_eq!(outputs(&stage.act(&mut replica)), [(1, 1)]);
    assert_eq!(replica.machine.applied, log.end());
}
