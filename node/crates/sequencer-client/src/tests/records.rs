//! Records under way: batches, acknowledgements, refusals. One behaviour each, by answers that are made up.

use sequencer_link::{Done, Record, Reply};

use super::bench::{Asked, Bench, admitted, batch, record, refused, settings};
use super::node::MS;
use super::world::Told;
use crate::error::{ClientError, Disconnect};
use crate::event::Purpose;

#[test]
fn what_was_published_in_a_turn_leaves_as_one_batch_also_while_another_is_under_way() {
    let mut bench = Bench::open();
    assert_eq!(bench.publish(3), [1, 2, 3]);
    assert_eq!(bench.say(), [batch(1, 1, 3)]);
    bench.publish(2);
    assert_eq!(bench.say(), [batch(1, 4, 2)]);
    assert!(bench.say().is_empty());
    bench.admitted(1, 1, &[100, 200, 300]).expect("in order");
    bench.admitted(1, 4, &[400, 500]).expect("in order");
    assert_eq!(bench.take(), [admitted(1, 1, &[100, 200, 300]), admitted(4, 4, &[400, 500])]);
}

#[test]
fn numbers_count_from_1_whatever_the_session_sent_before() {
    let mut bench = Bench::new();
    bench.engine.open_session(settings(0)).expect("good settings");
    assert_eq!(bench.publish(2), [1, 2]);
    bench.connect(Purpose::Leader);
    bench.leader(1, 1, "", true);
    bench.say();
    bench.opened(3, 70);
    assert_eq!(bench.say(), [batch(3, 71, 2)]);
    bench.admitted(3, 71, &[8, 16]).expect("in order");
    assert_eq!(bench.take(), [Told::Opened { epoch: 3 }, admitted(1, 71, &[8, 16])]);
}

#[test]
fn a_refused_record_and_all_behind_it_are_given_up_and_its_sequence_is_used_again() {
    let mut bench = Bench::open();
    bench.publish(3);
    bench.say();
    let tag = bench.last_tag;
    bench.publish(1);
    bench.say();
    let behind = bench.last_tag;
    bench.publish(1);
    bench.refuse(tag, "too_large", Some(2));
    assert!(bench.take().is_empty(), "the one before is not acknowledged yet");
    assert!(bench.say().is_empty());
    bench.admitted(1, 1, &[100]).expect("in order");
    assert_eq!(bench.take(), [admitted(1, 1, &[100]), refused(2, 4, "too_large")]);
    bench.refuse(behind, "sequence_gap", Some(4));
    assert_eq!(bench.publish(1), [6]);
    assert_eq!(bench.say(), [batch(1, 2, 1)]);
    bench.refuse(behind, "too_large", Some(2));
    bench.admitted(1, 2, &[200]).expect("in order");
    assert_eq!(
        bench.take(),
        [admitted(6, 2, &[200])],
        "what was said of the old one is not said of the new one"
    );
}

#[test]
fn under_pressure_the_same_is_sent_again_a_little_later_and_told_of_once() {
    let mut bench = Bench::open();
    bench.publish(3);
    bench.say();
    bench.refuse(bench.last_tag, "backpressure", Some(3));
    assert!(bench.say().is_empty());
    assert_eq!(bench.engine.due_ns(bench.now_ns), bench.now_ns + 5 * MS);
    bench.pass(5);
    assert_eq!(bench.say(), [batch(1, 1, 3)]);
    bench.admitted(1, 1, &[100, 200]).expect("in order");
    bench.admitted(1, 1, &[100, 200, 300]).expect("an overlap");
    bench.admitted(1, 1, &[100]).expect("an old one");
    assert_eq!(bench.take(), [admitted(1, 1, &[100, 200]), admitted(3, 3, &[300])]);
}

#[test]
fn a_gap_alone_means_nothing() {
    let mut bench = Bench::open();
    bench.publish(1);
    bench.say();
    bench.refuse(bench.last_tag, "sequence_gap", Some(1));
    assert!(bench.take().is_empty());
    bench.admitted(1, 1, &[100]).expect("in order");
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_ends_the_connection() {
    let mut bench = Bench::open();
    bench.publish(2);
    assert!(matches!(bench.admitted(1, 1, &[100]), Err(Disconnect::Unexpected { .. })), "not sent");
    bench.say();
    assert!(matches!(bench.admitted(1, 2, &[200]), Err(Disconnect::Unexpected { .. })), "a gap");
    assert!(matches!(bench.admitted(1, 1, &[1, 2, 3]), Err(Disconnect::Unexpected { .. })), "too many");
    assert!(bench.take().is_empty());
}

#[test]
fn a_sign_of_life_is_given_every_third_of_the_timeout_when_nothing_else_is() {
    let mut bench = Bench::open();
    bench.pass(299);
    assert!(bench.say().is_empty());
    bench.pass(1);
    assert_eq!(bench.say(), [Asked::KeepAlive { session: 5 }]);
    bench.answer(bench.last_tag, &Reply::Done(Done::Alive));
    bench.pass(200);
    bench.publish(1);
    bench.say();
    bench.pass(299);
    assert!(bench.say().is_empty());
    bench.pass(1);
    assert_eq!(bench.say(), [Asked::KeepAlive { session: 5 }]);
}

#[test]
fn a_window_that_is_full_says_so_and_changes_nothing() {
    let mut bench = Bench::open();
    bench.publish(8);
    let full = bench.engine.publish(&record(), 0);
    let Err(ClientError::WindowFull { messages: 8, limit_messages: 8, .. }) = full else {
        panic!("{full:?}")
    };
    let large = Record { payload: &[0; 1001], ..record() };
    assert!(matches!(bench.engine.publish(&large, 0), Err(ClientError::TooLarge { limit_bytes: 1000, .. })));
    assert_eq!(bench.say(), [batch(1, 1, 8)]);
    bench.admitted(1, 1, &[8]).expect("in order");
    assert_eq!(bench.publish(1), [9]);
}

#[test]
fn questions_to_a_service_make_batches_of_their_own() {
    let mut bench = Bench::open();
    for service in [0, 3, 3] {
        bench.engine.publish(&record(), service).expect("there is room");
    }
    let questions = Asked::Batch { epoch: 1, first: 2, count: 2, extra: 3 };
    assert_eq!(bench.say(), [batch(1, 1, 1), questions]);
}
