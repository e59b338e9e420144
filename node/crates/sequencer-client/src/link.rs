//! One socket: connecting, the handshake, bytes in and bytes out.
//!
//! The socket never blocks. The poll tells of readiness once, so it is remembered until a call finds nothing more to do.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::ToSocketAddrs;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sequencer_link::{
    Hello, Initiator, InputBuffer, MESSAGE_BYTES_MAX, OutputBuffer, Welcomed, peek_message,
};

use crate::error::Disconnect;

/// Bytes asked of the socket at one time.
const READ_BYTES: usize = 256 << 10;

enum Phase {
    Connecting,
    Greeting(Box<Initiator>),
    Open,
}

struct Socket {
    stream: TcpStream,
    phase: Phase,
    is_readable: bool,
    is_writable: bool,
    /// The other side has finished; what it sent before is still to be read.
    is_finished: bool,
}

/// See the module's description. The buffers outlive the sockets.
pub(crate) struct Link {
    token: Token,
    socket: Option<Socket>,
    input: InputBuffer,
    output: OutputBuffer,
    /// Attempts so far; a name with several addresses is tried at one after the other.
    attempts: usize,
}

/// What came of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Nothing.
    Nothing,
    /// Bytes, which [`Link::message`] gives out.
    Bytes,
}

impl Link {
    pub(crate) fn new(token: Token) -> Self {
        // Room for the most that is ever held, so that nothing grows later. What is not used takes no memory.
        let mut output = OutputBuffer::new();
        output.tail().reserve(MESSAGE_BYTES_MAX);
        let input = InputBuffer::new(MESSAGE_BYTES_MAX + READ_BYTES);
        Self { token, socket: None, input, output, attempts: 0 }
    }

    /// Begins to connect. Resolving a name may block.
    pub(crate) fn dial(&mut self, address: &str, registry: &Registry) -> Result<(), Disconnect> {
        self.close(registry);
        let found: Vec<_> = address.to_socket_addrs().map_err(Disconnect::Resolve)?.collect();
        let Some(place) = found.get(self.attempts % found.len().max(1)) else {
            return Err(Disconnect::Resolve(ErrorKind::NotFound.into()));
        };
        self.attempts += 1;
        let mut stream = TcpStream::connect(*place).map_err(Disconnect::Connect)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, self.token, interest).map_err(Disconnect::Connect)?;
        self.socket = Some(Socket {
            stream,
            phase: Phase::Connecting,
            is_readable: false,
            is_writable: false,
            is_finished: false,
        });
        Ok(())
    }

    /// Forgets the connection and all that was on its way.
    pub(crate) fn close(&mut self, registry: &Registry) {
        if let Some(mut socket) = self.socket.take() {
            // It is dropped next, which takes it out of the poll as well.
            let _dropped = registry.deregister(&mut socket.stream);
        }
        self.input.consume(self.input.len());
        self.output.consume(self.output.len());
    }

    /// The poll has something to say.
    pub(crate) fn on_ready(&mut self, event: &mio::event::Event) {
        if let Some(socket) = &mut self.socket {
            socket.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            socket.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
            socket.is_finished |= event.is_read_closed();
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.socket
            .as_ref()
            .is_some_and(|socket| socket.is_readable && !matches!(socket.phase, Phase::Connecting))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| matches!(socket.phase, Phase::Open))
    }

    /// Whether all that was said has left.
    pub(crate) fn is_drained(&self) -> bool {
        self.output.is_empty()
    }

    /// What waits to leave, to append to; [`Self::flush`] sends it.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        self.output.tail()
    }

    /// Whether the connection has just come about; the handshake begins then, introduced by `hello`.
    ///
    /// # Errors
    /// When it cannot come about.
    pub(crate) fn connected(
        &mut self,
        hello: impl FnOnce() -> Result<Hello, Disconnect>,
        secret: Option<&Vec<u8>>,
    ) -> Result<bool, Disconnect> {
        let Some(socket) = &mut self.socket else { return Ok(false) };
        if !matches!(socket.phase, Phase::Connecting) || !socket.is_writable {
            return Ok(false);
        }
        if let Some(error) = socket.stream.take_error().map_err(Disconnect::Connect)? {
            return Err(Disconnect::Connect(error));
        }
        match socket.stream.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                socket.is_writable = false;
                return Ok(false);
            }
            Err(error) => return Err(Disconnect::Connect(error)),
        }
        // Batches form by themselves; a small one must not wait for the next.
        socket.stream.set_nodelay(true).map_err(Disconnect::Connect)?;
        let initiator = Initiator::new(&hello()?, None, secret.cloned(), self.output.tail());
        socket.phase = Phase::Greeting(Box::new(initiator));
        self.flush().map(|()| true)
    }

    /// Goes on with the handshake; `Some` when it is done.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn greet(&mut self) -> Result<Option<Welcomed>, Disconnect> {
        let Self { socket: Some(socket), input, output, .. } = self else { return Ok(None) };
        let Phase::Greeting(initiator) = &mut socket.phase else { return Ok(None) };
        let mut welcomed = None;
        while welcomed.is_none() {
            let Some(message) = peek_message(input.bytes()).map_err(Disconnect::Protocol)? else { break };
            welcomed = initiator.receive(message, output.tail()).map_err(Disconnect::Refused)?;
            let bytes = message.len();
            input.consume(bytes);
        }
        if welcomed.is_some() {
            socket.phase = Phase::Open;
        }
        self.flush().map(|()| welcomed)
    }

    /// Reads once.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(crate) fn read(&mut self) -> Result<Intake, Disconnect> {
        let Self { socket: Some(socket), input, .. } = self else { return Ok(Intake::Nothing) };
        match socket.stream.read(&mut input.room(READ_BYTES)[..READ_BYTES]) {
            Ok(0) => Err(Disconnect::Closed),
            Ok(bytes) => {
                // Less than there was room for: there is no more now. The end does not announce itself twice.
                socket.is_readable = bytes == READ_BYTES || socket.is_finished;
                input.filled(bytes);
                Ok(Intake::Bytes)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.is_readable = false;
                Ok(Intake::Nothing)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Intake::Nothing),
            Err(error) => Err(Disconnect::Broken(error)),
        }
    }

    /// The oldest whole message; [`Self::consume`] drops it.
    ///
    /// # Errors
    /// [`Disconnect::Protocol`].
    #[inline]
    pub(crate) fn message(&self) -> Result<Option<&[u8]>, Disconnect> {
        peek_message(self.input.bytes()).map_err(Disconnect::Protocol)
    }

    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// [`Disconnect::Broken`].
    pub(crate) fn flush(&mut self) -> Result<(), Disconnect> {
        if self.output.is_empty() { Ok(()) } else { self.send([&[], &[], &[]]) }
    }

    /// Sends what waits, and then these pieces, in one call. What does not leave is kept.
    ///
    /// # Errors
    /// [`Disconnect::Broken`].
    pub(crate) fn send(&mut self, pieces: [&[u8]; 3]) -> Result<(), Disconnect> {
        let Self { socket: Some(socket), output, .. } = self else { return Ok(()) };
        let mut sent = 0;
        if socket.is_writable {
            let waiting = output.len();
            let whole = waiting + pieces.iter().map(|piece| piece.len()).sum::<usize>();
            let slices = [output.bytes(), pieces[0], pieces[1], pieces[2]].map(IoSlice::new);
            sent = loop {
                match socket.stream.write_vectored(&slices) {
                    Ok(bytes) => break bytes,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                    Err(error) => return Err(Disconnect::Broken(error)),
                }
            };
            socket.is_writable = sent == whole;
            output.consume(sent.min(waiting));
            sent = sent.saturating_sub(waiting);
        }
        for piece in pieces {
            let gone = sent.min(piece.len());
            sent -= gone;
            if gone < piece.len() {
                output.extend(&piece[gone..]);
            }
        }
        Ok(())
    }
}
