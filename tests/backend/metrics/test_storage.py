"""What stored readings take, from the statistics of a real database with chunks in the columnstore."""

from datetime import UTC, datetime, timedelta

import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_protocol.catalog import MEASUREMENTS

pytestmark = pytest.mark.anyio

DAY = datetime(2021, 3, 4, tzinfo=UTC)
ROWS = 1440


async def test_every_measurement_has_its_four_tiers_and_what_is_kept(database: Database) -> None:
    rows = [row async for row in load_queries("storage").list_tiers(database)]
    names = [measurement.name for measurement in MEASUREMENTS]
    found = [(row["measurement"], row["tier"]) for row in rows if row["measurement"] in names]
    assert found == [(name, tier) for name in sorted(names) for tier in ("raw", "1m", "1h", "1d")]
    assert {row["tier"] for row in rows if row["kept_days"] is None} == {"1d"}
    assert await load_queries("storage").database_size(database) > 1_000_000


async def test_a_chunk_in_the_columnstore_is_counted_with_its_rows_and_sizes(database: Database) -> None:
    """All sums are of the whole database; what one chunk adds is what they grow by."""

    async def raw() -> dict[str, object]:
        rows = [row async for row in load_queries("storage").list_tiers(database)]
        return dict(next(row for row in rows if (row["measurement"], row["tier"]) == ("custom", "raw")))

    before = await raw()
    await database.execute(
        "INSERT INTO metrics.custom (time, server_id, name, labels, value)"
        " SELECT $1::timestamptz + minute * INTERVAL '1 minute', 1, 'storage', '{}', minute"
        " FROM generate_series(0, $2::integer - 1) AS minute",
        DAY,
        ROWS,
    )
    filled = await raw()
    assert (filled["chunks"], filled["compressed_rows"]) == (before["chunks"] + 1, before["compressed_rows"])
    assert filled["size_bytes"] >= before["size_bytes"] + 50 * ROWS
    assert filled["start"] == DAY
    await database.execute(
        "SELECT compress_chunk(chunk) FROM show_chunks('metrics.custom', older_than => $1::timestamptz) AS chunk",
        DAY + timedelta(days=2),
    )
    packed = await raw()
    assert packed["chunks"] == filled["chunks"]
    assert packed["compressed_chunks"] == filled["compressed_chunks"] + 1
    assert packed["compressed_rows"] == filled["compressed_rows"] + ROWS
    assert packed["before_bytes"] > packed["after_bytes"] > before["after_bytes"]
    assert packed["size_bytes"] < filled["size_bytes"]
    await database.execute(
        "SELECT drop_chunks('metrics.custom', older_than => $1::timestamptz)", DAY + timedelta(days=2)
    )
