//! A short, copyable piece of a term table, as it travels in a message.

use crate::{Position, Term, TermStart};

/// Most entries that one message carries. A log whose last 32 terms are all unknown to the other side takes
/// another round, which is rarer than it is costly.
pub const TERM_STARTS_MAX: usize = 32;

/// Up to `TERM_STARTS_MAX` term starts on the stack.
///
/// Invariant: terms and positions both ascend strictly, and no term is `Term::NONE`.
#[derive(Copy, Clone)]
pub struct TermStarts {
    starts: [TermStart; TERM_STARTS_MAX],
    len: usize,
}

impl TermStarts {
    /// No entries.
    #[must_use]
    pub const fn new() -> TermStarts {
        let unused = TermStart { term: Term::NONE, start: Position::START };
        TermStarts { starts: [unused; TERM_STARTS_MAX], len: 0 }
    }

    /// The entries, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[TermStart] {
        &self.starts[..self.len]
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry after the last one.
    ///
    /// # Panics
    /// When there are `TERM_STARTS_MAX` already, or `start` does not follow the last entry.
    pub fn push(&mut self, start: TermStart) {
        assert!(self.len < TERM_STARTS_MAX, "a list of term starts holds {TERM_STARTS_MAX} entries");
        assert!(self.admits(start), "{start:?} does not follow the term starts {:?}", self.as_slice());
        self.starts[self.len] = start;
        self.len += 1;
    }

    /// Whether `start` follows the last entry.
    pub(crate) fn admits(&self, start: TermStart) -> bool {
        start.follows(self.as_slice().last())
    }
}

impl Default for TermStarts {
    fn default() -> TermStarts {
        TermStarts::new()
    }
}

impl PartialEq for TermStarts {
    fn eq(&self, other: &TermStarts) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for TermStarts {}

impl std::fmt::Debug for TermStarts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
