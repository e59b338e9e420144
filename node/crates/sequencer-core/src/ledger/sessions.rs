//! Sessions: who they are, and what was admitted from them.
//!
//! What a message needs of its session lies together: one search finds it, and with many sessions one message costs one walk to
//! memory. The records form a hash table of their own: open addressing over a power of two, with the id as its hash. Ids are
//! given in sequence, so sessions opened one after another lie side by side. A slot is good only until the next session is
//! opened or removed; names and idle sessions are kept by id.
//!
//! Invariant: a session's window holds the positions of its last `min(last, WINDOW)` sequences.
//! Invariant: from the home of each record to the record itself no slot is free.

use std::collections::BTreeMap;

use sequencer_wire::{Position, SessionOpen};

/// How many of a session's newest messages are answered with the position of the first when they are repeated. Older repeats
/// are known as such by their sequence alone. A snapshot of 100,000 sessions shall stay below 20 MB, which bounds it.
pub const WINDOW: usize = 16;

/// Slots at the start.
const SLOTS_LEAST: usize = 64;

/// What admission looks at for each message: three cache lines, two of which are touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub(crate) struct Hot {
    /// 0 in a slot that is not used.
    pub(crate) id: u32,
    pub(crate) epoch: u32,
    /// 0 for a session that shares no role.
    pub(crate) group: u32,
    pub(crate) class: u16,
    /// False once its time-out has passed, until it is opened again.
    pub(crate) is_live: bool,
    /// Last sequence in the log.
    pub(crate) last: u64,
    pub(crate) timeout_ns: u64,
    /// Log time at which a leader last heard it. Not a function of the log, so in no digest and no snapshot.
    pub(crate) heard_ns: u64,
    pub(crate) window: [Position; WINDOW],
}

/// The rest of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cold {
    pub(crate) name: Box<str>,
    /// Position of the frame that made it idle.
    pub(crate) idle_since: Position,
}

/// One whole session, as the journal and a snapshot keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) hot: Hot,
    pub(crate) cold: Cold,
}

/// All sessions. See the module's description.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    slots: Vec<Hot>,
    cold: BTreeMap<u32, Cold>,
    names: BTreeMap<Box<str>, u32>,
    /// Idle sessions by the position that made them idle.
    idle: BTreeMap<Position, u32>,
    /// The id that the next new session gets.
    pub(crate) next_id: u32,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Hot::default(); SLOTS_LEAST],
            cold: BTreeMap::new(),
            names: BTreeMap::new(),
            idle: BTreeMap::new(),
            next_id: 1,
        }
    }

    #[inline]
    pub(crate) fn find(&self, id: u32) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = id as usize & mask;
        loop {
            let found = self.slots[slot].id;
            if found == id && id != 0 {
                return Some(slot);
            }
            if found == 0 {
                return None;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Touches what the next message of a session needs, so that the walks to memory of many sessions overlap.
    #[inline]
    pub(crate) fn touch(&self, id: u32, sequence: u64) {
        if let Some(slot) = self.find(id) {
            std::hint::black_box(self.slots[slot].window[sequence as usize % WINDOW]);
        }
    }

    pub(crate) fn find_name(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    #[inline]
    pub(crate) fn hot(&self, slot: usize) -> &Hot {
        &self.slots[slot]
    }

    /// Sessions kept, idle ones included.
    pub(crate) fn count(&self) -> usize {
        self.cold.len()
    }

    /// Number of slots, used or not.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The session that has been idle longest.
    pub(crate) fn oldest_idle(&self) -> Option<u32> {
        self.idle.first_key_value().map(|(_, id)| *id)
    }

    /// All ids, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.cold.keys().copied()
    }

    /// Where `sequence` stands, if it is in the window.
    pub(crate) fn place_of(&self, slot: usize, sequence: u64) -> Option<Position> {
        let Hot { last, window, .. } = &self.slots[slot];
        let in_window = sequence <= *last && *last - sequence < WINDOW as u64;
        in_window.then(|| window[sequence as usize % WINDOW])
    }

    /// Takes in the next message of a session; returns what its place in the window held before.
    #[inline]
    pub(crate) fn record(&mut self, slot: usize, sequence: u64, at: Position) -> Position {
        let hot = &mut self.slots[slot];
        hot.last = sequence;
        std::mem::replace(&mut hot.window[sequence as usize % WINDOW], at)
    }

    /// Takes the newest message of a session back.
    pub(crate) fn unrecord(&mut self, slot: usize, replaced: Position) {
        let hot = &mut self.slots[slot];
        hot.window[hot.last as usize % WINDOW] = replaced;
        hot.last -= 1;
    }

    /// A leader has heard a session at log time `now_ns`.
    #[inline]
    pub(crate) fn hear(&mut self, slot: usize, now_ns: u64) {
        self.slots[slot].heard_ns = now_ns;
    }

    /// All sessions have been heard now.
    pub(crate) fn hear_all(&mut self, now_ns: u64) {
        for hot in &mut self.slots {
            hot.heard_ns = now_ns;
        }
    }

    pub(crate) fn get(&self, id: u32) -> Option<Session> {
        let hot = self.slots[self.find(id)?];
        Some(Session { hot, cold: self.cold.get(&id)?.clone() })
    }

    /// Makes a new session.
    pub(crate) fn create(&mut self, id: u32, epoch: u32, open: &SessionOpen<'_>) {
        let &SessionOpen { timeout_ns, group, class, name } = open;
        let hot = Hot { id, epoch, group, class, is_live: true, timeout_ns, ..Hot::default() };
        self.put(Session { hot, cold: Cold { name: name.into(), idle_since: Position::START } });
        self.next_id = self.next_id.max(id + 1);
    }

    /// Opens a known session again.
    pub(crate) fn reopen(&mut self, slot: usize, epoch: u32, timeout_ns: u64) {
        let hot = &mut self.slots[slot];
        (hot.epoch, hot.timeout_ns, hot.is_live) = (epoch, timeout_ns, true);
        if let Some(cold) = self.cold.get_mut(&hot.id) {
            self.idle.remove(&cold.idle_since);
            cold.idle_since = Position::START;
        }
    }

    /// Its time-out has passed.
    pub(crate) fn expire(&mut self, slot: usize, at: Position) {
        let hot = &mut self.slots[slot];
        hot.is_live = false;
        self.idle.insert(at, hot.id);
        if let Some(cold) = self.cold.get_mut(&hot.id) {
            cold.idle_since = at;
        }
    }

    /// Forgets a session, and closes the gap so that no search ends too early.
    pub(crate) fn remove(&mut self, id: u32) {
        let Some(mut hole) = self.find(id) else { return };
        let Some(Cold { name, idle_since }) = self.cold.remove(&id) else { return };
        if !self.slots[hole].is_live {
            self.idle.remove(&idle_since);
        }
        self.names.remove(&name);
        let mask = self.slots.len() - 1;
        let mut slot = hole;
        loop {
            slot = (slot + 1) & mask;
            let next = self.slots[slot].id;
            if next == 0 {
                break;
            }
            // It may move into the hole if its home does not lie between the hole and itself.
            let home = next as usize & mask;
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
        }
        self.slots[hole] = Hot::default();
    }

    /// Puts a session back as it was before; `None` if there was none.
    pub(crate) fn restore(&mut self, id: u32, before: Option<Session>) {
        self.remove(id);
        if let Some(session) = before {
            self.put(session);
        }
    }

    /// Adds a session that is not there.
    pub(crate) fn put(&mut self, session: Session) {
        let Session { hot, cold } = session;
        // A fifth of the slots stays free.
        if (self.cold.len() + 1) * 5 > self.slots.len() * 4 {
            let doubled = vec![Hot::default(); self.slots.len() * 2];
            for hot in std::mem::replace(&mut self.slots, doubled) {
                if hot.id != 0 {
                    self.place(hot);
                }
            }
        }
        self.place(hot);
        self.names.insert(cold.name.clone(), hot.id);
        if !hot.is_live {
            self.idle.insert(cold.idle_since, hot.id);
        }
        self.cold.insert(hot.id, cold);
    }

    fn place(&mut self, hot: Hot) {
        let mask = self.slots.len() - 1;
        let mut slot = hot.id as usize & mask;
        while self.slots[slot].id != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = hot;
    }

    /// All sessions, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Hot, &Cold)> {
        self.cold.iter().filter_map(|(id, cold)| Some((&self.slots[self.find(*id)?], cold)))
    }

    /// The planted bug `ForgetDedupeOnInstall`: as if snapshots did not hold what was admitted.
    pub(crate) fn forget_windows(&mut self) {
        for hot in &mut self.slots {
            hot.last = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn session(id: u32) -> Session {
        let hot = Hot { id, is_live: true, epoch: id * 2, ..Hot::default() };
        Session { hot, cold: Cold { name: format!("{id}").into(), ..Cold::default() } }
    }

    #[test]
    fn the_table_answers_like_a_map() {
        let mut random = Random::new(5);
        let mut sessions = Sessions::new();
        let mut map = BTreeMap::new();
        for _ in 0..20_000 {
            // Few distinct homes, so that chains form and break.
            let id = 1 + (random.below(40) * 64 + random.below(6)) as u32;
            if map.remove(&id).is_some() {
                sessions.remove(id);
            } else {
                map.insert(id, session(id));
                sessions.put(session(id));
            }
            let asked = 1 + (random.below(40) * 64 + random.below(6)) as u32;
            assert_eq!(sessions.get(asked).as_ref(), map.get(&asked));
        }
        assert!(sessions.ids().eq(map.keys().copied()));
        assert!(sessions.iter().map(|(hot, _)| hot.epoch).eq(map.keys().map(|id| id * 2)));
        assert_eq!(sessions.find(0), None);
    }
}
