//! The one committed log, as the first node that committed each byte had it.

use std::collections::{BTreeMap, BTreeSet};

use sequencer_wire::{Body, Frame, FrameKind, Frames, NodeId, Position, Term, TermStart, TermTable};

use super::{Rules, Verdict};

/// First bytes of each payload of the simulated clients: the number of the message, little endian.
pub(crate) const NUMBER_BYTES: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Committed {
    bytes: Vec<u8>,
    terms: TermTable,
    last_timestamp_ns: u64,
    messages: u64,
    /// Numbers of messages that somebody made.
    made: BTreeSet<u64>,
    /// End of what was committed in each term.
    ends: BTreeMap<Term, Position>,
}

impl Committed {
    pub(crate) fn end(&self) -> Position {
        Position(self.bytes.len() as u64)
    }

    pub(crate) fn terms(&self) -> &TermTable {
        &self.terms
    }

    /// End of what was committed in terms before `term`: what a leader of that term must hold.
    pub(crate) fn end_before(&self, term: Term) -> Position {
        self.ends.range(..term).map(|(_, end)| *end).max().unwrap_or(Position(0))
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Somebody is going to send a message with this number.
    pub(crate) fn admit(&mut self, number: u64) {
        self.made.insert(number);
    }

    /// The bytes `from..to`, which are committed.
    pub(crate) fn bytes_between(&self, from: Position, to: Position) -> &[u8] {
        &self.bytes[from.0 as usize..to.0 as usize]
    }

    /// A node regards `bytes` at `from` as committed in its current term.
    pub(crate) fn check(
        &mut self,
        node: NodeId,
        term: Term,
        from: Position,
        bytes: &[u8],
        rules: &mut Rules,
    ) -> Verdict {
        let from = from.0 as usize;
        let known = self.bytes.len().saturating_sub(from).min(bytes.len());
        if bytes[..known] != self.bytes[from..from + known] {
            let differs = bytes.iter().zip(&self.bytes[from..]).position(|(one, other)| one != other);
            return Err((
                "committed bytes never change",
                format!("{node} commits another byte at {}", from + differs.unwrap_or(known)),
            ));
        }
        if known < bytes.len() {
            self.extend(node, &bytes[known..], rules)?;
            self.ends.insert(term, self.end());
        }
        Ok(())
    }

    fn extend(&mut self, node: NodeId, bytes: &[u8], rules: &mut Rules) -> Verdict {
        for frame in Frames::new(bytes, self.end(), self.terms.last_term()) {
            let frame =
                frame.map_err(|error| ("committed frames decode", format!("{node} commits {error}")))?;
            if frame.fields.timestamp_ns < self.last_timestamp_ns {
                let last = self.last_timestamp_ns;
                return Err((
                    "timestamps never go back",
                    format!("{node} commits {} after {last} at {}", frame.fields.timestamp_ns, frame.at),
                ));
            }
            self.last_timestamp_ns = frame.fields.timestamp_ns;
            if frame.fields.kind == FrameKind::NewTerm {
                self.terms.push(TermStart { term: frame.term, start: frame.at });
            }
            self.check_made(&frame)?;
            self.bytes.extend_from_slice(frame.bytes);
            rules.on_frame(&frame)?;
        }
        Ok(())
    }

    /// A message in the log is one that somebody made.
    fn check_made(&mut self, frame: &Frame<'_>) -> Verdict {
        let payload = match frame.body() {
            Ok(Body::Message(payload)) => payload,
            Ok(Body::Query(query)) => query.request,
            _ => return Ok(()),
        };
        self.messages += 1;
        let number = payload.first_chunk::<NUMBER_BYTES>().map(|bytes| u64::from_le_bytes(*bytes));
        if number.is_some_and(|number| self.made.contains(&number)) {
            return Ok(());
        }
        Err((
            "only messages that were sent are committed",
            format!("message {number:?} at {} was never sent", frame.at),
        ))
    }
}
