"""A totally ordered, replicated log, and what follows it.

Here belongs what every part of the package shares: the types of the log and the errors that it raises. A part with a
purpose of its own (clients, state machines, gateways, replay) is a package below this one; conversions to and from Rust
are `sequencer._native`.
"""

from sequencer.errors import CorruptionError, RejectedError, SequencerError, TooLargeError, UnsupportedError
from sequencer.types import FrameKind, NodeId, Position, Term

__all__ = [
    "CorruptionError",
    "FrameKind",
    "NodeId",
    "Position",
    "RejectedError",
    "SequencerError",
    "Term",
    "TooLargeError",
    "UnsupportedError",
]
