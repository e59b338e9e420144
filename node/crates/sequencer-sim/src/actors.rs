//! Those who use the cluster: clients, gateways, services and an operator, and how they meet it.
//!
//! They see what anyone outside sees: the committed log as some node serves it, and what they are told. Requests and replies take
//! time and get lost.

mod asked;
mod client;
mod fleet;
mod gateway;
mod operator;
mod service;

use std::cell::RefCell;
use std::rc::Rc;

use sequencer_core::{Outcome, Refusal};
use sequencer_storage::SplitMix64;
use sequencer_wire::{NodeId, Position};

use crate::checker::{Committed, Rules};
use crate::profile::Profile;
use crate::stats::Stats;

pub(crate) use asked::{Asked, Control};
use client::Client;
use gateway::Gateway;
use operator::{Operator, VERSIONS};
pub(crate) use service::check_outputs;
use service::{Replica as ServiceReplica, Store};

/// Everybody who uses the cluster under a profile. The operator comes first.
pub(crate) fn settle(profile: &Profile, rng: &mut SplitMix64) -> Vec<Box<dyn Actor>> {
    let people = &profile.people;
    let operator = Operator::new(people, rng);
    let mut actors: Vec<Box<dyn Actor>> = Vec::new();
    for number in 0..people.clients {
        actors.push(Box::new(Client::new(number, people.even_frames, people.services.len() as u32, rng)));
    }
    for number in 0..people.gateways {
        actors.push(Box::new(Gateway::new(number, 1, rng)));
    }
    for (replicas, (service, agree)) in people.services.iter().zip(operator.agreements()) {
        let store = Rc::new(RefCell::new(Store::default()));
        let versions = if people.promotes { VERSIONS } else { 1 };
        for version in 1..=versions {
            // One of at least three may go wrong, if the others need not count on it.
            let wrong = (*agree == 2 && *replicas >= 3 && rng.coin()).then_some(0);
            for number in 0..*replicas {
                let name = (*service, version, (version * 10 + number) as u32);
                let goes_wrong = wrong == Some(number);
                actors.push(Box::new(ServiceReplica::new(
                    name,
                    versions,
                    goes_wrong,
                    Rc::clone(&store),
                    rng,
                )));
            }
        }
    }
    actors.insert(0, Box::new(operator));
    actors
}

/// What came back, some time later. Lost requests and void answers never come back.
pub(crate) type Reply = Result<Outcome, Refusal>;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) node: usize,
    /// Comes back with the reply.
    pub(crate) tag: u64,
    pub(crate) asked: Asked,
}

/// What an inhabitant was told, or did because of it; the checker judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A message stands in the log for good.
    Admitted { session: u32, sequence: u64, at: Position },
    /// A session is open.
    Opened { session: u32, epoch: u32, last_sequence: u64, at: Position },
    /// Nonsense was refused in another way than it should be.
    WrongRefusal { expected: &'static str, got: String },
    /// The operator has set up another machine.
    NewNode { id: NodeId, data: [u8; 16] },
    /// A gateway acts on the world outside, under this role epoch.
    Acting { group: u32, session: u32, role_epoch: u32 },
}

/// The world as one inhabitant sees it.
pub(crate) struct View<'a> {
    pub(crate) now_ns: u64,
    pub(crate) rng: &'a mut SplitMix64,
    pub(crate) stats: &'a mut Stats,
    /// The one committed log.
    pub(crate) log: &'a mut Committed,
    /// What the judge of the log has seen so far; for the operator, who may look at everything.
    pub(crate) rules: &'a Rules,
    /// What each node serves now; `None` when it is down or stands still.
    pub(crate) readable: &'a [Option<(Position, Position)>],
    /// Per node: it may have lost what it acknowledged; for the operator.
    pub(crate) weak: &'a [bool],
    /// Per node: it will never take part again; for the operator.
    pub(crate) gone: &'a [bool],
    /// Who leads, as far as one can see.
    pub(crate) leader: Option<usize>,
    /// All faults are over.
    pub(crate) is_healed: bool,
    pub(crate) next_number: &'a mut u64,
    pub(crate) sent: Vec<Sent>,
    pub(crate) told: Vec<Told>,
}

impl View<'_> {
    /// A number that no other message of this seed bears.
    pub(crate) fn next_number(&mut self) -> u64 {
        *self.next_number += 1;
        *self.next_number
    }

    /// A message with this number is going to be sent.
    pub(crate) fn admitting(&mut self, number: u64) {
        self.log.admit(number);
    }

    pub(crate) fn send(&mut self, node: usize, tag: u64, asked: Asked) {
        self.sent.push(Sent { node, tag, asked });
    }
}

/// Somebody who uses the cluster.
pub(crate) trait Actor {
    /// Its time has come. Returns the delay in nanoseconds after which it wants to act again.
    fn act(&mut self, view: &mut View<'_>) -> u64;

    /// A reply has arrived.
    fn reply(&mut self, tag: u64, reply: Reply, view: &mut View<'_>);

    /// Whether everything it has started has come to its end; asked once all faults are over.
    fn is_done(&self, log: &Committed) -> bool;

    /// What it waits for, for the report of a seed in which it waits for ever.
    fn describe(&self) -> String;
}
