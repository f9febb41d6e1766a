"""The agent's log: one line per event to standard error, whatever text from outside a message carries."""

import logging
import sys
import time


class OneLine(logging.Formatter):
    """Control characters are escaped: a reason that a server sends must not forge a second line or drive a terminal."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s agent: %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
