//! Invariant 16, as far as the log shows it.

use sequencer_wire::{Body, Position, Retention, SnapshotMarker, SnapshotStep, TrimFloor};

use super::Script;
use super::script::{Header, of, service};

const HELD: &str = "16. nothing above a hold is trimmed";

fn trim(floor: Position) -> Body<'static> {
    Body::TrimFloor(TrimFloor { floor })
}

/// A log of some length; returns a few positions in it.
fn with_frames() -> (Script, Vec<Position>) {
    let mut script = Script::new();
    let positions = (0..10).map(|_| script.tick()).collect();
    (script, positions)
}

#[test]
fn the_floor_rises_within_the_log() {
    let (mut script, at) = with_frames();
    let rule = "the floor rises within the log";
    script.breaks(rule, Header::default(), trim(script.at.advanced(8)));
    script.breaks(rule, Header::default(), trim(Position(0)));
    script.trim(at[3]);
    assert_eq!(script.rules.floor(), at[3]);
    script.breaks(rule, Header::default(), trim(at[3]));
    script.breaks(rule, Header::default(), trim(at[2]));
    script.trim(script.at);
}

#[test]
fn the_archive_holds() {
    let (mut script, at) = with_frames();
    script.write(Header::default(), Body::Retention(Retention::Archived { to: at[4] }));
    script.breaks(HELD, Header::default(), trim(at[5]));
    script.trim(at[4]);
    script.write(Header::default(), Body::Retention(Retention::Archived { to: at[6] }));
    script.trim(at[6]);
}

#[test]
fn pins_hold_until_they_are_taken_out_or_behind_their_bound() {
    let (mut script, at) = with_frames();
    let pin = |id, position, bytes_max| Body::Retention(Retention::Pin { id, position, bytes_max });
    script.write(Header::default(), pin(1, at[2], 1 << 40));
    script.write(Header::default(), pin(2, at[4], 1 << 40));
    script.breaks(HELD, Header::default(), trim(at[3]));
    script.trim(at[2]);
    script.write(Header::default(), Body::Retention(Retention::Unpin { id: 1 }));
    script.breaks(HELD, Header::default(), trim(at[5]));
    script.trim(at[4]);
    // A pin holds no more than its bound, counted from the frame that trims.
    script.write(Header::default(), pin(2, at[4], 100));
    let limit = Position(script.at.0 - 100);
    script.breaks(HELD, Header::default(), trim(limit.advanced(8)));
    script.trim(Position(limit.0 / 8 * 8));
}

#[test]
fn services_hold_what_their_snapshots_lack() {
    let (mut script, _) = with_frames();
    let registered_at = script.service(4);
    let later = script.tick();
    // Without a snapshot it needs everything since its registration.
    script.breaks(HELD, Header::default(), trim(later));
    script.trim(registered_at);
    let marker = SnapshotMarker { what: SnapshotStep::Verified, position: later };
    script.write(of(4, 0), Body::SnapshotMarker(marker));
    script.breaks(HELD, Header::default(), trim(later.advanced(8)));
    script.trim(later);
    // Its settings may bound it more tightly.
    script.write(of(4, 0), service(80));
    let limit = Position(script.at.0 - 80);
    script.breaks(HELD, Header::default(), trim(limit.advanced(8)));
    script.trim(limit);
}
