//! Requests that must be refused, and the refusals they must get.
//!
//! A leader that has lost its place and does not know it yet answers from a log that lacks the newest frames, and a session may end while a
//! request is on its way. What is said for these reasons is no wrong answer.

use sequencer_core::{Outcome, Refusal};
use sequencer_storage::SplitMix64;
use sequencer_wire::Position;

use super::{CLASS, GATEWAY_SCHEMA, INPUT_SCHEMA, INPUT_VERSION, Session};
use crate::actors::operator::output_schema;
use crate::actors::{Asked, Reply};

/// An id that no session of a seed ever gets.
const NO_SESSION: u32 = 4_000_000;
const NO_SERVICE: u32 = 99;
const NO_SCHEMA: u16 = 777;
/// Above what fits into a frame of the simulated clusters.
const TOO_MANY_BYTES: usize = 2_000;
/// No session is opened so often.
const NO_EPOCH: u32 = 1_000_000;

/// Something that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::actors) enum Nonsense {
    Gap,
    UnknownSession,
    UnknownService,
    UnknownSchema,
    SchemaFromTheFuture,
    SchemaOfAnotherClass,
    SchemaOfAService,
    TooLarge,
    EpochFromTheFuture,
    EpochZero,
    CloseOfAnotherEpoch,
    NoName,
    LongName,
    ShortTimeout,
    ShortTimeoutInAGroup,
    NameOfAnotherClass,
    NameOfAnotherSession,
}

impl Nonsense {
    const ALL: [Nonsense; 17] = [
        Nonsense::Gap,
        Nonsense::UnknownSession,
        Nonsense::UnknownService,
        Nonsense::UnknownSchema,
        Nonsense::SchemaFromTheFuture,
        Nonsense::SchemaOfAnotherClass,
        Nonsense::SchemaOfAService,
        Nonsense::TooLarge,
        Nonsense::EpochFromTheFuture,
        Nonsense::EpochZero,
        Nonsense::CloseOfAnotherEpoch,
        Nonsense::NoName,
        Nonsense::LongName,
        Nonsense::ShortTimeout,
        Nonsense::ShortTimeoutInAGroup,
        Nonsense::NameOfAnotherClass,
        Nonsense::NameOfAnotherSession,
    ];

    pub(super) fn draw(rng: &mut SplitMix64) -> Self {
        Self::ALL[rng.below(Self::ALL.len() as u64) as usize]
    }

    /// The kind of the refusal that it must get.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Gap => "sequence_gap",
            Self::UnknownSession => "unknown_session",
            Self::UnknownService => "unknown_service",
            Self::UnknownSchema | Self::SchemaFromTheFuture => "unknown_schema",
            Self::SchemaOfAnotherClass | Self::SchemaOfAService => "not_owner",
            Self::TooLarge => "too_large",
            Self::EpochFromTheFuture | Self::EpochZero | Self::CloseOfAnotherEpoch => "stale_epoch",
            Self::NoName | Self::LongName | Self::ShortTimeout | Self::ShortTimeoutInAGroup => "out_of_range",
            Self::NameOfAnotherClass => "name_taken",
            Self::NameOfAnotherSession => "session_lost",
        }
    }

    /// The request. `sequence` is the session's next one.
    pub(super) fn ask(self, session: Session, name: &str, timeout_ns: u64, sequence: u64) -> Asked {
        let Session { id: session, epoch, .. } = session;
        let message = |sequence: u64, epoch: u32, (schema_id, schema_version): (u16, u16), bytes: usize| {
            let (cause, payload) = (Position(0), vec![0; bytes]);
            Asked::Message { session, epoch, sequence, cause, schema_id, schema_version, payload }
        };
        let open = |name: &str, class: u16, group: u32, timeout_ns: u64, resume: Option<u32>| {
            let name = name.to_owned();
            Asked::Open { name, class, group, timeout_ns, resume }
        };
        match self {
            Self::Gap => message(sequence + 1_000, epoch, (0, 0), 8),
            Self::UnknownSession => Asked::KeepAlive { session: NO_SESSION, epoch },
            Self::UnknownService => {
                Asked::Query { service: NO_SERVICE, session, epoch, sequence, payload: Vec::new() }
            }
            Self::UnknownSchema => message(sequence, epoch, (NO_SCHEMA, 1), 8),
            Self::SchemaFromTheFuture => message(sequence, epoch, (INPUT_SCHEMA, INPUT_VERSION + 1), 8),
            Self::SchemaOfAnotherClass => message(sequence, epoch, (GATEWAY_SCHEMA, 1), 8),
            Self::SchemaOfAService => message(sequence, epoch, (output_schema(1).id, 1), 8),
            Self::TooLarge => message(sequence, epoch, (0, 0), TOO_MANY_BYTES),
            Self::EpochFromTheFuture => message(sequence, NO_EPOCH, (0, 0), 8),
            Self::EpochZero => Asked::KeepAlive { session, epoch: 0 },
            Self::CloseOfAnotherEpoch => Asked::Close { session, epoch: NO_EPOCH },
            Self::NoName => open("", CLASS, 0, timeout_ns, None),
            Self::LongName => open(&"x".repeat(65), CLASS, 0, timeout_ns, None),
            Self::ShortTimeout => open(name, CLASS, 0, 1_000, None),
            Self::ShortTimeoutInAGroup => open(name, CLASS, 9, 150_000_000, None),
            Self::NameOfAnotherClass => open(name, CLASS + 8, 0, timeout_ns, None),
            Self::NameOfAnotherSession => open(name, CLASS, 0, timeout_ns, Some(NO_SESSION)),
        }
    }

    /// What is wrong with the answer, if anything is. `session` is the id of the session that asked.
    pub(super) fn judge(self, session: u32, reply: &Reply) -> Verdict {
        match reply {
            Err(refusal) if refusal.kind() == self.expected() => Verdict::Right,
            Err(Refusal::NotLeader { .. } | Refusal::NotReady { .. }) => Verdict::Unsaid,
            Err(refusal) if self.may_also_be(refusal) => Verdict::Unsaid,
            // The sequence was used by a proper message meanwhile.
            Ok(Outcome::Repeat { .. } | Outcome::AlreadyAdmitted { .. }) if self.needs_its_turn() => {
                Verdict::Unsaid
            }
            // The name is free once its session is gone, and then another one's, perhaps by the same request that came twice.
            Ok(Outcome::Opened { session: opened, .. })
                if self == Self::NameOfAnotherClass && *opened != session =>
            {
                Verdict::Unsaid
            }
            Err(refusal) => Verdict::Wrong(refusal.to_string()),
            Ok(outcome) => Verdict::Wrong(format!("{outcome:?}")),
        }
    }

    /// What is looked at only when the sequence is the next one.
    fn needs_its_turn(self) -> bool {
        matches!(
            self,
            Self::UnknownSchema
                | Self::SchemaFromTheFuture
                | Self::SchemaOfAnotherClass
                | Self::SchemaOfAService
                | Self::TooLarge
        )
    }

    fn may_also_be(self, refusal: &Refusal) -> bool {
        let needs_session = self.needs_its_turn()
            || matches!(
                self,
                Self::Gap | Self::EpochFromTheFuture | Self::EpochZero | Self::CloseOfAnotherEpoch
            );
        match refusal {
            Refusal::UnknownSession { .. } | Refusal::SessionExpired { .. } | Refusal::StaleEpoch { .. } => {
                needs_session
            }
            Refusal::SequenceGap { .. } => self.needs_its_turn(),
            // Schemas may not be registered yet.
            Refusal::UnknownSchema { .. } => {
                matches!(self, Self::SchemaOfAnotherClass | Self::SchemaOfAService)
            }
            // The name is free, so it is an open like any other.
            Refusal::HandingOver { .. }
            | Refusal::Backpressure { .. }
            | Refusal::LogFull
            | Refusal::TooManySessions { .. } => self == Self::NameOfAnotherClass,
            _ => false,
        }
    }
}

/// What an answer to nonsense is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The refusal that says why.
    Right,
    /// Something else came first.
    Unsaid,
    /// It must not be said, or must not have happened.
    Wrong(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Refusal = Refusal::UnknownSession { session: 3 };

    #[test]
    fn the_refusal_that_says_why_is_right() {
        let gap = Refusal::SequenceGap { session: 3, found: 1_001, expected: 1 };
        assert_eq!(Nonsense::Gap.judge(3, &Err(gap)), Verdict::Right);
        assert_eq!(Nonsense::UnknownSession.judge(3, &Err(SESSION)), Verdict::Right);
    }

    #[test]
    fn another_refusal_is_wrong_unless_it_may_come_first() {
        assert_eq!(Nonsense::TooLarge.judge(3, &Err(SESSION)), Verdict::Unsaid);
        assert!(matches!(Nonsense::NoName.judge(3, &Err(SESSION)), Verdict::Wrong(_)));
        assert!(matches!(Nonsense::Gap.judge(3, &Err(Refusal::LogFull)), Verdict::Wrong(_)));
        assert_eq!(Nonsense::Gap.judge(3, &Err(Refusal::NotLeader { leader: None })), Verdict::Unsaid);
    }

    #[test]
    fn a_name_is_opened_by_another_class_only_as_another_session() {
        let opened = |session| {
            Ok(Outcome::Opened { session, epoch: 2, last_sequence: 0, is_resumed: true, at: Position(8) })
        };
        assert_eq!(Nonsense::NameOfAnotherClass.judge(3, &opened(4)), Verdict::Unsaid);
        assert!(matches!(Nonsense::NameOfAnotherClass.judge(3, &opened(3)), Verdict::Wrong(_)));
        assert!(matches!(Nonsense::NameOfAnotherSession.judge(3, &opened(4)), Verdict::Wrong(_)));
    }

    #[test]
    fn nonsense_that_is_admitted_is_wrong() {
        for nonsense in Nonsense::ALL {
            let admitted = Outcome::Admitted { at: Position(8), timestamp_ns: 1 };
            assert!(matches!(nonsense.judge(3, &Ok(admitted)), Verdict::Wrong(_)), "{nonsense:?}");
        }
    }
}
