//! Which bytes of the log belong to which term, derived from its new-term frames.

use crate::{Frame, FrameKind, Position, TERM_STARTS_MAX, Term, TermStarts};

/// Where a term starts: the position of its new-term frame.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct TermStart {
    /// The term.
    pub term: Term,
    /// Position of the first byte that belongs to it.
    pub start: Position,
}

impl TermStart {
    /// Whether this entry may come after `last` (or first, when there is none).
    pub(crate) fn follows(self, last: Option<&TermStart>) -> bool {
        match last {
            Some(last) => self.term > last.term && self.start > last.start,
            None => self.term > Term::NONE,
        }
    }
}

/// Room made at the start. A cluster changes its leader a few times a day, so a table hardly ever outgrows
/// it.
const TERMS_RESERVED: usize = 256;

/// The terms of a log and where each starts. A term reaches to the start of the next one, the last to the end
/// of the log.
///
/// Invariant: terms and positions both ascend strictly, and no term is `Term::NONE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermTable {
    starts: Vec<TermStart>,
}

impl TermTable {
    /// The table of an empty log.
    #[must_use]
    pub fn new() -> TermTable {
        TermTable { starts: Vec::with_capacity(TERMS_RESERVED) }
    }

    /// Adds the term that starts after all others.
    ///
    /// # Panics
    /// When `start` does not follow the last entry in both term and position.
    pub fn push(&mut self, start: TermStart) {
        assert!(
            start.follows(self.starts.last()),
            "{start:?} does not follow the last term start {:?}",
            self.starts.last()
        );
        self.starts.push(start);
    }

    /// Takes note of a frame that was verified after all before it: a new-term frame adds an entry, others
    /// nothing.
    ///
    /// # Panics
    /// When the frame starts a term that does not follow the last entry.
    pub fn record(&mut self, frame: &Frame<'_>) {
        if frame.fields.kind == FrameKind::NewTerm {
            self.push(TermStart { term: frame.term, start: frame.at });
        }
    }

    /// The terms of `below` that start before `at`, followed by those of `rest` that start at or past it: a snapshot's table and
    /// that of the stored log behind it.
    ///
    /// # Panics
    /// When the two do not follow each other: they are not of one log.
    #[must_use]
    pub fn splice(below: &TermTable, at: Position, rest: &TermTable) -> TermTable {
        let mut spliced = TermTable::new();
        let kept = below.iter().filter(|entry| entry.start < at);
        for entry in kept.chain(rest.iter().filter(|entry| entry.start >= at)) {
            spliced.push(*entry);
        }
        spliced
    }

    /// Forgets the terms that start at or past `to`, where the log was cut.
    pub fn cut(&mut self, to: Position) {
        self.starts.truncate(self.count_before(to));
    }

    /// The newest term; `Term::NONE` for an empty log.
    #[must_use]
    pub fn last_term(&self) -> Term {
        self.starts.last().map_or(Term::NONE, |last| last.term)
    }

    /// The term of the byte before `position`; `Term::NONE` when there is none.
    #[must_use]
    pub fn term_before(&self, position: Position) -> Term {
        self.count_before(position).checked_sub(1).map_or(Term::NONE, |index| self.starts[index].term)
    }

    /// The term of the byte at `position`, if the log reaches there; `Term::NONE` before the first term.
    #[must_use]
    pub fn term_at(&self, position: Position) -> Term {
        let count = self.starts.partition_point(|entry| entry.start <= position);
        count.checked_sub(1).map_or(Term::NONE, |index| self.starts[index].term)
    }

    /// Where `term` ends: the start of the next term, or `log_end` for the last one. `None` when the log has
    /// no such term.
    #[must_use]
    pub fn end_of(&self, term: Term, log_end: Position) -> Option<Position> {
        let index = self.index_of(term)?;
        Some(self.starts.get(index + 1).map_or(log_end, |next| next.start))
    }

    /// Where `term` starts; `None` when the log has no such term.
    #[must_use]
    pub fn starts_at(&self, term: Term) -> Option<Position> {
        self.index_of(term).map(|index| self.starts[index].start)
    }

    /// The entries, ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, TermStart> {
        self.starts.iter()
    }

    /// How many terms the log has bytes of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether the log has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The last `max` entries, or `TERM_STARTS_MAX` when that is fewer.
    #[must_use]
    pub fn suffix(&self, max: usize) -> TermStarts {
        self.last_of(self.starts.len(), max)
    }

    /// The last `max` of the entries that start before `position`, or `TERM_STARTS_MAX` when that is fewer.
    #[must_use]
    pub fn suffix_before(&self, position: Position, max: usize) -> TermStarts {
        self.last_of(self.count_before(position), max)
    }

    fn last_of(&self, count: usize, max: usize) -> TermStarts {
        let from = count.saturating_sub(max.min(TERM_STARTS_MAX));
        let mut suffix = TermStarts::new();
        for start in &self.starts[from..count] {
            suffix.push(*start);
        }
        suffix
    }

    /// How many terms start before `position`.
    fn count_before(&self, position: Position) -> usize {
        self.starts.partition_point(|entry| entry.start < position)
    }

    fn index_of(&self, term: Term) -> Option<usize> {
        self.starts.binary_search_by_key(&term, |entry| entry.term).ok()
    }
}

impl Default for TermTable {
    fn default() -> TermTable {
        TermTable::new()
    }
}

impl<'a> IntoIterator for &'a TermTable {
    type Item = &'a TermStart;
    type IntoIter = std::slice::Iter<'a, TermStart>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
