//! What a frame is for.

use std::fmt;

/// What a frame is for. The number is the kind byte of the header and never changes its meaning.
#[repr(u8)]
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// The first frame of a term, written by its leader.
    NewTerm = 1,
    /// A message of an application session.
    Message = 2,
    /// An effect that a service produced.
    Output = 3,
    /// The last output of a service for one cause.
    OutputEnd = 4,
    /// How far a service has applied the log, and the digest of its state there.
    Progress = 5,
    /// A replica disagreed with another one.
    DivergenceReport = 6,
    /// A message that every replica passes over.
    Skip = 7,
    /// A query that takes its place in the order.
    SequencedQuery = 8,
    /// A session was opened.
    SessionOpen = 9,
    /// A session was closed.
    SessionClose = 10,
    /// Time has passed without other frames.
    Tick = 11,
    /// A gateway was given its role.
    RoleGranted = 12,
    /// A service took a snapshot.
    SnapshotMarker = 13,
    /// The set of voters and learners changed.
    Membership = 14,
    /// Bytes below a position are no longer kept.
    TrimFloor = 15,
    /// A message schema became known.
    SchemaRegistration = 16,
    /// A service became known.
    ServiceRegistration = 17,
    /// A new version of a service takes over.
    Promote = 18,
    /// A planned promotion was called off.
    Cancel = 19,
    /// A promotion is taken back.
    Rollback = 20,
    /// The version that every node of the cluster understands.
    ClusterVersion = 21,
    /// What the log must keep: the archived part, pins.
    Retention = 22,
}

impl FrameKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [FrameKind; 22] = [
        FrameKind::NewTerm,
        FrameKind::Message,
        FrameKind::Output,
        FrameKind::OutputEnd,
        FrameKind::Progress,
        FrameKind::DivergenceReport,
        FrameKind::Skip,
        FrameKind::SequencedQuery,
        FrameKind::SessionOpen,
        FrameKind::SessionClose,
        FrameKind::Tick,
        FrameKind::RoleGranted,
        FrameKind::SnapshotMarker,
        FrameKind::Membership,
        FrameKind::TrimFloor,
        FrameKind::SchemaRegistration,
        FrameKind::ServiceRegistration,
        FrameKind::Promote,
        FrameKind::Cancel,
        FrameKind::Rollback,
        FrameKind::ClusterVersion,
        FrameKind::Retention,
    ];

    /// The name used in logs, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::NewTerm => "new_term",
            FrameKind::Message => "message",
            FrameKind::Output => "output",
            FrameKind::OutputEnd => "output_end",
            FrameKind::Progress => "progress",
            FrameKind::DivergenceReport => "divergence_report",
            FrameKind::Skip => "skip",
            FrameKind::SequencedQuery => "sequenced_query",
            FrameKind::SessionOpen => "session_open",
            FrameKind::SessionClose => "session_close",
            FrameKind::Tick => "tick",
            FrameKind::RoleGranted => "role_granted",
            FrameKind::SnapshotMarker => "snapshot_marker",
            FrameKind::Membership => "membership",
            FrameKind::TrimFloor => "trim_floor",
            FrameKind::SchemaRegistration => "schema_registration",
            FrameKind::ServiceRegistration => "service_registration",
            FrameKind::Promote => "promote",
            FrameKind::Cancel => "cancel",
            FrameKind::Rollback => "rollback",
            FrameKind::ClusterVersion => "cluster_version",
            FrameKind::Retention => "retention",
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<u8> for FrameKind {
    /// The byte itself: no kind has that number.
    type Error = u8;

    #[inline]
    fn try_from(byte: u8) -> Result<FrameKind, u8> {
        // The numbers run from 1 without a gap, so the table is indexed by them.
        FrameKind::ALL.get(usize::from(byte).wrapping_sub(1)).copied().ok_or(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_one_kind_or_none() {
        for byte in 0..=u8::MAX {
            match FrameKind::try_from(byte) {
                Ok(kind) => assert_eq!(kind as u8, byte),
                Err(unknown) => assert!(unknown == byte && !(1..=22).contains(&byte)),
            }
        }
    }

    #[test]
    fn names_differ() {
        let names: std::collections::BTreeSet<_> = FrameKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FrameKind::ALL.len());
    }
}
