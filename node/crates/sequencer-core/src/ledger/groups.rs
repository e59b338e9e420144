//! Role groups: which of several gateway sessions acts.

/// Most live sessions in one group.
pub const GROUP_SESSIONS_MAX: usize = 64;

/// One group of sessions that share a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Epoch of the newest grant.
    pub epoch: u32,
    /// Session that holds the role.
    pub holder: Option<u32>,
    /// Log time before which the role is not granted again.
    pub vacant_until_ns: u64,
    /// The last holder's time-out. Log time may leap when the leader changes, so each leader waits that long from its own start too.
    pub rest_ns: u64,
    /// Live sessions, the longest open first.
    pub sessions: Vec<u32>,
}

impl Group {
    /// A session was opened, for the first time or again.
    pub(crate) fn enter(&mut self, session: u32) {
        self.sessions.retain(|other| *other != session);
        self.sessions.push(session);
    }

    /// A session was closed, expired, or opened again; if it held the role, that is vacant from log time `now_ns` on.
    pub(crate) fn leave(&mut self, session: u32, now_ns: u64, timeout_ns: u64) {
        self.sessions.retain(|other| *other != session);
        if self.holder == Some(session) {
            self.holder = None;
            self.vacant_until_ns = now_ns.saturating_add(timeout_ns);
            self.rest_ns = timeout_ns;
        }
    }
}
