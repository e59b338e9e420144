//! The simulator itself: equal seeds give equal runs, runs explore, failing seeds are reported, known bugs are found.
//!
//! Real: everything but the disk, the network and the clocks. The many seeds are `make sim`; here are just enough to see
//! that the machinery works.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use sequencer_sim::{Trace, TraceFormat, run_seed, run_seeds};

#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn traced(seed: u64, format: TraceFormat) -> String {
    let sink = Sink::default();
    let outcome = run_seed(seed, Trace::to(format, Box::new(sink.clone())));
    assert_eq!(outcome.violation, None, "seed {seed}");
    let bytes = sink.0.borrow().clone();
    String::from_utf8(bytes).expect("traces are text")
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [3, 11, 19] {
        let first = traced(seed, TraceFormat::Json);
        assert!(first == traced(seed, TraceFormat::Json), "seed {seed} ran differently the second time");
        assert!(first != traced(seed + 1, TraceFormat::Json), "two seeds ran alike");
    }
}

#[test]
fn tracing_does_not_change_the_run() {
    let silent = run_seed(5, Trace::off());
    let sink = Sink::default();
    let traced = run_seed(5, Trace::to(TraceFormat::Text, Box::new(sink)));
    assert_eq!(silent.stats, traced.stats);
}

#[test]
fn each_line_of_a_trace_is_an_event() {
    for line in traced(7, TraceFormat::Json).lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a line is one JSON object");
        assert!(event["ev"].is_string() && event["t"].is_u64(), "{line}");
    }
}

#[test]
fn a_few_hundred_seeds_break_no_rule_and_see_everything() {
    let totals = run_seeds(1, 400, 2, false, || {});
    assert!(totals.failures.is_empty(), "{:?}", totals.failures[0]);
    let seen = [
        "elections won",
        "transfers",
        "cuts of the tail",
        "torn writes",
        "sectors lost",
        "names lost",
        "starts in doubt",
        "starts with damage",
        "one-way partitions",
        "partitions",
        "isolated nodes",
        "crashes inside a disk operation",
        "losses of all power",
        "disks found full",
        "disk errors",
        "catch-up reads",
        "messages damaged",
        "messages doubled",
        "messages reordered",
        "jumps of a wall clock",
        "pauses",
        "ambushes",
        "nodes that lost their memory",
    ];
    for name in seen {
        assert!(totals.stats.get(name) > 0, "these seeds never saw {name:?}");
    }
    assert!(totals.stats.get("messages acknowledged") > 10_000);
}

/// The command line reports what it found by its exit status and its last line.
mod command {
    use std::process::Command;

    fn simulator() -> Command {
        Command::new(env!("CARGO_BIN_EXE_sequencer-sim"))
    }

    #[test]
    fn a_clean_run_ends_with_its_figure() {
        let output = simulator().args(["run", "--seeds", "5"]).output().expect("the simulator starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(
            text.lines().last().is_some_and(|line| line.starts_with("5 seeds, 0 violations, ")),
            "{text}"
        );
    }

    #[test]
    #[cfg(not(feature = "teeth"))]
    fn a_bug_cannot_be_switched_on_without_the_feature() {
        let output =
            simulator().args(["replay", "--seed", "1", "--bug", "ghost-frames"]).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--features teeth"));
    }
}

#[cfg(feature = "teeth")]
mod teeth {
    use sequencer_sim::{Trace, run_seed, run_teeth};
    use sequencer_wire::teeth::Bug;

    #[test]
    fn a_blatant_bug_is_found_at_once_and_its_seed_replays() {
        let outcome = run_teeth(Bug::CommitGoesBack, 1, 50, 1);
        let (seed, violation) = outcome.found.expect("the bug is blatant");
        sequencer_wire::teeth::activate(Some(Bug::CommitGoesBack));
        assert_eq!(run_seed(seed, Trace::off()).violation, Some(violation));
        sequencer_wire::teeth::activate(None);
        assert_eq!(run_seed(seed, Trace::off()).violation, None);
    }
}
