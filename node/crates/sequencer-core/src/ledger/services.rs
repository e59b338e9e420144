//! Services: epochs, the last output admitted in each, and what their replicas reported.

use sequencer_wire::Position;

/// Most switches that wait for the end of the epoch before: a promotion, its rollback, and again.
pub const SWITCHES_MAX: usize = 4;
/// Replicas whose divergence is remembered for each service.
pub(crate) const REPORTS_MAX: usize = 16;
/// Frames to be passed over that are remembered for each service.
pub(crate) const SKIPS_MAX: usize = 16;

/// A coming epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The epoch that begins.
    pub epoch: u32,
    /// The version that answers from there on.
    pub version: u64,
    /// Where it begins: causes at or past this are its own.
    pub at: Position,
}

/// The newest progress frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceProgress {
    /// Of which epoch.
    pub epoch: u32,
    /// End of what was applied.
    pub applied: Position,
    /// Last output computed by then.
    pub k: u64,
    /// Digest of the state there.
    pub digest: u64,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Its name.
    pub name: Box<str>,
    /// Equal outputs of different replicas that it takes to admit one.
    pub agree: u16,
    /// Bytes behind the end of the log beyond which its snapshot holds nothing back.
    pub hold_bytes_max: u64,
    /// It asks for a tick when the log has been silent this long; 0 for none.
    pub tick_ns: u64,
    /// The epoch whose outputs are admitted, its version, and where its causes begin.
    pub current: Switch,
    /// The version before, to which a rollback returns.
    pub previous_version: Option<u64>,
    /// Highest epoch ever opened, also if it was called off.
    pub newest_epoch: u32,
    /// Epochs that wait for the end of the one before, in order.
    pub switches: Vec<Switch>,
    /// Last output admitted in the current epoch.
    pub last_k: u64,
    /// Its cause.
    pub last_cause: Position,
    /// The newest progress frame.
    pub progress: ServiceProgress,
    /// Replicas that reported a divergence, with the epoch, oldest first.
    pub reports: Vec<(u32, u32)>,
    /// Frames that its replicas pass over, oldest order first.
    pub skips: Vec<Position>,
    /// Position of its newest verified snapshot.
    pub verified: Position,
}

impl ServiceState {
    /// End of the causes of the current epoch, if it has one yet.
    pub fn current_until(&self) -> Option<Position> {
        self.switches.first().map(|next| next.at)
    }

    /// The newest switch, waiting or done.
    pub(crate) fn newest(&self) -> &Switch {
        self.switches.last().unwrap_or(&self.current)
    }

    /// The version that a rollback from the newest epoch returns to.
    pub(crate) fn version_before_newest(&self) -> Option<u64> {
        match self.switches.len() {
            0 => self.previous_version,
            1 => Some(self.current.version),
            count => Some(self.switches[count - 2].version),
        }
    }

    /// An epoch is going to begin.
    pub(crate) fn open(&mut self, switch: Switch) {
        self.newest_epoch = switch.epoch;
        self.switches.push(switch);
    }

    /// The current epoch has ended: the next one is admitted.
    pub(crate) fn advance(&mut self) {
        let next = self.switches.remove(0);
        self.previous_version = Some(self.current.version);
        self.current = next;
        self.last_k = 0;
        self.last_cause = next.at;
    }
}
