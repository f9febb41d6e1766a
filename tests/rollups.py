"""Refreshes a measurement's roll-ups by hand, up to a moment, in one go."""

from datetime import datetime

from chatops_backend.database.interface import Database

_TAKES_OPTIONS = """
SELECT 'options' = ANY (proargnames) FROM pg_proc WHERE proname = 'refresh_continuous_aggregate' AND prokind = 'p'
"""


async def refresh_rollups(database: Database, measurement: str, until: datetime | None = None) -> None:
    # Newer versions cut the stretch into batches of ten buckets: for minutes of many days that takes a minute.
    whole = ", options => '{\"buckets_per_batch\": 0}'" if await database.fetchval(_TAKES_OPTIONS) else ""
    for tier in ("1m", "1h", "1d"):
        await database.execute(
            f"CALL refresh_continuous_aggregate('metrics.{measurement}_{tier}', NULL, $1::timestamptz{whole})", until
        )
