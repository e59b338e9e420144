"""Metrics in the Prometheus text format: how the node stands, and its counters.

Names begin with `sequencer_`, carry their unit as suffix and use the words of the status. What only grows comes from
the counters file and ends in `_total`.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from sequencer.node.status import NodeStatus, Role

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# Figures of the counters file that can fall, or that the status says already.
_GAUGES = {"answers_waiting"}
_IN_STATUS = {
    "is_leader",
    "term",
    "leader_id",
    "log_start_position",
    "commit_position",
    "durable_position",
    "end_position",
    "connections",
    "subscribers",
    "sessions",
    "disk_free_bytes",
    "disk_is_low",
}


class NodeCollector(Collector):
    """Reads status and counters once for each request.

    Either source may fail to answer; then what it would have said is missing, and `sequencer_up` tells whether the hot
    loop answered.
    """

    def __init__(
        self, *, status: Callable[[], NodeStatus | None], counters: Callable[[], dict[str, int]]
    ) -> None:
        self._status = status
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """Make all metrics anew."""
        status = self._status()
        yield _gauge("up", "Whether the hot loop answers.", status is not None)
        if status is not None:
            yield from status_metrics(status)
        yield from counter_metrics(self._counters())


def make_registry(collector: NodeCollector) -> CollectorRegistry:
    """Make a registry of its own, with the figures of the process (memory, processor time, files) besides."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Render all metrics as text."""
    return generate_latest(registry)


def status_metrics(status: NodeStatus) -> Iterator[Metric]:
    """Turn a status into gauges."""
    info = GaugeMetricFamily(
        "sequencer_node_info",
        "What does not change while the node runs; always 1.",
        labels=["cluster", "node", "data", "durability", "idle", "insecure"],
    )
    words = [str(status.cluster), str(status.node), str(status.data), status.durability, status.idle]
    info.add_metric([*words, str(status.insecure).lower()], 1)
    yield info
    role = GaugeMetricFamily(
        "sequencer_role", "1 for the node's part in its term, 0 for others.", labels=["role"]
    )
    for name in Role:
        role.add_metric([name.value], float(status.role is name))
    yield role
    yield _gauge("term", "Current term.", status.term)
    yield _gauge("leader_id", "Id of the leader it follows, itself included; 0 for none.", status.leader or 0)
    yield _gauge("admits", "Whether it leads and takes messages.", status.admits)
    yield _gauge("is_voter", "Whether it counts for majorities.", status.is_voter)
    yield _gauge("is_caught_up", "Whether it leads, or has all that is committed.", status.is_caught_up)
    yield _gauge(
        "has_claim", "Whether it may have acknowledged something and lost it.", status.claim is not None
    )
    positions = status.positions
    yield _gauge("log_start_position_bytes", "First position that is stored.", positions.start)
    yield _gauge(
        "snapshot_position_bytes", "Position of the newest saved snapshot of the core.", positions.snapshot
    )
    yield _gauge("commit_position_bytes", "Position up to which the log is committed.", positions.commit)
    yield _gauge("durable_position_bytes", "Position up to which the log is durable here.", positions.durable)
    yield _gauge("end_position_bytes", "End of the log in memory.", positions.end)
    yield _gauge(
        "clock_held_back_seconds", "Timestamps behind the wall clock.", status.clock.held_back_ns / 1e9
    )
    yield _gauge("clock_ahead_seconds", "Timestamps ahead of the wall clock.", status.clock.ahead_ns / 1e9)
    yield _gauge("disk_free_bytes", "Free space on the disk that holds the log.", status.disk.free_bytes)
    yield _gauge(
        "disk_is_low", "Whether the reserve is reached and messages are refused.", status.disk.is_low
    )
    yield _gauge("sessions", "Sessions in the log, idle ones included.", status.sessions)
    yield _gauge("connections", "Connections of clients.", status.connections)
    yield _gauge("subscribers", "Connections that follow the log.", status.subscribers)
    yield _gauge("uptime_seconds", "Time since the node started.", status.uptime_s)
    yield from _member_metrics(status)


def _member_metrics(status: NodeStatus) -> Iterator[Metric]:
    connected = GaugeMetricFamily(
        "sequencer_member_is_connected",
        "Whether this node has a connection to it.",
        labels=["member", "role"],
    )
    matched = GaugeMetricFamily(
        "sequencer_member_matched_position_bytes",
        "Position up to which a member has acknowledged the log; known to the leader.",
        labels=["member", "role"],
    )
    for member in status.members:
        labels = [str(member.id), member.role.value]
        connected.add_metric(labels, float(member.is_connected))
        if member.matched is not None:
            matched.add_metric(labels, member.matched)
    yield connected
    yield matched


def counter_metrics(values: dict[str, int]) -> Iterator[Metric]:
    """Turn the counters file into counters, without what the status says already."""
    for name, value in values.items():
        if name in _IN_STATUS:
            continue
        help_text = f"{name.replace('_', ' ').capitalize()}."
        if name in _GAUGES:
            yield _gauge(name, help_text, value)
        else:
            yield CounterMetricFamily(f"sequencer_{name}", help_text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sequencer_{name}", text, value=float(value))
