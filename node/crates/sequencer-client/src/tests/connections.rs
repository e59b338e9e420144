//! Connections: changes of leader, silence, commands, subscriptions. One behaviour each, by answers that are made up.

use sequencer_link::{Command, Done, Leader, Reply, Tell};
use sequencer_wire::{NodeId, Position, Term};

use super::bench::{Asked, Bench, admitted, batch};
use super::world::Told;
use crate::error::Disconnect;
use crate::event::Purpose;
use crate::settings::SubscribeAt;
use crate::standing::Plan;

#[test]
fn after_a_change_of_leader_all_that_is_not_acknowledged_is_sent_again_in_a_new_epoch() {
    let mut bench = Bench::open();
    bench.publish(4);
    bench.say();
    bench.admitted(1, 1, &[100]).expect("in order");
    bench.leader(1, 2, "z", false);
    assert!(matches!(bench.plan(), Plan::Leave(Disconnect::Redirected { .. })));
    let why = Disconnect::Redirected { leader: NodeId(2), term: Term(1) };
    bench.engine.lost(Purpose::Leader, &why, bench.now_ns, &mut |_| {});
    assert_eq!(bench.connect(Purpose::Leader), "z");
    assert!(bench.say().is_empty(), "nobody has said yet who leads");
    bench.leader(2, 1, "", true);
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
    bench.publish(1);
    assert!(bench.say().is_empty());
    bench.opened(2, 2);
    assert_eq!(bench.say(), [batch(2, 2, 4)]);
    bench.take();
    bench.admitted(2, 2, &[0, 300, 400, 500]).expect("in order");
    assert_eq!(bench.take(), [admitted(2, 2, &[0, 300, 400, 500])]);
}

#[test]
fn a_new_term_of_the_same_leader_voids_answers_but_not_acknowledgements() {
    let mut bench = Bench::open();
    bench.publish(3);
    bench.say();
    let old_batch = bench.last_tag;
    bench.leader(2, 1, "", true);
    bench.admitted(1, 1, &[100]).expect("it was told before");
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }]);
    bench.admitted(1, 2, &[200]).expect("it was told before");
    bench.opened(2, 2);
    bench.refuse(old_batch, "session_expired", Some(3));
    bench.admitted(1, 3, &[300]).expect("of an epoch that is over: it will be answered again");
    assert_eq!(bench.say(), [batch(2, 3, 1)]);
    bench.leader(2, 1, "", true);
    assert!(bench.say().is_empty(), "nothing has changed");
    let told = bench.take();
    assert_eq!(told, [admitted(1, 1, &[100]), admitted(2, 2, &[200]), Told::Opened { epoch: 2 }]);
}

#[test]
fn a_silent_leader_is_left_and_given_longer_the_next_time() {
    let mut bench = Bench::open();
    bench.publish(1);
    bench.say();
    for seconds in [2, 4, 8, 16, 16] {
        bench.pass(seconds * 1000 - 1);
        assert!(matches!(bench.plan(), Plan::Stay), "{seconds}");
        bench.pass(1);
        let Plan::Leave(why) = bench.plan() else { panic!("{seconds}") };
        assert!(matches!(why, Disconnect::Silent { .. }));
        bench.engine.lost(Purpose::Leader, &why, bench.now_ns, &mut |_| {});
        bench.pass(500);
        bench.connect(Purpose::Leader);
        bench.leader(1, 1, "", true);
        bench.say();
    }
    bench.opened(6, 0);
    assert_eq!(bench.say(), [batch(6, 1, 1)]);
    bench.pass(2000);
    assert!(matches!(bench.plan(), Plan::Leave(Disconnect::Silent { .. })), "an answer made up for it");
}

#[test]
fn a_node_without_a_leader_is_left_after_a_second() {
    let mut bench = Bench::open();
    bench.leader(2, 0, "", false);
    bench.publish(1);
    assert!(bench.say().is_empty());
    bench.pass(999);
    assert!(matches!(bench.plan(), Plan::Stay));
    bench.pass(1);
    assert!(matches!(bench.plan(), Plan::Leave(Disconnect::NoLeader { .. })));
}

#[test]
fn a_leader_that_hands_over_is_waited_for() {
    let mut bench = Bench::open();
    bench.publish(1);
    bench.say();
    bench.refuse(bench.last_tag, "handing_over", Some(1));
    assert!(bench.say().is_empty());
    bench.leader(1, 1, "", true);
    assert_eq!(bench.say(), [Asked::Open { resume: 5 }], "the transfer came to nothing");
    bench.opened(2, 0);
    assert_eq!(bench.say(), [batch(2, 1, 1)]);
}

#[test]
fn a_command_waits_for_a_leader_and_is_sent_once() {
    let command = Command {
        kind: 15,
        source_id: 0,
        epoch: 0,
        sequence: 0,
        cause: Position(0),
        replica: 0,
        body: &[0; 8],
    };
    let mut bench = Bench::new();
    let tags = [bench.engine.command(command), bench.engine.command(command)].map(|tag| tag.expect("small"));
    bench.connect(Purpose::Leader);
    assert!(bench.say().is_empty());
    bench.leader(1, 1, "", true);
    assert_eq!(bench.say(), [Asked::Command, Asked::Command]);
    bench.answer(tags[0], &Reply::Done(Done::Admitted { position: 8, timestamp_ns: 1 }));
    assert!(bench.raw.last().is_some_and(|raw| raw.starts_with("Answer {")), "{:?}", bench.raw);
    bench.cut(Purpose::Leader);
    assert_eq!(bench.raw.last().map(String::as_str), Some(&*format!("AnswerLost {{ tag: {} }}", tags[1])));
    assert!(matches!(bench.plan(), Plan::Stay), "nothing needs the leader any more");
}

#[test]
fn an_idle_reader_asks_whether_its_node_is_still_there() {
    let mut bench = Bench::new();
    bench.engine.subscribe(Some(Position(64)), SubscribeAt::Address("c".to_owned()), true);
    assert_eq!(bench.connect(Purpose::Reader), "c");
    assert_eq!(bench.say_on(Purpose::Reader), [Asked::Subscribe { from: 64 }]);
    let leader = Leader { term: Term(1), id: Some(NodeId(9)), address: "x", is_here: false };
    bench.hear(Purpose::Reader, 0, &Tell::Leader(leader)).expect("it makes sense");
    bench.pass(2000);
    assert_eq!(bench.say_on(Purpose::Reader), [Asked::KeepAlive { session: 0 }]);
    let json = br#"{"refusal": "not_leader", "message": "", "is_retryable": true}"#;
    bench.hear(Purpose::Reader, bench.last_tag, &Tell::Answer { json }).expect("it makes sense");
    bench.pass(2000);
    assert_eq!(bench.say_on(Purpose::Reader).len(), 1);
    bench.pass(1999);
    assert!(matches!(bench.engine.plan(Purpose::Reader, bench.now_ns), Plan::Stay));
    bench.pass(1);
    let plan = bench.engine.plan(Purpose::Reader, bench.now_ns);
    assert!(matches!(plan, Plan::Leave(Disconnect::Silent { .. })));
}

#[test]
fn a_subscription_that_takes_the_place_of_another_is_not_given_the_others_frames() {
    let mut bench = Bench::open();
    bench.engine.subscribe(None, SubscribeAt::Leader, false);
    assert_eq!(bench.say(), [Asked::Subscribe { from: u64::MAX }]);
    let old = bench.last_tag;
    bench.engine.subscribe(Some(Position(0)), SubscribeAt::Leader, false);
    assert_eq!(bench.say(), [Asked::Unsubscribe, Asked::Subscribe { from: 0 }]);
    let frames = |from| Tell::Frames {
        from: Position(from),
        previous: Term(0),
        commit: Position(64),
        frames: &[0; 8],
    };
    bench.hear(Purpose::Leader, old, &frames(800)).expect("nobody wants it");
    bench.hear(Purpose::Leader, bench.last_tag, &frames(0)).expect("it makes sense");
    assert_eq!(bench.take(), [Told::Frames { from: 0, bytes: vec![0; 8] }]);
    assert_eq!(bench.engine.subscribed_to(), Some(Position(8)));
}

#[test]
fn a_dead_leader_that_is_still_named_is_run_after_once() {
    let mut bench = Bench::open();
    bench.cut(Purpose::Leader);
    bench.pass(20);
    bench.connect(Purpose::Leader);
    bench.leader(1, 2, "dead", false);
    let Plan::Leave(why) = bench.plan() else { panic!("it may have been the connection alone") };
    bench.engine.lost(Purpose::Leader, &why, bench.now_ns, &mut |_| {});
    let Plan::Dial(address) = bench.plan() else { panic!("at once") };
    assert_eq!(address, "dead");
    let refused = Disconnect::Connect(std::io::ErrorKind::ConnectionRefused.into());
    bench.engine.lost(Purpose::Leader, &refused, bench.now_ns, &mut |_| {});
    bench.pass(20);
    bench.connect(Purpose::Leader);
    bench.leader(1, 2, "dead", false);
    assert!(matches!(bench.plan(), Plan::Stay), "the node will tell of the next leader");
    bench.leader(2, 2, "dead", false);
    let Plan::Leave(why) = bench.plan() else { panic!("it has been elected anew, so it lives") };
    assert!(matches!(why, Disconnect::Redirected { leader: NodeId(2), term: Term(2) }));
}
