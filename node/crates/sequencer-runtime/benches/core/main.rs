//! What the log core costs on one machine: appending, following, syncing and recovering, over real files in one thread.
//!
//! `cargo bench -p sequencer-runtime --bench core` prints a table. After `--`: `--json` prints one JSON line a measure instead,
//! `--quick` tries everything out within seconds, `--only WORD` picks measures by name, `--dir` chooses another disk. Each
//! measure runs several times after a warm-up; shown are the median and the range. The peers do not exist: a leader's
//! followers acknowledge at once, a follower's leader is a stub, and what is sent is dropped.

mod admission;
mod append;
mod clock;
#[path = "../../tests/common/mod.rs"]
mod common;
mod follow;
mod machine;
mod measure;
mod parts;
mod recovery;
mod syncs;
mod timed_disk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::machine::Machine;
use crate::measure::{Plan, Report};

/// Measures the log core over real files in one thread.
#[derive(Parser)]
struct Arguments {
    /// Directory on the disk to measure; a directory made in it is removed at the end. Default: the target directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Runs of each measure after one warm-up run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// One short run of each measure: shows that it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// One JSON line for each measure instead of the table.
    #[arg(long)]
    json: bool,
    /// Only the measures whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let parent = arguments.dir.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    let home = match tempfile::Builder::new().prefix("bench-core-").tempdir_in(&parent) {
        Ok(home) => home,
        Err(error) => {
            eprintln!(
                "no directory can be made in {}: {error}; name another one with --dir",
                parent.display()
            );
            return ExitCode::FAILURE;
        }
    };
    let machine = Machine::read(home.path());
    let plan = Plan {
        home: home.path().to_owned(),
        runs: if arguments.quick { 1 } else { arguments.runs },
        quick: arguments.quick,
        only: arguments.only,
    };
    let mut report = Report::new(machine, arguments.json);
    append::measure(&plan, &mut report);
    admission::measure(&plan, &mut report);
    parts::measure(&plan, &mut report);
    follow::measure(&plan, &mut report);
    recovery::measure(&plan, &mut report);
    syncs::measure(&plan, &mut report);
    report.end();
    ExitCode::SUCCESS
}
