//! The known bugs of this crate, switched on one at a time: the twin of `common/model.rs` must notice each of them within a
//! bounded number of seeds, or it would not notice the next one either.

#![cfg(feature = "teeth")]

mod common;

use common::model::{Model, STEP_KINDS, Step};
use sequencer_storage::{Durability, SplitMix64};
use sequencer_wire::teeth::{self, Bug};

const SEEDS_MAX: u64 = 500;

/// First seed whose steps end in a complaint.
fn first_found(bug: Option<Bug>, flips: bool) -> Option<(u64, String)> {
    teeth::activate(bug);
    let found = (0..SEEDS_MAX).find_map(|seed| {
        let mut rng = SplitMix64::new(seed);
        let mut model = Model::new(seed, Durability::Fsync, flips);
        (0..60).find_map(|_| {
            let step = Step { kind: rng.below(u64::from(STEP_KINDS)) as u8, seed: rng.next_u64() };
            model.step(step).err().map(|complaint| (seed, complaint))
        })
    });
    teeth::activate(None);
    found
}

#[test]
fn each_planted_bug_is_found() {
    for bug in [
        Bug::AckBeforeDurable,
        Bug::DamageAsTornTail,
        Bug::SkipCutInvalidation,
        Bug::VoteTwiceAfterRestart,
        Bug::InstallBeforeSync,
    ] {
        let found = first_found(Some(bug), true);
        assert!(found.is_some(), "{} was not found", bug.name());
    }
}

#[test]
fn without_a_bug_nothing_is_found() {
    for flips in [false, true] {
        assert_eq!(first_found(None, flips), None);
    }
}
