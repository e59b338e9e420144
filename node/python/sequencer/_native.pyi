"""Functions of the Rust crates, as `sequencer-python` hands them to Python."""

from typing import Final, final

from sequencer.types import NodeId, Position, Term

__all__ = [
    "ALIGNMENT",
    "FRAME_BYTES_MAX",
    "HEADER_BYTES",
    "PAYLOAD_BYTES_MAX",
    "Frame",
    "Node",
    "decode_frames",
    "encode_frame",
    "encode_new_term",
]

# frame.rs

HEADER_BYTES: Final[int]
FRAME_BYTES_MAX: Final[int]
PAYLOAD_BYTES_MAX: Final[int]
ALIGNMENT: Final[int]

@final
class Frame:
    """One verified frame of the log; immutable, compared by value."""

    @property
    def at(self) -> Position:
        """Where its first byte stands."""
    @property
    def end(self) -> Position:
        """Where the next frame starts."""
    @property
    def term(self) -> Term:
        """The term that it was written in."""
    @property
    def kind(self) -> int:
        """Number of its kind; `FrameKind(frame.kind)` names it."""
    @property
    def flags(self) -> int:
        """No flag is defined yet, so always 0."""
    @property
    def source_id(self) -> int:
        """Who it came from: a session, a service, or the leader of a new term."""
    @property
    def source_sequence(self) -> int:
        """The number its source gave it."""
    @property
    def timestamp_ns(self) -> int:
        """When the leader admitted it, in nanoseconds since the Unix epoch."""
    @property
    def cause(self) -> Position:
        """The frame that it answers; 0 when it answers none."""
    @property
    def schema_id(self) -> int:
        """Schema of the payload."""
    @property
    def schema_version(self) -> int:
        """Version of that schema."""
    @property
    def epoch(self) -> int:
        """Epoch of the source: of a session, a service, or the role of a gateway; 0 where there is none."""
    @property
    def payload(self) -> bytes:
        """The payload, without padding."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

def encode_frame(
    kind: int,
    payload: bytes,
    *,
    at: Position,
    term: Term,
    source_id: int = 0,
    source_sequence: int = 0,
    timestamp_ns: int = 0,
    cause: Position | None = None,
    schema_id: int = 0,
    schema_version: int = 0,
    epoch: int = 0,
) -> bytes:
    """Encode one frame, padded to a multiple of 8 bytes.

    Args:
        kind: A number of `FrameKind`. A new term is written by `encode_new_term`.
        payload: At most `PAYLOAD_BYTES_MAX` bytes.
        at: Where the first byte will stand: the checksum verifies there alone.
        term: The term that the frame belongs to: the checksum verifies in it alone.
        cause: The frame that this one answers; none is written as 0.

    Raises:
        TooLargeError: The payload does not fit into one frame.
        RejectedError: No kind has that number, the kind is a new term, the term is 0, or the frame would end past the
            last position.
        OverflowError: A number does not fit into its field.
    """

def encode_new_term(
    *, at: Position, term: Term, previous_term: Term, leader: NodeId, timestamp_ns: int
) -> bytes:
    """Encode the frame that opens `term`.

    Args:
        at: Where the first byte will stand.
        term: The term it opens.
        previous_term: Term of the frame before it, below `term`; 0 at the start of the log.

    Raises:
        RejectedError: `term` is not above `previous_term`, or the frame would end past the last position.
        OverflowError: A number does not fit into its field.
    """

def decode_frames(data: bytes, *, at: Position, previous_term: Term) -> list[Frame]:
    """Decode and verify every frame of `data`, which must end where a frame ends.

    Args:
        data: Whole frames, one after another.
        at: Where the first byte of `data` stands in the log.
        previous_term: Term of the frame before it; 0 at the start of the log.

    Returns:
        The frames in position order.

    Raises:
        RejectedError: A frame would end past the last position, so `at` is wrong.
        CorruptionError: Bytes are damaged, missing, or of another position or term. Nothing is returned.
        UnsupportedError: A frame is intact, but of a version, kind or flag that this release does not know.
    """

# node.rs

@final
class Node:
    """One member of a cluster: its log, and the threads that serve it, none of which holds the interpreter's lock.

    Made from the JSON of a `sequencer.node.NodeConfig`: opens the log, binds the port, starts.

    Raises:
        ConfigError: A setting is wrong.
        NotFormattedError: The directory holds no log; see `init`.
        StorageError: The log cannot be used.
        StartError: The port is taken, or the machine lacks something.
    """

    def __new__(cls, config: bytes) -> Node: ...
    @staticmethod
    def init(config: bytes) -> None:
        """Make the configured directory a new member's; nothing happens when it is that member's already.

        Raises:
            ConfigError: A setting is wrong, or the directory holds another member's data.
            StorageError: The directory cannot be used.
        """

    @property
    def address(self) -> str:
        """Where it listens, as host:port with the real port."""
    def status(self) -> bytes:
        """How it stands, as JSON (see docs/reference/admin-openapi.json).

        Raises:
            UnavailableError: It has ended, or did not answer within a second.
        """

    def command(self, command: bytes, timeout_s: float) -> bytes:
        """Carry out a command in JSON; the answer is JSON, and comes when what it rests on is committed.

        Raises:
            RejectedError: The command is not understood.
            UnavailableError: It has ended, or did not answer in time; then the command may yet be carried out.
        """

    def wait(self, timeout_s: float) -> str | None:
        """Wait for its end: None while it runs, an empty text after a clean stop, else why it ended."""
    def stop(self, hand_over: bool) -> None:
        """Ask it to stop; `hand_over` says whether a leader hands leadership over first. See `wait`."""
