"""Measures this project and, where they are at hand, its peers; writes docs/reference/benchmarks.md and a plot.

Each load is run for one system after the other, so that all see the machine in the same state; only ratios within one
run mean anything.

Usage: bench.py [--quick] [--peers DIRECTORY] [--out DIRECTORY]
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT.parent / "shared" / "peers"
SEQUENCER = ROOT / ".venv" / "bin" / "sequencer"
SIZE = 288
RUN_TIMEOUT_S = 180
COLORS = {"sequencer": "#1f6feb", "limit": "#57606a", "aeron": "#bc4c00"}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """One load of the standard set."""

    name: str
    rate: int
    window: int
    is_synced: bool = False
    runs: int = 1


LOADS = (
    Load("window 1", 0, 1, runs=3),
    Load("window 1000", 0, 1000, runs=3),
    Load("1,000/s", 1_000, 8_000),
    Load("20,000/s", 20_000, 8_000, runs=3),
    Load("window 1, synced", 0, 1, is_synced=True),
    Load("window 1000, synced", 0, 1000, is_synced=True, runs=3),
)
# How each system waits: `limit` calls sleeping "block", Aeron's sleeping strategy is "backoff".
IDLES = (
    ("yield", {"sequencer": "yield", "limit": "yield", "aeron": "yield"}),
    ("wait", {"sequencer": "wait", "limit": "block", "aeron": "backoff"}),
)


def main() -> int:
    """Run the set, write the page, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--quick", action="store_true", help="one second each: shows that it works, not how fast it is"
    )
    parser.add_argument("--peers", type=Path, default=PEERS, help="the peers' harness")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "reference", help="where page and plot go"
    )
    arguments = parser.parse_args()
    seconds, warmup = (1.0, 0.5) if arguments.quick else (4.0, 3.0)
    peers = prepared(arguments.peers)
    rows = []
    for figures in measure(arguments.peers, peers, seconds, warmup):
        rows.append(figures)
        print(json.dumps(figures), flush=True)
    events = list(others(quick=arguments.quick))
    page = arguments.out / "benchmarks.md"
    page.write_text(render(rows, events, seconds), encoding="utf-8")
    plot(rows, arguments.out)
    failed = [row for row in (*rows, *events) if not row.get("ok", True)]
    print(f"{len(rows) + len(events)} runs, {len(failed)} not sound; see {page}")
    return 1 if failed else 0


def prepared(harness: Path) -> tuple[str, ...]:
    """Build the peers that can be built here."""
    if not (harness / "peers").exists():
        print(f"No peers at {harness}: this project alone is measured.", flush=True)
        return ()
    built = []
    for peer in ("limit", "aeron"):
        outcome = subprocess.run(
            [harness / "peers", "prepare", peer], capture_output=True, text=True, check=False
        )
        if outcome.returncode == 0:
            built.append(peer)
        else:
            print(f"{peer} cannot be built here and is left out: {outcome.stderr.strip()[-300:]}", flush=True)
    return tuple(built)


def measure(harness: Path, peers: tuple[str, ...], seconds: float, warmup: float) -> Iterator[Figures]:
    """Run every load, for one system after the other; of several runs of a load the middle one counts for each."""
    for idle, names in IDLES:
        for load in LOADS:
            found: dict[str, list[Figures]] = {}
            for _ in range(load.runs):
                for peer in ("sequencer", *peers):
                    if peer == "sequencer":
                        command = ours(load, names[peer], seconds, warmup)
                    else:
                        command = theirs(harness, peer, load, names[peer], seconds)
                    found.setdefault(peer, []).append(run(command))
            for figures in found.values():
                figures.sort(key=lambda one: one["rtt_us"]["p50"])
                middle = figures[len(figures) // 2]
                is_sound = all(one["ok"] for one in figures)
                yield {**middle, "ok": is_sound, "load": load.name, "waits": idle, "runs": load.runs}


def others(*, quick: bool) -> Iterator[Figures]:
    """What is measured of this project alone: gaps, readers, and the Python client."""
    scripts = Path(__file__).parent
    rounds, messages = ("1", "200000") if quick else ("5", "2000000")
    for name, *options in (
        ("bench_cluster.py", "gaps", "readers", "--rounds", rounds),
        ("bench_python_client.py", "--messages", messages),
        ("bench_python_client.py", "--messages", messages, "--blocking"),
    ):
        command = [sys.executable, str(scripts / name), *options]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
        if outcome.returncode:
            raise SystemExit(f"{name} failed:\n{outcome.stderr[-2000:]}")
        for line in outcome.stdout.splitlines():
            figures: Figures = json.loads(line)
            if "what" not in figures:
                twin = "blocking" if "--blocking" in options else "asyncio"
                figures["what"] = f"Python client ({twin}), publish_many, window 8192, messages acknowledged"
            print(line, flush=True)
            yield figures


def ours(load: Load, idle: str, seconds: float, warmup: float) -> list[str]:
    """The command that measures this project."""
    durability = "fsync" if load.is_synced else "memory"
    options = {"size": SIZE, "rate": load.rate, "window": load.window, "seconds": seconds, "warmup": warmup}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [str(SEQUENCER), "bench", *flags, "--durability", durability, "--idle", idle, "-o", "json"]


def theirs(harness: Path, peer: str, load: Load, idle: str, seconds: float) -> list[str]:
    """The command that measures a peer."""
    options = {"size": SIZE, "rate": load.rate, "window": load.window, "seconds": seconds, "idle": idle}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [str(harness / "peers"), "run", peer, *flags, *(["--sync"] if load.is_synced else [])]


def run(command: list[str]) -> Figures:
    """Run one measurement; its last line is the figures."""
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{' '.join(command)} gave no figures:\n{outcome.stderr[-2000:]}")
    figures: Figures = json.loads(lines[-1])
    return figures


def render(rows: list[Figures], events: list[Figures], seconds: float) -> str:
    """The page."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = next(
        (line.split(":", 1)[1].strip() for line in processors.splitlines() if "model name" in line),
        "unknown processor",
    )
    cores = processors.count("processor\t")
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Three nodes and a client on one machine, messages of "
        f"{SIZE} bytes, {seconds:g} s each, one system after the other for every load; each row is one run, or the",
        "middle one of three by its median round trip, where the title says so.",
        "**Only ratios in one run mean anything**: absolute figures of a shared machine do not. A message counts when",
        "it has come back (see `sequencer bench --help`); round trips count from the intended send time. `limit` is a",
        "bare pipe without a protocol: what sockets and files alone cost. It rewrites 256 MiB of file; this project",
        "keeps 256 MiB of log and uses its files again; the others append.",
        "[performance.md](../internals/performance.md) says where our time goes.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {cores} cores ({cpu}).",
        "",
        "![Throughput and round trips](benchmarks.svg)",
        "",
    ]
    for waits, _ in IDLES:
        for load in LOADS:
            group = [row for row in rows if (row["waits"], row["load"]) == (waits, load.name)]
            runs = "" if load.runs == 1 else f" (middle of {load.runs})"
            lines += table(
                f"{load.name}, everybody {'yields' if waits == 'yield' else 'sleeps'}{runs}", group
            )
    lines += ["## This project alone", "", "| what | measured |", "| --- | --- |"]
    lines += [f"| {event['what']} | {said(event)} |" for event in events]
    return "\n".join([*lines, ""])


def said(event: Figures) -> str:
    """One measure in words."""
    match event:
        case {"longest_gap_ms": gaps, "rate": rate, "median_ms": median}:
            return f"longest gap at {rate:,}/s: {', '.join(f'{gap:,.0f}' for gap in gaps)} ms; median {median:,.0f} ms"
        case {"ns_without": before, "ns_with": after, "ratio": ratio, "rate": rate}:
            return f"at {rate:,}/s: {before:,} ns without, {after:,} ns with, {ratio} times"
        case {"throughput_per_s": per_s, "messages": messages}:
            return f"{per_s:,}/s over {messages:,} messages"
        case _:
            return json.dumps(event)


def table(title: str, group: list[Figures]) -> list[str]:
    """One load."""
    own = next(row for row in group if row["peer"] == "sequencer")
    lines = [
        f"## {title}",
        "",
        "| | per second | p50 us | p90 | p99 | p99.9 | throughput, ours to theirs | p50, ours | p99, ours |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in group:
        trip = row["rtt_us"]
        cells = [
            f"{row['throughput_per_s']:,.0f}",
            *(f"{trip[name]:,.0f}" for name in ("p50", "p90", "p99", "p999")),
        ]
        if row is own:
            ratios = ["", "", ""]
        else:
            mine = own["rtt_us"]
            ratios = [
                f"{own['throughput_per_s'] / row['throughput_per_s']:.2f}",
                f"{mine['p50'] / trip['p50']:.2f}",
                f"{mine['p99'] / trip['p99']:.2f}",
            ]
        name = row["peer"] + ("" if row["ok"] else " (not sound)")
        lines.append(f"| {name} | {' | '.join(cells)} | {' | '.join(ratios)} |")
    return [*lines, ""]


def plot(rows: list[Figures], out: Path) -> None:
    """The same as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    systems = sorted({row["peer"] for row in rows}, key=lambda peer: (peer != "sequencer", peer))
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7.5), constrained_layout=True)
    for column, (waits, _) in enumerate(IDLES):
        for line, (load, field) in enumerate((("window 1000", "throughput_per_s"), ("20,000/s", "rtt_us"))):
            axis = axes[line][column]
            found = {row["peer"]: row for row in rows if (row["waits"], row["load"]) == (waits, load)}
            names = [name for name in systems if name in found]
            if field == "throughput_per_s":
                colors = [COLORS.get(name, "#9aa4b2") for name in names]
                axis.bar(names, [found[name][field] / 1e6 for name in names], color=colors)
                axis.set_ylabel("million messages per second")
            else:
                for name in names:
                    trip = found[name]["rtt_us"]
                    marks = ("p50", "p90", "p99", "p999")
                    color = COLORS.get(name)
                    axis.plot(marks, [trip[mark] for mark in marks], marker="o", label=name, color=color)
                axis.set_yscale("log")
                axis.set_ylabel("round trip, microseconds")
                axis.legend()
            axis.set_title(f"{load}, everybody {'yields' if waits == 'yield' else 'sleeps'}")
            axis.grid(axis="y", alpha=0.3)
    for suffix in ("svg", "png"):
        figure.savefig(out / f"benchmarks.{suffix}", dpi=110)


if __name__ == "__main__":
    sys.exit(main())
