//! Random series of steps over the simulated disk, held against the twin in `common/model.rs`. Real: all of the log. Simulated:
//! the disk. A failing series shrinks to a short one.

mod common;

use common::model::{Model, STEP_KINDS, Step};
use proptest::prelude::*;
use sequencer_storage::{Durability, SplitMix64};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..STEP_KINDS, any::<u64>()).prop_map(|(kind, seed)| Step { kind, seed });
    prop::collection::vec(step, 1..80)
}

fn run(seed: u64, durability: Durability, flips: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new(seed, durability, flips);
    for step in steps {
        model.step(*step).map_err(TestCaseError::fail)?;
    }
    // Whatever happened, the last word is a crash.
    if !model.refused {
        model.crash(durability == Durability::Fsync).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn synced_logs_keep_what_they_acknowledged(seed: u64, steps in steps()) {
        run(seed, Durability::Fsync, false, &steps)?;
    }

    #[test]
    fn flipped_bits_never_lose_an_acknowledgement_silently(seed: u64, steps in steps()) {
        run(seed, Durability::Fsync, true, &steps)?;
    }

    #[test]
    fn logs_in_memory_survive_the_process(seed: u64, steps in steps()) {
        run(seed, Durability::Memory, false, &steps)?;
    }

    #[test]
    fn flipped_bits_in_memory_logs_are_noticed(seed: u64, steps in steps()) {
        run(seed, Durability::Memory, true, &steps)?;
    }
}

/// The tests above mean something only when they reach the hard cases.
#[test]
fn the_steps_reach_the_hard_cases() {
    let mut rng = SplitMix64::new(3);
    let (mut torn, mut lost, mut directory, mut not_clean) = (0, 0, 0, 0);
    for seed in 0..200 {
        let mut model = Model::new(seed, Durability::Fsync, true);
        for _ in 0..80 {
            model.step(Step { kind: rng.below(u64::from(STEP_KINDS)) as u8, seed: rng.next_u64() }).unwrap();
        }
        let counters = model.disk.counters();
        torn += counters.torn_writes;
        lost += counters.lost_sectors;
        directory += counters.lost_directory_operations;
        not_clean += model.not_clean;
    }
    assert!(
        torn > 100 && lost > 1000 && directory > 50 && not_clean > 50,
        "{torn} {lost} {directory} {not_clean}"
    );
}

/// Hours of it on demand: `MODEL_SEEDS=1000000 cargo test --release -p sequencer-storage --test model -- --ignored`.
#[test]
#[ignore = "long; asks for a number of seeds"]
fn many_seeds() {
    let seeds =
        std::env::var("MODEL_SEEDS").map_or(20_000, |seeds| seeds.parse().expect("a number of seeds"));
    for seed in 0..seeds {
        let mut rng = SplitMix64::new(seed);
        let durability = if rng.below(4) == 0 { Durability::Memory } else { Durability::Fsync };
        let flips = rng.coin();
        let steps = |rng: &mut SplitMix64| Step {
            kind: rng.below(u64::from(STEP_KINDS)) as u8,
            seed: rng.next_u64(),
        };
        let steps: Vec<Step> = (0..rng.below(200)).map(|_| steps(&mut rng)).collect();
        run(seed, durability, flips, &steps).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
