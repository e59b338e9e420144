"""Errors whose class answers "what may the caller do?"; their attributes carry the facts, their text is one sentence.

The tree grows with the parts that raise them.
"""

from sequencer.types import Position


class SequencerError(Exception):
    """Base of every error that this package raises on purpose."""


class RetryableError(SequencerError):
    """The same may succeed later, here or elsewhere.

    Attributes:
        retry_after_s: Seconds after which a repetition makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(RetryableError):
    """Nobody answered: the node or the cluster is down, overloaded, or between two leaders."""


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
    """The request is wrong as it stands: repeating it cannot help."""


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
