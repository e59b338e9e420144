//! Requests that must be refused, and the refusals they must get.

use sequencer_core::Refusal;
use sequencer_wire::Position;

use super::{CLASS, Client, NONSENSE};
use crate::actors::{Asked, Reply, Told, View};

impl Client {
    pub(super) fn ask_nonsense(&mut self, session: u32, epoch: u32, view: &mut View<'_>) {
        let sequence = self.next_sequence + 1_000;
        let good = |schema_id: u16, bytes: usize| Asked::Message {
            session,
            epoch,
            sequence,
            cause: Position(0),
            schema_id,
            schema_version: 1,
            payload: vec![0; bytes],
        };
        let (expected, asked) = match view.rng.below(6) {
            0 => ("sequence_gap", good(0, 8)),
            1 => ("unknown_session", Asked::KeepAlive { session: 4_000_000, epoch: 1 }),
            2 => (
                "unknown_service",
                Asked::Query { service: 99, session, epoch, sequence, payload: Vec::new() },
            ),
            3 => {
                let (name, timeout_ns) = ("x".repeat(65), self.timeout_ns);
                ("out_of_range", Asked::Open { name, class: CLASS, group: 0, timeout_ns, resume: None })
            }
            4 => {
                let (name, timeout_ns) = (self.name.clone(), self.timeout_ns);
                ("name_taken", Asked::Open { name, class: CLASS + 1, group: 0, timeout_ns, resume: None })
            }
            _ => ("stale_epoch", Asked::Close { session, epoch: epoch + 7 }),
        };
        let tag = NONSENSE | view.next_number();
        self.nonsense = Some((tag, expected));
        let node = Self::target(view);
        view.send(node, tag, asked);
    }

    /// Whoever does not lead says that first, and a session may have ended meanwhile.
    pub(super) fn judge_nonsense(&mut self, tag: u64, reply: Reply, view: &mut View<'_>) {
        let Some((_, expected)) = self.nonsense.take_if(|(asked, _)| *asked == tag) else { return };
        let got = match reply {
            Err(Refusal::NotLeader { .. } | Refusal::NotReady { .. }) => return,
            Err(
                Refusal::UnknownSession { .. }
                | Refusal::SessionExpired { .. }
                | Refusal::StaleEpoch { .. }
                | Refusal::HandingOver { .. }
                | Refusal::TooManySessions { .. }
                | Refusal::LogFull
                | Refusal::Backpressure { .. },
            ) => return,
            Err(refusal) if refusal.kind() == expected => return view.stats.hit("nonsense refused"),
            // The name is free once the session is gone.
            Ok(_) if expected == "name_taken" => return,
            Err(refusal) => refusal.to_string(),
            Ok(outcome) => format!("{outcome:?}"),
        };
        view.told.push(Told::WrongRefusal { expected, got });
    }
}
