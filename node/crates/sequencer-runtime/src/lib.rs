//! Drives the consensus core: carries its effects out on a disk and a network, and brings it what happened there.
//!
//! What belongs here: the one thin place where decisions become acts, the same code under the simulator and under real
//! disks; and a node's sockets, clocks and threads (`node`). What does not: any decision about terms, votes or commit, which
//! `sequencer-core` makes, and the layout of files, which `sequencer-storage` owns.

mod error;
mod host;
pub mod node;
mod replica;
mod settings;

pub use crate::error::ReplicaError;
pub use crate::host::Host;
pub use crate::replica::Replica;
pub use crate::settings::Settings;
