//! The second half of recovery: judge what was found, before anything is changed.
//!
//! With E the end of the valid prefix, W and D the synced position and the intent of the newest watermark slot:
//! - E >= D: clean. What follows E is a torn tail that nobody was told of.
//! - W <= E < D: doubtful. Bytes in (E, D] were acknowledged and then damaged, or were torn; this disk cannot tell.
//! - E < W: damaged. Acknowledged bytes cannot be read.
//!
//! Invariant: when the outcome is not clean, a claim of at least D is in the hard state, synced, before anything else on the
//! disk changes. So whatever was acknowledged stays known until the log has reached it again.
//! Invariant: a claim is dropped only after the bytes that reach it are durable. Bytes found in the page cache can still be
//! lost with the power.

use sequencer_wire::teeth::{self, Bug};
use sequencer_wire::{Claim, HardState, LogEnd, LogHealth, Position, TermTable};

use crate::survey::{Damage, Survey};

/// What recovery saw and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether acknowledged bytes are there, may be missing, or are missing.
    pub health: LogHealth,
    /// Bytes of valid frames.
    pub scanned_bytes: u64,
    /// Valid frames.
    pub scanned_frames: u64,
    /// Segments of the valid prefix.
    pub segments: usize,
    /// Bytes that were not zero behind the end of a clean log and were cleared, counted in blocks, without those in segments
    /// that were removed.
    pub cut_bytes: u64,
    /// Segments behind the end: removed when the log is clean, else kept until the first append or cut.
    pub segments_beyond: usize,
    /// Everything before this position was known to be durable.
    pub synced: Position,
    /// Nothing past this end was acknowledged.
    pub intent: LogEnd,
    /// The first place that does not verify; after a torn tail of a clean log, where the tail starts.
    pub damage: Option<Damage>,
}

/// What a node finds when it opens its log.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Term and vote as last saved, and the claim as it stands now.
    pub hard_state: HardState,
    /// Terms of the stored log. When that does not begin at 0, one entry just before its start stands for all terms before.
    pub terms: TermTable,
    /// First position of the log.
    pub start: Position,
    /// Term and position of the log's end.
    pub end: LogEnd,
    /// Everything before this position was known to be committed; at most the end.
    pub committed: Position,
    /// The newest sound snapshot of the core that does not lie past the end. If the log was damaged so that all of them do, and it does not
    /// begin at 0, the oldest.
    pub snapshot: Option<(LogEnd, Vec<u8>)>,
    /// Greatest timestamp in the log, in ns since the Unix epoch; 0 when it is empty.
    pub last_timestamp_ns: u64,
    /// What recovery saw and did.
    pub report: RecoveryReport,
}

/// Judges a survey. The claim is that of this opening alone.
pub(crate) fn judge<F>(survey: &Survey<F>) -> (LogHealth, Option<Claim>) {
    let end = survey.scan.at;
    let watermark = &survey.watermark;
    let health = if teeth::is_active(Bug::DamageAsTornTail) {
        LogHealth::Clean
    } else if survey.at_least.is_some() || end < watermark.synced {
        LogHealth::Damaged
    } else if end < watermark.intent.position {
        LogHealth::Doubtful
    } else {
        LogHealth::Clean
    };
    let claim = (health != LogHealth::Clean).then(|| Claim {
        end: survey.at_least.map_or(watermark.intent, |least| least.max(watermark.intent)),
        damaged: health == LogHealth::Damaged,
        // What cannot be read ends at the intent, and the last membership frame up to there may be in it. When a segment is missing, the
        // slots that knew of the last one may be missing with it.
        membership: watermark.members_end > end
            || survey.at_least.is_some_and(|least| least.position > watermark.intent.position),
    });
    (health, claim)
}

/// Merges an earlier claim with a new one.
pub(crate) fn merge_claims(earlier: Option<Claim>, new: Option<Claim>) -> Option<Claim> {
    match (earlier, new) {
        (Some(one), Some(other)) => Some(Claim {
            end: one.end.max(other.end),
            damaged: one.damaged || other.damaged,
            membership: one.membership || other.membership,
        }),
        (claim, None) | (None, claim) => claim,
    }
}

/// What is left of a claim when the log is durable up to `end`: nothing, when that reaches it by term, then position.
pub(crate) fn open_claim(claim: Option<Claim>, end: LogEnd) -> Option<Claim> {
    claim.filter(|claim| end < claim.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequencer_wire::Term;

    fn claim(term: u64, position: u64, damaged: bool) -> Option<Claim> {
        Some(Claim {
            end: LogEnd { term: Term(term), position: Position(position) },
            damaged,
            membership: false,
        })
    }

    #[test]
    fn claims_merge_to_the_greater_one_and_go_when_reached() {
        let end = |term, position| LogEnd { term: Term(term), position: Position(position) };
        assert_eq!(merge_claims(claim(1, 80, true), claim(2, 40, false)), claim(2, 40, true));
        assert_eq!(merge_claims(claim(1, 80, true), None), claim(1, 80, true));
        assert_eq!(merge_claims(None, None), None);
        assert_eq!(open_claim(claim(1, 80, true), end(1, 72)), claim(1, 80, true));
        assert_eq!(open_claim(claim(1, 80, true), end(1, 80)), None);
        assert_eq!(open_claim(claim(3, 80, false), end(4, 8)), None);
    }
}
