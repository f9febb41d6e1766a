"""A backend with one rule that tells one channel, hosts that breach it at will, and a look into its database."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.backend.alerts.sinks import Request
from tests.reporting import Reporter, readings
from tests.stack import Backend

WITHIN_S = 120.0
# Missing readings change nothing, so that what happens to the backend in between ends no alert.
RULE = {
    "name": "busy",
    "metric": "host.cpu_percent",
    "all_servers": True,
    "aggregate": "last",
    "window_s": 60,
    "critical": 60,
    "no_data": "keep",
}
BUSY, IDLE = [99.0], [1.0, 1.0, 1.0]  # of a minute that has both, the mean is below the level


async def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


@dataclass
class Hosts:
    """By name; each reports when told to, over a connection of its own."""

    keys: dict[str, str] = field(default_factory=dict)

    def report(self, backend: Backend, names: Iterable[str], values: list[float]) -> None:
        """Return when the readings are stored."""
        for name in names:
            reporter = Reporter(backend.agents_url, self.keys[name])
            try:
                now = time.time()
                reporter.report([(now + n / 100, readings(value)) for n, value in enumerate(values)])
            finally:
                reporter.close()


def prepare(backend: Backend, url: str, hosts: int) -> Hosts:
    """One rule, one channel, no others."""
    for stored in backend.call("GET", "/alerts/thresholds").json()["items"]:
        backend.call("DELETE", f"/alerts/thresholds/{stored['id']}").raise_for_status()
    hook = {"name": "hook", "type": "webhook", "url": url}
    channel = backend.call("POST", "/alerts/channels", json=hook).raise_for_status().json()
    rule = RULE | {"channel_ids": [channel["id"]]}
    backend.call("POST", "/alerts/thresholds", json=rule).raise_for_status()
    return Hosts({name: backend.add_server(name)[1] for name in (f"host-{n}" for n in range(hosts))})


def states(backend: Backend) -> dict[str, str]:
    """Of each host's newest alert."""
    listed: list[dict[str, Any]] = backend.call("GET", "/alerts?limit=200").json()["items"]
    return {alert["server_name"]: alert["state"] for alert in reversed(listed)}


def transitions(requests: Iterable[Request]) -> Counter[tuple[str, str]]:
    """How often each host's alert was told to fire and to be over."""
    return Counter(
        (alert["labels"]["server"], alert["status"]) for request in requests for alert in request.json["alerts"]
    )
