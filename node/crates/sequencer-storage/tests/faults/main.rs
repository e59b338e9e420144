//! What the simulated disk alone can do: no room, failing operations, lost files, damaged records, frames of the future.

#[path = "../common/mod.rs"]
mod common;
mod disk_errors;
mod kit;
mod records;
mod segments;
mod snapshots;
