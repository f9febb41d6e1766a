"""A database with a rule, alerts and channels in it, and a clock that stands still until it is moved."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec

from chatops_backend.alerts import outbox
from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.notifier import Notifier
from chatops_backend.alerts.reminders import Reminders
from chatops_backend.alerts.transports.sender import Sender, create_sender
from chatops_backend.database.interface import Database
from chatops_backend.settings import Settings
from chatops_protocol.alert_resources import Silence, Threshold

START = 1_800_000_000.0


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Alerting:
    database: Database
    settings: Settings
    clock: Clock = field(default_factory=Clock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def channel(self, url: str = "http://192.0.2.1/", kind: str = "webhook", *, enabled: bool = True) -> int:
        row = await self.database.fetchval(
            "INSERT INTO chatops.channels (name, type, url, enabled) VALUES ($1, $2, $3, $4) RETURNING id",
            f"channel {secrets.token_hex(4)}",
            kind,
            url,
            enabled,
        )
        return int(row)

    async def server(self, tags: list[str] | None = None) -> int:
        return int(
            await self.database.fetchval(
                "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id",
                f"server-{secrets.token_hex(4)}",
                tags or [],
            )
        )

    async def rule(self, **values: Any) -> tuple[int, Threshold]:
        values = {"name": f"rule {secrets.token_hex(4)}", "metric": "host.cpu_percent", "all_servers": True} | values
        threshold = Threshold(**{"warning": 80.0, "critical": 95.0} | values)
        threshold_id = await self.database.fetchval(
            "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, $2::jsonb) RETURNING id",
            threshold.name,
            msgspec.json.encode(threshold).decode(),
        )
        return int(threshold_id), threshold

    async def alert(
        self, rule: tuple[int, Threshold], server_id: int, labels: dict[str, Any] | None = None, **changes: Any
    ) -> AlertChange:
        """A new firing alert with its first change; `changes` go into the row."""
        columns = {"state": "firing", "level": "warning"} | changes
        alert_id = await self.database.fetchval(
            "INSERT INTO chatops.alerts (threshold_id, server_id, labels, window_s, started_at, pending_at,"
            f" {', '.join(columns)}) VALUES ($1, $2, $3::jsonb, 300, to_timestamp($4), to_timestamp($4),"
            f" {', '.join(f'${n}' for n in range(5, 5 + len(columns)))}) RETURNING id",
            rule[0],
            server_id,
            msgspec.json.encode(labels or {}).decode(),
            self.clock(),
            *columns.values(),
        )
        row = await self.database.fetchrow("SELECT name, tags FROM chatops.servers WHERE id = $1", server_id)
        assert row is not None
        return AlertChange(
            alert_id=int(alert_id),
            threshold_id=rule[0],
            threshold=rule[1],
            server_id=server_id,
            server_name=row["name"],
            server_tags=row["tags"],
            labels=labels or {},
            transition="fired",
            level=columns["level"],
            value=91.5,
            bound=80.0,
            window_s=300,
            started_at=self.clock(),
            at=self.clock(),
        )

    async def silence(self, **values: Any) -> int:
        row = await self.database.fetchval(
            "INSERT INTO chatops.silences (definition, created_by) VALUES ($1::jsonb, 'ann') RETURNING id",
            msgspec.json.encode(Silence(**values)).decode(),
        )
        return int(row)

    async def enqueue(self, *changes: AlertChange, wait_s: float = 0.0) -> None:
        async with self.database.transaction() as transaction:
            await outbox.enqueue(transaction, changes, clock=self.clock, group_wait_s=wait_s)
        self.wake.set()

    async def stored(self) -> list[dict[str, Any]]:
        rows = await self.database.fetch("SELECT * FROM chatops.notifications ORDER BY id")
        return [dict(row) | {"payload": msgspec.json.decode(row["payload"])} for row in rows]

    async def row(self, table: str, key: int) -> dict[str, Any]:
        row = await self.database.fetchrow(f"SELECT * FROM chatops.{table} WHERE id = $1", key)
        assert row is not None
        return dict(row)

    def reminders(self) -> Reminders:
        return Reminders(self.database, self.wake, self.clock, group_wait_s=0.0)

    def sender(self, *, private: bool = True) -> Sender:
        return create_sender(replace(self.settings, allow_private_targets=private))

    @asynccontextmanager
    async def notifying(self, sender: Any = None, **values: Any) -> AsyncIterator[Notifier]:
        make = partial(Notifier, self.database, self.settings, sender or self.sender(), wake=self.wake)
        notifier = make(clock=self.clock, **{"chance": lambda: 0.5, "poll_s": 0.02} | values)
        task = asyncio.create_task(notifier.run())
        try:
            yield notifier
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any], within_s: float = 20.0) -> None:
    """Wait for a condition, plain or awaitable."""
    async with asyncio.timeout(within_s):
        while True:
            met = condition()
            if await met if asyncio.iscoroutine(met) else met:
                return
            await asyncio.sleep(0.01)


def changed(change: AlertChange, **values: Any) -> AlertChange:
    return msgspec.structs.replace(change, **values)
