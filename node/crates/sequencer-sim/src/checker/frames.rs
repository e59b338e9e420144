//! Every frame that any node ever wrote: one content and one predecessor for each (term, position).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sequencer_core::Core;
use sequencer_wire::{Frames, NodeId, Position, Term};

use super::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    content: u64,
    previous: Term,
}

#[derive(Debug, Default)]
pub(crate) struct FrameRegistry {
    frames: HashMap<(Position, Term), Written>,
}

impl FrameRegistry {
    /// Notes what a node writes.
    pub(crate) fn write(&mut self, node: NodeId, from: Position, to: Position, core: &Core) -> Verdict {
        let mut previous = core.terms().term_before(from);
        let mut at = from;
        for bytes in core.log_bytes(from, to) {
            let walk = Frames::new(bytes, at, previous);
            for frame in walk {
                let frame = frame.map_err(|error| ("own frames decode", format!("{node} writes {error}")))?;
                let written = Written { content: content_of(frame.bytes), previous };
                previous = frame.term;
                at = frame.end();
                match self.frames.entry((frame.at, frame.term)) {
                    Entry::Vacant(entry) => {
                        entry.insert(written);
                    }
                    Entry::Occupied(entry) if *entry.get() == written => {}
                    Entry::Occupied(_) => {
                        return Err((
                            "log matching",
                            format!("{node} writes another frame at {} in {}", frame.at, frame.term),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that a recovered log, or a part of it, consists of frames that were written, one after the other.
    pub(crate) fn check_recovered(
        &self,
        node: NodeId,
        bytes: &[u8],
        from: Position,
        previous: Term,
    ) -> Verdict {
        let mut previous = previous;
        for frame in Frames::new(bytes, from, previous) {
            let frame =
                frame.map_err(|error| ("recovered frames decode", format!("{node} recovers {error}")))?;
            let written = Written { content: content_of(frame.bytes), previous };
            previous = frame.term;
            if self.frames.get(&(frame.at, frame.term)) != Some(&written) {
                return Err((
                    "a log holds only what was written",
                    format!(
                        "{node} recovers a frame at {} in {} that nobody wrote there",
                        frame.at, frame.term
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// FNV-1a over the bytes after the checksum field: independent of the checksum, which a planted bug may change.
fn content_of(frame: &[u8]) -> u64 {
    frame[8..]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
