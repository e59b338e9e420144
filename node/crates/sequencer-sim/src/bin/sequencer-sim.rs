//! Command line of the simulator; `make sim`, `make sim-teeth` and `make replay` call it.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sequencer_sim::{Trace, TraceFormat, print_report, run_plain_seed, run_seed, run_seeds};

/// Runs whole simulated clusters and checks that no rule is ever broken.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds; exit status 1 when one breaks a rule.
    Run {
        /// How many seeds.
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Runs one seed and prints what happened, as lines for people.
    Replay {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// Print every event.
        #[arg(long, conflicts_with = "story")]
        trace: bool,
        /// Print starts, crashes, leaders, cuts and faults only.
        #[arg(long)]
        story: bool,
        /// Switch on a known bug (needs the feature `teeth`).
        #[arg(long)]
        bug: Option<String>,
    },
    /// Runs one seed and prints every event, for another program.
    Trace {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// JSON Lines; the only format so far.
        #[arg(long, required = true)]
        json: bool,
        /// The members stay who they are and the log keeps its start: what a checker of consensus alone understands.
        #[arg(long)]
        plain: bool,
        /// Switch on a known bug (needs the feature `teeth`).
        #[arg(long)]
        bug: Option<String>,
    },
    /// Switches on each known bug in turn; exit status 1 when one is not found.
    #[cfg(feature = "teeth")]
    Teeth {
        /// Most seeds for each bug.
        #[arg(long, default_value_t = 5000)]
        bound: u64,
        /// Only this bug.
        #[arg(long)]
        bug: Option<sequencer_wire::teeth::Bug>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Threads; by default one a core.
    #[arg(long)]
    jobs: Option<usize>,
}

impl Common {
    fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
    }
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { seeds, common } => {
            // A panic is reported as the violation it is, with its seed.
            std::panic::set_hook(Box::new(|_| {}));
            let totals = run_seeds(common.first, seeds, common.jobs(), false, || {});
            print_report(&totals);
            exit(totals.failures.is_empty())
        }
        Command::Replay { seed, trace, story, bug } => {
            let format = if trace { Some(TraceFormat::Text) } else { story.then_some(TraceFormat::Story) };
            replay(seed, format, false, bug.as_deref())
        }
        Command::Trace { seed, json: _, plain, bug } => {
            replay(seed, Some(TraceFormat::Json), plain, bug.as_deref())
        }
        #[cfg(feature = "teeth")]
        Command::Teeth { bound, bug, common } => teeth(bound, bug, &common),
    }
}

fn exit(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, format: Option<TraceFormat>, is_plain: bool, bug: Option<&str>) -> ExitCode {
    if let Err(reason) = switch_on(bug) {
        eprintln!("sequencer-sim: {reason}");
        return ExitCode::from(2);
    }
    let trace =
        format.map_or_else(Trace::off, |format| Trace::to(format, Box::new(BufWriter::new(stdout()))));
    let outcome = if is_plain { run_plain_seed(seed, trace) } else { run_seed(seed, trace) };
    let is_json = format == Some(TraceFormat::Json);
    match &outcome.violation {
        Some(violation) => eprintln!("seed {seed} breaks a rule: {violation}"),
        None if is_json => {}
        None => {
            let counts = outcome.stats.iter().map(|(name, count)| format!("  {count:>12}  {name}\n"));
            let report = counts.collect::<String>() + &format!("seed {seed}: no rule was broken\n");
            // A reader that has seen enough may have closed the pipe.
            let _ = stdout().write_all(report.as_bytes());
        }
    }
    exit(outcome.violation.is_none())
}

#[cfg(feature = "teeth")]
fn switch_on(bug: Option<&str>) -> Result<(), String> {
    let bug = bug.map(str::parse).transpose().map_err(|error| format!("{error}"))?;
    sequencer_wire::teeth::activate(bug);
    Ok(())
}

#[cfg(not(feature = "teeth"))]
fn switch_on(bug: Option<&str>) -> Result<(), String> {
    bug.map_or(Ok(()), |name| Err(format!("cannot switch on {name}: build with --features teeth")))
}

#[cfg(feature = "teeth")]
fn teeth(bound: u64, bug: Option<sequencer_wire::teeth::Bug>, common: &Common) -> ExitCode {
    use sequencer_sim::run_teeth;
    use sequencer_wire::teeth::Bug;

    std::panic::set_hook(Box::new(|_| {}));
    let bugs = bug.map_or_else(|| Bug::ALL.to_vec(), |bug| vec![bug]);
    let mut missed = Vec::new();
    for bug in &bugs {
        let outcome = run_teeth(*bug, common.first, bound, common.jobs());
        match &outcome.found {
            Some((seed, violation)) => {
                println!(
                    "{:<30} found after {:>4} seeds by seed {seed}: {violation}",
                    bug.name(),
                    outcome.seeds
                );
            }
            None => {
                println!("{:<30} NOT FOUND in {} seeds", bug.name(), outcome.seeds);
                missed.push(bug.name());
            }
        }
    }
    println!("{} of {} known bugs found, bound {bound} seeds each", bugs.len() - missed.len(), bugs.len());
    exit(missed.is_empty())
}
