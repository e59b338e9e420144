"""Looks at the hot loop once a second: says in the log what changed, and knows when it was last heard."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from sequencer.errors import UnavailableError
from sequencer.node.native import NativeNode, read_status
from sequencer.node.status import NodeStatus

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
SILENCE_S_MAX = 10.0
"""A disk may stall the hot loop for seconds, and a restart would not help; after this long something else is wrong."""


class Change(NamedTuple):
    """One line for the log."""

    level: int
    message: str
    facts: dict[str, object]


class Watch:
    """Knows whether the hot loop is alive.

    Attributes:
        status: How the node stood when it was last heard; None before the first time.
    """

    def __init__(self, node: NativeNode, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._clock = clock
        self._heard_at_s = clock()
        self._is_silent = False
        self.status: NodeStatus | None = None

    def silence_s(self) -> float:
        """Seconds since the hot loop was last heard."""
        return self._clock() - self._heard_at_s

    def is_alive(self) -> bool:
        """Say whether the hot loop was heard lately."""
        return self.silence_s() < SILENCE_S_MAX

    def look(self) -> None:
        """Ask once; takes a second at most."""
        try:
            status = read_status(self._node)
        except (UnavailableError, msgspec.DecodeError) as error:
            if not self._is_silent:
                logger.warning("the hot loop does not answer", extra={"facts": {"why": str(error)}})
            self._is_silent = True
            return
        if self._is_silent:
            logger.info(
                "the hot loop answers again", extra={"facts": {"silence_s": f"{self.silence_s():.1f}"}}
            )
        self._is_silent = False
        self._heard_at_s = self._clock()
        for change in changes(self.status, status):
            logger.log(change.level, change.message, extra={"facts": change.facts})
        self.status = status

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY_S)


def changes(before: NodeStatus | None, after: NodeStatus) -> Iterator[Change]:
    """Say what somebody who reads the log should know of the step from `before` to `after`."""
    if before is None or (before.role, before.term, before.leader) != (after.role, after.term, after.leader):
        facts: dict[str, object] = {"role": after.role, "term": after.term, "leader": after.leader or "none"}
        yield Change(logging.INFO, "the leader changed", facts)
    if after.disk.is_low and not (before and before.disk.is_low):
        facts = {"free_bytes": after.disk.free_bytes}
        message = "the disk has reached its reserve: messages are refused until space is freed"
        yield Change(logging.WARNING, message, facts)
    if before and before.disk.is_low and not after.disk.is_low:
        yield Change(logging.INFO, "the disk has room again", {"free_bytes": after.disk.free_bytes})
    if after.claim and not (before and before.claim):
        facts = {"term": after.claim.term, "position": after.claim.position, "damaged": after.claim.damaged}
        message = (
            "this node may have acknowledged bytes and lost them: it waits until the others have settled that"
        )
        yield Change(logging.WARNING, message, facts)
    if before and before.claim and not after.claim:
        yield Change(logging.INFO, "what this node may have lost is settled", {})
    known = {member.id: member.role for member in before.members} if before else None
    members = {member.id: member.role for member in after.members}
    if known is not None and known != members:
        shown = ",".join(f"{number}:{role}" for number, role in members.items())
        yield Change(logging.INFO, "the members changed", {"members": shown})
