//! The life of a session: opening, epochs, role, end. One behaviour each, by answers that are made up.

use serde_json::{Map, Value};

use super::bench::{Asked, Bench, admitted, batch, record, refused, settings};
use super::world::Told;
use crate::error::ClientError;
use crate::event::Purpose;

#[test]
fn another_process_that_opens_the_name_fences_this_one_off() {
    let facts = |current: u64| Map::from_iter([("current".to_owned(), Value::from(current))]);
    let mut bench = Bench::open();
    bench.publish(2);
    bench.say();
    bench.refuse_with(bench.last_tag, "stale_epoch", Some(1), facts(2));
    assert_eq!(bench.take(), [Told::Fenced { first: 1, count: 2 }]);
    assert!(matches!(bench.engine.publish(&record(), 0), Err(ClientError::Fenced { session: 5, epoch: 1 })));
    assert!(bench.engine.open_session(settings(0)).is_ok(), "if it is asked for expressly");

    let mut bench = Bench::open();
    bench.publish(2);
    bench.leader(2, 1, "", true);
    bench.say();
    bench.opened(3, 0);
    assert_eq!(bench.take(), [Told::Fenced { first: 1, count: 2 }], "somebody was here in between");

    let mut bench = Bench::open();
    bench.leader(2, 1, "", true);
    bench.say();
    bench.opened(2, 1);
    assert_eq!(bench.take(), [Told::Fenced { first: 1, count: 0 }], "it was not us who sent that");
}

#[test]
fn an_opening_of_this_client_that_was_thought_lost_fences_nobody() {
    let facts = Map::from_iter([("current".to_owned(), Value::from(3))]);
    let mut bench = Bench::open();
    bench.publish(1);
    bench.leader(2, 1, "", true);
    bench.say();
    bench.cut(Purpose::Leader);
    bench.pass(10);
    bench.connect(Purpose::Leader);
    bench.leader(2, 1, "", true);
    bench.say();
    bench.opened(2, 0);
    bench.say();
    bench.pass(9000);
    bench.refuse_with(bench.last_tag, "stale_epoch", Some(1), facts.clone());
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
    bench.opened(4, 0);
    assert_eq!(bench.take(), [Told::Opened { epoch: 2 }, Told::Opened { epoch: 4 }]);
    bench.say();
    let facts = Map::from_iter([("current".to_owned(), Value::from(5))]);
    bench.refuse_with(bench.last_tag, "stale_epoch", Some(1), facts);
    assert_eq!(
        bench.take(),
        [Told::Fenced { first: 1, count: 1 }],
        "there are no more that could have been ours"
    );
}

#[test]
fn a_session_that_is_gone_leaves_its_records_to_the_caller() {
    for kind in ["unknown_session", "session_lost"] {
        let mut bench = Bench::open();
        bench.publish(3);
        bench.say();
        bench.admitted(1, 1, &[100]).expect("in order");
        bench.take();
        bench.refuse(bench.last_tag, kind, Some(2));
        assert_eq!(bench.take(), [Told::Lost { first: 2, count: 2, kind: kind.to_owned() }]);
        assert!(matches!(bench.engine.publish(&record(), 0), Err(ClientError::NoSession)));
        assert!(bench.say().is_empty());
        bench.engine.open_session(settings(0)).expect("the first one is over");
        assert_eq!(bench.publish(1), [4], "no number is used twice");
        assert_eq!(bench.say(), [Asked::Open { resume: 0 }]);
    }
}

#[test]
fn a_cluster_that_forgot_what_it_acknowledged_is_not_sent_anything() {
    let mut bench = Bench::open();
    bench.publish(2);
    bench.say();
    bench.admitted(1, 1, &[100, 200]).expect("in order");
    bench.publish(1);
    bench.leader(2, 1, "", true);
    bench.say();
    bench.take();
    bench.opened(2, 1);
    assert_eq!(bench.take(), [Told::Lost { first: 3, count: 1, kind: "acknowledged_lost".to_owned() }]);
}

#[test]
fn a_first_opening_is_refused_to_the_caller_and_a_later_one_tried_again() {
    let mut bench = Bench::new();
    bench.engine.open_session(settings(0)).expect("good settings");
    bench.publish(1);
    bench.connect(Purpose::Leader);
    bench.leader(1, 1, "", true);
    bench.say();
    bench.refuse(bench.last_tag, "too_many_sessions", None);
    assert_eq!(bench.take(), [refused(1, 1, "too_many_sessions")]);

    let mut bench = Bench::open();
    bench.leader(2, 1, "", true);
    bench.say();
    bench.refuse(bench.last_tag, "log_full", None);
    assert!(bench.take().is_empty() && bench.say().is_empty());
    bench.pass(5);
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
}

#[test]
fn an_expired_session_is_opened_again_where_it_is() {
    let mut bench = Bench::open();
    bench.publish(1);
    bench.say();
    bench.refuse(bench.last_tag, "session_expired", Some(1));
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
    bench.opened(2, 0);
    assert_eq!(bench.say(), [batch(2, 1, 1)]);
}

#[test]
fn a_session_is_closed_once_all_is_acknowledged() {
    let mut bench = Bench::open();
    bench.publish(1);
    bench.engine.close_session().expect("it is open");
    assert!(matches!(bench.engine.publish(&record(), 0), Err(ClientError::Closing)));
    assert_eq!(bench.say(), [batch(1, 1, 1)]);
    assert!(bench.say().is_empty());
    bench.admitted(1, 1, &[100]).expect("in order");
    assert_eq!(bench.say(), [Asked::Close]);
    bench.take();
    // The answer is lost, but the session is gone.
    bench.leader(2, 1, "", true);
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
    bench.refuse(bench.last_tag, "session_lost", None);
    assert_eq!(bench.take(), [Told::Closed]);
}

#[test]
fn a_session_of_a_group_publishes_only_while_it_holds_the_role() {
    let mut bench = Bench::new();
    bench.engine.open_session(settings(4)).expect("good settings");
    bench.connect(Purpose::Leader);
    bench.leader(1, 1, "", true);
    bench.say();
    bench.opened(1, 0);
    assert!(matches!(bench.engine.publish(&record(), 0), Err(ClientError::NoRole { group: 4 })));
    bench.engine.set_role(9).expect("there is a session");
    bench.say();
    bench.publish(2);
    assert_eq!(bench.say(), [batch(9, 1, 2)]);
    // The role goes; what is under way is answered, what was not sent is not.
    bench.publish(1);
    bench.engine.set_role(0).expect("there is a session");
    assert!(bench.say().is_empty());
    bench.take();
    bench.admitted(9, 1, &[100, 200]).expect("in order");
    bench.say();
    assert_eq!(bench.take(), [admitted(1, 1, &[100, 200]), refused(3, 1, "not_active")]);
    // Opening it again takes the role away: of what was sent the opening tells what was admitted.
    bench.engine.set_role(12).expect("there is a session");
    bench.say();
    bench.publish(3);
    assert_eq!(bench.say(), [batch(12, 3, 3)]);
    bench.leader(2, 1, "", true);
    bench.say();
    bench.opened(2, 4);
    let told = bench.take();
    assert_eq!(told, [Told::Opened { epoch: 2 }, admitted(4, 3, &[0, 0]), refused(6, 1, "not_active")]);
    assert!(matches!(bench.engine.publish(&record(), 0), Err(ClientError::NoRole { .. })));
    bench.engine.set_role(15).expect("there is a session");
    bench.say();
    bench.publish(1);
    assert_eq!(bench.say(), [batch(15, 5, 1)]);
}
