//! What the log must keep: the floor, and who holds it down.

use sequencer_wire::Position;

/// Most pins.
pub const PINS_MAX: usize = 64;

/// A reader that still needs the log from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Its name.
    pub id: u64,
    /// First position it needs.
    pub position: Position,
    /// Bytes behind the end of the log beyond which it holds nothing back.
    pub bytes_max: u64,
}

/// What the log must keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Bytes below are given up.
    pub floor: Position,
    /// End of what is archived, once there is an archive.
    pub archived: Option<Position>,
    /// By id.
    pub pins: Vec<Pin>,
}

/// Who keeps the log from being trimmed further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The core's own snapshot on the leader.
    Snapshot,
    /// The archive.
    Archive,
    /// A service whose verified snapshot is older.
    Service(u32),
    /// A pin.
    Pin(u64),
}

/// What a hold with a bound in bytes still holds when the log ends at `end`.
pub(crate) fn bounded(position: Position, bytes_max: u64, end: Position) -> Position {
    position.max(Position(end.0.saturating_sub(bytes_max)))
}
