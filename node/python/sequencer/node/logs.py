"""Log records as lines of `key=value`, one for each record, for people and for what collects them.

`extra={"facts": {...}}` adds facts by name to a record; their names are those of the status and the metrics.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TextIO


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    """What a developer wants to see."""
    INFO = "info"
    """What changes, such as the leader."""
    WARNING = "warning"
    """What somebody should look at."""
    ERROR = "error"
    """What failed."""


class LineFormatter(logging.Formatter):
    """Renders a record as one line: time (UTC), level, node, logger, message, facts."""

    def __init__(self, *, node: int) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """Render one record; line breaks within it are escaped."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        pairs: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "node": self._node,
            "from": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, Mapping):
            pairs |= {str(name): value for name, value in facts.items()}
        if record.exc_info:
            pairs["exception"] = self.formatException(record.exc_info)
        return " ".join(f"{name}={_render(value)}" for name, value in pairs.items())


def start_logging(*, node: int, level: LogLevel = LogLevel.INFO, stream: TextIO = sys.stderr) -> None:
    """Send every record of this process to `stream`, in place of where they went before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(node=node))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # It tells of its own start and stop, which this process does better.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    set_level(level)


def set_level(level: LogLevel) -> None:
    """Log what is at least as grave as `level` from now on."""
    logging.getLogger().setLevel(level.value.upper())


def current_level() -> LogLevel:
    """Read the level back."""
    return LogLevel(logging.getLevelName(logging.getLogger().level).lower())


def _render(value: object) -> str:
    """Quote what would not read as one word."""
    text = str(value)
    is_word = text != "" and all(c.isprintable() and c not in ' "=' for c in text)
    return text if is_word else json.dumps(text, ensure_ascii=False)
