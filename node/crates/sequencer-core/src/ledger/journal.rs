//! What each uncommitted frame replaced in the ledger, so that a cut of the log can take it back.
//!
//! 1. Every change of the ledger first notes what it replaces, with the position of the frame.
//! 2. When the commit position moves, entries below it are dropped from the front: they can never be taken back.
//! 3. A cut takes entries at or past it from the back, newest first, and puts back what they hold.
//!
//! Invariant: undoing all entries gives the committed state.

use std::collections::VecDeque;

use sequencer_wire::{Membership, Position};

use super::groups::Group;
use super::retention::Retention;
use super::schemas::SchemaEntry;
use super::services::ServiceState;
use super::sessions::Session;

/// What a frame replaced.
#[derive(Debug, Clone)]
pub(crate) enum Before {
    /// The place in the window that a message took.
    Message { session: u32, replaced: Position },
    /// A session, whole; `None` if there was none.
    Session { id: u32, next_id: u32, session: Option<Box<Session>> },
    /// The cause of the output before the one admitted.
    Output { service: u32, last_cause: Position },
    /// A service, whole.
    Service { id: u32, service: Option<Box<ServiceState>> },
    /// A role group, whole.
    Group { id: u32, group: Option<Box<Group>> },
    /// A schema's owner and version.
    Schema { id: u16, entry: SchemaEntry },
    /// The list of members, and the end of the frame that held it.
    Members { members: Option<Box<Membership>>, members_end: Position },
    /// Floor, archive and pins.
    Retention(Box<Retention>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Position,
    pub(crate) before: Before,
}

/// See the module's description.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    /// Frames below are committed: they need no entry.
    committed: Position,
}

impl Journal {
    /// Room for so many entries is taken at once, so that the hot path never waits for memory.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.entries.reserve(entries);
    }

    #[inline]
    pub(crate) fn push(&mut self, at: Position, before: Before) {
        if at >= self.committed {
            self.entries.push_back(Entry { at, before });
        }
    }

    pub(crate) fn forget_below(&mut self, committed: Position) {
        self.committed = self.committed.max(committed);
        if self.entries.back().is_some_and(|entry| entry.at < committed) {
            // Begins anew at the front of its memory, so that the part in use stays in the cache.
            self.entries.clear();
            return;
        }
        while self.entries.front().is_some_and(|entry| entry.at < committed) {
            self.entries.pop_front();
        }
    }

    /// The newest entry, if its frame stands at or past `to`.
    pub(crate) fn pop_from(&mut self, to: Position) -> Option<Before> {
        if self.entries.back()?.at < to {
            return None;
        }
        self.entries.pop_back().map(|entry| entry.before)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn committed(&self) -> Position {
        self.committed
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
