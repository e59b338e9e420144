//! Runs, their statistics and how they are shown.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::machine::Machine;

/// Payload of each message, in bytes: with its header a frame of 336 bytes.
pub(crate) const PAYLOAD_BYTES: usize = 288;

/// What is to be measured, and how thoroughly.
pub(crate) struct Plan {
    pub(crate) home: PathBuf,
    /// Runs that count; one more goes before them.
    pub(crate) runs: u32,
    pub(crate) quick: bool,
    pub(crate) only: String,
}

impl Plan {
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// A directory for one measure. It is removed when dropped, and the pages of its files with it.
    pub(crate) fn directory(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.home).expect("the benchmark's directory is writable")
    }

    /// Units of work in one run: `full`, or few when everything is only tried out.
    pub(crate) fn units(&self, full: u64) -> u64 {
        if self.quick { (full / 16).max(1) } else { full }
    }

    /// Runs `run` once for warming up and then as often as asked for.
    pub(crate) fn samples(&self, mut run: impl FnMut() -> Sample) -> Vec<Sample> {
        run();
        (0..self.runs).map(|_| run()).collect()
    }
}

/// One run.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Units of work done.
    pub(crate) count: u64,
    /// Bytes of the log that passed.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// The part of it that this thread was running, the kernel's work for it included; `None` when it was not watched. On a
    /// machine that does other things too, it says more than `elapsed`.
    pub(crate) on_cpu: Option<Duration>,
}

/// Takes the time of a run without a break.
pub(crate) struct Watch {
    started: Instant,
    on_cpu: Option<Duration>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { on_cpu: thread_time(), started: Instant::now() }
    }

    pub(crate) fn stop(self, count: u64, bytes: u64) -> Sample {
        let elapsed = self.started.elapsed();
        let on_cpu = thread_time().zip(self.on_cpu).map(|(end, start)| end - start);
        Sample { count, bytes, elapsed, on_cpu }
    }
}

/// Time that this thread has been running on a core; `None` where the kernel does not tell.
fn thread_time() -> Option<Duration> {
    // The kernel brings the figure up to date when the thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// One measure with all its runs.
pub(crate) struct Measure {
    pub(crate) name: String,
    /// What is counted, in the singular.
    pub(crate) unit: &'static str,
    pub(crate) samples: Vec<Sample>,
    pub(crate) target: Option<Target>,
}

/// What the median must reach.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    UnitsPerSecond(f64),
    BytesPerSecond(f64),
}

struct Range {
    median: f64,
    min: f64,
    max: f64,
}

impl Range {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self { median: (low + high) / 2.0, min: figures[0], max: figures[figures.len() - 1] }
    }

    fn to_json(&self) -> serde_json::Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

/// Prints measures as they come.
pub(crate) struct Report {
    machine: Machine,
    json: bool,
    missed: u32,
}

impl Report {
    pub(crate) fn new(machine: Machine, json: bool) -> Self {
        if !json {
            machine.print();
            println!(
                "{:<50} {:>12} {:>25} {:>11} {:>11} {:>7}",
                "measure", "median/s", "min - max /s", "each", "on cpu", "GB/s"
            );
        }
        Self { machine, json, missed: 0 }
    }

    pub(crate) fn add(&mut self, measure: &Measure) {
        let Measure { name, unit, samples, target } = measure;
        let units = Range::of(
            samples.iter().map(|sample| sample.count as f64 / sample.elapsed.as_secs_f64()).collect(),
        );
        let bytes = Range::of(
            samples.iter().map(|sample| sample.bytes as f64 / sample.elapsed.as_secs_f64()).collect(),
        );
        let each_ns = 1e9 / units.median;
        let watched: Option<Vec<f64>> = samples
            .iter()
            .map(|sample| Some(sample.on_cpu?.as_nanos() as f64 / sample.count as f64))
            .collect();
        let on_cpu_ns = watched.map(|figures| Range::of(figures).median);
        let is_met = target.map(|target| match target {
            Target::UnitsPerSecond(target) => units.median >= target,
            Target::BytesPerSecond(target) => bytes.median >= target,
        });
        self.missed += u32::from(is_met == Some(false));
        let target_text = target.map(|target| match target {
            Target::UnitsPerSecond(target) => format!("{} {unit}s/s", grouped(target)),
            Target::BytesPerSecond(target) => format!("{:.1} GB/s", target / 1e9),
        });
        if self.json {
            let line = json!({
                "measure": name,
                "unit": unit,
                "units_per_second": units.to_json(),
                "bytes_per_second": bytes.to_json(),
                "ns_each": each_ns,
                "on_cpu_ns_each": on_cpu_ns,
                "runs": samples.len(),
                "target": target_text,
                "target_met": is_met,
                "payload_bytes": PAYLOAD_BYTES,
                "machine": self.machine.to_json(),
            });
            println!("{line}");
            return;
        }
        let range = format!("{} - {}", grouped(units.min), grouped(units.max));
        let verdict = match (target_text, is_met) {
            (Some(target), Some(true)) => format!("  target {target}: met"),
            (Some(target), _) => format!("  target {target}: MISSED"),
            (None, _) => String::new(),
        };
        println!(
            "{name:<50} {:>12} {range:>25} {:>11} {:>11} {:>7.2}{verdict}",
            grouped(units.median),
            duration(each_ns),
            on_cpu_ns.map_or(String::new(), duration),
            bytes.median / 1e9
        );
    }

    /// Says how many targets were missed.
    pub(crate) fn end(&self) {
        if !self.json {
            println!("targets missed: {}", self.missed);
        }
    }
}

fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e4 => format!("{ns:.1} ns"),
        ns if ns < 1e7 => format!("{:.1} us", ns / 1e3),
        ns => format!("{:.1} ms", ns / 1e6),
    }
}
