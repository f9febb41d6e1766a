"""Makes log lines of bytes: bounded, valid text, without agents' keys, with time and level where they say so."""

import re
from typing import Any

from chatops_agent.following.formats import parse
from chatops_protocol.log_lines import Level

# What a line may be long, in bytes of the file. The rest is left out, and said so.
MAX_LINE_BYTES = 8_192
# What is read of a line that is longer: a key that stands across the cut is found whole.
KEPT_BYTES = MAX_LINE_BYTES + 512

_KEY = re.compile(r"chatops_agent_[A-Za-z0-9_-]{16,}")
_CUT_KEY = re.compile(r"chatops_agent_[A-Za-z0-9_-]*$")
_MASKED = "chatops_agent_***"
_BEGINS_TRACEBACK = ("Traceback (most recent call last)", "Exception in thread", "panic: ", "Caused by: ")
# A line that continues another one follows it at once.
CONTINUES_WITHIN_S = 5.0

Row = list[Any]


class Lines:
    """Lines of one file. `secret` is never in what comes out, whatever it looks like."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._last: tuple[float, Level | None, float] | None = None  # time, level, when read
        self._in_traceback = False

    def row(self, source: str, raw: bytes, length: int, now: float) -> Row:
        """A row of the frame; `raw` begins the line, which has `length` bytes."""
        text = as_text(raw, length, self._secret)
        parsed = parse(text, now)
        time, level = parsed
        # Lines of a stack trace stay with the line they belong to, in time and level.
        if self._continues(text):
            last = self._last
            if time is None and last is not None and now - last[2] < CONTINUES_WITHIN_S:
                time, level = last[0], level or last[1]
        if parsed.time is not None:
            self._last = (parsed.time, parsed.level, now)
        return [now if time is None else time, source, level, text]

    def _continues(self, text: str) -> bool:
        indented = text[:1] in (" ", "\t", "}", ")")
        begins = text.startswith(_BEGINS_TRACEBACK)
        # The line after the indented ones names the exception, and ends it.
        continues = indented or begins or self._in_traceback
        self._in_traceback = begins or (self._in_traceback and indented)
        return continues


def as_text(raw: bytes, length: int, secret: str) -> str:
    """Text that every part of the way can carry: no NUL, nothing that is not UTF-8, bounded."""
    text = raw.decode("utf-8", "replace").replace("\0", "\ufffd").rstrip("\r\n")
    if "chatops_agent_" in text:
        text = _KEY.sub(_MASKED, text)
    if secret in text:
        text = text.replace(secret, "***")
    if length > len(raw):
        text = _without_cut_secret(text, secret)
    if length > MAX_LINE_BYTES:
        return f"{text[:MAX_LINE_BYTES]}… ({length:,} bytes, the rest is left out)"
    return text


def _without_cut_secret(text: str, secret: str) -> str:
    """Text that ends in the middle of a line, without the beginning of a key that may stand at its end."""
    text = _CUT_KEY.sub(_MASKED, text)
    for known in range(min(len(secret), len(text)), 3, -1):
        if text.endswith(secret[:known]):
            return text[:-known]
    return text
