//! Walking the frames of a stretch of the log.

use crate::{Frame, Position, Term, WireError, decode_frame};

/// Verifies frame after frame of a stretch of the log; each is an item. Stops after the first error, and
/// without one only when the last frame ends exactly where the bytes end.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    position: Position,
    term: Term,
    failed: bool,
}

impl<'a> Frames<'a> {
    /// `bytes` start with the frame at position `at`; `previous` is the term of the frame before that,
    /// `Term::NONE` at the start of the log.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: Position, previous: Term) -> Frames<'a> {
        Frames { rest: bytes, position: at, term: previous, failed: false }
    }

    /// Where the frame comes that was not walked yet: the end of the last good one.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The term of the last good frame; the previous term at first.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let decoded = decode_frame(self.rest, self.position, self.term);
        match &decoded {
            Ok(frame) => {
                self.rest = &self.rest[frame.bytes.len()..];
                self.position = frame.end();
                self.term = frame.term;
            }
            Err(_) => self.failed = true,
        }
        Some(decoded)
    }
}

impl std::iter::FusedIterator for Frames<'_> {}
