//! A crash at every mutating operation of scripted histories, and a second one at every operation of the recovery that
//! follows, each as the end of the process and as a loss of power. Checked by the twin in `common/model.rs`.

mod common;

use common::model::{Model, Step};
use sequencer_storage::{Durability, Log, Options, SimDisk, SplitMix64, StorageError};
use sequencer_wire::{Position, Term};

/// Losses of power tried at each place; each keeps other sectors.
const POWER_SEEDS: u64 = 4;

fn append(seed: u64) -> Step {
    Step { kind: 0, seed }
}

fn start_sync() -> Step {
    Step { kind: 35, seed: 0 }
}

fn complete_sync() -> Step {
    Step { kind: 47, seed: 0 }
}

fn wait_durable() -> Step {
    Step { kind: 61, seed: 0 }
}

fn cut(seed: u64) -> Step {
    Step { kind: 67, seed }
}

fn save(seed: u64) -> Step {
    Step { kind: 73, seed }
}

fn reopen(seed: u64) -> Step {
    Step { kind: 99, seed }
}

fn save_snapshot(seed: u64) -> Step {
    Step { kind: 100, seed }
}

fn trim(seed: u64) -> Step {
    Step { kind: 104, seed }
}

fn install(seed: u64) -> Step {
    Step { kind: 107, seed }
}

/// Appends that fill some segments, with syncs that overlap them.
fn appends(from: u64, rounds: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for seed in from..from + rounds {
        steps.extend([
            append(seed * 7),
            append(seed * 7 + 1),
            start_sync(),
            append(seed * 7 + 2),
            complete_sync(),
        ]);
    }
    steps
}

/// Runs the steps with a stop at the `stop`-th mutating operation; `None` when they end before that.
fn run_to_stop(durability: Durability, steps: &[Step], stop: u64) -> Option<Model> {
    let mut model = Model::new(5, durability, false);
    model.stay_down = true;
    model.disk.stop_after(stop);
    for step in steps {
        model.step(*step).unwrap_or_else(|error| panic!("stop at {stop}, {step:?}: {error}"));
        if model.is_down() {
            return Some(model);
        }
    }
    None
}

/// Opens a crashed log with a second crash at every operation of the recovery.
fn recover_with_crashes(crashed: &Model, powers: &[bool], context: &str) -> u64 {
    let mut tried = 0;
    for stop in 1.. {
        let mut opened_whole = false;
        for (seed, power) in powers.iter().enumerate() {
            let mut model = crashed.fork();
            model.reseed(seed as u64);
            model.disk.stop_after(stop);
            let opened = model.try_open().unwrap_or_else(|error| panic!("{context}: {error}"));
            if opened {
                opened_whole = true;
                break;
            }
            tried += 1;
            model.fall(*power);
            let opened = model.try_open();
            let context = format!("{context}, again at {stop} (power {power}, seed {seed})");
            assert_eq!(opened, Ok(true), "{context}");
            // And once more, from the page cache and from the platters.
            model.fall(seed % 2 == 0 && *power);
            assert_eq!(model.try_open(), Ok(true), "{context}");
        }
        if opened_whole {
            break;
        }
    }
    tried
}

fn crash_everywhere(durability: Durability, steps: &[Step]) {
    let mut places = 0;
    let mut recoveries = 0;
    for stop in 1.. {
        let Some(stopped) = run_to_stop(durability, steps, stop) else { break };
        places += 1;
        let power_seeds = if durability == Durability::Fsync { POWER_SEEDS } else { 0 };
        for seed in 0..=power_seeds {
            let mut crashed = stopped.fork();
            crashed.reseed(stop ^ (seed << 32));
            crashed.fall(seed > 0);
            let context = format!("stop at {stop}, crash {seed}");
            let powers: &[bool] =
                if durability == Durability::Fsync { &[false, true, true] } else { &[false] };
            recoveries += recover_with_crashes(&crashed, powers, &context);
        }
    }
    assert!(places > 10 && recoveries > places, "{places} places, {recoveries} recoveries");
}

#[test]
fn at_every_operation_of_appends_that_roll_and_sync() {
    crash_everywhere(Durability::Fsync, &appends(1, 12));
}

#[test]
fn at_every_operation_of_appends_in_memory() {
    crash_everywhere(Durability::Memory, &appends(30, 14));
}

#[test]
fn at_every_operation_of_cuts_across_segments() {
    let mut steps = appends(60, 8);
    for seed in 0..8 {
        steps.extend([cut(seed), append(seed + 90), start_sync(), append(seed + 50)]);
    }
    crash_everywhere(Durability::Fsync, &steps);
}

#[test]
fn at_every_operation_of_saving_the_hard_state() {
    let mut steps = vec![append(1), wait_durable()];
    steps.extend((0..8).flat_map(|seed| [save(seed), append(seed)]));
    crash_everywhere(Durability::Fsync, &steps);
    crash_everywhere(Durability::Memory, &steps);
}

#[test]
fn at_every_operation_of_snapshots_and_trims() {
    let mut steps = appends(1, 8);
    for seed in 0..6 {
        steps.extend([append(seed + 70), wait_durable(), save_snapshot(seed), append(seed + 80), trim(seed)]);
    }
    crash_everywhere(Durability::Fsync, &steps);
    crash_everywhere(Durability::Memory, &steps);
}

#[test]
fn at_every_operation_of_installations() {
    let mut steps = appends(40, 6);
    for seed in 0..5 {
        // With a sync under way, and with bytes that no sync covers.
        steps.extend([
            save_snapshot(seed),
            start_sync(),
            append(seed + 70),
            install(seed),
            append(seed + 90),
        ]);
        steps.extend([append(seed + 100), wait_durable(), append(seed + 110), trim(seed)]);
    }
    crash_everywhere(Durability::Fsync, &steps);
    crash_everywhere(Durability::Memory, &steps);
}

#[test]
fn at_every_operation_of_closing_and_opening() {
    let mut steps = appends(20, 6);
    steps.extend([reopen(1), append(3), save(4), reopen(2), append(5), wait_durable(), cut(4), reopen(3)]);
    crash_everywhere(Durability::Fsync, &steps);
}

#[test]
fn at_every_operation_of_formatting() {
    let options = common::options(Durability::Fsync);
    let mut whole = false;
    for stop in 1.. {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            disk.stop_after(stop);
            whole = Log::format(&mut disk.clone(), &options, common::UUID).is_ok();
            if whole {
                break;
            }
            if seed % 2 == 0 {
                disk.crash_process();
            } else {
                disk.lose_power(&mut SplitMix64::new(seed));
            }
            match Log::open(disk.clone(), options.clone()) {
                Err(StorageError::NotFormatted) => {
                    Log::format(&mut disk.clone(), &options, common::UUID)
                        .unwrap_or_else(|error| panic!("stop at {stop}, seed {seed}: {error}"));
                }
                Err(error) => panic!("stop at {stop}, seed {seed}: {error}"),
                Ok(_) => {}
            }
            let (log, _) = Log::open(disk.clone(), options.clone()).unwrap();
            assert_eq!(log.data_uuid(), common::UUID);
        }
        if whole {
            break;
        }
    }
}

/// A log that ran in memory mode is opened with fsync durability; the machine restarts at every operation of that opening. The
/// bytes are there, or the node says that it lost them.
#[test]
fn at_every_operation_of_leaving_memory_mode() {
    let memory = common::options(Durability::Memory);
    let fsync = common::options(Durability::Fsync);
    let rebooted = Options { boot_id: common::OTHER_BOOT, ..fsync.clone() };
    let disk = SimDisk::new(3);
    Log::format(&mut disk.clone(), &memory, common::UUID).unwrap();
    let (mut log, _) = Log::open(disk.clone(), memory).unwrap();
    let mut bytes = common::new_term(Position::START, Term::NONE, Term(1));
    bytes.extend(common::messages(Position(72), Term(1), 100, 288, 1));
    log.append(&[&bytes]).unwrap();
    assert_eq!(log.durable().0, bytes.len() as u64);
    drop(log);
    disk.crash_process();
    let mut refused = 0;
    for stop in 1.. {
        let mut whole = false;
        for seed in 0..50 {
            let disk = disk.fork();
            disk.stop_after(stop);
            whole = Log::open(disk.clone(), fsync.clone()).is_ok();
            disk.lose_power(&mut SplitMix64::new(seed));
            match Log::open(disk.clone(), rebooted.clone()) {
                Err(StorageError::MemoryLost { .. }) if !whole => refused += 1,
                Err(error) => panic!("stop at {stop}, seed {seed}: {error}"),
                Ok((log, _)) => assert_eq!(log.end().0, bytes.len() as u64, "stop at {stop}, seed {seed}"),
            }
        }
        if whole {
            break;
        }
    }
    assert!(refused > 0);
}
