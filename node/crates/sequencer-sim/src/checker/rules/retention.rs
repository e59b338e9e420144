//! How far the log may be trimmed: not past what the archive, a pin or a service needs of it.

use std::collections::BTreeMap;

use sequencer_wire::{Frame, Position, Retention};

use crate::checker::Verdict;

#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    floor: Position,
    /// The archive holds everything below; `None` before it says so for the first time, and then it holds nothing back.
    archived: Option<Position>,
    /// Position and bound in bytes of each pin.
    pins: BTreeMap<u64, (Position, u64)>,
}

impl Holds {
    pub(super) fn floor(&self) -> Position {
        self.floor
    }

    pub(super) fn on_retention(&mut self, retention: &Retention) {
        match *retention {
            Retention::Archived { to } => self.archived = Some(to),
            Retention::Pin { id, position, bytes_max } => {
                self.pins.insert(id, (position, bytes_max));
            }
            Retention::Unpin { id } => {
                self.pins.remove(&id);
            }
        }
    }

    /// The floor rises; `services` are their ids and what they need.
    pub(super) fn on_floor(
        &mut self,
        frame: &Frame<'_>,
        floor: Position,
        services: &[(u32, Position)],
    ) -> Verdict {
        if floor <= self.floor || floor > frame.at {
            return Err((
                "the floor rises within the log",
                format!("from {} to {floor} at {}", self.floor, frame.at),
            ));
        }
        let archive = self.archived.map(|to| ("the archive".to_owned(), to));
        let pins = self.pins.iter().map(|(id, (position, bytes_max))| {
            (format!("pin {id}"), (*position).max(Position(frame.at.0.saturating_sub(*bytes_max))))
        });
        let services = services.iter().map(|(id, position)| (format!("service {id}"), *position));
        let mut holds = archive.into_iter().chain(pins).chain(services);
        if let Some((holder, limit)) = holds.find(|(_, limit)| floor > *limit) {
            return Err((
                "16. nothing above a hold is trimmed",
                format!("to {floor} at {}, {holder} needs the log from {limit} on", frame.at),
            ));
        }
        self.floor = floor;
        Ok(())
    }
}
