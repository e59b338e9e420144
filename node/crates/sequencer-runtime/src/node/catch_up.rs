//! The thread that reads segments for subscribers who lag, so that the hot loop never waits for a disk on their behalf.
//!
//! One piece is asked for at a time, and its buffer goes back and forth: memory is bounded, and the disk is shared fairly.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use sequencer_storage::{LogReader, ReadError};
use sequencer_wire::{Position, Term};

use crate::node::error::NodeError;

/// A piece of the log that a subscriber needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) index: usize,
    pub(crate) generation: u32,
    pub(crate) from: Position,
    pub(crate) to: Position,
    pub(crate) previous: Term,
    pub(crate) limit_bytes: usize,
}

/// The piece.
pub(crate) struct Piece {
    pub(crate) wanted: Wanted,
    pub(crate) outcome: Result<usize, ReadError>,
    pub(crate) bytes: Vec<u8>,
}

/// See the module's description.
pub(crate) struct CatchUp {
    asks: Option<SyncSender<(Wanted, Vec<u8>)>>,
    pieces: Receiver<Piece>,
    thread: Option<JoinHandle<()>>,
    buffer: Option<Vec<u8>>,
    is_busy: bool,
}

impl CatchUp {
    /// `wake` is called on the thread when a piece can be taken.
    pub(crate) fn start(directory: &Path, wake: impl Fn() + Send + 'static) -> Result<Self, NodeError> {
        let (asks, asked) = sync_channel::<(Wanted, Vec<u8>)>(1);
        let (give, pieces) = sync_channel(1);
        let mut reader = LogReader::new(directory);
        let run = move || {
            while let Ok((wanted, mut bytes)) = asked.recv() {
                bytes.clear();
                let Wanted { from, to, previous, limit_bytes, .. } = wanted;
                let outcome = reader.read(from, to, previous, limit_bytes, &mut bytes);
                if give.send(Piece { wanted, outcome, bytes }).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = std::thread::Builder::new()
            .name("catch-up".to_owned())
            .spawn(run)
            .map_err(|source| NodeError::Io { what: "the catch-up thread".to_owned(), source })?;
        Ok(Self { asks: Some(asks), pieces, thread: Some(thread), buffer: Some(Vec::new()), is_busy: false })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub(crate) fn ask(&mut self, wanted: Wanted) {
        assert!(!self.is_busy, "one piece at a time");
        let buffer = self.buffer.take().unwrap_or_default();
        let sent = self.asks.as_ref().is_some_and(|asks| asks.send((wanted, buffer)).is_ok());
        assert!(sent, "the catch-up thread has died");
        self.is_busy = true;
    }

    pub(crate) fn take(&mut self) -> Option<Piece> {
        match self.pieces.try_recv() {
            Ok(piece) => {
                self.is_busy = false;
                Some(piece)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the catch-up thread has died"),
        }
    }

    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffer = Some(buffer);
    }
}

impl Drop for CatchUp {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook.
            let _ended = thread.join();
        }
    }
}
