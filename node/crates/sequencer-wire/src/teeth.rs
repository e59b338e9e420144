//! Known bugs that tests switch on, so that the simulator can prove that it finds them.
//!
//! Without the feature `teeth` no bug can be switched on and the compiler removes every trace of them.

use std::fmt;
use std::str::FromStr;

/// A bug that is planted somewhere in the software, named after what it does wrong.
#[repr(u8)]
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Bug {
    /// A node acknowledges bytes that its disk has not confirmed.
    AckBeforeDurable,
    /// A leader commits bytes of an older term because a majority holds them.
    CommitOlderTermByCount,
    /// A restarted node has forgotten whom it voted for and votes again in the same term.
    VoteTwiceAfterRestart,
    /// A follower appends without comparing what comes before.
    SkipPrefixCheck,
    /// A follower cuts bytes that are committed.
    CutCommittedBytes,
    /// A node serves bytes past the commit position.
    ServePastCommit,
    /// Checksums are not bound to position and term and a cut leaves the old bytes in place, so bytes left over from another
    /// history pass for frames.
    GhostFrames,
    /// Recovery takes damage below the durable watermark for a torn tail and cuts it.
    DamageAsTornTail,
    /// A candidate uses one election timeout for every campaign.
    ElectionTimeoutNotRedrawn,
    /// A leader counts its own bytes for commit before they are durable.
    LeaderCountsBeforeSync,
    /// A node takes over a commit position below the one it knew.
    CommitGoesBack,
    /// A leader hands over leadership and goes on admitting.
    TransferWithoutStop,
    /// A node forgets that its disk may have lost acknowledged bytes.
    ForgetClaim,
    /// A voter does not compare the candidate's log with its own.
    VoteIgnoresLog,
    /// A node accepts messages of a term that is over.
    AcceptStaleTerm,
    /// A new leader takes timestamps from its clock even when the log is ahead of it.
    TimestampFromClock,
    /// A cut leaves the old bytes in place.
    SkipCutInvalidation,
    /// A snapshot is installed without what its sessions have sent.
    ForgetDedupeOnInstall,
    /// A repeat is answered before the first is committed.
    AnswerFromOverlay,
    /// A node that lost its disk comes back under its old id and is listened to.
    ReuseNodeId,
    /// A second change of membership starts before the first is committed.
    TwoMembershipChanges,
    /// Outputs of a new epoch are admitted before the old one has ended.
    AdmitBeforeEnd,
    /// A service's snapshot comes without the outputs that the log does not hold yet.
    DropOutbox,
    /// Frames of a role that was lost are admitted.
    AdmitOldRole,
    /// An output is admitted though those before it are missing.
    AdmitOutputGap,
    /// The time-outs of sessions are measured on the wall clock.
    ExpireByWallClock,
    /// The log is trimmed above a pin.
    TrimAbovePin,
    /// Frames of an older epoch of a session are admitted.
    SkipFencing,
    /// A cut of the log does not take back what admission learnt from it.
    KeepOverlay,
    /// A message with a gap before it is admitted.
    ForgetWindow,
    /// The old epoch may answer what came after the switch.
    AdmitCauseAfterSwitch,
    /// Learners count for elections and commits.
    CountLearners,
    /// A new leader does not start the time-outs of sessions anew.
    KeepTimeoutsOnElection,
    /// A session that is not idle has to make room for another one.
    EvictActiveSession,
    /// A snapshot replaces the log before it is durable.
    InstallBeforeSync,
    /// A role is granted before the time-out of its last holder has passed.
    GrantTooEarly,
    /// What one replica repeats counts as agreement.
    AgreeWithItself,
    /// Segments are used again before the new start of the log is durable.
    ReuseBeforeDurable,
}

impl Bug {
    /// Every bug.
    pub const ALL: &[Bug] = &[
        Bug::AckBeforeDurable,
        Bug::CommitOlderTermByCount,
        Bug::VoteTwiceAfterRestart,
        Bug::SkipPrefixCheck,
        Bug::CutCommittedBytes,
        Bug::ServePastCommit,
        Bug::GhostFrames,
        Bug::DamageAsTornTail,
        Bug::ElectionTimeoutNotRedrawn,
        Bug::LeaderCountsBeforeSync,
        Bug::CommitGoesBack,
        Bug::TransferWithoutStop,
        Bug::ForgetClaim,
        Bug::VoteIgnoresLog,
        Bug::AcceptStaleTerm,
        Bug::TimestampFromClock,
        Bug::SkipCutInvalidation,
        Bug::ForgetDedupeOnInstall,
        Bug::AnswerFromOverlay,
        Bug::ReuseNodeId,
        Bug::TwoMembershipChanges,
        Bug::AdmitBeforeEnd,
        Bug::DropOutbox,
        Bug::AdmitOldRole,
        Bug::AdmitOutputGap,
        Bug::ExpireByWallClock,
        Bug::TrimAbovePin,
        Bug::SkipFencing,
        Bug::KeepOverlay,
        Bug::ForgetWindow,
        Bug::AdmitCauseAfterSwitch,
        Bug::CountLearners,
        Bug::KeepTimeoutsOnElection,
        Bug::EvictActiveSession,
        Bug::InstallBeforeSync,
        Bug::GrantTooEarly,
        Bug::AgreeWithItself,
        Bug::ReuseBeforeDurable,
    ];

    /// The name on command lines and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Bug::AckBeforeDurable => "ack-before-durable",
            Bug::CommitOlderTermByCount => "commit-older-term-by-count",
            Bug::VoteTwiceAfterRestart => "vote-twice-after-restart",
            Bug::SkipPrefixCheck => "skip-prefix-check",
            Bug::CutCommittedBytes => "cut-committed-bytes",
            Bug::ServePastCommit => "serve-past-commit",
            Bug::GhostFrames => "ghost-frames",
            Bug::DamageAsTornTail => "damage-as-torn-tail",
            Bug::ElectionTimeoutNotRedrawn => "election-timeout-not-redrawn",
            Bug::LeaderCountsBeforeSync => "leader-counts-before-sync",
            Bug::CommitGoesBack => "commit-goes-back",
            Bug::TransferWithoutStop => "transfer-without-stop",
            Bug::ForgetClaim => "forget-claim",
            Bug::VoteIgnoresLog => "vote-ignores-log",
            Bug::AcceptStaleTerm => "accept-stale-term",
            Bug::TimestampFromClock => "timestamp-from-clock",
            Bug::SkipCutInvalidation => "skip-cut-invalidation",
            Bug::ForgetDedupeOnInstall => "forget-dedupe-on-install",
            Bug::AnswerFromOverlay => "answer-from-overlay",
            Bug::ReuseNodeId => "reuse-node-id",
            Bug::TwoMembershipChanges => "two-membership-changes",
            Bug::AdmitBeforeEnd => "admit-before-end",
            Bug::DropOutbox => "drop-outbox",
            Bug::AdmitOldRole => "admit-old-role",
            Bug::AdmitOutputGap => "admit-output-gap",
            Bug::ExpireByWallClock => "expire-by-wall-clock",
            Bug::TrimAbovePin => "trim-above-pin",
            Bug::SkipFencing => "skip-fencing",
            Bug::KeepOverlay => "keep-overlay",
            Bug::ForgetWindow => "forget-window",
            Bug::AdmitCauseAfterSwitch => "admit-cause-after-switch",
            Bug::CountLearners => "count-learners",
            Bug::KeepTimeoutsOnElection => "keep-timeouts-on-election",
            Bug::EvictActiveSession => "evict-active-session",
            Bug::InstallBeforeSync => "install-before-sync",
            Bug::GrantTooEarly => "grant-too-early",
            Bug::AgreeWithItself => "agree-with-itself",
            Bug::ReuseBeforeDurable => "reuse-before-durable",
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No bug has the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No planted bug is called {name:?}; `Bug::ALL` lists their names.")]
pub struct UnknownBug {
    /// The name that was asked for.
    pub name: String,
}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Bug, UnknownBug> {
        Bug::ALL
            .iter()
            .find(|bug| bug.name() == name)
            .copied()
            .ok_or_else(|| UnknownBug { name: name.to_owned() })
    }
}

#[cfg(feature = "teeth")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether `bug` is switched on in this thread.
    #[inline]
    pub fn is_active(bug: Bug) -> bool {
        ACTIVE.get() == Some(bug)
    }

    /// Switches one bug on in this thread and all others off; `None` switches all off.
    pub fn activate(bug: Option<Bug>) {
        ACTIVE.set(bug);
    }
}

#[cfg(not(feature = "teeth"))]
mod switch {
    use super::Bug;

    /// Whether `bug` is switched on: never, in a build without the feature `teeth`.
    #[inline(always)]
    #[must_use]
    pub const fn is_active(_bug: Bug) -> bool {
        false
    }
}

#[cfg(feature = "teeth")]
pub use switch::activate;
pub use switch::is_active;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name() {
        for bug in Bug::ALL {
            assert_eq!(bug.name().parse(), Ok(*bug));
        }
        assert_eq!("none".parse::<Bug>(), Err(UnknownBug { name: "none".into() }));
    }

    #[cfg(feature = "teeth")]
    #[test]
    fn one_bug_at_a_time_and_only_in_this_thread() {
        activate(Some(Bug::GhostFrames));
        let elsewhere = std::thread::spawn(|| is_active(Bug::GhostFrames)).join();
        assert!(matches!(elsewhere, Ok(false)));
        let active: Vec<_> = Bug::ALL.iter().filter(|bug| is_active(**bug)).collect();
        assert_eq!(active, [&Bug::GhostFrames]);
        activate(None);
        assert!(!is_active(Bug::GhostFrames));
    }
}
