//! The planted bug of this crate does what it says, and nothing while it is off.
#![cfg(feature = "teeth")]

mod support;

use sequencer_wire::teeth::{Bug, activate};
use sequencer_wire::{Position, Term, WireError, decode_frame};
use support::build::{frame, message_fields, new_term};

#[test]
fn ghost_frames_verify_anywhere() {
    activate(Some(Bug::GhostFrames));
    let message = frame(64, 2, &message_fields(), b"ghost");
    let start = new_term(64, 4, 2, 1, 1);
    assert!(decode_frame(&message, Position(640), Term(3)).is_ok());
    assert!(decode_frame(&start, Position(640), Term(3)).is_ok(), "the predecessor is not compared");
    let back = decode_frame(&start, Position(640), Term(4));
    assert!(matches!(back, Err(WireError::BrokenChain { .. })), "a term never goes back, even then");

    activate(Some(Bug::AckBeforeDurable));
    assert!(decode_frame(&message, Position(64), Term(2)).is_err());
    activate(None);
    assert!(decode_frame(&start, Position(64), Term(2)).is_err());
    assert!(decode_frame(&new_term(64, 4, 2, 1, 1), Position(64), Term(2)).is_ok());
}
