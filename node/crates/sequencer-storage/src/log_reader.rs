//! Reads a log's segments without owning them: for readers that lag, on a thread of their own, and for tools.
//!
//! 1. The segment that holds a position is the one with the highest base at or below it; names say the bases.
//! 2. Bytes are read and verified frame by frame, from the term that the caller knows for the frame before.
//! 3. A segment ends where the next one begins. When bytes near the end of the newest known segment do not verify, the directory is
//!    listed again: the log may have gone on in a new segment meanwhile.
//!
//! Invariant: only positions below the caller's `to` are read. The caller knows that these are written and committed, so whoever owns the
//! log does not change them; it may remove them at any time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sequencer_wire::{Frames, Position, Term};
use thiserror::Error;

use crate::segment::{FRAMES_AT, segment_base};

/// Why bytes could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// They were trimmed away, or were never there.
    #[error("the log in {directory} begins at {first:?}, above {from}")]
    BelowStart {
        /// The directory.
        directory: String,
        /// The first position there is.
        first: Option<Position>,
        /// The position asked for.
        from: Position,
    },
    /// The first frame does not verify: no frame begins there, or it is damaged.
    #[error("no frame verifies at {at} in {file}: {source}")]
    Damaged {
        /// The segment.
        file: String,
        /// The position.
        at: Position,
        /// What is wrong.
        source: sequencer_wire::WireError,
    },
    /// The directory or a segment cannot be read.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

struct OpenSegment {
    base: Position,
    path: PathBuf,
    file: File,
    size: u64,
}

/// See the module's description.
pub struct LogReader {
    directory: PathBuf,
    open: Option<OpenSegment>,
    /// Bases of all segments when the directory was last listed, lowest first.
    bases: Vec<(Position, PathBuf)>,
}

impl LogReader {
    /// Reads the log in `directory`. Nothing is opened yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), open: None, bases: Vec::new() }
    }

    /// Appends whole frames from `from` on, below `to`, to `into`; returns their bytes: about `limit_bytes`, at least one frame. `previous` is the
    /// term of the frame before.
    ///
    /// # Errors
    /// [`ReadError`]; `into` is as it was.
    pub fn read(
        &mut self,
        from: Position,
        to: Position,
        previous: Term,
        limit_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, ReadError> {
        if from >= to {
            return Ok(0);
        }
        let before = into.len();
        let mut outcome = self.read_once(from, to, previous, limit_bytes, into);
        if !matches!(outcome, Ok(1..)) {
            // The segment may have ended here, or gone, since the directory was listed.
            into.truncate(before);
            self.list()?;
            outcome = self.read_once(from, to, previous, limit_bytes, into);
        }
        if outcome.is_err() {
            into.truncate(before);
        }
        outcome
    }

    /// First position of the oldest segment; `None` when there is none.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn first(&mut self) -> Result<Option<Position>, ReadError> {
        self.list()?;
        Ok(self.bases.first().map(|(base, _)| *base))
    }

    fn list(&mut self) -> Result<(), ReadError> {
        self.open = None;
        self.bases.clear();
        let failed = |source| ReadError::Io { path: self.directory.display().to_string(), source };
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(base) = entry.file_name().to_str().and_then(segment_base) {
                self.bases.push((base, entry.path()));
            }
        }
        self.bases.sort_unstable();
        Ok(())
    }

    fn read_once(
        &mut self,
        from: Position,
        to: Position,
        previous: Term,
        limit_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, ReadError> {
        let index = self.bases.partition_point(|(base, _)| *base <= from);
        let Some(index) = index.checked_sub(1) else {
            let first = self.bases.first().map(|(base, _)| *base);
            return Err(ReadError::BelowStart {
                directory: self.directory.display().to_string(),
                first,
                from,
            });
        };
        let next = self.bases.get(index + 1).map_or(to, |(base, _)| (*base).min(to));
        let segment = self.open_segment(index)?;
        let offset = FRAMES_AT + (from.0 - segment.base.0);
        let available = next.0.saturating_sub(from.0).min(segment.size.saturating_sub(offset));
        let before = into.len();
        let mut wanted = available.min(limit_bytes as u64) as usize;
        loop {
            into.resize(before + wanted, 0);
            let failed = |source| ReadError::Io { path: segment.path.display().to_string(), source };
            segment.file.read_exact_at(&mut into[before..], offset).map_err(failed)?;
            let mut frames = Frames::new(&into[before..], from, previous);
            let error = frames.by_ref().find_map(Result::err);
            let whole = (frames.position().0 - from.0) as usize;
            match error {
                // The limit cut a frame, which is all there was: take all of it.
                Some(sequencer_wire::WireError::Truncated { needed, .. })
                    if whole == 0 && (wanted as u64) < available =>
                {
                    wanted = needed.max(wanted + 1).min(available as usize);
                }
                Some(source) if whole == 0 => {
                    let file = segment.path.display().to_string();
                    return Err(ReadError::Damaged { file, at: from, source });
                }
                _ => {
                    into.truncate(before + whole);
                    return Ok(whole);
                }
            }
        }
    }

    fn open_segment(&mut self, index: usize) -> Result<&OpenSegment, ReadError> {
        let (base, path) = &self.bases[index];
        if self.open.as_ref().is_none_or(|open| open.base != *base) {
            let failed = |source| ReadError::Io { path: path.display().to_string(), source };
            let file = File::open(path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            self.open = Some(OpenSegment { base: *base, path: path.clone(), file, size });
        }
        Ok(self.open.as_ref().expect("it was opened just now"))
    }
}
