"""Refusals of the cluster and its nodes as errors.

In go refusals as the native client tells them; out come errors whose class says what the caller may do.
"""

import json

import pytest
from sequencer.client._refusals import Troubles, refusal_error
from sequencer.errors import (
    BackpressureError,
    LogFullError,
    NotAuthorizedError,
    NotLeaderError,
    RejectedError,
    SequencerError,
    TooLargeError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("kind", "is_retryable", "facts", "expected"),
    [
        ("not_leader", True, {"leader": 2}, NotLeaderError),
        ("handing_over", True, {"target": 3}, NotLeaderError),
        ("log_full", True, {}, LogFullError),
        ("backpressure", True, {}, BackpressureError),
        ("too_large", False, {"bytes": 9, "limit_bytes": 8}, TooLargeError),
        ("something_new", True, {}, UnavailableError),
        ("something_new", False, {"field": "x"}, RejectedError),
    ],
)
def test_the_class_says_what_to_do(
    kind: str, is_retryable: bool, facts: dict[str, object], expected: type[SequencerError]
) -> None:
    error = refusal_error((kind, "It was refused.", is_retryable, json.dumps(facts).encode()))
    assert type(error) is expected
    assert str(error).startswith("It was refused. (")


def test_facts_become_attributes() -> None:
    moved = refusal_error(("handing_over", "It hands over", True, b'{"target":3}'))
    assert isinstance(moved, NotLeaderError) and moved.leader == 3
    large = refusal_error(("too_large", "Too large", False, b'{"bytes":9,"limit_bytes":8}'))
    assert isinstance(large, TooLargeError)
    assert (large.payload_bytes, large.payload_bytes_max) == (9, 8)
    other = refusal_error(("unknown_schema", "No such schema", False, b'{"schema":7}'))
    assert isinstance(other, RejectedError)
    assert (other.kind, dict(other.facts)) == ("unknown_schema", {"schema": 7})


def test_a_refusal_lasts_only_if_every_node_agrees() -> None:
    troubles = Troubles(["a:1", "b:1"])
    troubles.note("a:1", "not_authorized", "it does not know us")
    assert troubles.lasting() is None, "the other may answer yet"
    troubles.note("b:1", "not_reached", "it cannot be reached")
    assert troubles.lasting() is None, "it may be being restarted"
    troubles.note("b:1", "not_authorized", "it does not know us either")
    assert isinstance(troubles.lasting(), NotAuthorizedError)
    troubles.connected("b:1")
    assert troubles.lasting() is None
    assert "it does not know us" in troubles.describe()


def test_what_belongs_to_a_change_of_leader_is_no_trouble() -> None:
    troubles = Troubles(["a:1"])
    troubles.note("a:1", "redirected", "another node leads")
    assert "no answer" in troubles.describe()
    troubles.note("a:1", "wrong_cluster", "it belongs to another cluster")
    lasting = troubles.lasting()
    assert lasting is not None and lasting.kind == "wrong_cluster"
