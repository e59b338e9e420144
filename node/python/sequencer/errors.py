"""Errors whose class answers "what may the caller do?"; their attributes carry the facts, their text is one sentence.

The tree grows with the parts that raise them.
"""

from collections.abc import Mapping

from sequencer.types import NodeId, Position


class SequencerError(Exception):
    """Base of every error that this package raises on purpose."""


class RetryableError(SequencerError):
    """The same may succeed later, here or elsewhere.

    Attributes:
        retry_after_s: Seconds after which a repetition makes sense.
        kind: Snake-case name of the cluster's refusal; empty when it was not the cluster that refused.
    """

    def __init__(self, message: str, *, retry_after_s: float, kind: str = "") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind = kind


class UnavailableError(RetryableError):
    """Nobody answered: the node or the cluster is down, overloaded, or between two leaders."""


class NotLeaderError(RetryableError):
    """The node that was asked does not lead: ask the leader. Clients do so by themselves.

    Attributes:
        leader: Who leads; None while nobody is known to.
    """

    def __init__(self, message: str, *, retry_after_s: float = 0.1, leader: NodeId | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s, kind="not_leader")
        self.leader = leader


class BackpressureError(RetryableError):
    """More comes in than can be taken: wait, or send less."""


class WindowFullError(BackpressureError):
    """As much as the session's window holds is under way: publish again when something of it is acknowledged.

    Attributes:
        messages: Messages under way.
        bytes: Their bytes in the window.
    """

    def __init__(self, message: str, *, messages: int, bytes: int) -> None:  # noqa: A002  # as the attribute
        super().__init__(message, retry_after_s=0.001)
        self.messages = messages
        self.bytes = bytes


class LogFullError(BackpressureError):
    """The disks of the cluster have reached their reserve: an operator must free space before it takes messages."""


class SkippedError(RetryableError):
    """A message before this one was refused, so this one was not taken: publish it again if it is to stand alone.

    The cause is the refusal of that message.
    """


class ConfigError(SequencerError):
    """A setting is wrong: mend it and start again.

    Attributes:
        path: The field, with dots between its levels.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class StartError(SequencerError):
    """Something outside of the node, a port for instance, is not as it must be for a start; the text says what."""


class StorageError(SequencerError):
    """The log on disk cannot be used, or failed; the text says what was found and what to do."""


class NotFormattedError(StorageError):
    """The directory holds no log: make one if this is a new node; if it held one before, its disk was lost."""


class RejectedError(SequencerError):
    """The request is wrong as it stands: repeating it cannot help.

    Attributes:
        kind: Snake-case name of the cluster's refusal; empty when it was refused before it got there.
        facts: What the refusal says besides, by name.
    """

    def __init__(self, message: str, *, kind: str = "", facts: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.facts: Mapping[str, object] = facts or {}


class NotAuthorizedError(RejectedError):
    """The credentials do not allow it: check identity, secret and role."""


class SessionClosedError(RejectedError):
    """There is no session, or it is closed or being closed: open one."""


class SessionLostError(SessionClosedError):
    """The session is gone for good; what was not acknowledged may be in the log: read it before you publish that anew.

    Attributes:
        session: Its id.
        first: Number of the first message whose fate is not known, counted from 1 in the order of publishing.
        count: How many there are.
    """

    def __init__(
        self,
        message: str,
        *,
        session: int,
        first: int,
        count: int,
        kind: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, facts=facts)
        self.session = session
        self.first = first
        self.count = count


class FencedError(SessionClosedError):
    """Another process has opened the session's name: this one must stop. Its last messages may be in the log or not.

    Attributes:
        session: Its id.
        epoch: The last epoch of this process.
        first: Number of the first message whose fate is not known, counted from 1 in the order of publishing.
        count: How many there are.
    """

    def __init__(self, message: str, *, session: int, epoch: int, first: int = 0, count: int = 0) -> None:
        super().__init__(message, kind="stale_epoch")
        self.session = session
        self.epoch = epoch
        self.first = first
        self.count = count


class SubscriptionEndedError(RejectedError):
    """The log cannot be read from there.

    Attributes:
        reason: `trimmed`: it begins further on; `no_such_position`: no frame begins there.
        position: The first position there is, or the end of the committed log.
    """

    def __init__(self, message: str, *, reason: str, position: Position) -> None:
        super().__init__(message, kind=reason)
        self.reason = reason
        self.position = position


class TooLargeError(RejectedError):
    """A payload does not fit into one frame: split it, or store it elsewhere and publish a reference.

    Attributes:
        payload_bytes: Size of the payload that was refused.
        payload_bytes_max: The largest payload that one frame holds.
    """

    def __init__(self, message: str, *, payload_bytes: int, payload_bytes_max: int) -> None:
        super().__init__(message)
        self.payload_bytes = payload_bytes
        self.payload_bytes_max = payload_bytes_max


class CorruptionError(SequencerError):
    """Bytes of the log are not what was written there: stop, never carry on over them.

    Attributes:
        position: First byte of the frame that does not verify.
    """

    def __init__(self, message: str, *, position: Position) -> None:
        super().__init__(message)
        self.position = position


class UnsupportedError(SequencerError):
    """The bytes are intact but a newer release wrote them: upgrade, then read again.

    Attributes:
        position: First byte of the frame that this release does not know.
    """

    def __init__(self, message: str, *, position: Position) -> None:
        super().__init__(message)
        self.position = position
