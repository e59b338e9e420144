"""Reads the counters of a node from the file that it maps into memory: the node takes no notice, and may be dead.

```text
0 "SEQCNTR1" | 8 u32 version, 1 | 12 u32 count | 16 u64 pid | 24 u64 start, ns since the Unix epoch
32 u64 names at | 40 u64 values at | 48 zeros up to 64
names: 48 bytes each, filled up with zeros | values: u64 each
```
All numbers are little-endian. The node writes each value whole, and one after another: values of one reading may be
some milliseconds apart.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from sequencer.errors import SequencerError

COUNTERS_FILE = "counters"

_HEAD = struct.Struct("<8sIIQQQQ16x")
_MAGIC = b"SEQCNTR1"
_VERSION = 1
_NAME_BYTES = 48
_VALUE_BYTES = 8
_FILE_BYTES_MAX = 1 << 20


class CountersError(SequencerError):
    """The counters cannot be read: name the data directory of a node.

    Attributes:
        path: The file that was looked at.
    """

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Counters:
    """The figures of one life of a node.

    Attributes:
        pid: Process that counted.
        start_ns: When it began, in nanoseconds since the Unix epoch.
        values: Figures by name, in the node's order. Names that end in a unit are in that unit.
    """

    pid: int
    start_ns: int
    values: dict[str, int]


def read_counters(directory: Path) -> Counters:
    """Read the counters in the data directory of a node.

    Raises:
        CountersError: There is no such file, or it is not one that this release can read.
    """
    path = directory / COUNTERS_FILE
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX)
    except OSError as error:
        hint = "name the data directory of a node that has run at least once"
        raise CountersError(f"{path} cannot be read ({error.strerror}); {hint}.", path=path) from error
    try:
        return decode_counters(data)
    except ValueError as error:
        raise CountersError(f"{path}: {error}", path=path) from error


def decode_counters(data: bytes) -> Counters:
    """Decode the content of a counters file.

    Raises:
        ValueError: It is cut short, or not of this version.
    """
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        raise ValueError(f"It does not begin with {_MAGIC.decode()}, so it is no counters file.")
    _, version, count, pid, start_ns, names_at, values_at = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise ValueError(
            f"It has version {version} and this release reads {_VERSION}; use the node's own release."
        )
    if max(names_at + count * _NAME_BYTES, values_at + count * _VALUE_BYTES) > len(data):
        raise ValueError(f"It has {len(data)} bytes, too few for {count} counters.")
    names = [
        data[at : at + _NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
        for at in range(names_at, names_at + count * _NAME_BYTES, _NAME_BYTES)
    ]
    values: tuple[int, ...] = struct.unpack_from(f"<{count}Q", data, values_at)
    return Counters(pid=pid, start_ns=start_ns, values=dict(zip(names, values, strict=True)))


def is_counting(counters: Counters) -> bool:
    """Say whether the process that counted still lives.

    A number of a process is used again some day; a process that began after the counters did is another one.
    """
    if counters.pid == os.getpid():
        return True
    try:
        os.kill(counters.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    began_s = _process_start_s(counters.pid)
    return began_s is None or began_s <= counters.start_ns / 1e9 + 1


def _process_start_s(pid: int) -> float | None:
    """Seconds since the Unix epoch at which a process began; None where the system does not say."""
    try:
        # The name of the program comes second, in parentheses, and may itself hold some.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        boot = next(
            line
            for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
            if line.startswith("btime ")
        )
        if fields[0] in "ZX":
            return float("inf")  # it has ended, and only its parent has not noticed
        return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, IndexError, ValueError):
        return None
