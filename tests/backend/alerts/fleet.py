"""Servers, rules and readings in a database, and an evaluator over them; what would be notified is kept in `told`."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.database.interface import Database, Transaction
from chatops_protocol.alert_resources import Threshold


class Told:
    """What would be notified, in place of the outbox."""

    def __init__(self) -> None:
        self.changes: list[AlertChange] = []

    async def __call__(self, transaction: Transaction, changes: Sequence[AlertChange]) -> None:
        assert await transaction.fetchval("SELECT 1") == 1
        self.changes += changes

    def kinds(self) -> list[str]:
        return [change.transition for change in self.changes if change.notify]


class Fleet:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = datetime.now(UTC).replace(second=0, microsecond=0)
        self.told = Told()
        self.evaluator = Evaluator(database, self.told)

    async def server(self, *tags: str, seen_ago_s: float | None = 1.0) -> int:
        server_id: int = await self.database.fetchval(
            "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id", secrets.token_hex(8), list(tags)
        )
        if seen_ago_s is not None:
            await self.seen(server_id, seen_ago_s)
        return server_id

    async def seen(self, server_id: int, ago_s: float) -> None:
        await self.database.execute(
            "INSERT INTO chatops.stream_marks (server_id, stream, last_sequence, received_at) VALUES ($1, 's', 1, $2) "
            "ON CONFLICT (server_id, stream) DO UPDATE SET received_at = excluded.received_at",
            server_id,
            self.now - timedelta(seconds=ago_s),
        )

    async def rule(self, **definition: Any) -> int:
        threshold = Threshold(**({"name": secrets.token_hex(8), "metric": "host.cpu_percent"} | definition))
        rule_id: int = await self.database.fetchval(
            "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, $2::jsonb) RETURNING id",
            threshold.name,
            msgspec.json.encode(threshold).decode(),
        )
        return rule_id

    async def cpu(self, server_id: int, value: float | None, minutes_ago: float = 1, minutes: int = 1) -> None:
        for minute in range(minutes):
            await self.database.execute(
                "INSERT INTO metrics.host (time, server_id, cpu_percent) VALUES ($1, $2, $3)",
                self.now - timedelta(minutes=minutes_ago - minute),
                server_id,
                value,
            )

    async def evaluate(self, after_minutes: float = 0) -> int:
        return await self.evaluator.evaluate((self.now + timedelta(minutes=after_minutes)).timestamp())

    async def alerts(self, server_id: int) -> list[Any]:
        return await self.database.fetch("SELECT * FROM chatops.alerts WHERE server_id = $1 ORDER BY id", server_id)
