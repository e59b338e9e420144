"""How a command ends: its exit codes, and which error leads to which."""

from enum import IntEnum
from typing import Any

from sequencer.errors import ConfigError, RejectedError, RetryableError, SequencerError


class ExitCode(IntEnum):
    """Exit codes of every command; they never change their meaning."""

    OK = 0
    """What was asked holds."""
    FAILED = 1
    """It does not; standard error says why."""
    USAGE = 2
    """The command line is wrong."""
    CONFIGURATION = 3
    """A setting is wrong; the message names the field."""
    UNAVAILABLE = 4
    """Nobody answered, or not now: the same may succeed later."""
    REFUSED = 5
    """The cluster refused; with `-o json` the refusal is printed."""


EPILOG = (
    "Exit codes: 0 what was asked holds; 1 failed; 2 wrong usage; 3 wrong configuration; "
    "4 unavailable now; 5 refused by the cluster."
)


class FailedError(SequencerError):
    """What was asked does not hold; the text says why."""


class RefusedError(RejectedError):
    """The cluster refused.

    Attributes:
        body: The refusal as the node sent it: `kind`, `message`, `is_retryable`, `facts`.
    """

    def __init__(self, message: str, *, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.body = body


def exit_code(error: SequencerError) -> ExitCode:
    """Choose the exit code for an error that ends a command."""
    match error:
        case ConfigError():
            return ExitCode.CONFIGURATION
        case RetryableError():
            return ExitCode.UNAVAILABLE
        case RefusedError():
            return ExitCode.REFUSED
        case _:
            return ExitCode.FAILED
