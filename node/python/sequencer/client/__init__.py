"""Sessions that publish and subscriptions that read, for programs that use a cluster.

What a program needs to talk to nodes belongs here; what nodes do, and what runs them, does not.
`Client` is for asyncio; `sequencer.client.blocking` has the same for everybody else. Connections are made again and
messages sent again by themselves: what is acknowledged stands in the log once, in order, and what is read comes in
order and without a gap, whichever nodes fail meanwhile.
"""

from sequencer._native import Frame
from sequencer.client._batch import Batch
from sequencer.client._client import Client, connect
from sequencer.client._positions import Positions
from sequencer.client._session import Session

__all__ = ["Batch", "Client", "Frame", "Positions", "Session", "connect"]
