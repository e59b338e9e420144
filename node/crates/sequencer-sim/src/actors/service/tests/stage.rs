//! A world of one node, in which a single replica lives.

use std::cell::RefCell;
use std::rc::Rc;

use sequencer_storage::SplitMix64;
use sequencer_wire::{NodeId, Position, Term};

use super::log::{SERVICE, TestLog};
use super::run;
use crate::actors::service::machine::Emitted;
use crate::actors::service::{Replica, Store};
use crate::actors::{Actor, Asked, Reply, View};
use crate::checker::{Committed, Rules};
use crate::stats::Stats;

/// A world of one node that serves everything and leads, in which nothing goes wrong.
pub(super) struct Stage {
    pub(super) log: Committed,
    pub(super) rules: Rules,
    pub(super) rng: SplitMix64,
    stats: Stats,
    pub(super) now_ns: u64,
    next_number: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut log = Committed::default();
        (0..1_000).for_each(|number| log.admit(number));
        Self {
            log,
            rules: Rules::new(&[NodeId(1)], 8),
            rng: SplitMix64::new(5),
            stats: Stats::default(),
            now_ns: 1,
            next_number: 0,
        }
    }

    /// Everything in `log` is committed.
    pub(super) fn commit(&mut self, log: &TestLog) {
        let from = self.log.end();
        let bytes = &log.bytes[from.0 as usize..];
        assert_eq!(self.log.check(NodeId(1), Term(1), from, bytes, &mut self.rules), Ok(()));
    }

    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut View<'_>) -> T) -> (T, Vec<(u64, Asked)>) {
        let readable = [Some((Position(0), self.log.end()))];
        let mut view = View {
            now_ns: self.now_ns,
            rng: &mut self.rng,
            stats: &mut self.stats,
            log: &mut self.log,
            rules: &self.rules,
            readable: &readable,
            weak: &[false],
            gone: &[false],
            leader: Some(0),
            is_healed: true,
            next_number: &mut self.next_number,
            sent: Vec::new(),
            told: Vec::new(),
        };
        let outcome = act(&mut view);
        let sent = view.sent.into_iter().map(|sent| (sent.tag, sent.asked)).collect();
        (outcome, sent)
    }

    /// What the replica sends when its time has come.
    pub(super) fn act(&mut self, replica: &mut Replica) -> Vec<(u64, Asked)> {
        self.now_ns += 1;
        self.with(|view| replica.act(view)).1
    }

    pub(super) fn reply(&mut self, replica: &mut Replica, tag: u64, reply: Reply) {
        self.with(|view| replica.reply(tag, reply, view));
    }

    pub(super) fn replica(&mut self, version: u64, goes_wrong: bool, store: &Rc<RefCell<Store>>) -> Replica {
        let mut replica =
            Replica::new((SERVICE, version, 10), 2, goes_wrong, Rc::clone(store), &mut self.rng);
        replica.window = 8;
        replica
    }
}

/// A log of messages with seven outputs: five of epoch 1, its end, and one of version 2.
pub(super) fn switching_log() -> (TestLog, Vec<Emitted>) {
    let mut log = TestLog::new();
    log.messages([1, 2, 5]);
    log.promote(2, 2, Position(0));
    log.message(4);
    let emitted = run(&log, &[]).1;
    assert_eq!(emitted.len(), 7);
    (log, emitted)
}
