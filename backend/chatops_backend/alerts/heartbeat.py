"""The dead man's switch: calls an address outside while rules are being evaluated, so that somebody else notices when
they are not. The address is the administrator's own setting, not a channel; it may be anywhere and is a secret."""

import asyncio
import logging
from collections.abc import Callable

import httpx
from prometheus_client import Counter

log = logging.getLogger(__name__)

EVERY_S = 60.0
TIMEOUT_S = 15.0

heartbeats = Counter("chatops_heartbeats_total", "Calls of the dead man's switch", ["result"])


class Heartbeat:
    """`run` until cancelled. Silent while `healthy` says no: that silence is the alarm."""

    def __init__(self, url: str, healthy: Callable[[], bool], every_s: float = EVERY_S) -> None:
        self._url = url
        self._healthy = healthy
        self._every_s = every_s

    async def run(self) -> None:
        while True:
            if self._healthy():
                await self.beat()
            else:
                heartbeats.labels("withheld").inc()
            await asyncio.sleep(self._every_s)

    async def beat(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client:
                answer = await client.get(self._url, headers={"User-Agent": "ChatOps"})
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed(type(error).__name__)
        if not answer.is_success:
            return self._failed(f"status {answer.status_code}")
        heartbeats.labels("sent").inc()
        return True

    def _failed(self, why: str) -> bool:
        heartbeats.labels("failed").inc()
        log.warning("the heartbeat did not get through: %s", why)
        return False
