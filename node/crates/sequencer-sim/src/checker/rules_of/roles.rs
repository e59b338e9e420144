//! Role groups: who holds a role when, in log terms and as gateways act.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, RoleGranted, SessionOpen};

use crate::checker::Verdict;

#[derive(Debug, Default)]
struct Group {
    epoch: u32,
    holder: Option<u32>,
    vacant_until_ns: u64,
    /// Live sessions with their epochs, the longest open first.
    sessions: Vec<(u32, u32)>,
}

#[derive(Debug, Default)]
pub(super) struct Roles {
    groups: BTreeMap<u32, Group>,
    /// Group and time-out of each session that has one.
    of: BTreeMap<u32, (u32, u64)>,
    /// Newest role epoch that a gateway of each group has acted under, and which session.
    acted: BTreeMap<u32, (u32, u32)>,
}

impl Roles {
    pub(super) fn on_open(&mut self, frame: &Frame<'_>, open: &SessionOpen<'_>) {
        if open.group == 0 {
            return;
        }
        self.leave(frame);
        let session = frame.fields.source_id;
        self.of.insert(session, (open.group, open.timeout_ns));
        self.groups.entry(open.group).or_default().sessions.push((session, frame.fields.epoch));
    }

    pub(super) fn on_close(&mut self, frame: &Frame<'_>) {
        self.leave(frame);
    }

    fn leave(&mut self, frame: &Frame<'_>) {
        let session = frame.fields.source_id;
        let Some((group, timeout_ns)) = self.of.get(&session).copied() else { return };
        let Some(group) = self.groups.get_mut(&group) else { return };
        group.sessions.retain(|(other, _)| *other != session);
        if group.holder == Some(session) {
            group.holder = None;
            group.vacant_until_ns = frame.fields.timestamp_ns + timeout_ns;
        }
    }

    pub(super) fn on_grant(&mut self, frame: &Frame<'_>, granted: &RoleGranted) -> Verdict {
        let group = self.groups.entry(granted.group).or_default();
        let (session, epoch) = (frame.fields.source_id, frame.fields.epoch);
        let is_first = group.sessions.first() == Some(&(session, granted.session_epoch));
        if group.holder.is_some() || epoch != group.epoch + 1 || !is_first {
            return Err((
                "a vacant role goes to the session that is open longest",
                format!("group {} to {session} in epoch {epoch} at {}: {group:?}", granted.group, frame.at),
            ));
        }
        if frame.fields.timestamp_ns < group.vacant_until_ns {
            return Err((
                "13. a role rests for the last holder's time-out",
                format!(
                    "group {} at {} is {} ns early",
                    granted.group,
                    frame.at,
                    group.vacant_until_ns - frame.fields.timestamp_ns
                ),
            ));
        }
        group.epoch = epoch;
        group.holder = Some(session);
        Ok(())
    }

    pub(super) fn on_message(&mut self, frame: &Frame<'_>, group: u32) -> Verdict {
        if group == 0 {
            return Ok(());
        }
        let model = self.groups.entry(group).or_default();
        if model.holder == Some(frame.fields.source_id) && model.epoch == frame.fields.epoch {
            return Ok(());
        }
        Err((
            "12. only the holder of a role acts",
            format!(
                "session {} in role epoch {} at {}: {model:?}",
                frame.fields.source_id, frame.fields.epoch, frame.at
            ),
        ))
    }

    /// A gateway acts on the world outside: nobody has done so under a later role epoch.
    pub(super) fn act(&mut self, group: u32, session: u32, role_epoch: u32) -> Verdict {
        let (newest, other) = self.acted.entry(group).or_insert((role_epoch, session));
        if role_epoch < *newest || (role_epoch == *newest && session != *other) {
            return Err((
                "two gateways never act at once",
                format!(
                    "{session} acts in epoch {role_epoch} of group {group} after {other} did in {newest}"
                ),
            ));
        }
        (*newest, *other) = (role_epoch, session);
        Ok(())
    }
}
