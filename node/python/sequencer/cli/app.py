"""Puts the commands together, and turns errors into sentences and exit codes."""

import os
import sys

import typer

from sequencer.cli import bench, dev, leader, log, member, node, publish, stat, status, subscribe, trim
from sequencer.cli.exits import EPILOG, ExitCode, exit_code
from sequencer.errors import SequencerError

app = typer.Typer(
    name="sequencer",
    help="A totally ordered, replicated log: run it, look at it, change it.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=EPILOG)(node.node)
app.command(epilog=EPILOG)(dev.dev)
app.command(epilog=EPILOG)(status.status)
app.command(epilog=EPILOG)(publish.publish)
app.command(epilog=EPILOG)(subscribe.subscribe)
app.command(epilog=EPILOG)(bench.bench)
app.command(epilog=EPILOG)(stat.stat)
app.command(epilog=EPILOG)(trim.trim)
app.add_typer(leader.app, name="leader", epilog=EPILOG)
app.add_typer(member.app, name="member", epilog=EPILOG)
app.add_typer(log.app, name="log", epilog=EPILOG)


def main() -> None:
    """Run the command that the process was started with, and exit as `ExitCode` says."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    try:
        app(arguments, standalone_mode=True)
    except SequencerError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code(error)
    except BrokenPipeError:
        # Whoever read has seen enough, as in `sequencer stat | head`; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    return ExitCode.OK
