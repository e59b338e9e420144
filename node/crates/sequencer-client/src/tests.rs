//! The engine against nodes: by answers made up one by one (on a `bench`), and in `random` against a real core whose connections and process fail.
//!
//! Real: everything of the client but sockets and clock; the core and its log; every message, as bytes. Not real: the network, the disk, time.

mod bench;
mod connections;
mod node;
mod random;
mod records;
mod service;
mod sessions;
mod world;
