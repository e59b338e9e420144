//! The records of a session that are not acknowledged, encoded once, in a ring of bytes.
//!
//! ```text
//!        acknowledged | sent, unacknowledged | published, not sent | free
//!   number          oldest                 unsent                 next
//!   byte            start                 unsent_at               end        (counted on for ever; the ring is indexed by the rest)
//! ```
//! Records stay where they are until they are acknowledged; a batch goes out from here, in at most two pieces. Cost of a record: one copy of its payload,
//! and 8 bytes of index, which hold its size and the service that it asks.

use sequencer_link::{RECORD_HEAD_BYTES, Record, record_bytes};

/// Bytes of a batch's records above which it gets no further one.
const BATCH_RECORDS_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    bytes: u32,
    service: u32,
}

/// Records that make one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Number of the first.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u32,
    /// The service that they ask; 0 for none.
    pub(crate) service: u32,
    from: u64,
    to: u64,
}

/// See the module's description.
pub(crate) struct Window {
    ring: Box<[u8]>,
    entries: Box<[Entry]>,
    messages_max: u64,
    bytes_max: u64,
    oldest: u64,
    unsent: u64,
    next: u64,
    start: u64,
    unsent_at: u64,
    end: u64,
    /// Payload bytes of the largest record that can ever be pushed.
    pub(crate) payload_bytes_max: usize,
}

impl Window {
    /// Room for so many records and bytes; the next record has this number.
    pub(crate) fn new(messages_max: usize, bytes_max: usize, next: u64) -> Self {
        let bytes_max = bytes_max / 8 * 8;
        Self {
            ring: vec![0; bytes_max.next_power_of_two()].into_boxed_slice(),
            entries: vec![Entry::default(); messages_max.next_power_of_two()].into_boxed_slice(),
            messages_max: messages_max as u64,
            bytes_max: bytes_max as u64,
            oldest: next,
            unsent: next,
            next,
            start: 0,
            unsent_at: 0,
            end: 0,
            payload_bytes_max: bytes_max - RECORD_HEAD_BYTES,
        }
    }

    /// Number of the oldest record that is held; that of the next one if there is none.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Number of the first that is not sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Number of the record that is published next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Records that are held.
    pub(crate) fn len(&self) -> usize {
        (self.next - self.oldest) as usize
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Takes a record in; returns its number, or `None` when there is no room.
    #[inline]
    pub(crate) fn push(&mut self, record: &Record<'_>, service: u32) -> Option<u64> {
        let bytes = record_bytes(record.payload.len());
        if self.next - self.oldest == self.messages_max
            || self.end - self.start + bytes as u64 > self.bytes_max
        {
            return None;
        }
        self.write(self.end, &record.head());
        let payload_at = self.end + RECORD_HEAD_BYTES as u64;
        self.write(payload_at, record.payload);
        let padding = bytes - RECORD_HEAD_BYTES - record.payload.len();
        self.write(payload_at + record.payload.len() as u64, &[0; 8][..padding]);
        let slot = self.slot(self.next);
        self.entries[slot] = Entry { bytes: bytes as u32, service };
        self.end += bytes as u64;
        self.next += 1;
        Some(self.next - 1)
    }

    /// The next records that are not sent, as many as make a batch; they count as sent then.
    pub(crate) fn take_part(&mut self) -> Option<Part> {
        if self.unsent == self.next {
            return None;
        }
        let service = self.entries[self.slot(self.unsent)].service;
        let (first, from) = (self.unsent, self.unsent_at);
        let mut to = from;
        while self.unsent < self.next {
            let entry = self.entries[self.slot(self.unsent)];
            let is_full = to - from + u64::from(entry.bytes) > BATCH_RECORDS_BYTES as u64 && to > from;
            if is_full || entry.service != service {
                break;
            }
            to += u64::from(entry.bytes);
            self.unsent += 1;
        }
        self.unsent_at = to;
        Some(Part { first, count: (self.unsent - first) as u32, service, from, to })
    }

    /// The bytes of a part, in at most two pieces.
    pub(crate) fn pieces(&self, part: &Part) -> [&[u8]; 2] {
        let (at, bytes) = (self.place(part.from), (part.to - part.from) as usize);
        let front = bytes.min(self.ring.len() - at);
        [&self.ring[at..at + front], &self.ring[..bytes - front]]
    }

    /// Drops the oldest `count`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, count: u64) {
        debug_assert!(count <= self.next - self.oldest);
        for number in self.oldest..self.oldest + count {
            self.start += u64::from(self.entries[self.slot(number)].bytes);
        }
        self.oldest += count;
        // After a rewind the answers to what was sent before it may still arrive.
        if self.unsent < self.oldest {
            (self.unsent, self.unsent_at) = (self.oldest, self.start);
        }
    }

    /// All that is held has to be sent again.
    pub(crate) fn rewind(&mut self) {
        (self.unsent, self.unsent_at) = (self.oldest, self.start);
    }

    /// Drops everything; returns number and count of what was held.
    pub(crate) fn clear(&mut self) -> (u64, u64) {
        let held = (self.oldest, self.next - self.oldest);
        (self.oldest, self.unsent) = (self.next, self.next);
        (self.start, self.unsent_at) = (self.end, self.end);
        held
    }

    #[inline]
    fn slot(&self, number: u64) -> usize {
        number as usize & (self.entries.len() - 1)
    }

    #[inline]
    fn place(&self, at: u64) -> usize {
        at as usize & (self.ring.len() - 1)
    }

    #[inline]
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let at = self.place(at);
        let front = bytes.len().min(self.ring.len() - at);
        self.ring[at..at + front].copy_from_slice(&bytes[..front]);
        if front < bytes.len() {
            self.ring[..bytes.len() - front].copy_from_slice(&bytes[front..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use sequencer_link::{Ask, BatchHead, BatchKind, decode_ask};
    use sequencer_wire::Position;

    use super::*;

    fn record(payload: &[u8]) -> Record<'_> {
        Record { schema_id: 1, schema_version: 2, cause: Position(16), payload }
    }

    /// The payloads of a part, through the message that it becomes.
    fn sent(window: &Window, part: &Part) -> Vec<Vec<u8>> {
        let pieces = window.pieces(part);
        let head = BatchHead {
            kind: BatchKind::Publish,
            tag: 1,
            source: 1,
            epoch: 1,
            first: part.first,
            count: part.count,
            extra: part.service,
        };
        let message = [&head.seal(&pieces)[..], pieces[0], pieces[1]].concat();
        let (_, Ask::Batch(batch)) = decode_ask(&message).expect("a good batch") else { panic!("a batch") };
        batch.records().map(|record| record.expect("a good record").payload.to_vec()).collect()
    }

    #[test]
    fn a_window_is_full_by_records_or_by_bytes() {
        let mut window = Window::new(3, 80, 1);
        assert_eq!(window.push(&record(&[1; 8]), 0), Some(1));
        assert_eq!(window.push(&record(&[1; 8]), 0), Some(2));
        assert_eq!(window.push(&record(&[1; 24]), 0), None, "bytes");
        assert_eq!(window.push(&record(&[1; 8]), 0), Some(3));
        assert_eq!(window.push(&record(&[]), 0), None, "records");
        window.acknowledge(1);
        assert_eq!(window.push(&record(&[]), 0), Some(4));
        assert_eq!((window.len(), window.bytes()), (3, 64));
    }

    #[test]
    fn parts_end_where_another_service_is_asked_and_at_a_mebibyte() {
        let mut window = Window::new(64, 8 << 20, 1);
        for service in [0, 0, 7, 7, 0] {
            window.push(&record(b"x"), service);
        }
        let counts: Vec<_> = std::iter::from_fn(|| window.take_part())
            .map(|part| (part.first, part.count, part.service))
            .collect();
        assert_eq!(counts, [(1, 2, 0), (3, 2, 7), (5, 1, 0)]);
        let large = vec![0; (1 << 20) - 48];
        for _ in 0..2 {
            window.push(&record(&large), 0);
        }
        let counts: Vec<_> = std::iter::from_fn(|| window.take_part()).map(|part| part.count).collect();
        assert_eq!(counts, [1, 1]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize, u32),
        Take,
        Acknowledge(usize),
        Rewind,
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..40usize, 0..2u32).prop_map(|(bytes, service)| Step::Push(bytes, service)),
            4 => Just(Step::Take),
            4 => (0..6usize).prop_map(Step::Acknowledge),
            1 => Just(Step::Rewind),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_window_is_a_queue(steps in prop::collection::vec(step(), 1..300)) {
            let mut window = Window::new(6, 200, 1);
            let mut queue: VecDeque<Vec<u8>> = VecDeque::new();
            let (mut oldest, mut unsent, mut next) = (1u64, 1u64, 1u64);
            for step in steps {
                match step {
                    Step::Push(bytes, service) => {
                        let payload: Vec<u8> = (0..bytes).map(|byte| (next as usize * 31 + byte) as u8).collect();
                        let held: usize = queue.iter().map(|held| record_bytes(held.len())).sum();
                        let has_room = queue.len() < 6 && held + record_bytes(bytes) <= 200;
                        let number = window.push(&record(&payload), service);
                        prop_assert_eq!(number, has_room.then_some(next));
                        if has_room {
                            queue.push_back(payload);
                            next += 1;
                        }
                    }
                    Step::Take => match window.take_part() {
                        None => prop_assert_eq!(unsent, next),
                        Some(part) => {
                            prop_assert_eq!(part.first, unsent);
                            let payloads = sent(&window, &part);
                            let at = (unsent - oldest) as usize;
                            let expected: Vec<_> =
                                queue.iter().skip(at).take(payloads.len()).cloned().collect();
                            prop_assert_eq!(payloads, expected);
                            unsent += u64::from(part.count);
                        }
                    },
                    Step::Acknowledge(count) => {
                        let count = count.min(queue.len());
                        window.acknowledge(count as u64);
                        queue.drain(..count);
                        oldest += count as u64;
                        unsent = unsent.max(oldest);
                    }
                    Step::Rewind => {
                        window.rewind();
                        unsent = oldest;
                    }
                    Step::Clear => {
                        prop_assert_eq!(window.clear(), (oldest, next - oldest));
                        queue.clear();
                        (oldest, unsent) = (next, next);
                    }
                }
                prop_assert_eq!((window.oldest(), window.unsent(), window.next()), (oldest, unsent, next));
                prop_assert_eq!(window.len(), queue.len());
            }
        }
    }
}
