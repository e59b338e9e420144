"""Functions of the Rust crates, as `sequencer-python` hands them to Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias, final

from sequencer.types import NodeId, Position, Term

__all__ = [
    "ALIGNMENT",
    "FRAME_BYTES_MAX",
    "HEADER_BYTES",
    "PAYLOAD_BYTES_MAX",
    "Client",
    "Frame",
    "Node",
    "decode_frames",
    "encode_frame",
    "encode_new_term",
    "read_log",
    "run_load",
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
    @property
    def report(self) -> bytes:
        """What opening the log found, as JSON: `health` is clean, doubtful or damaged; `stops` says where it ended."""
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

# client.rs

_Payload: TypeAlias = bytes | bytearray | memoryview
_Purpose: TypeAlias = Literal["leader", "reader"]
# Kind, sentence, whether the same may succeed later, facts as JSON.
_Why: TypeAlias = tuple[str, str, bool, bytes]
# What `poll` tells; docs of the Rust crate's `Event` say when. Numbers are those that `publish` returned.
_Event: TypeAlias = (
    # purpose, node, address
    tuple[Literal["connected"], _Purpose, NodeId, str]
    # purpose, address, kind of the reason, sentence
    | tuple[Literal["disconnected"], _Purpose, str, str, str]
    # purpose, term, node, address, whether it is the node at the other end
    | tuple[Literal["leader"], _Purpose, Term, NodeId | None, str, bool]
    # session, epoch, last sequence, whether it existed before
    | tuple[Literal["opened"], int, int, int, bool]
    # number of the first, its sequence, a position of 8 bytes (little endian) for each
    | tuple[Literal["admitted"], int, int, bytes]
    # number of the first, how many
    | tuple[Literal["refused"], int, int, _Why]
    | tuple[Literal["open_refused"], int, int, _Why]
    # session, number of the first, how many
    | tuple[Literal["session_lost"], int, int, int, _Why]
    # session, epoch, number of the first, how many
    | tuple[Literal["fenced"], int, int, int, int]
    # session
    | tuple[Literal["session_closed"], int]
    # tag, answer as JSON
    | tuple[Literal["answer"], int, bytes]
    | tuple[Literal["answer_lost"], int]
    # position of the first, term of the frame before it, commit position, whole frames
    | tuple[Literal["frames"], Position, Term, Position, bytes]
    # reason, position
    | tuple[Literal["subscription_ended"], str, Position]
)

@final
class Client:
    """One session and one subscription of a cluster. Nothing happens but in its methods, and no thread is started.

    One thread at a time may use it; a second one gets a `RejectedError`.

    Args:
        cluster: UUID of the cluster.
        addresses: Where some of its members listen, as host:port.
        identity: Name of the credentials.
        secret: Their secret; None only for nodes that ask for none.
        role: `client`, or `operator` to send commands.

    Raises:
        ConfigError: A setting is out of bounds.
    """

    def __new__(
        cls,
        cluster: str,
        addresses: Sequence[str],
        *,
        identity: str = "",
        secret: bytes | None = None,
        role: str = "client",
    ) -> Client: ...
    def open_session(
        self,
        name: str,
        *,
        timeout_s: float,
        window_messages: int,
        window_bytes: int,
        group: int = 0,
        resume: int = 0,
    ) -> None:
        """Begin to open a session; `opened` or `open_refused` follows.

        Raises:
            ConfigError: A setting is out of bounds.
            RejectedError: There is one already.
        """

    def publish(
        self, payload: _Payload, *, schema_id: int = 0, schema_version: int = 0, cause: int = 0
    ) -> int:
        """Take a copy of a message into the window; it leaves with the next `poll`, with all others that wait.

        Returns:
            Its number, which rises by one with each.

        Raises:
            WindowFullError: Poll first. As with the others, nothing was taken.
            TooLargeError: The payload can never be sent.
            SessionClosedError: There is no session, or it is being closed.
            FencedError: Another process has opened its name.
            RejectedError: The session shares a role that it does not hold.
        """

    def publish_many(
        self,
        payloads: Sequence[_Payload],
        *,
        start: int = 0,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: int = 0,
    ) -> tuple[int, int]:
        """Publish `payloads[start:]`, as many as are taken.

        Returns:
            Number of the first, and how many were taken.

        Raises:
            As `publish`, when it is about the first.
        """

    def query(
        self,
        service: int,
        payload: _Payload,
        *,
        schema_id: int = 0,
        schema_version: int = 0,
        cause: int = 0,
    ) -> int:
        """Publish a question to a service. As `publish`."""

    def command(
        self,
        kind: int,
        body: bytes,
        *,
        source_id: int = 0,
        epoch: int = 0,
        sequence: int = 0,
        cause: int = 0,
        replica: int = 0,
    ) -> int:
        """Send a command to the leader; it takes the role `operator`.

        Returns:
            A tag, which `answer` or `answer_lost` repeats.

        Raises:
            TooLargeError: The body can never be sent.
        """

    def set_role(self, role_epoch: int) -> None:
        """Say in which epoch the session holds the role of its group; 0 for not at all.

        Raises:
            SessionClosedError: There is no session.
        """

    def close_session(self) -> None:
        """Close the session once all is acknowledged; `session_closed` follows.

        Raises:
            SessionClosedError: There is none.
        """

    def subscribe(self, from_position: int | None, *, at: str = "any", verify: bool = True) -> None:
        """Read the committed log from a position on, or from its end; in place of an earlier subscription.

        Args:
            at: `any` node, the `leader`, or the node at this address.
            verify: Check each frame; those that do not verify are fetched elsewhere.
        """

    def unsubscribe(self) -> None:
        """End the subscription."""

    def poll(self, timeout_s: float | None) -> list[_Event]:
        """Send what waits, take in what has arrived, and tell of it; the interpreter's lock is released meanwhile.

        Args:
            timeout_s: Longest wait for something to happen, 0 for none, None without a limit.
        """

    def fileno(self) -> int:
        """A descriptor that is readable when `poll` has something to take in. For waiting alone."""
    def due_s(self) -> float | None:
        """Seconds after which `poll` must be called even though nothing is readable; None for never."""
    @property
    def unacknowledged(self) -> int:
        """Messages that are published and not acknowledged."""
    @property
    def session(self) -> tuple[int, int] | None:
        """Id and epoch of the session; None while there is none."""

# log.rs

def read_log(directory: str | Path, from_position: Position, previous_term: Term, limit_bytes: int) -> bytes:
    """Read whole, verified frames that lie in the segments of a directory, whoever owns them.

    What is on disk need not be committed, nor need it be all: the node that owns the directory knows.

    Args:
        from_position: Where a frame begins.
        previous_term: Term of the frame before it; 0 at the start of the log.
        limit_bytes: About how many; at least one frame.

    Returns:
        The frames, one after another, of one segment.

    Raises:
        CorruptionError: No frame verifies at `from_position`: the log ends there, or it is damaged.
        UnsupportedError: A newer release wrote the frame there.
        RejectedError: The log begins further on (`facts["first"]`), or there is none.
        StorageError: The directory or a segment cannot be read.
    """

# load.rs

def run_load(
    cluster: str, addresses: list[str], load: bytes, *, identity: str = "", secret: bytes | None = None
) -> bytes:
    """Put a cluster under load and measure what comes back; blocks for as long, without the interpreter's lock.

    Args:
        cluster: UUID of the cluster.
        addresses: host:port of its nodes.
        load: JSON: `size` bytes, `rate` per second or 0, `window`, `seconds`, `warmup_seconds`, `idle`.
        identity: Name of the credentials.
        secret: Their secret; None where none is asked for.

    Returns:
        JSON: `due`, `sent`, `received`, `damaged`, `throughput_per_s`, `rtt_us`, `longest_gap_ms`, `interruptions`.

    Raises:
        RejectedError: The load makes no sense, no leader admits, or the session ended.
    """
