//! What the suites share: a second decoder for each format, written from `docs/reference/wire.md` to be
//! obvious and not fast, and the means to make and to spoil input.

#![allow(dead_code, reason = "each suite uses a part")]

pub(crate) mod body_examples;
pub(crate) mod body_json;
pub(crate) mod build;
pub(crate) mod fuzz;
pub(crate) mod mutate;
pub(crate) mod properties;
pub(crate) mod twin_body;
pub(crate) mod twin_crc;
pub(crate) mod twin_frame;
pub(crate) mod twin_peer;

use sequencer_wire::WireError;

/// The name of an error's variant, as the test vectors write it.
pub(crate) fn error_name(error: &WireError) -> String {
    format!("{error:?}").chars().take_while(|letter| letter.is_alphanumeric()).collect()
}
