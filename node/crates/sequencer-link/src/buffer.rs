//! Bytes that came and bytes that wait to leave.
//!
//! Invariant of both: what is held lies in one piece, so messages are read and written in place; bytes are moved only when the end of the room is
//! reached, and then at most once for each time that the room was filled.

/// Collects what arrives until a whole message is there. It holds at most one message of the largest size and a read more.
#[derive(Debug)]
pub struct InputBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl InputBuffer {
    /// Room for `room` bytes to begin with.
    pub fn new(room: usize) -> Self {
        Self { bytes: vec![0; room], start: 0, end: 0 }
    }

    /// What has arrived and was not consumed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Bytes that have arrived and were not consumed.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room to read into, at least `least` bytes; say with [`InputBuffer::filled`] how many were read.
    pub fn room(&mut self, least: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.bytes.len() - self.end < least {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < least {
            self.bytes.resize(self.end + least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Takes in the first `bytes` of the room.
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
        assert!(self.end <= self.bytes.len(), "more was read than there was room");
    }

    /// Drops the oldest bytes.
    pub fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        assert!(self.start <= self.end, "more was consumed than had arrived");
    }
}

/// Holds what was written and could not leave yet.
#[derive(Debug, Default)]
pub struct OutputBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl OutputBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What waits to leave.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Appends to what waits.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// The bytes that wait, to append to; those that are there must stay.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Drops the oldest bytes: they have left.
    pub fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        assert!(self.start <= self.bytes.len(), "more left than waited");
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }
}
