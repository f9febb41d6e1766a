"""What the engine's events say in words: lines for the log of the host. Pure; `watcher.py` feeds it.

A container that dies again and again without anybody ending it is in a restart loop: that is said once it has died
`LOOP_DEATHS` times within `LOOP_WITHIN_S`, and again while it goes on, but not more often than that.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from chatops_agent.following.lines import Row
from chatops_protocol.log_lines import MAX_MESSAGE_LENGTH, Level

SOURCE = "docker"
LOOP_DEATHS = 3
LOOP_WITHIN_S = 300.0
MOST_CONTAINERS = 2_000
SHORT_ID = 12


class _Life:
    """One container: how it died of late, and whether somebody is ending it now."""

    def __init__(self) -> None:
        self.deaths: deque[float] = deque(maxlen=100)
        self.is_being_ended = False
        self.told_at = float("-inf")


class EventTeller:
    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}

    def tell(self, event: Mapping[str, Any]) -> list[Row]:
        """The lines of one event; none for what nobody has to know."""
        attributes = (event.get("Actor") or {}).get("Attributes") or {}
        container_id = str((event.get("Actor") or {}).get("ID") or "")
        action = str(event.get("Action") or "")
        at = time_ns(event) / 1e9
        life = self._life(container_id)
        who = f"container {attributes.get('name') or '?'} ({container_id[:SHORT_ID]}, {attributes.get('image') or '?'})"
        lines: list[tuple[Level, str]] = []
        if action == "start":
            life.is_being_ended = False
            lines = [("info", f"{who} started")]
        elif action == "kill":
            life.is_being_ended = True
        elif action == "oom":
            lines = [("critical", f"{who} ran out of memory")]
        elif action == "die":
            lines = self._died(life, who, str(attributes.get("exitCode") or "?"), at)
        elif action == "health_status: unhealthy":
            lines = [("error", f"{who} is unhealthy")]
        elif action == "health_status: healthy":
            lines = [("info", f"{who} is healthy")]
        return [[at, SOURCE, level, _clean(text)] for level, text in lines]

    def _died(self, life: _Life, who: str, exit_code: str, at: float) -> list[tuple[Level, str]]:
        if life.is_being_ended:
            life.is_being_ended = False
            return [("info", f"{who} was ended, exit code {exit_code}")]
        lines: list[tuple[Level, str]] = [
            ("info" if exit_code == "0" else "error", f"{who} died with exit code {exit_code}")
        ]
        life.deaths.append(at)
        while life.deaths and life.deaths[0] < at - LOOP_WITHIN_S:
            life.deaths.popleft()
        if len(life.deaths) >= LOOP_DEATHS and at - life.told_at >= LOOP_WITHIN_S:
            life.told_at = at
            text = (
                f"{who} is in a restart loop: it died {len(life.deaths)} times within {LOOP_WITHIN_S / 60:.0f} minutes"
            )
            lines.append(("critical", text))
        return lines

    def _life(self, container_id: str) -> _Life:
        life = self._lives.pop(container_id, None) or _Life()
        self._lives[container_id] = life  # the one that was heard of last is the last to be forgotten
        if len(self._lives) > MOST_CONTAINERS:
            del self._lives[next(iter(self._lives))]
        return life


def time_ns(event: Mapping[str, Any]) -> int:
    """When it happened, Unix nanoseconds."""
    exact = event.get("timeNano")
    return int(exact) if exact else int(event.get("time") or 0) * 1_000_000_000


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd").replace("\n", " ")[:MAX_MESSAGE_LENGTH]
