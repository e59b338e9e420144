//! One suite for every disk: goes in, a sequence of calls on the public log; checked, what the log returns and what a second
//! opening finds. `FileDisk` runs on a real directory, `SimDisk` on its simulation; a full disk and failing operations are
//! simulated only.

#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod disk;
mod durability;
mod formatting;
mod frames;
mod place;
mod saves;
mod snapshots;
