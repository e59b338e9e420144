"""Metrics: one line for each figure, with units as suffix, and what is left when a source does not answer.

In go a status made by hand; the text is read back by the parser of the client library.
"""

import json
import re

from fake_node import status_tree
from prometheus_client.parser import text_string_to_metric_families
from sequencer.node.metrics import NodeCollector, make_registry, render
from sequencer.node.status import NodeStatus, decode_status


def samples(status: NodeStatus | None, counters: dict[str, int]) -> dict[str, float]:
    """Render metrics and read them back, as name and labels against value."""
    registry = make_registry(NodeCollector(status=lambda: status, counters=lambda: counters))
    found = {}
    for family in text_string_to_metric_families(render(registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
    return found


def status(**changes: object) -> NodeStatus:
    """Make a status with some fields changed."""
    return decode_status(json.dumps(status_tree(**changes)).encode())


def test_the_status_becomes_gauges() -> None:
    found = samples(status(), {})
    assert found["sequencer_up"] == 1
    assert found["sequencer_role{role=leader}"] == 1
    assert found["sequencer_role{role=follower}"] == 0
    assert found["sequencer_end_position_bytes"] == 8192
    assert found["sequencer_clock_ahead_seconds"] == 0.0015
    assert found["sequencer_member_matched_position_bytes{member=2,role=voter}"] == 4096
    assert "sequencer_member_matched_position_bytes{member=3,role=voter}" not in found
    assert found["sequencer_member_is_connected{member=3,role=voter}"] == 0
    assert any(name.startswith("sequencer_node_info{") and "durability=fsync" in name for name in found)


def test_counters_become_totals_unless_they_can_fall() -> None:
    found = samples(status(), {"received_bytes": 7, "answers_waiting": 2, "commit_position": 1})
    assert found["sequencer_received_bytes_total"] == 7
    assert found["sequencer_answers_waiting"] == 2
    assert not any(name.startswith("sequencer_commit_position_total") for name in found)


def test_a_silent_node_still_shows_its_counters() -> None:
    found = samples(None, {"received_bytes": 7})
    assert found["sequencer_up"] == 0
    assert found["sequencer_received_bytes_total"] == 7
    assert "sequencer_term" not in found


def test_every_name_is_ours_or_the_process_s() -> None:
    for name in samples(status(), {"turns": 1}):
        assert re.match(r"(sequencer|process)_[a-z_]+(\{|$)", name), name
