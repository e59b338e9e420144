//! Many messages in one: what a session sends, and what a replica of a service answers.
//!
//! ```text
//! after the head:  0 u32 session or service | 4 u32 epoch | 8 u64 sequence of the first | 16 u32 count | 20 u32 see below | 24 the records
//! record:          0 u32 payload bytes | 4 u16 schema id | 6 u16 schema version | 8 u64 cause | 16 the payload, padded with zeros to 8
//! ```
//! The number at 20 is for `publish` the service that is asked (a sequenced query), 0 for messages; for `outputs` the replica.

use sequencer_wire::bytes::{put, u16_at, u32_at, u64_at};
use sequencer_wire::{Position, padded};

use crate::error::LinkError;
use crate::message::{HEAD_BYTES, Kind, MESSAGE_BYTES_MAX};
use crate::message_encode::{seal, seal_split};

/// Bytes of a record before its payload.
pub const RECORD_HEAD_BYTES: usize = 16;
/// Bytes between the head and the records.
pub(crate) const BATCH_HEAD_BYTES: usize = 24;
/// Bytes of a batch before its records.
pub const BATCH_BYTES: usize = HEAD_BYTES + BATCH_HEAD_BYTES;

/// Whose batch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Of a session.
    Publish,
    /// Of a replica.
    Outputs,
}

/// A batch; its records follow each other in sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Whose.
    pub kind: BatchKind,
    /// Session or service.
    pub source: u32,
    /// Epoch of the session, of its role, or of the service.
    pub epoch: u32,
    /// Sequence, or k, of the first record.
    pub first: u64,
    /// Records.
    pub count: u32,
    /// The service that is asked, or the replica.
    pub extra: u32,
    pub(crate) records: &'a [u8],
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Schema of the payload; 0 for none.
    pub schema_id: u16,
    /// Its version.
    pub schema_version: u16,
    /// The frame that it answers; 0 for none.
    pub cause: Position,
    /// Opaque bytes.
    pub payload: &'a [u8],
}

/// Bytes of a record with a payload of this size.
pub fn record_bytes(payload_bytes: usize) -> usize {
    RECORD_HEAD_BYTES + padded(payload_bytes)
}

impl Record<'_> {
    /// What stands before the payload.
    #[inline]
    pub fn head(&self) -> [u8; RECORD_HEAD_BYTES] {
        let mut head = [0; RECORD_HEAD_BYTES];
        put(&mut head, 0, (self.payload.len() as u32).to_le_bytes());
        put(&mut head, 4, self.schema_id.to_le_bytes());
        put(&mut head, 6, self.schema_version.to_le_bytes());
        put(&mut head, 8, self.cause.0.to_le_bytes());
        head
    }
}

/// What stands before the records of a batch. For whoever keeps encoded records and sends them from where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// Whose.
    pub kind: BatchKind,
    /// Of the message.
    pub tag: u32,
    /// Session or service.
    pub source: u32,
    /// Epoch of the session, of its role, or of the service.
    pub epoch: u32,
    /// Sequence, or k, of the first record.
    pub first: u64,
    /// Records.
    pub count: u32,
    /// The service that is asked, or the replica.
    pub extra: u32,
}

impl BatchHead {
    /// The first bytes of the message whose records are `records`, one piece after the other; they follow as they are. The records are those of
    /// [`Record::head`], the payload, and zeros up to a multiple of 8.
    ///
    /// # Panics
    /// When the message would exceed the largest size.
    pub fn seal(&self, records: &[&[u8]]) -> [u8; BATCH_BYTES] {
        let mut head = [0; BATCH_BYTES];
        head[8] = self.kind.byte();
        put(&mut head, 12, self.tag.to_le_bytes());
        let body = &mut head[HEAD_BYTES..];
        put(body, 0, self.source.to_le_bytes());
        put(body, 4, self.epoch.to_le_bytes());
        put(body, 8, self.first.to_le_bytes());
        put(body, 16, self.count.to_le_bytes());
        put(body, 20, self.extra.to_le_bytes());
        seal_split(&mut head, records);
        head
    }
}

impl<'a> Batch<'a> {
    /// The records in order.
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.records, left: self.count, kind: self.kind }
    }
}

/// Iterator of [`Batch::records`]. It ends after the first error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u32,
    kind: BatchKind,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, LinkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let wrong = |field, found| Some(Err(LinkError::Field { kind: self.kind.byte(), field, found }));
        if self.rest.len() < RECORD_HEAD_BYTES {
            self.left = 0;
            return wrong("the number of records", self.rest.len() as u64);
        }
        let payload_bytes = u32_at(self.rest, 0) as usize;
        let whole = record_bytes(payload_bytes);
        if self.rest.len() < whole || (self.left == 0 && self.rest.len() != whole) {
            self.left = 0;
            return wrong("the size of a record", payload_bytes as u64);
        }
        let record = Record {
            schema_id: u16_at(self.rest, 4),
            schema_version: u16_at(self.rest, 6),
            cause: Position(u64_at(self.rest, 8)),
            payload: &self.rest[RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + payload_bytes],
        };
        self.rest = &self.rest[whole..];
        Some(Ok(record))
    }
}

impl BatchKind {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Publish => Kind::Publish as u8,
            Self::Outputs => Kind::Outputs as u8,
        }
    }
}

/// Builds a batch at the end of a buffer, record after record; each payload is copied once. The batch counts once it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchWriter {
    start: usize,
    count: u32,
}

impl BatchWriter {
    /// Begins a batch at the end of `into`.
    pub fn begin(
        into: &mut Vec<u8>,
        kind: BatchKind,
        source: u32,
        epoch: u32,
        first: u64,
        extra: u32,
    ) -> Self {
        let start = into.len();
        into.resize(start + HEAD_BYTES + BATCH_HEAD_BYTES, 0);
        let batch = &mut into[start..];
        batch[8] = kind.byte();
        put(batch, HEAD_BYTES, source.to_le_bytes());
        put(batch, HEAD_BYTES + 4, epoch.to_le_bytes());
        put(batch, HEAD_BYTES + 8, first.to_le_bytes());
        put(batch, HEAD_BYTES + 20, extra.to_le_bytes());
        Self { start, count: 0 }
    }

    /// Whether a record with this payload still fits into the largest message.
    pub fn has_room(&self, into: &[u8], payload_bytes: usize) -> bool {
        into.len() - self.start + record_bytes(payload_bytes) <= MESSAGE_BYTES_MAX
    }

    /// Appends a record.
    ///
    /// # Panics
    /// When it does not fit; see [`BatchWriter::has_room`].
    #[inline]
    pub fn push(&mut self, into: &mut Vec<u8>, record: &Record<'_>) {
        assert!(self.has_room(into, record.payload.len()), "the record does not fit into the message");
        into.extend_from_slice(&record.head());
        into.extend_from_slice(record.payload);
        let padding = padded(record.payload.len()) - record.payload.len();
        into.extend_from_slice(&[0; 8][..padding]);
        self.count += 1;
    }

    /// Records so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Ends the batch: length, count and checksum are filled in.
    pub fn seal(self, into: &mut [u8]) {
        let batch = &mut into[self.start..];
        put(batch, HEAD_BYTES + 16, self.count.to_le_bytes());
        seal(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Ask;
    use crate::message_decode::decode_ask;

    #[test]
    fn a_head_before_records_in_two_pieces_makes_the_message_that_the_writer_makes() {
        let payloads: [&[u8]; 3] = [b"", b"seventeen bytes..", &[7; 64]];
        let record = |payload| Record { schema_id: 3, schema_version: 2, cause: Position(88), payload };
        let mut whole = Vec::new();
        let mut writer = BatchWriter::begin(&mut whole, BatchKind::Publish, 9, 4, 1000, 5);
        let mut records = Vec::new();
        for payload in payloads {
            writer.push(&mut whole, &record(payload));
            records.extend(record(payload).head());
            records.extend(payload);
            records.resize(records.len().next_multiple_of(8), 0);
        }
        writer.seal(&mut whole);
        let head = BatchHead {
            kind: BatchKind::Publish,
            tag: 0,
            source: 9,
            epoch: 4,
            first: 1000,
            count: 3,
            extra: 5,
        };
        for cut in (0..=records.len()).step_by(8) {
            let (front, back) = records.split_at(cut);
            assert_eq!([&head.seal(&[front, back])[..], front, back].concat(), whole, "cut at {cut}");
        }
        let tagged = [&BatchHead { tag: 77, ..head }.seal(&[&records])[..], &records].concat();
        let (decoded, Ask::Batch(batch)) = decode_ask(&tagged).expect("it is whole") else {
            panic!("a batch")
        };
        assert_eq!((decoded.tag, batch.source, batch.epoch, batch.first), (77, 9, 4, 1000));
        assert!(batch.records().map(|record| record.expect("it is whole").payload).eq(payloads));
    }
}
