//! The newest part of the log in memory: a ring of equal blocks, allocated once.
//!
//! Frames are encoded straight into it, written to disk from it and sent to followers from it. A frame never crosses a
//! block, so any block's content is a run of whole frames and a slice of it needs no search for a boundary.
//!
//! Invariant: the buffer holds the log's bytes `start..end` without a gap. A block is reused only when all its bytes
//! are handed to storage.

use std::collections::VecDeque;

use sequencer_wire::Position;

struct Block {
    base: u64,
    length: usize,
    bytes: Box<[u8]>,
}

impl Block {
    fn end(&self) -> u64 {
        self.base + self.length as u64
    }
}

/// See the module's description.
pub struct LogBuffer {
    /// Oldest first; never empty.
    blocks: VecDeque<Block>,
    block_bytes: usize,
    blocks_max: usize,
    /// Blocks dropped by a cut, kept for reuse.
    spare: Vec<Box<[u8]>>,
}

impl LogBuffer {
    /// An empty buffer that continues a stored log at `end`. All memory is taken here.
    pub fn new(end: Position, block_bytes: usize, blocks_max: usize) -> Self {
        let mut spare: Vec<Box<[u8]>> =
            (0..blocks_max).map(|_| vec![0; block_bytes].into_boxed_slice()).collect();
        let bytes = spare.pop().expect("there is at least one block");
        let mut blocks = VecDeque::with_capacity(blocks_max);
        blocks.push_back(Block { base: end.0, length: 0, bytes });
        Self { blocks, block_bytes, blocks_max, spare }
    }

    /// First position held.
    pub fn start(&self) -> Position {
        Position(self.blocks[0].base)
    }

    /// End of the log.
    pub fn end(&self) -> Position {
        Position(self.last().end())
    }

    /// Room for the next frame of at most `bytes`, at [`LogBuffer::end`]. Take it with [`LogBuffer::advance`].
    ///
    /// `written` is the end of what storage has been handed; only blocks below it may be reused.
    pub fn reserve(&mut self, bytes: usize, written: Position) -> &mut [u8] {
        assert!(
            bytes <= self.block_bytes,
            "a frame of {bytes} bytes exceeds a block of {}",
            self.block_bytes
        );
        if self.block_bytes - self.last().length < bytes {
            let base = self.last().end();
            let bytes = self.spare.pop().unwrap_or_else(|| self.retire_oldest(written));
            self.blocks.push_back(Block { base, length: 0, bytes });
        }
        let block = self.blocks.back_mut().expect("there is at least one block");
        &mut block.bytes[block.length..]
    }

    /// Takes the first `bytes` of the last reservation into the log.
    pub fn advance(&mut self, bytes: usize) {
        let block = self.blocks.back_mut().expect("there is at least one block");
        block.length += bytes;
        assert!(block.length <= block.bytes.len(), "a frame was written past its reservation");
    }

    /// Appends one whole frame.
    pub fn push(&mut self, frame: &[u8], written: Position) {
        self.reserve(frame.len(), written)[..frame.len()].copy_from_slice(frame);
        self.advance(frame.len());
    }

    /// Removes everything from `to` on; below `start` nothing is left.
    pub fn cut(&mut self, to: Position) {
        while self.blocks.len() > 1 && self.last().base >= to.0 {
            let block = self.blocks.pop_back().expect("there is more than one block");
            self.spare.push(block.bytes);
        }
        let block = self.blocks.back_mut().expect("there is at least one block");
        if block.base >= to.0 {
            block.base = to.0;
            block.length = 0;
        } else {
            block.length = block.length.min((to.0 - block.base) as usize);
        }
    }

    /// End of the block that holds the byte at `position`; a frame boundary. `position` is in `start..end`.
    pub fn block_end(&self, position: Position) -> Position {
        Position(self.blocks[self.index_of(position)].end())
    }

    /// The bytes `from..to` in order, one slice a block. The range must be held.
    pub fn slices(&self, from: Position, to: Position) -> Slices<'_> {
        assert!(self.start() <= from && from <= to && to <= self.end(), "the range is not in the log buffer");
        let index = if from == to { self.blocks.len() } else { self.index_of(from) };
        Slices { buffer: self, index, at: from.0, to: to.0 }
    }

    fn index_of(&self, position: Position) -> usize {
        // Mostly the newest block or the one before it.
        self.blocks
            .iter()
            .rposition(|block| block.base <= position.0)
            .expect("the position is in the log buffer")
    }

    fn last(&self) -> &Block {
        self.blocks.back().expect("there is at least one block")
    }

    fn retire_oldest(&mut self, written: Position) -> Box<[u8]> {
        assert!(self.blocks.len() == self.blocks_max);
        let oldest = self.blocks.pop_front().expect("there is at least one block");
        assert!(
            oldest.end() <= written.0,
            "the log buffer is full of bytes that storage has not been handed"
        );
        oldest.bytes
    }
}

/// Iterator of [`LogBuffer::slices`].
#[derive(Clone)]
pub struct Slices<'a> {
    buffer: &'a LogBuffer,
    index: usize,
    at: u64,
    to: u64,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.at >= self.to {
            return None;
        }
        let block = &self.buffer.blocks[self.index];
        let end = block.end().min(self.to);
        let slice = &block.bytes[(self.at - block.base) as usize..(end - block.base) as usize];
        self.index += 1;
        self.at = end;
        Some(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(buffer: &LogBuffer, from: u64, to: u64) -> Vec<u8> {
        buffer.slices(Position(from), Position(to)).flatten().copied().collect()
    }

    #[test]
    fn frames_never_cross_a_block_and_read_back_in_order() {
        let mut buffer = LogBuffer::new(Position(1000), 64, 3);
        for value in 0..5u8 {
            buffer.push(&[value; 24], buffer.end());
        }
        assert_eq!(buffer.end(), Position(1120));
        assert_eq!(buffer.block_end(Position(1000)), Position(1048));
        let expected: Vec<u8> = (0..5u8).flat_map(|value| [value; 24]).collect();
        assert_eq!(collect(&buffer, 1000, 1120), expected);
        assert_eq!(collect(&buffer, 1024, 1072), expected[24..72]);
        assert_eq!(collect(&buffer, 1120, 1120), Vec::<u8>::new());
    }

    #[test]
    fn the_oldest_block_is_reused_once_written() {
        let mut buffer = LogBuffer::new(Position(0), 64, 2);
        for value in 0..6u8 {
            let written = buffer.end();
            buffer.push(&[value; 32], written);
        }
        assert_eq!(buffer.start(), Position(64));
        assert_eq!(collect(&buffer, 128, 192), [[4u8; 32], [5; 32]].concat());
    }

    #[test]
    #[should_panic(expected = "storage has not been handed")]
    fn unwritten_bytes_are_never_dropped() {
        let mut buffer = LogBuffer::new(Position(0), 64, 2);
        for value in 0..6u8 {
            buffer.push(&[value; 32], Position(0));
        }
    }

    #[test]
    fn a_cut_drops_blocks_and_bytes_and_writing_goes_on_there() {
        let mut buffer = LogBuffer::new(Position(0), 64, 3);
        for value in 0..6u8 {
            buffer.push(&[value; 32], Position(0));
        }
        buffer.cut(Position(96));
        assert_eq!(buffer.end(), Position(96));
        buffer.push(&[9; 32], Position(0));
        assert_eq!(collect(&buffer, 64, 128), [[2u8; 32], [9; 32]].concat());
        buffer.cut(Position(0));
        assert_eq!((buffer.start(), buffer.end()), (Position(0), Position(0)));
    }

    #[test]
    fn a_cut_below_the_buffer_leaves_it_empty_there() {
        let mut buffer = LogBuffer::new(Position(640), 64, 3);
        buffer.push(&[1; 32], Position(0));
        buffer.cut(Position(320));
        assert_eq!((buffer.start(), buffer.end()), (Position(320), Position(320)));
    }
}
