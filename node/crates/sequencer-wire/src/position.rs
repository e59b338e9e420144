//! Where a byte stands in the log, and in which term it was written.

use std::fmt;

/// A byte offset in the one log. The end of a log is the position of the byte that will be written next.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord, serde::Serialize)]
pub struct Position(pub u64);

impl Position {
    /// The first byte of every log.
    pub const START: Position = Position(0);

    /// The position `bytes` further on.
    ///
    /// # Panics
    /// When the sum does not fit in 64 bits. What is decoded is checked before
    /// (`WireError::PositionOutOfRange`), so only a bug gets there; a wrapped position would put bytes over
    /// committed ones.
    #[must_use]
    #[inline]
    pub const fn advanced(self, bytes: u64) -> Position {
        match self.0.checked_add(bytes) {
            Some(sum) => Position(sum),
            None => panic!("a position does not fit in 64 bits"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A Raft term. Terms only grow; every frame belongs to exactly one.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord, serde::Serialize)]
pub struct Term(pub u64);

impl Term {
    /// The term before the first one: that of an empty log. No frame belongs to it.
    pub const NONE: Term = Term(0);
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The end of a log: the term of its last byte and the position after it. An empty log ends at
/// `LogEnd::default()`.
///
/// Invariant: the order is by term first and by position second, which is Raft's comparison of how up to date
/// two logs are. The order of the fields makes it so.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct LogEnd {
    /// Term of the last byte; `Term::NONE` when there is none.
    pub term: Term,
    /// Position after the last byte.
    pub position: Position,
}

impl fmt::Display for LogEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position {} in term {}", self.position, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_end_compares_by_term_before_position() {
        let longer = LogEnd { term: Term(2), position: Position(800) };
        let newer = LogEnd { term: Term(3), position: Position(80) };
        assert!(newer > longer);
        assert!(LogEnd { position: Position(88), ..newer } > newer);
        assert_eq!(newer.to_string(), "position 80 in term 3");
    }

    #[test]
    #[should_panic(expected = "does not fit in 64 bits")]
    fn a_position_never_wraps() {
        let _ = Position(u64::MAX - 7).advanced(8);
    }
}
