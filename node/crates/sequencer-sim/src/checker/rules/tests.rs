//! Logs written by hand: one that uses everything and breaks nothing, and for each rule one that breaks that rule and no other.

mod good_log;
mod members;
mod retention;
mod roles;
mod schemas;
mod script;
mod services;
mod sessions;
mod switches;
mod told;

use script::{MS, Script};
