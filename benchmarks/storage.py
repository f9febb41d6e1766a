"""Bytes per stored value once chunks are in the columnstore: the demo fleet in the embedded database, per table.

A value is a reading that is there: a field that is not NULL; in a roll-up its average, least and greatest count as
three, and the number of samples as one. Times, labels and server ids are not counted, but their bytes are, as are those
of indexes and of the tables' overhead. `1h` and `1d` stay as rows, as the policies leave them: they are shown, and are
not part of the sum that is held against the limit.

Two fleets: the demo's as `chatops demo` makes it, a reading each 300 s, and the same hosts read each 5 s, as agents do,
for as many days as `--dense` says.
"""

import argparse
import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from benchmarks.environment import describe_machine, fresh_settings, table
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_cli.demo.history import INTERVAL_S, History, batches
from chatops_cli.demo.roles import HOSTS
from chatops_protocol.catalog import BY_NAME, MEASUREMENTS

LIMIT_BYTES = 3.0
AGENT_INTERVAL_S = 5.0
MOST_VALUES = 400_000
IN_COLUMNSTORE = ("raw", "1m")
TIERS = ("raw", "1m", "1h", "1d")
# Whole days, so that every chunk is one that the policies would have compressed.
AGO = timedelta(days=2)


async def fill(database: Database, days: int, interval_s: float) -> None:
    """The fleet as rows, its roll-ups, and both in the columnstore as the policies put them there."""
    end = (datetime.now(UTC) - AGO).replace(hour=0, minute=0)
    history = History(HOSTS, end, days, seed=1, interval_s=interval_s)
    for measurement, frame in history.tables({host.name: place for place, host in enumerate(HOSTS, 1)}).items():
        for batch in batches(frame, MOST_VALUES):
            async with database.transaction() as transaction:
                await transaction.insert_columns(
                    measurement, batch.columns, [column.to_list() for column in batch.iter_columns()]
                )
        for tier in TIERS[1:]:
            await database.execute(
                f"CALL refresh_continuous_aggregate('metrics.{measurement}_{tier}', NULL, $1::timestamptz)", end
            )
        for tier in IN_COLUMNSTORE:
            await database.execute(
                f"SELECT compress_chunk(chunk) FROM show_chunks('{relation(measurement, tier)}') chunk"
            )


def relation(measurement: str, tier: str) -> str:
    return f"metrics.{measurement}" if tier == "raw" else f"metrics.{measurement}_{tier}"


async def values_of(database: Database, measurement: str, tier: str) -> int:
    fields = BY_NAME[measurement].field_names
    columns = fields if tier == "raw" else [f"{name}_{part}" for name in fields for part in ("avg", "min", "max")]
    counted = " + ".join(f'count("{column}")' for column in [*columns, *([] if tier == "raw" else ["samples"])])
    count: int = await database.fetchval(f"SELECT {counted} FROM {relation(measurement, tier)}")
    return count


async def bytes_of(database: Database, measurement: str, tier: str) -> int:
    """With indexes and what is kept out of line."""
    stored: int = await database.fetchval(
        "SELECT coalesce(sum(size.total_bytes), 0)::bigint FROM chunks_detailed_size($1::regclass) AS size",
        await table_of(database, measurement, tier),
    )
    return stored


async def table_of(database: Database, measurement: str, tier: str) -> str:
    if tier == "raw":
        return relation(measurement, tier)
    name: str = await database.fetchval(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
        " FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'metrics' AND view_name = $1",
        f"{measurement}_{tier}",
    )
    return name


async def measure(days: int, interval_s: float) -> tuple[list[list[str]], float]:
    """Rows of the table, and the bytes per value of all that is in the columnstore."""
    rows: list[list[str]] = []
    values_by_tier: Counter[str] = Counter()
    bytes_by_tier: Counter[str] = Counter()
    with fresh_settings(None) as settings:
        async with open_database(settings) as database:
            await migrate(database)
            await fill(database, days, interval_s)
            for measurement in MEASUREMENTS:
                for tier in TIERS:
                    values = await values_of(database, measurement.name, tier)
                    stored = await bytes_of(database, measurement.name, tier)
                    if values == 0:
                        continue
                    kept_as = "columnstore" if tier in IN_COLUMNSTORE else "rows, by policy"
                    rows.append(line(f"{measurement.name} {tier}", values, stored, kept_as))
                    values_by_tier[tier] += values
                    bytes_by_tier[tier] += stored
    values, stored = (sum(counted[tier] for tier in IN_COLUMNSTORE) for counted in (values_by_tier, bytes_by_tier))
    rows.append(line("all in the columnstore", values, stored, ""))
    rows.append(line("all, with what stays as rows", values_by_tier.total(), bytes_by_tier.total(), ""))
    return rows, stored / values


def line(name: str, values: int, stored: int, kept_as: str) -> list[str]:
    return [name, f"{values:,}", f"{stored / 1e6:,.1f} MB", f"{stored / values:.2f}", kept_as]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="days of the demo fleet (%(default)s)")
    parser.add_argument("--dense", type=int, default=1, help="days of the fleet read each 5 s (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    for words, days, interval_s in (
        ("the demo fleet", arguments.days, INTERVAL_S),
        ("the same hosts, read as agents do", arguments.dense, AGENT_INTERVAL_S),
    ):
        if days == 0:
            continue
        rows, figure = asyncio.run(measure(days, interval_s))
        verdict = "met" if figure <= LIMIT_BYTES else "MISSED"
        print(f"\n{words}: {len(HOSTS)} servers, {days} d, a reading each {interval_s:g} s")
        print(f"{figure:.2f} bytes per value, limit {LIMIT_BYTES:g}: {verdict}\n")
        print(table(["table", "values", "stored", "bytes per value", "kept as"], rows))


if __name__ == "__main__":
    main()
