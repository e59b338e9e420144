"""What the native client says for a replica, at real nodes: registrations, outputs, ends, progress, reports.

In go two clients that send the same outputs by hand. Checked is the log: each output stands in it once and in order,
whoever sent it, over a change of leader too. Everything is real but the service: nothing computes these outputs.
"""

import itertools
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dev_cluster import wait_for
from process.harness import Cluster
from sequencer import _native
from sequencer.service._bodies import divergence_body, progress_body, service_body
from sequencer.types import FrameKind, Position

SERVICE = 77
REPLICA = 3


class Replica:
    """A client that speaks for a replica.

    Attributes:
        wanted: Terms of the leaders that asked for outputs.
        refused: First k and kind of each refusal.
        answers: By tag.
        frames: Frames of the service so far, by kind.
    """

    def __init__(self, cluster: Cluster, replica: int) -> None:
        self.native = _native.Client(cluster.name, list(cluster.addresses.values()), role="operator")
        self.native.open_outputs(SERVICE, replica=replica)
        self.native.subscribe(Position(0))
        self.replica = replica
        self.wanted: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self.frames: dict[int, list[_native.Frame]] = {}

    def turn(self) -> None:
        """Take in what arrives within a moment."""
        for event in self.native.poll(0.02):
            match event:
                case ("frames", at, term, _, frames):
                    for frame in _native.decode_frames(frames, at=at, previous_term=term):
                        if frame.source_id == SERVICE:
                            self.frames.setdefault(frame.kind, []).append(frame)
                case ("outputs_wanted", leader_term):
                    self.wanted.append(leader_term)
                case ("outputs_refused", k, (kind, *_)):
                    self.refused.append((k, kind))
                case ("answer", tag, answer):
                    self.answers[tag] = json.loads(answer)
                case _:
                    pass

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Go on until something holds."""

        def look() -> bool | None:
            self.turn()
            return True if condition() else None

        wait_for(look, what)

    def ask(self, kind: FrameKind, body: bytes, **fields: int) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        tag = self.native.command(kind, body, source_id=SERVICE, replica=self.replica, **fields)
        self.until(lambda: tag in self.answers, f"an answer about {kind.name}")
        return self.answers[tag]

    def of(self, kind: FrameKind) -> list[_native.Frame]:
        """Frames of the service that were read."""
        return self.frames.get(kind, [])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run three nodes."""
    with Cluster(tmp_path_factory.mktemp("nodes")) as cluster:
        yield cluster


def test_what_a_replica_says_stands_in_the_log_once(cluster: Cluster) -> None:
    one, two = Replica(cluster, REPLICA), Replica(cluster, REPLICA + 1)
    body = service_body(name="by hand", version=1, hold_bytes=1 << 20, tick_ns=0, agree=1)
    cause = one.ask(FrameKind.SERVICE_REGISTRATION, body)["position"]
    records = [(0, 0, cause, b"output %d" % k) for k in range(1, 501)]
    one.until(lambda: bool(one.wanted), "a leader that takes outputs")
    two.until(lambda: bool(two.wanted), "a leader that takes outputs")
    assert one.native.send_outputs(1, 1, records[:300]) == 300
    one.until(lambda: len(one.of(FrameKind.OUTPUT)) == 300, "outputs in the log")
    # The other one is behind at first, and further in the end.
    assert two.native.send_outputs(1, 1, records) == 500
    two.until(lambda: len(two.of(FrameKind.OUTPUT)) == 500, "all outputs in the log")

    # A gap is refused once, whatever comes behind it, until it is mended.
    two.native.send_outputs(1, 503, records[:2])
    two.native.send_outputs(1, 505, records[:2])
    two.until(lambda: bool(two.refused), "a refusal")
    assert two.refused == [(503, "output_gap")]
    assert two.native.output_room == 0
    two.native.rewind_outputs()
    more = [(0, 0, cause, b"output %d" % k) for k in range(501, 511)]
    assert two.native.send_outputs(1, 501, more) == 10
    two.until(lambda: len(two.of(FrameKind.OUTPUT)) == 510, "the rest of the outputs")

    # Progress and reports bear what they are about; a switch ends the epoch.
    progress = two.ask(FrameKind.PROGRESS, progress_body(7), epoch=1, sequence=510, cause=cause)
    assert progress["outcome"] == "admitted"
    report = divergence_body(replica=REPLICA, what=0, expected=1, actual=2)
    reported = two.ask(FrameKind.DIVERGENCE_REPORT, report, epoch=1, sequence=4, cause=cause)
    assert reported["outcome"] == "admitted"
    next_at = one.ask(FrameKind.PROMOTE, struct.pack("<QQ", 2, 0))["position"]
    assert two.native.send_outputs(1, 511, [(0, 0, cause, b"the last")], end_at=next_at) == 2
    two.until(lambda: bool(two.of(FrameKind.OUTPUT_END)), "the end of the epoch")
    assert two.native.send_outputs(2, 1, [(0, 0, next_at, b"the first")]) == 1
    two.until(lambda: len(two.of(FrameKind.OUTPUT)) == 512, "an output of the next epoch")

    outputs = two.of(FrameKind.OUTPUT)
    assert [(frame.epoch, frame.source_sequence) for frame in outputs] == [
        *((1, k) for k in range(1, 512)),
        (2, 1),
    ]
    assert [frame.payload for frame in outputs[:510]] == [b"output %d" % k for k in range(1, 511)]
    (told,) = two.of(FrameKind.PROGRESS)
    assert (told.epoch, told.source_sequence, told.cause) == (1, 510, cause)
    (told,) = two.of(FrameKind.DIVERGENCE_REPORT)
    assert (told.epoch, told.source_sequence, told.cause) == (1, 4, cause)
    (end,) = two.of(FrameKind.OUTPUT_END)
    assert (end.epoch, end.source_sequence, end.cause) == (1, 512, next_at)


def test_each_leader_is_sent_what_the_log_does_not_hold(cluster: Cluster) -> None:
    replica = Replica(cluster, REPLICA)
    replica.until(lambda: bool(replica.wanted), "a leader")
    replica.until(lambda: len(replica.of(FrameKind.OUTPUT)) >= 512, "the outputs so far")
    before = len(replica.of(FrameKind.OUTPUT))
    newest = replica.of(FrameKind.OUTPUT)[-1]
    epoch, first = newest.epoch, newest.source_sequence + 1
    cause: int = newest.cause
    last = first + 20_000
    records = [(0, 0, cause, k.to_bytes(8, "little") * 30) for k in range(first, last)]
    handed_in = wanted = 0
    killed: int | None = None

    def step() -> bool:
        nonlocal handed_in, wanted, killed
        admitted = len(replica.of(FrameKind.OUTPUT)) - before
        if len(replica.wanted) != wanted or replica.refused:
            wanted = len(replica.wanted)
            replica.refused.clear()
            replica.native.rewind_outputs()
            handed_in = admitted
        room = replica.native.output_room // 264
        batch = records[handed_in : handed_in + room]
        handed_in += replica.native.send_outputs(epoch, first + handed_in, batch)
        if killed is None and admitted > 1000:
            killed = cluster.leader()
            cluster.kill(killed)
        return admitted == len(records)

    replica.until(step, "all outputs over the death of the leader")
    assert killed is not None
    cluster.start(killed)
    assert wanted >= 2
    outputs = replica.of(FrameKind.OUTPUT)[before:]
    assert [frame.source_sequence for frame in outputs] == list(range(first, last))
    assert [frame.payload for frame in outputs] == [record[3] for record in records]
    assert all(one.at < other.at for one, other in itertools.pairwise(outputs))
