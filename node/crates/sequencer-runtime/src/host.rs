//! The world outside of one replica, as far as it acts on it.

use sequencer_core::{Core, Effect};
use sequencer_wire::NodeId;

/// Carries messages away and may watch.
pub trait Host {
    /// Sends one peer message: `header`, then `frames`. It may be lost or overtaken, but not changed unnoticed. Must not block.
    fn send(&mut self, to: NodeId, header: &[u8], frames: &[u8]);

    /// Sees each effect before it is carried out; `core` is in the state after the step that gave it.
    fn observe(&mut self, effect: &Effect, core: &Core) {
        let _ = (effect, core);
    }
}
