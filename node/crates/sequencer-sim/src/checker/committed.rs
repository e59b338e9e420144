//! The one committed log, as the first node that committed each byte had it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sequencer_core::Admitted;
use sequencer_wire::{FrameKind, Frames, NodeId, Position, Term, TermStart, TermTable};

use super::Verdict;

/// First bytes of each payload of the simulated clients: the number of the message, little endian.
pub(crate) const NUMBER_BYTES: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Committed {
    bytes: Vec<u8>,
    terms: TermTable,
    last_timestamp_ns: u64,
    /// Where each committed message stands.
    places: HashMap<u64, Position>,
    /// Numbers handed to any leader and admitted.
    admitted: BTreeSet<u64>,
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
        self.places.len() as u64
    }

    pub(crate) fn admit(&mut self, number: u64) {
        self.admitted.insert(number);
    }

    /// A node regards `bytes` at `from` as committed in its current term.
    pub(crate) fn check(&mut self, node: NodeId, term: Term, from: Position, bytes: &[u8]) -> Verdict {
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
            self.extend(node, &bytes[known..])?;
            self.ends.insert(term, self.end());
        }
        Ok(())
    }

    fn extend(&mut self, node: NodeId, bytes: &[u8]) -> Verdict {
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
            match frame.fields.kind {
                FrameKind::NewTerm => self.terms.push(TermStart { term: frame.term, start: frame.at }),
                _ => self.place(frame.payload, frame.at)?,
            }
            self.bytes.extend_from_slice(frame.bytes);
        }
        Ok(())
    }

    fn place(&mut self, payload: &[u8], at: Position) -> Verdict {
        let number =
            u64::from_le_bytes(payload[..NUMBER_BYTES].try_into().expect("clients send at least a number"));
        if !self.admitted.contains(&number) {
            return Err((
                "only admitted messages are committed",
                format!("message {number} at {at} was never admitted"),
            ));
        }
        match self.places.insert(number, at) {
            Some(first) => {
                Err(("a message stands once", format!("message {number} stands at {first} and {at}")))
            }
            None => Ok(()),
        }
    }

    /// A leader tells a client that its message stands in the log for good.
    pub(crate) fn check_acknowledged(&self, node: NodeId, number: u64, admitted: &Admitted) -> Verdict {
        if self.places.get(&number) == Some(&admitted.at) && admitted.end <= self.end() {
            return Ok(());
        }
        Err((
            "acknowledged means committed",
            format!("{node} acknowledges message {number} at {}, where it is not committed", admitted.at),
        ))
    }
}
