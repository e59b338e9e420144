//! What a leader acknowledges of a session.

use sequencer_link::Positions;

use crate::error::Disconnect;
use crate::event::Event;
use crate::session::Session;

/// Zeros that stand for unknown positions.
const UNKNOWN: [u8; 8 * 64] = [0; 8 * 64];

impl Session {
    /// Takes in an acknowledgement.
    ///
    /// # Errors
    /// [`Disconnect::Unexpected`] when it is none of what was sent.
    #[inline]
    pub(crate) fn on_admitted(
        &mut self,
        session: u32,
        epoch: u32,
        first: u64,
        positions: Positions<'_>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Disconnect> {
        // Of an epoch that is over everything will be answered again.
        if session != self.id || epoch != self.batch_epoch() || !self.is_alive() || !self.was_open() {
            return Ok(());
        }
        let (oldest, count) = (self.window.oldest(), positions.len() as u64);
        let number = first.wrapping_sub(self.base);
        let ahead = number.wrapping_sub(oldest) as i64;
        if ahead > 0 || number.wrapping_add(count) > self.sent_end {
            let expected = oldest.wrapping_add(self.base);
            return Err(Disconnect::Unexpected { what: "an acknowledged sequence", found: first, expected });
        }
        // What was sent twice is answered twice.
        let known = ahead.unsigned_abs();
        if known < count {
            let fresh = Positions::new(&positions.as_bytes()[known as usize * 8..]);
            self.window.acknowledge(count - known);
            self.retries = 0;
            on_event(Event::Admitted {
                first: oldest,
                sequence: oldest.wrapping_add(self.base),
                positions: fresh,
            });
        }
        if self.pending_refusal.is_some() {
            self.settle_refusal(on_event);
        }
        Ok(())
    }

    /// The oldest `count` are admitted, and nobody says where.
    pub(crate) fn acknowledge_unknown(&mut self, count: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        let mut left = count;
        while left > 0 {
            let some = left.min(UNKNOWN.len() as u64 / 8);
            let first = self.window.oldest();
            self.window.acknowledge(some);
            let positions = Positions::new(&UNKNOWN[..some as usize * 8]);
            on_event(Event::Admitted { first, sequence: first.wrapping_add(self.base), positions });
            left -= some;
        }
    }
}
