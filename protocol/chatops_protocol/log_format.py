"""How backend and dashboard write their logs: each event begins a line, and nothing that text from outside holds does.

Called once per process, before anything logs.
"""

import logging
import sys
from typing import Any

_SET_OFF = "    | "


class LineFormatter(logging.Formatter):
    """Control characters are escaped, so that no name or path forges a line or drives a terminal. A traceback keeps its
    lines, which people have to read, each of them set off: messages of exceptions repeat what was sent, too."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return _escaped(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _set_off(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _set_off(super().formatStack(stack_info))


def log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _set_off(text: str) -> str:
    return "\n".join(_SET_OFF + _escaped(line) for line in text.split("\n"))
