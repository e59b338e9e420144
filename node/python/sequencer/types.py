"""The words of the log as types: plain integers at run time, kept apart by the type checker."""

from enum import IntEnum
from typing import NewType

Position = NewType("Position", int)
"""Byte offset in the one log, 0 to 2**64 - 1; every frame starts at a multiple of 8."""

Term = NewType("Term", int)
"""Number of a leadership, rising from 1; 0 stands for "before the first leader"."""

NodeId = NewType("NodeId", int)
"""Number of one cluster member, 0 to 2**32 - 1; never used again once the member is gone."""


class FrameKind(IntEnum):
    """What a frame in the log is; the numbers are those of docs/reference/wire.md and never change."""

    NEW_TERM = 1
    """The first frame of each term: names the term, the one before it, and the leader."""
    MESSAGE = 2
    """A message that a client published."""
    OUTPUT = 3
    """A message that a service emitted, caused by an earlier frame."""
    OUTPUT_END = 4
    """The last output of a service's epoch: the version that emitted it is done."""
    PROGRESS = 5
    """How far a service has applied the log, with the digest of its state there."""
    DIVERGENCE_REPORT = 6
    """A replica found that its own answer differs from the one in the log."""
    SKIP = 7
    """An operator told the services to pass over one frame."""
    SEQUENCED_QUERY = 8
    """A question that a service answers as of exactly this position."""
    SESSION_OPEN = 9
    """A client's session begins, or begins anew with a higher epoch."""
    SESSION_CLOSE = 10
    """A client's session ends."""
    TICK = 11
    """Time passed while nothing else did; bounds how late a timer fires."""
    ROLE_GRANTED = 12
    """A gateway becomes active or warm, with an epoch."""
    SNAPSHOT_MARKER = 13
    """The position that a snapshot is taken at."""
    MEMBERSHIP = 14
    """The set of voters and learners from here on."""
    TRIM_FLOOR = 15
    """Nothing below the position it names is needed any more."""
    SCHEMA_REGISTRATION = 16
    """A schema id and version come into use, with their owner."""
    SERVICE_REGISTRATION = 17
    """A service comes into being, or changes its settings."""
    PROMOTE = 18
    """The new version of a service answers every cause from here on."""
    CANCEL = 19
    """A promotion that was prepared is called off."""
    ROLLBACK = 20
    """The version before answers again, every cause from here on."""
    CLUSTER_VERSION = 21
    """The features that every member may use from here on."""
    RETENTION = 22
    """What holds the trim floor back: the archive's position, a pin, or its removal."""
