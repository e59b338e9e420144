"""Counters of a node: the layout of their file, and whether whoever counted still lives.

In go files made by hand from the layout, and processes that this suite starts itself.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_node import encode_counters
from sequencer.counters import Counters, CountersError, decode_counters, is_counting, read_counters


def test_names_and_values_are_read_in_order(tmp_path: Path) -> None:
    values = {"turns": 3, 48 * "n": 2**64 - 1, "nothing": 0}
    (tmp_path / "counters").write_bytes(encode_counters(values, pid=7, start_ns=8))
    counters = read_counters(tmp_path)
    assert counters == Counters(pid=7, start_ns=8, values=values)
    assert list(counters.values) == list(values)


def test_a_file_without_counters_is_fine() -> None:
    assert decode_counters(encode_counters({})).values == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no counters file"),
        (b"SEQCNTR1", "no counters file"),
        (b"X" + encode_counters({"turns": 1})[1:], "no counters file"),
        (encode_counters({"turns": 1}, version=2), "version 2"),
        (encode_counters({"turns": 1})[:-1], "too few"),
    ],
)
def test_other_content_is_refused_with_the_path(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "counters").write_bytes(data)
    with pytest.raises(CountersError, match=said) as caught:
        read_counters(tmp_path)
    assert caught.value.path == tmp_path / "counters"


def test_a_directory_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CountersError, match="name the data directory"):
        read_counters(tmp_path)


def test_the_living_and_the_dead_are_told_apart() -> None:
    now_ns = time.time_ns()
    assert is_counting(Counters(pid=os.getpid(), start_ns=now_ns, values={}))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert is_counting(Counters(pid=child.pid, start_ns=time.time_ns() + 10**9, values={}))
        # Its number was another process's when this one began to count.
        assert not is_counting(Counters(pid=child.pid, start_ns=now_ns - 3600 * 10**9, values={}))
        child.kill()
        child.wait()
        assert not is_counting(Counters(pid=child.pid, start_ns=time.time_ns(), values={}))
