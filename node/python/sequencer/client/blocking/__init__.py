"""The client for programs that do not use asyncio: the names of `sequencer.client`, without `await`.

The asyncio client runs on a thread of its own, which ends when the client is closed; here belongs what lies between
that thread and its callers. Errors, positions and batches are the same. Any number of threads may use one client.
"""

from sequencer._native import Frame
from sequencer.client._batch import Batch
from sequencer.client._positions import Positions
from sequencer.client.blocking._client import Client, connect
from sequencer.client.blocking._session import Session
from sequencer.client.blocking._subscription import Batches, Frames

__all__ = ["Batch", "Batches", "Client", "Frame", "Frames", "Positions", "Session", "connect"]
