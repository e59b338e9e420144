//! Sessions: who they are, and what was admitted from them.
//!
//! What admission reads for each message lies in 32 bytes of its own; windows, names and time-outs lie beside it under the same
//! slot. Slots are reused, ids never.
//!
//! Invariant: a session's window holds the positions of its last `min(last, WINDOW)` sequences.

use std::collections::BTreeMap;

use sequencer_wire::{Position, SessionOpen};

use super::id_table::IdTable;

/// How many of a session's newest messages are answered with the position of the first when they are repeated. Older repeats
/// are known as such by their sequence alone. A snapshot of 100,000 sessions shall stay below 20 MB, which bounds it.
pub const WINDOW: usize = 16;

/// What admission looks at for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
}

/// The rest of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cold {
    pub(crate) name: Box<str>,
    pub(crate) timeout_ns: u64,
    /// Position of the frame that made it idle.
    pub(crate) idle_since: Position,
}

/// One whole session, as the journal and a snapshot keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) hot: Hot,
    pub(crate) window: [Position; WINDOW],
    pub(crate) cold: Cold,
}

/// All sessions. See the module's description.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    hot: Vec<Hot>,
    windows: Vec<[Position; WINDOW]>,
    cold: Vec<Cold>,
    free: Vec<u32>,
    ids: IdTable,
    names: BTreeMap<Box<str>, u32>,
    /// Idle sessions by the position that made them idle.
    idle: BTreeMap<Position, u32>,
    /// The id that the next new session gets.
    pub(crate) next_id: u32,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            hot: Vec::new(),
            windows: Vec::new(),
            cold: Vec::new(),
            free: Vec::new(),
            ids: IdTable::new(),
            names: BTreeMap::new(),
            idle: BTreeMap::new(),
            next_id: 1,
        }
    }

    #[inline]
    pub(crate) fn find(&self, id: u32) -> Option<u32> {
        self.ids.get(id)
    }

    pub(crate) fn find_name(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    #[inline]
    pub(crate) fn hot(&self, slot: u32) -> &Hot {
        &self.hot[slot as usize]
    }

    pub(crate) fn cold(&self, slot: u32) -> &Cold {
        &self.cold[slot as usize]
    }

    /// Sessions kept, idle ones included.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// One more than the highest slot in use.
    pub(crate) fn slots(&self) -> usize {
        self.hot.len()
    }

    /// The session that has been idle longest.
    pub(crate) fn oldest_idle(&self) -> Option<u32> {
        self.idle.first_key_value().map(|(_, slot)| *slot)
    }

    /// Where `sequence` stands, if it is in the window.
    pub(crate) fn place_of(&self, slot: u32, sequence: u64) -> Option<Position> {
        let last = self.hot[slot as usize].last;
        let in_window = sequence <= last && last - sequence < WINDOW as u64;
        in_window.then(|| self.windows[slot as usize][sequence as usize % WINDOW])
    }

    /// Takes in the next message of a session; returns what its place in the window held before.
    #[inline]
    pub(crate) fn record(&mut self, slot: u32, sequence: u64, at: Position) -> Position {
        self.hot[slot as usize].last = sequence;
        std::mem::replace(&mut self.windows[slot as usize][sequence as usize % WINDOW], at)
    }

    /// Takes the newest message of a session back.
    pub(crate) fn unrecord(&mut self, slot: u32, replaced: Position, last: u64) {
        let hot = &mut self.hot[slot as usize];
        let sequence = std::mem::replace(&mut hot.last, last);
        self.windows[slot as usize][sequence as usize % WINDOW] = replaced;
    }

    pub(crate) fn get(&self, slot: u32) -> Session {
        let index = slot as usize;
        Session { hot: self.hot[index], window: self.windows[index], cold: self.cold[index].clone() }
    }

    /// Makes room for a new session and gives it the id.
    pub(crate) fn create(&mut self, id: u32, epoch: u32, open: &SessionOpen<'_>) -> u32 {
        let hot = Hot { id, epoch, group: open.group, class: open.class, is_live: true, last: 0 };
        let cold = Cold { name: open.name.into(), timeout_ns: open.timeout_ns, idle_since: Position::START };
        let slot = self.next_slot();
        self.put(slot, Session { hot, window: [Position::START; WINDOW], cold });
        self.next_id = self.next_id.max(id + 1);
        slot
    }

    /// The slot that [`Sessions::create`] will use.
    pub(crate) fn next_slot(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.hot.len() as u32)
    }

    /// Opens a known session again.
    pub(crate) fn reopen(&mut self, slot: u32, epoch: u32, timeout_ns: u64) {
        let index = slot as usize;
        self.idle.remove(&self.cold[index].idle_since);
        self.cold[index].idle_since = Position::START;
        self.cold[index].timeout_ns = timeout_ns;
        self.hot[index].epoch = epoch;
        self.hot[index].is_live = true;
    }

    /// Its time-out has passed.
    pub(crate) fn expire(&mut self, slot: u32, at: Position) {
        self.hot[slot as usize].is_live = false;
        self.cold[slot as usize].idle_since = at;
        self.idle.insert(at, slot);
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, slot: u32) {
        let index = slot as usize;
        let Cold { name, idle_since, .. } = std::mem::take(&mut self.cold[index]);
        let hot = std::mem::take(&mut self.hot[index]);
        if !hot.is_live {
            self.idle.remove(&idle_since);
        }
        self.names.remove(&name);
        self.ids.remove(hot.id);
        self.free.push(slot);
    }

    /// Puts back what a slot held: `None` if it was free.
    pub(crate) fn restore(&mut self, slot: u32, before: Option<Session>) {
        if self.hot.get(slot as usize).is_some_and(|hot| hot.id != 0) {
            self.remove(slot);
        }
        if let Some(session) = before {
            self.put(slot, session);
        }
    }

    fn put(&mut self, slot: u32, session: Session) {
        let Session { hot, window, cold } = session;
        if slot as usize == self.hot.len() {
            self.hot.push(hot);
            self.windows.push(window);
            self.cold.push(Cold::default());
        } else {
            // Slots are taken and given back in the order of a stack, by frames and by undoing them alike.
            let free = self.free.pop();
            assert!(free == Some(slot), "slot {slot} is not the one that is free");
            self.hot[slot as usize] = hot;
            self.windows[slot as usize] = window;
        }
        self.ids.insert(hot.id, slot);
        self.names.insert(cold.name.clone(), slot);
        if !hot.is_live {
            self.idle.insert(cold.idle_since, slot);
        }
        self.cold[slot as usize] = cold;
    }

    /// The planted bug `ForgetDedupeOnInstall`: as if snapshots did not hold what was admitted.
    pub(crate) fn forget_windows(&mut self) {
        for hot in &mut self.hot {
            hot.last = 0;
        }
    }

    /// Slots in use, ordered by id.
    pub(crate) fn in_order(&self) -> Vec<u32> {
        let used = self.hot.iter().enumerate().filter(|(_, hot)| hot.id != 0);
        let mut order: Vec<(u32, u32)> = used.map(|(slot, hot)| (hot.id, slot as u32)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, slot)| slot).collect()
    }

    pub(crate) fn window(&self, slot: u32) -> &[Position; WINDOW] {
        &self.windows[slot as usize]
    }

    /// Adds a session that a snapshot holds.
    pub(crate) fn load(&mut self, session: Session) {
        let slot = self.next_slot();
        self.put(slot, session);
    }
}
