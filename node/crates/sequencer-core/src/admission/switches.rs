//! Rules of epochs: promotion, its cancellation, and the way back.

use sequencer_wire::{Body, FrameKind, Position};

use super::{Head, Ruling};
use crate::core::Core;
use crate::event::Now;
use crate::ledger::{SWITCHES_MAX, ServiceState};
use crate::refusal::Refusal;

impl Core {
    pub(super) fn admit_promote(&mut self, service: u32, version: u64, at: Position, now: Now) -> Ruling {
        let end = self.log.end();
        let state = self.switching(service, at, end)?;
        if let Some(next) = state.switches.last() {
            return Err(Refusal::SwitchPending { service, epoch: next.epoch, at: next.at });
        }
        let head = Head { epoch: state.newest_epoch + 1, ..Head::of(FrameKind::Promote, service) };
        self.append_control(&head, &Body::Promote(sequencer_wire::Promote { version, at }), false, now)
    }

    pub(super) fn admit_rollback(&mut self, service: u32, at: Position, now: Now) -> Ruling {
        let end = self.log.end();
        let state = self.switching(service, at, end)?;
        let newest = state.newest();
        if newest.at >= end || state.switches.len() >= SWITCHES_MAX {
            return Err(Refusal::SwitchPending { service, epoch: newest.epoch, at: newest.at });
        }
        if state.version_before_newest().is_none() {
            return Err(Refusal::NothingToRollBack { service });
        }
        let head = Head { epoch: state.newest_epoch + 1, ..Head::of(FrameKind::Rollback, service) };
        self.append_control(&head, &Body::Rollback(sequencer_wire::Rollback { at }), false, now)
    }

    /// Calls a switch off that lies ahead: nobody has applied its position yet, and nobody will before this frame.
    pub(super) fn admit_cancel(&mut self, service: u32, epoch: u32, now: Now) -> Ruling {
        let end = self.log.end();
        let state = self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })?;
        let is_ahead = state.switches.last().is_some_and(|next| next.epoch == epoch && next.at > end);
        if !is_ahead {
            return Err(Refusal::NoSwitch { service, epoch });
        }
        let head = Head { epoch, ..Head::of(FrameKind::Cancel, service) };
        self.append_control(&head, &Body::Cancel, false, now)
    }

    fn switching(&self, service: u32, at: Position, end: Position) -> Result<&ServiceState, Refusal> {
        let state = self.ledger.services.get(&service).ok_or(Refusal::UnknownService { service })?;
        if at != Position(0) && at < end {
            return Err(Refusal::PositionPassed { at, end });
        }
        Ok(state)
    }
}
