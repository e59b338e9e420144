//! Role groups: who holds a role from when to when, as the log says it and as gateways act on it.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, RoleGranted};

use super::sessions::Sessions;
use crate::checker::Verdict;

/// The holder has gone.
#[derive(Debug, Clone, Copy)]
struct Vacancy {
    /// Timestamp of the frame that took the role away.
    since_ns: u64,
    /// Time-out of the session that held it.
    timeout_ns: u64,
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// Session of each grant; the newest role epoch is the last one.
    grants: BTreeMap<u32, u32>,
    holder: Option<u32>,
    /// `None` before the first grant.
    vacancy: Option<Vacancy>,
}

impl Group {
    fn epoch(&self) -> u32 {
        self.grants.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Roles {
    groups: BTreeMap<u32, Group>,
    /// Timestamp of the newest leader's start.
    led_ns: u64,
}

impl Roles {
    pub(super) fn on_new_term(&mut self, frame: &Frame<'_>) {
        self.led_ns = frame.fields.timestamp_ns;
    }

    /// The frame closes its session or opens it again; `(group, timeout_ns)` are those that the session had before.
    pub(super) fn on_gone(&mut self, frame: &Frame<'_>, (group, timeout_ns): (u32, u64)) {
        let holder = Some(frame.fields.source_id);
        if let Some(group) = self.groups.get_mut(&group).filter(|group| group.holder == holder) {
            group.holder = None;
            group.vacancy = Some(Vacancy { since_ns: frame.fields.timestamp_ns, timeout_ns });
        }
    }

    pub(super) fn on_grant(
        &mut self,
        frame: &Frame<'_>,
        granted: &RoleGranted,
        sessions: &Sessions,
    ) -> Verdict {
        let (session, epoch, at) = (frame.fields.source_id, frame.fields.epoch, frame.at);
        let longest = sessions.longest_open(granted.group);
        let group = self.groups.entry(granted.group).or_default();
        if let Some(holder) = group.holder {
            return Err((
                "12. a role has one holder",
                format!("group {} goes to {session} at {at} while {holder} holds it", granted.group),
            ));
        }
        if longest != Some((session, granted.session_epoch)) {
            return Err((
                "a vacant role goes to the session that is open longest",
                format!(
                    "group {} goes to {session} in its epoch {} at {at}, {longest:?} is open longest",
                    granted.group, granted.session_epoch
                ),
            ));
        }
        if epoch != group.epoch() + 1 {
            return Err((
                "role epochs rise by one",
                format!("group {} goes from {} to {epoch} at {at}", granted.group, group.epoch()),
            ));
        }
        if let Some(vacancy) = group.vacancy {
            // Log time may leap when the leader changes, so the rest begins anew with each leader.
            let rested_ns = frame.fields.timestamp_ns.saturating_sub(vacancy.since_ns.max(self.led_ns));
            if rested_ns < vacancy.timeout_ns {
                return Err((
                    "13. a role rests for the last holder's time-out",
                    format!("group {} at {at} rested {rested_ns} ns, {vacancy:?}", granted.group),
                ));
            }
        }
        group.grants.insert(epoch, session);
        group.holder = Some(session);
        Ok(())
    }

    /// A session of a group sends something; group 0 is none.
    pub(super) fn on_message(&self, frame: &Frame<'_>, group: u32) -> Verdict {
        if group == 0 {
            return Ok(());
        }
        let (session, epoch) = (frame.fields.source_id, frame.fields.epoch);
        let known = self.groups.get(&group);
        if known.is_some_and(|group| group.holder == Some(session) && group.epoch() == epoch) {
            return Ok(());
        }
        Err((
            "12. only the holder of a role acts",
            format!(
                "session {session} sends in role epoch {epoch} at {}, group {group} is {known:?}",
                frame.at
            ),
        ))
    }

    /// A gateway acts on the world outside. It was granted the role, and nobody has been granted it since: the one before has
    /// stopped by itself before the log gives the role to the next.
    pub(super) fn check_acting(&self, group: u32, session: u32, role_epoch: u32) -> Verdict {
        let known = self.groups.get(&group);
        let newest = known.and_then(|group| group.grants.last_key_value());
        if newest == Some((&role_epoch, &session)) {
            return Ok(());
        }
        Err((
            "two gateways never act at once",
            format!("{session} acts in role epoch {role_epoch} of group {group}, newest grant is {newest:?}"),
        ))
    }
}
