"""Turns a native client whenever there is something to do, in the event loop that was running when it was made.

1. Its descriptor is readable: a turn takes in what has arrived.
2. Something was published or asked for: one turn, after all that runs in this iteration of the loop; so everything that
   was published meanwhile leaves in one batch.
3. Time has passed: the native client says when it wants a turn although nothing is readable.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sequencer._native import Client as NativeClient
from sequencer.errors import SequencerError

if TYPE_CHECKING:
    from sequencer._native import _Event as NativeEvent


class Driver:
    """See the module's description.

    Args:
        native: The client to turn; nobody else may poll it.
        on_event: Takes in what it tells.
        on_failure: Takes in why it can go on no more; the driver is closed by then.
    """

    def __init__(
        self,
        native: NativeClient,
        *,
        on_event: "Callable[[NativeEvent], None]",
        on_failure: Callable[[SequencerError], None],
    ) -> None:
        self._native: NativeClient | None = native
        self._on_event = on_event
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._fileno = native.fileno()
        self._timer: asyncio.TimerHandle | None = None
        self._is_turn_due = False
        self._is_open = True
        self._is_paused = True
        self.resume()

    def wake(self) -> None:
        """See to it that a turn comes once all that runs in this iteration of the loop has run."""
        if not self._is_turn_due and not self._is_paused:
            self._is_turn_due = True
            self._loop.call_soon(self._on_turn_due)

    def pause(self) -> None:
        """Take no more turns: what arrives waits in the sockets, and so does whoever sends it."""
        if not self._is_paused:
            self._is_paused = True
            self._is_turn_due = False
            self._loop.remove_reader(self._fileno)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def resume(self) -> None:
        """Go on after a pause."""
        if self._is_paused and self._is_open:
            self._is_paused = False
            self._loop.add_reader(self._fileno, self._turn)
            self.wake()

    def close(self) -> None:
        """Take no more turns, ever, and let go of the client: its connections end with whoever holds it last."""
        self.pause()
        self._is_open = False
        self._native = None

    def _on_turn_due(self) -> None:
        # A turn may have come meanwhile because something was readable.
        if self._is_turn_due:
            self._turn()

    def _on_timer(self) -> None:
        self._timer = None
        self._turn()

    def _turn(self) -> None:
        if self._is_paused or self._native is None:
            return
        self._is_turn_due = False
        try:
            events = self._native.poll(0.0)
        except SequencerError as error:
            self.close()
            self._on_failure(error)
            return
        for event in events:
            self._on_event(event)
        self._arm()

    def _arm(self) -> None:
        if self._is_paused or self._native is None:
            return
        due_s = self._native.due_s()
        if due_s is None:
            return
        if due_s <= 0.0:
            self.wake()
            return
        when_s = self._loop.time() + due_s
        # A timer that rings too early is cheaper than one that is set anew at every turn.
        if self._timer is None or self._timer.when() > when_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when_s, self._on_timer)
