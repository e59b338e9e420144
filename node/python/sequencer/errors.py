"""Errors whose class answers "what may the caller do?"; their attributes carry the facts, their text is one sentence.

The tree grows with the parts that raise them.
"""

from sequencer.types import Position


class SequencerError(Exception):
    """Base of every error that this package raises on purpose."""


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
