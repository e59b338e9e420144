//! Invariants 8 and 11, and what replicas report.

use sequencer_wire::{Body, Diverged, Divergence, Position, Progress, SnapshotMarker, SnapshotStep};

use super::Script;
use super::script::{caused, of};
use crate::checker::rules::{Listed, hash};

const OUTPUT: Body<'static> = Body::Output(b"output");

#[test]
fn services_are_registered_first() {
    let mut script = Script::new();
    let cause = script.tick();
    let rule = "services are registered first";
    script.breaks(rule, caused(4, 1, 1, cause), OUTPUT);
    script.breaks(rule, caused(4, 1, 1, cause), Body::OutputEnd);
    script.breaks(rule, of(4, 2), Body::Cancel);
    script.breaks(rule, caused(4, 0, 0, cause), Body::Skip);
}

#[test]
fn outputs_have_no_gap_and_no_repeat() {
    let mut script = Script::new();
    script.service(4);
    let cause = script.tick();
    let rule = "8. outputs have no gap and no repeat";
    script.breaks(rule, caused(4, 1, 2, cause), OUTPUT);
    script.output(4, 1, 1, cause);
    script.breaks(rule, caused(4, 1, 1, cause), OUTPUT);
    script.breaks(rule, caused(4, 1, 3, cause), OUTPUT);
    script.output(4, 1, 2, cause);
}

#[test]
fn causes_are_frames_before_and_never_go_back() {
    let mut script = Script::new();
    let early = script.tick();
    script.service(4);
    let (first, second) = (script.tick(), script.tick());
    let rule = "8. the cause of an output is a frame before it";
    script.breaks(rule, caused(4, 1, 1, script.at), OUTPUT);
    script.breaks(rule, caused(4, 1, 1, script.at.advanced(64)), OUTPUT);
    script.breaks(rule, caused(4, 1, 1, second.advanced(8)), OUTPUT);
    // Nothing before the registration is for the service.
    script.breaks("8. causes never go back", caused(4, 1, 1, early), OUTPUT);
    script.output(4, 1, 1, second);
    script.breaks("8. causes never go back", caused(4, 1, 2, first), OUTPUT);
}

#[test]
fn every_output_is_in_the_log_once() {
    let mut script = Script::new();
    script.service(4);
    let (first, second) = (script.tick(), script.tick());
    script.output(4, 1, 1, first);
    script.output(4, 1, 2, second);
    let listed = |k, cause| -> Listed { (1, k, cause, hash(b"output"), false) };
    let expected = [listed(1, first), listed(2, second), listed(3, second)];
    let rules = &script.rules;
    let end = script.at;
    assert_eq!(rules.check_outputs(4, &expected[..2], end), Ok(()));
    // The third one may be on its way, or it is missing.
    assert_eq!(rules.check_outputs(4, &expected, second), Ok(()));
    let rule = "11. every output is in the log, once";
    let broken = |expected: &[Listed]| rules.check_outputs(4, expected, end).expect_err(rule).0;
    assert_eq!(broken(&expected), rule);
    assert_eq!(broken(&expected[..1]), rule);
    assert_eq!(broken(&[expected[0], (1, 2, second, hash(b"other"), false)]), rule);
    assert_eq!(broken(&[expected[0], (1, 2, first, hash(b"output"), false)]), rule);
    assert_eq!(broken(&[expected[0], (1, 2, second, hash(b"output"), true)]), rule);
    assert_eq!(rules.check_outputs(9, &[], end), Ok(()));
}

#[test]
fn progress_goes_forward_in_each_epoch() {
    let mut script = Script::new();
    script.service(4);
    let (first, second) = (script.tick(), script.tick());
    let progress = Body::Progress(Progress { digest: 1 });
    script.write(caused(4, 1, 2, second), progress);
    let rule = "progress goes forward";
    script.breaks(rule, caused(4, 1, 2, second), progress);
    script.breaks(rule, caused(4, 1, 2, first), progress);
    script.breaks(rule, caused(4, 1, 1, script.at), progress);
    script.breaks(rule, caused(4, 1, 2, script.at.advanced(8)), progress);
    script.breaks(rule, caused(4, 2, 2, script.at), progress);
    script.write(caused(4, 1, 2, script.at), progress);
}

#[test]
fn a_replica_reports_once_an_epoch() {
    let mut script = Script::new();
    script.service(4);
    let cause = script.tick();
    let report =
        |replica| Body::Divergence(Divergence { replica, what: Diverged::Output, expected: 1, actual: 2 });
    script.write(caused(4, 1, 1, cause), report(1));
    script.write(caused(4, 1, 1, cause), report(2));
    script.breaks("a replica reports once an epoch", caused(4, 1, 2, cause), report(1));
    let unknown = "a replica reports on an epoch that there is";
    script.breaks(unknown, caused(4, 2, 1, cause), report(1));
    script.breaks(unknown, caused(4, 0, 1, cause), report(1));
    script.promote(4, 2, 2, Position(0));
    script.write(caused(4, 2, 1, cause), report(1));
}

#[test]
fn a_skip_names_a_frame_before_it() {
    let mut script = Script::new();
    script.service(4);
    let poison = script.tick();
    let rule = "a skip names a frame before it";
    script.breaks(rule, caused(4, 0, 0, script.at), Body::Skip);
    script.breaks(rule, caused(4, 0, 0, poison.advanced(8)), Body::Skip);
    assert!(!script.rules.is_skipped(4, poison));
    script.write(caused(4, 0, 0, poison), Body::Skip);
    assert!(script.rules.is_skipped(4, poison) && script.rules.is_skipped(9, poison));
}

#[test]
fn verified_snapshots_go_forward() {
    let mut script = Script::new();
    let registered_at = script.service(4);
    assert_eq!(script.rules.service(4).map(|model| model.registered_at), Some(registered_at));
    let (first, second) = (script.tick(), script.tick());
    let verified = |position| Body::SnapshotMarker(SnapshotMarker { what: SnapshotStep::Verified, position });
    let wanted = SnapshotMarker { what: SnapshotStep::Wanted, position: Position(0) };
    script.write(of(4, 0), Body::SnapshotMarker(wanted));
    script.write(of(4, 0), verified(second));
    let rule = "verified snapshots go forward";
    script.breaks(rule, of(4, 0), verified(first));
    script.breaks(rule, of(4, 0), verified(second));
    script.breaks(rule, of(4, 0), verified(script.at.advanced(8)));
}
