"""`sequencer node`: run one member of a cluster in this process."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sequencer.cli.exits import FailedError
from sequencer.node.config_file import read_config
from sequencer.node.logs import LogLevel, start_logging
from sequencer.node.native import init_node


def node(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration, a TOML file.")],
    init: Annotated[
        bool,
        typer.Option(
            "--init",
            help="Make the directory a new log if it holds none. Only for a node that has never run: one that lost "
            "its data must come back under a new id and data identity.",
        ),
    ] = False,
    log_level: Annotated[
        LogLevel,
        typer.Option("--log-level", help="How much is logged, to standard error.", case_sensitive=False),
    ] = LogLevel.INFO,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", help="Stop, as on SIGTERM, when standard input ends.")
    ] = False,
) -> None:
    """Run one member of a cluster until SIGTERM or SIGINT.

    On the first signal it hands leadership over, flushes and leaves; on a second one it leaves at once.
    docs/reference/node-config.md explains the configuration.
    """
    settings = read_config(config)
    start_logging(node=settings.node, level=log_level)
    # The admin endpoint's libraries take a moment to load, which other commands need not wait for.
    from sequencer.node.process import NodeEndedError, run_node

    if init:
        init_node(settings)
    try:
        run_node(settings, stop_at_end_of=sys.stdin.fileno() if stop_with_stdin else None)
    except NodeEndedError as error:
        raise FailedError(f"The node ended: {error}") from error
