"""A stretch of the committed log as it came: bytes, and objects when asked for."""

from dataclasses import dataclass

from sequencer._native import Frame, decode_frames
from sequencer.types import Position, Term


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole frames that follow each other in the log.

    Attributes:
        position: Where the first one begins.
        previous_term: Term of the frame before it; 0 at the start of the log.
        commit: How far the log was committed, as the node knew that sent them.
        bytes: The frames, one after another, as docs/reference/wire.md describes them.
    """

    position: Position
    previous_term: Term
    commit: Position
    bytes: bytes

    @property
    def end(self) -> Position:
        """Where the next frame begins."""
        return Position(self.position + len(self.bytes))

    def frames(self) -> list[Frame]:
        """Make an object of each frame."""
        return decode_frames(self.bytes, at=self.position, previous_term=self.previous_term)
