"""Since when each tier has all its rows: what the planner may choose from. Asks the database now and then."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_protocol.resources import Tier

# Another backend may have changed it; what it let go is dropped within a day, not within seconds.
ASK_AGAIN_S = 30.0


class KeptTiers:
    """Since when each tier that is dropped after a time has all its rows. Asks the database now and then."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._asked_at: float | None = None
        self._kept: dict[Tier, tuple[timedelta, datetime]] = {}

    async def whole_since(self, now: datetime) -> Mapping[Tier, datetime]:
        if self._asked_at is None or self._clock() - self._asked_at >= ASK_AGAIN_S:
            rows = load_queries("metrics").read_metric_tiers(self._database)
            self._kept = {row["tier"]: (timedelta(days=row["days"]), row["whole_since"]) async for row in rows}
            self._asked_at = self._clock()
        return {tier: max(now - kept, since) for tier, (kept, since) in self._kept.items()}

    def ask_again(self) -> None:
        self._asked_at = None
