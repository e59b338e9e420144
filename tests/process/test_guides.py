"""The Python in the guides and in the README runs as it is printed.

In go the fenced blocks of docs/guides/*.md and README.md, each as a program of its own, in a directory where a cluster
of real nodes lives in `.sequencer`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_cluster import WAIT_S, DevCluster, running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    """Each block, with where it stands."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            yield f"{page.relative_to(ROOT)}:{line}", found[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """Run a cluster where the guides expect it."""
    with running(tmp_path_factory.mktemp("guides") / ".sequencer", "--durability", "memory") as found:
        found.event("leader")
        yield found


@pytest.mark.parametrize(("place", "program"), [pytest.param(*block, id=block[0]) for block in blocks()])
def test_it_runs_and_prints_something(cluster: DevCluster, place: str, program: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=cluster.directory.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert (result.returncode, result.stderr) == (0, ""), f"{place}: {result.stderr}"
    assert result.stdout, place


def test_the_guides_have_programs() -> None:
    pages = {place.rpartition(":")[0] for place, _ in blocks()}
    assert "docs/guides/use-the-client.md" in pages
