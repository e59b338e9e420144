//! Logs made to measure: a term is a number, its frames follow from their place, so equal descriptions are equal bytes.

use sequencer_core::Restored;
use sequencer_wire::{
    FrameFields, FrameKind, Frames, LogEnd, NewTerm, NodeId, Position, Term, TermTable, encode_frame,
    encode_new_term, frame_bytes,
};

/// Whole size of a new-term frame.
pub(crate) const NEW_TERM_BYTES: u64 = 72;
/// Whole size of the messages that [`Image::of`] makes.
pub(crate) const MESSAGE_BYTES: u64 = 56;

/// The bytes of a whole log from position 0 and what can be derived from them.
#[derive(Clone, Default)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) terms: TermTable,
    pub(crate) last_timestamp_ns: u64,
}

impl std::fmt::Debug for Image {
    /// Terms and where they start, in short.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let terms: Vec<_> = self.terms.iter().map(|entry| (entry.term.0, entry.start.0)).collect();
        write!(f, "log of {} bytes, terms {terms:?}", self.bytes.len())
    }
}

impl Image {
    /// A log of these terms, each with its new-term frame and that many messages of [`MESSAGE_BYTES`].
    pub(crate) fn of(terms: &[(u64, usize)]) -> Self {
        terms.iter().fold(Self::default(), |image, (term, messages)| {
            (0..*messages).fold(image.new_term(*term), |image, _| image.message(8))
        })
    }

    /// Reads a log back; every frame must verify.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut image = Self { bytes: bytes.to_vec(), ..Self::default() };
        for frame in Frames::new(bytes, Position(0), Term::NONE) {
            let frame = frame.expect("a stored frame does not verify");
            image.terms.record(&frame);
            assert!(image.last_timestamp_ns <= frame.fields.timestamp_ns, "timestamps go back in a log");
            image.last_timestamp_ns = frame.fields.timestamp_ns;
        }
        image
    }

    /// The log with a new term begun.
    pub(crate) fn new_term(mut self, term: u64) -> Self {
        let (at, previous) = (Position(self.len()), self.terms.last_term());
        let mut frame = vec![0; NEW_TERM_BYTES as usize];
        let new_term = NewTerm { term: Term(term), previous, leader: NodeId(1) };
        encode_new_term(&mut frame, at, new_term, self.last_timestamp_ns).expect("a new-term frame fits");
        self.terms.push(sequencer_wire::TermStart { term: Term(term), start: at });
        self.bytes.extend(frame);
        self
    }

    /// The log with a message of `payload_bytes` more.
    pub(crate) fn message(mut self, payload_bytes: usize) -> Self {
        let mut frame = vec![0; frame_bytes(payload_bytes)];
        let fields = FrameFields {
            kind: FrameKind::ClusterVersion,
            flags: 0,
            source_id: 9,
            source_sequence: self.len(),
            timestamp_ns: self.last_timestamp_ns,
            cause: Position(0),
            schema_id: 1,
            schema_version: 1,
            epoch: 0,
        };
        let payload = vec![self.terms.last_term().0 as u8; payload_bytes];
        encode_frame(&mut frame, Position(self.len()), self.terms.last_term(), &fields, &payload)
            .expect("a message fits");
        self.bytes.extend(frame);
        self
    }

    /// Bytes in the log, and so the position of its end.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn end(&self) -> LogEnd {
        LogEnd { term: self.terms.last_term(), position: Position(self.len()) }
    }

    /// The log's end as if it ended at `position`.
    pub(crate) fn end_at(&self, position: u64) -> LogEnd {
        LogEnd { term: self.terms.term_before(Position(position)), position: Position(position) }
    }

    /// The bytes from `from` on.
    pub(crate) fn from(&self, from: u64) -> &[u8] {
        &self.bytes[from as usize..]
    }

    /// Ends of the frames, ascending, 0 first.
    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let frames = Frames::new(&self.bytes, Position(0), Term::NONE);
        let ends = frames.map(|frame| frame.expect("a frame of the image verifies").end().0);
        std::iter::once(0).chain(ends).collect()
    }

    /// End of the last frame up to which both logs are the same bytes: the slow and obvious way.
    pub(crate) fn common_end(&self, other: &Self) -> u64 {
        let is_same = |end: &&u64| self.bytes.get(..**end as usize) == other.bytes.get(..**end as usize);
        *self.boundaries().iter().take_while(is_same).last().expect("0 is always common")
    }

    /// What a start from this log finds, besides the hard state.
    pub(crate) fn restored(&self) -> Restored {
        let mut ledger = sequencer_core::Ledger::new();
        ledger.replay(&self.bytes, Position(0), Term::NONE).expect("a stored log can be replayed");
        Restored {
            ledger,
            terms: self.terms.clone(),
            end: Position(self.len()),
            last_timestamp_ns: self.last_timestamp_ns,
            ..Restored::default()
        }
    }
}
