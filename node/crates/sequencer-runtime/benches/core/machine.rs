//! Where a measurement was taken: figures without it mean nothing.

use std::fs;
use std::path::Path;

use serde_json::json;

pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    file_system: String,
    /// Load average of the last minute before the first measure.
    load: String,
}

impl Machine {
    /// The machine, and the file system that holds `directory`.
    pub(crate) fn read(directory: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let cpu = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpu: cpu.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mounts"), directory),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let Self { cpu, cores, kernel, file_system, load } = self;
        json!({ "cpu": cpu, "cores": cores, "kernel": kernel, "file_system": file_system, "load_before": load })
    }

    pub(crate) fn print(&self) {
        let Self { cpu, cores, kernel, file_system, load } = self;
        println!("{cpu}, {cores} cores, kernel {kernel}; files on {file_system}; load before {load}");
        if file_system.starts_with("tmpfs") {
            println!(
                "This file system is memory: syncs and recovery say nothing about a disk. Name one with --dir."
            );
        }
    }
}

/// Kind and device of the mount that is nearest above `directory`.
fn file_system(mounts: &str, directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let mut nearest = ("unknown", "", 0);
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        if let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next())
            && directory.starts_with(point)
            && point.len() >= nearest.2
        {
            nearest = (kind, device, point.len());
        }
    }
    format!("{} ({})", nearest.0, nearest.1)
}
