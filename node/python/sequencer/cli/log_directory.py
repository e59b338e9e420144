"""The log in a node's data directory, whether the node runs or not: reads frames and judges where they end.

What is read is what lies on this disk. It need not be committed, and a node that runs changes it meanwhile; so whatever
looks wrong is looked at once more before it is called so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sequencer._native import Frame, decode_frames, read_log
from sequencer.cli.exits import FailedError
from sequencer.cli.log_records import Segment, Watermark, read_segments, read_start, read_watermark
from sequencer.errors import CorruptionError
from sequencer.types import Position, Term

READ_BYTES = 1 << 20


class Health(StrEnum):
    """How a log on a disk stands, in the words of docs/reference/storage.md."""

    CLEAN = "clean"
    """Every byte that was acknowledged verifies."""
    DOUBTFUL = "doubtful"
    """Bytes do not verify that may have been acknowledged: the node will claim them back from the others."""
    DAMAGED = "damaged"
    """Bytes that were acknowledged do not verify, or are missing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    Attributes:
        health: How it stands.
        start: Where the reading began.
        end: Where frames cease to verify.
        frames: How many do.
        watermark: What the node knew.
        reason: What is wrong at the end; empty for a clean log.
    """

    health: Health
    start: Position
    end: Position
    frames: int
    watermark: Watermark
    reason: str


class Walk:
    """Reads on from the start of a frame, and stops where none verifies.

    Attributes:
        position: Where the next frame begins.
        term: Term of the frame before it.
        frames: How many were read.
        stop: Why it stopped; empty while it has not, and where the log's last file is full.
    """

    def __init__(self, directory: Path, position: Position, term: Term) -> None:
        self._directory = directory
        self.position = position
        self.term = term
        self.frames = 0
        self.stop = ""

    def __iter__(self) -> Iterator[list[Frame]]:
        while True:
            try:
                data = read_log(self._directory, self.position, self.term, READ_BYTES)
            except CorruptionError as error:
                self.stop = str(error).rstrip(".")
                return
            if not data:
                return
            frames = decode_frames(data, at=self.position, previous_term=self.term)
            self.position, self.term = frames[-1].end, frames[-1].term
            self.frames += len(frames)
            yield frames


class LogDirectory:
    """See the module's description.

    Args:
        path: The data directory of a node, or the directory `log` in it.

    Raises:
        FailedError: There is no log in the directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path / "log" if (path / "log").is_dir() else path
        try:
            self.segments = read_segments(path)
            start = read_start(path)
            watermark = read_watermark(path)
        except OSError as error:
            text = f"There is no log in {path} ({error.strerror}); name the data directory of one node."
            raise FailedError(text) from error
        if start is None:
            raise FailedError(f"{path / 'logstart'} is damaged, so that nobody knows where the log begins.")
        self.start, self.start_term = start
        # Segments below the start are what a crash left of a trim.
        self.segments = [segment for segment in self.segments if segment.base >= self.start]
        if not self.segments:
            raise FailedError(f"{path} holds no segment at or above {self.start}, where its log begins.")
        # A log that was never synced has none.
        self.watermark = watermark or Watermark(self.start, self.start, self.start)

    def walk_from_segment(self, position: Position | None) -> Walk:
        """Begin at the segment that holds a position, or with the first one.

        Raises:
            FailedError: The position lies below the log, or that segment's header is damaged.
        """
        if position is None:
            return Walk(self.path, self.start, self.start_term)
        if position < self.start:
            raise FailedError(f"The log in {self.path} begins at {self.start}, above {position}.")
        holders = [segment for segment in self.segments if segment.base <= position]
        return self.walk_segment(holders[-1]) if holders else Walk(self.path, self.start, self.start_term)

    def walk_segment(self, segment: Segment) -> Walk:
        """Begin with the first frame of a segment.

        Raises:
            FailedError: Its header is damaged.
        """
        if segment.base == self.start:
            return Walk(self.path, self.start, self.start_term)
        if segment.term_before is None:
            raise FailedError(
                f"The header of the segment at {segment.base} in {self.path} is damaged; its frames cannot be verified "
                "from there, but from an earlier position on."
            )
        return Walk(self.path, segment.base, segment.term_before)

    def frames_from(self, walk: Walk, position: Position | None) -> Iterator[list[Frame]]:
        """Read on with a walk, and leave out what lies below a position.

        Raises:
            FailedError: No frame begins at that position.
        """
        wanted = walk.position if position is None else position
        is_found = False
        for frames in walk:
            if is_found:
                yield frames
            elif frames[-1].end > wanted:
                kept = [frame for frame in frames if frame.at >= wanted]
                first = kept[0].at if kept else None
                if first != wanted:
                    holder = next(frame for frame in reversed(frames) if frame.at < wanted)
                    raise FailedError(
                        f"No frame begins at {wanted}; the one that holds this byte goes from {holder.at} to "
                        f"{holder.end}."
                    )
                is_found = True
                yield kept
        if not is_found and walk.position < wanted:
            raise FailedError(f"The log in {self.path} ends at {walk.position}, before {wanted}.")

    def judge(self, walk: Walk, start: Position) -> Verdict:
        """Say what it means that a walk ended where it did."""
        verdict = self._judge(walk, start)
        if verdict.health is Health.CLEAN:
            return verdict
        # The node may have cut or trimmed it while it was read.
        again = LogDirectory(self.path)
        rest = Walk(self.path, max(walk.position, again.start), walk.term)
        if rest.position != walk.position:
            rest.term = again.start_term
        for _ in rest:
            pass
        rest.frames += walk.frames
        return again._judge(rest, start)

    def _judge(self, walk: Walk, start: Position) -> Verdict:
        end, known = walk.position, self.watermark
        missing = self._missing()
        if missing is not None and end <= missing:
            health, reason = Health.DAMAGED, f"the segment at {missing} is missing"
        elif end < known.synced:
            health, reason = Health.DAMAGED, walk.stop or f"a segment is missing at {end}"
        elif end < known.intent:
            health, reason = Health.DOUBTFUL, walk.stop or f"a segment is missing at {end}"
        else:
            health, reason = Health.CLEAN, ""
        return Verdict(health, start, end, walk.frames, known, reason)

    def _missing(self) -> Position | None:
        """Where a segment must have been that is not there: what follows could not have been written without it."""
        if self.segments[0].base != self.start:
            return self.start
        for one, following in zip(self.segments, self.segments[1:], strict=False):
            if following.base > one.room_end:
                return one.room_end
        return None
