//! Random order of everything that can happen between a client and a node of one voter.
//!
//! In: publishing, bytes that arrive in pieces, syncs, broken connections whose last bytes arrive late or never, restarts of the node that lose what was
//! not durable, sessions that expire, records that are refused. Checked: see `world`; and that after it all works again every record is told of, and the log
//! holds exactly what was acknowledged.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::node::MS;
use super::world::{BAD_SCHEMA, World};
use crate::event::Purpose;
use crate::settings::SubscribeAt;

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish(u8),
    PublishBad,
    Turn,
    ToNode(Purpose, u16),
    ToClient(Purpose, u16),
    Sync,
    Cut(Purpose, bool),
    Late,
    Crash,
    Pass(u16),
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![3 => Just(Purpose::Leader), 1 => Just(Purpose::Reader)]
}

fn bytes() -> impl Strategy<Value = u16> {
    prop_oneof![2 => 1..400u16, 3 => Just(u16::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..8u8).prop_map(Step::Publish),
        1 => Just(Step::PublishBad),
        20 => Just(Step::Turn),
        14 => (purpose(), bytes()).prop_map(|(purpose, bytes)| Step::ToNode(purpose, bytes)),
        14 => (purpose(), bytes()).prop_map(|(purpose, bytes)| Step::ToClient(purpose, bytes)),
        10 => Just(Step::Sync),
        3 => (purpose(), any::<bool>()).prop_map(|(purpose, arrives)| Step::Cut(purpose, arrives)),
        2 => Just(Step::Late),
        1 => Just(Step::Crash),
        8 => (1..60u16).prop_map(Step::Pass),
        1 => (500..4000u16).prop_map(Step::Pass),
    ]
}

fn act(world: &mut World, step: Step) {
    match step {
        Step::Publish(count) => {
            for _ in 0..count {
                if !world.publish(0) {
                    break;
                }
            }
        }
        Step::PublishBad => {
            world.publish(BAD_SCHEMA);
        }
        Step::Turn => world.turn(),
        Step::ToNode(purpose, bytes) => world.arrive_at_node(purpose, usize::from(bytes)),
        Step::ToClient(purpose, bytes) => world.arrive_at_client(purpose, usize::from(bytes)),
        Step::Sync => world.node.sync(),
        Step::Cut(purpose, arrives) => world.cut(purpose, arrives),
        Step::Late => world.deliver_late(),
        Step::Crash => world.crash(),
        Step::Pass(ms) => world.pass(u64::from(ms) * MS),
    }
}

fn cases() -> ProptestConfig {
    // A case that failed is kept in a file beside this one and tried first from then on.
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 1000, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_is_lost_doubled_or_reordered(
        seed in any::<u64>(),
        window in 1..40usize,
        at_leader in any::<bool>(),
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let at = if at_leader { SubscribeAt::Leader } else { SubscribeAt::Any };
        let mut world = World::new(seed, window, at);
        for step in steps {
            act(&mut world, step);
        }
        world.heal();
        world.check_log();
    }
}
