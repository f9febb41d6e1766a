"""What stored readings take: `GET /metrics/storage`."""

from datetime import datetime

from msgspec import Struct

from chatops_protocol.resources import Tier


class TierStorage(Struct, frozen=True, kw_only=True):
    """One measurement in one tier. `size_bytes` is all it takes on disk, with indexes. Of the chunks that are in the
    columnstore already: `compressed_rows`, and their size before and after. `start` to `end` is what the chunks span,
    whether full or not. `kept_days`: None means for ever."""

    measurement: str
    tier: Tier
    size_bytes: int
    chunks: int
    compressed_chunks: int
    compressed_rows: int
    before_bytes: int
    after_bytes: int
    start: datetime | None
    end: datetime | None
    kept_days: float | None


class Storage(Struct, frozen=True):
    """`database_bytes` is everything, metrics and all else."""

    database_bytes: int
    tiers: list[TierStorage]
