"""The migrated schema against the catalogue: tables, roll-ups, and the policies over them."""

import itertools
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.ingest.connection import OLDEST_S
from chatops_backend.metrics import planner
from chatops_protocol.catalog import BY_NAME, MEASUREMENTS, Measurement

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
TIERS = ("1m", "1h", "1d")
KEPT = {"": 7 * DAY, "_1m": 90 * DAY, "_1h": 730 * DAY, "_1d": None}
COMPRESSED_AFTER = {"": DAY, "_1m": 7 * DAY, "_1h": None, "_1d": None}

measurements = pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda m: m.name)
rollups = pytest.mark.parametrize(("measurement", "tier"), list(itertools.product(BY_NAME, TIERS)))

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull
  FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
# A roll-up's policies are listed under its view or under the table behind it, as the version has it.
_POLICY = """
SELECT job.config, extract(epoch FROM job.schedule_interval)::float8 AS every_s, job.scheduled
  FROM timescaledb_information.jobs AS job
  LEFT JOIN timescaledb_information.continuous_aggregates AS rollup
         ON job.hypertable_name IN (rollup.view_name, rollup.materialization_hypertable_name)
 WHERE job.proc_name = $1 AND coalesce(rollup.view_name, job.hypertable_name) = $2
   AND coalesce(rollup.view_schema, job.hypertable_schema) = 'metrics'
"""


async def columns_of(database: Database, table: str) -> list[tuple[str, str, bool]]:
    return [tuple(row) for row in await database.fetch(_COLUMNS, f'metrics."{table}"')]


async def as_time(database: Database, interval: str) -> timedelta:
    return timedelta(seconds=await database.fetchval("SELECT extract(epoch FROM $1::text::interval)::float8", interval))


async def policy(database: Database, procedure: str, table: str) -> dict[str, Any] | None:
    rows = await database.fetch(_POLICY, procedure, table)
    assert len(rows) <= 1
    if not rows:
        return None
    assert rows[0]["scheduled"]
    return msgspec.json.decode(rows[0]["config"]) | {"every_s": rows[0]["every_s"]}


async def test_the_schema_holds_the_catalogue_and_nothing_else(database: Database) -> None:
    rows = await database.fetch(
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'metrics'::regnamespace AND relkind IN ('r', 'v')"
    )
    assert {row[0] for row in rows if row[1] == b"r"} == set(BY_NAME)
    assert {row[0] for row in rows if row[1] == b"v"} == {f"{m}_{tier}" for m in BY_NAME for tier in TIERS}


@measurements
async def test_a_measurement_is_a_hypertable_of_its_labels_and_fields(
    database: Database, measurement: Measurement
) -> None:
    assert await columns_of(database, measurement.name) == [
        ("time", "timestamp with time zone", True),
        ("server_id", "integer", True),
        *((label.name, label.type, True) for label in measurement.labels),
        *((field.name, "double precision", False) for field in measurement.fields),
    ]
    width = await database.fetchval(
        "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_schema = 'metrics' "
        "AND hypertable_name = $1 AND column_name = 'time'",
        measurement.name,
    )
    assert width == DAY


@rollups
async def test_a_rollup_has_average_extremes_samples_and_labels(
    database: Database, measurement: str, tier: str
) -> None:
    found = [(name, kind) for name, kind, _ in await columns_of(database, f"{measurement}_{tier}")]
    assert found == [
        ("time", "timestamp with time zone"),
        ("server_id", "integer"),
        *((label.name, label.type) for label in BY_NAME[measurement].labels),
        *(
            (f"{field}_{part}", "double precision")
            for field in BY_NAME[measurement].field_names
            for part in ("avg", "min", "max")
        ),
        ("samples", "bigint"),
    ]


@rollups
async def test_a_rollup_reads_the_tier_below_and_adds_what_is_not_refreshed_yet(
    database: Database, measurement: str, tier: str
) -> None:
    row = await database.fetchrow(
        "SELECT materialized_only, view_definition FROM timescaledb_information.continuous_aggregates "
        "WHERE view_schema = 'metrics' AND view_name = $1",
        f"{measurement}_{tier}",
    )
    below = {"1m": measurement, "1h": f"{measurement}_1m", "1d": f"{measurement}_1h"}[tier]
    assert row is not None
    assert row["materialized_only"] is False
    assert f"FROM metrics.{below}\n" in row["view_definition"]


@measurements
async def test_each_tier_is_kept_and_compressed_as_documented(database: Database, measurement: Measurement) -> None:
    for suffix, kept in KEPT.items():
        table = measurement.name + suffix
        retention = await policy(database, "policy_retention", table)
        if kept is None or retention is None:
            assert retention is kept is None, table
        else:
            # A year is 365 days or 366.
            assert kept <= await as_time(database, retention["drop_after"]) <= kept + DAY, table
        compression = await policy(database, "policy_compression", table)
        found = compression and await as_time(database, compression["compress_after"])
        assert found == COMPRESSED_AFTER[suffix], table


@measurements
async def test_each_refresh_reads_only_what_its_source_still_keeps(
    database: Database, measurement: Measurement
) -> None:
    every_s = {"1m": 60, "1h": 1_800, "1d": 21_600}
    for tier, source in zip(TIERS, KEPT.values(), strict=False):
        refresh = await policy(database, "policy_refresh_continuous_aggregate", f"{measurement.name}_{tier}")
        assert refresh is not None
        start = await as_time(database, refresh["start_offset"])
        end = await as_time(database, refresh["end_offset"])
        bucket = timedelta(seconds={"1m": 60, "1h": 3_600, "1d": 86_400}[tier])
        assert source is not None
        # A bucket at the window's far end must be whole, too.
        assert start + bucket <= source
        assert timedelta(0) < end <= bucket
        assert refresh["every_s"] == every_s[tier]
        # An hour, a day, thirty days in one batch: a batch for each bucket takes minutes.
        assert refresh["buckets_per_batch"] == {"1m": 60, "1h": 24, "1d": 30}[tier]


@measurements
async def test_no_row_is_taken_that_no_refresh_would_reach(database: Database, measurement: Measurement) -> None:
    refresh = await policy(database, "policy_refresh_continuous_aggregate", f"{measurement.name}_1m")
    assert refresh is not None
    assert timedelta(seconds=OLDEST_S) < await as_time(database, refresh["start_offset"])


async def test_the_planner_knows_how_long_each_tier_is_kept(database: Database) -> None:
    kept = {(suffix[1:] or "raw"): time for suffix, time in KEPT.items() if time is not None}
    assert kept == planner.KEPT
    rows = await database.fetch("SELECT tier, days FROM chatops.metric_tiers")
    assert {row["tier"]: row["days"] * DAY for row in rows} == kept
    assert dict(planner.WIDTHS) == {"1m": 60.0, "1h": 3_600.0, "1d": 86_400.0}


@measurements
async def test_readings_are_found_by_server_and_by_time(database: Database, measurement: Measurement) -> None:
    """Both ways in: one server's history, and the whole fleet's last minute."""
    for suffix in KEPT:
        rows = await database.fetch(
            "SELECT indexdef FROM pg_indexes AS i LEFT JOIN timescaledb_information.continuous_aggregates AS rollup "
            "ON i.tablename = rollup.materialization_hypertable_name "
            "WHERE coalesce(rollup.view_name, tablename) = $1 AND coalesce(rollup.view_schema, schemaname) = 'metrics'",
            measurement.name + suffix,
        )
        keys = {row[0].partition(" USING btree ")[2].replace('"', "") for row in rows}
        assert {"(server_id, time DESC)", "(time DESC)"} <= keys, measurement.name + suffix


async def test_the_columnstore_keeps_the_readings_of_one_series_together(database) -> None:
    rows = await database.fetch(
        "SELECT hypertable::text AS name, segmentby, orderby "
        "FROM timescaledb_information.hypertable_compression_settings"
    )
    found = {row["name"].replace("metrics.", ""): (row["segmentby"], row["orderby"]) for row in rows}
    assert found["host"][0] == "server_id"
    for measurement in MEASUREMENTS:
        if measurement.labels:
            segments, order = found[measurement.name]
            assert segments == "server_id"
            assert order.split(",")[0] == measurement.label_names[0]


async def test_compressed_readings_are_found_by_series_and_time(new_settings) -> None:
    async with open_database(await new_settings()) as database:
        await database.execute(
            "INSERT INTO metrics.cpu (time, server_id, core, cpu_percent) "
            "SELECT '2026-11-03'::timestamptz - n * INTERVAL '1 minute', 1, core, n "
            "FROM generate_series(1, 3000) AS n, unnest(ARRAY['0', '1']) AS core"
        )
        await database.execute("SELECT compress_chunk(chunk, true) FROM show_chunks('metrics.cpu') AS chunk")
        found = await database.fetch(
            "SELECT core, cpu_percent FROM metrics.cpu WHERE server_id = 1 "
            "AND time < '2026-11-03'::timestamptz - INTERVAL '2500 minutes' ORDER BY time DESC, core LIMIT 2"
        )
        assert [tuple(row) for row in found] == [("0", 2501.0), ("1", 2501.0)]


async def test_policies_can_be_set_anew_over_compressed_chunks(new_settings) -> None:
    async with open_database(await new_settings()) as database:
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent) "
            "SELECT now() - n * INTERVAL '1 hour', 1, n FROM generate_series(1, 100) AS n"
        )
        await database.execute("SELECT compress_chunk(chunk, true) FROM show_chunks('metrics.host') AS chunk")
        await database.execute("SELECT metrics.set_policies('host', raw_for => '14 days', compress_after => '2 days')")
        retention = await policy(database, "policy_retention", "host")
        refresh = await policy(database, "policy_refresh_continuous_aggregate", "host_1m")
        assert retention is not None
        assert refresh is not None
        assert await as_time(database, retention["drop_after"]) == 14 * DAY
        assert await as_time(database, refresh["start_offset"]) == 13 * DAY
        assert await database.fetchval("SELECT count(*) FROM metrics.host") == 100
