"""Every named query is prepared on the real schema; those that run all the time are explained on many rows.

They are explained as the tenth execution on one connection, when PostgreSQL would have changed to a generic plan, if it
took that for cheaper. A generic plan reads the readings of the whole fleet to answer for one server.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.database.queries import load_queries, sql_directory
from chatops_backend.metrics.planner import plan
from chatops_backend.metrics.statements import latest_statement, series_statement
from chatops_protocol.catalog import BY_NAME, MEASUREMENTS
from tests.rollups import refresh_rollups

pytestmark = pytest.mark.anyio

FEATURES = sorted(path.stem for path in (sql_directory() / "queries").glob("*.sql"))
QUERIES = [
    (feature, name)
    for feature in FEATURES
    for name in load_queries(feature).available_queries
    if not name.endswith("_cursor")
]
SERVERS = 200
# Six days, each server at moments of its own.
AGES = f"generate_series(0, 6 * 24 - 1) AS hours, generate_series(1, {SERVERS}) AS server"
TIME = "now() - hours * INTERVAL '1 hour' - server * INTERVAL '17 milliseconds'"
MARKS = 2_000
# A table of a few pages is read as a whole whatever its indexes.
SMALL_PAGES = 4


@pytest.mark.parametrize(("feature", "name"), QUERIES)
async def test_each_named_query_fits_the_schema(database: Database, feature: str, name: str) -> None:
    query = getattr(load_queries(feature), name)
    assert query.__doc__, "a sentence says what it is for"
    async with database.transaction() as transaction:
        await transaction.execute(f"PREPARE checked AS {query.sql}")
        await transaction.execute("DEALLOCATE checked")


def test_every_file_of_queries_is_covered() -> None:
    assert {feature for feature, _ in QUERIES} == set(FEATURES) >= {"accounts", "ingest", "live", "metrics", "servers"}


@pytest.fixture(scope="module")
async def stored(new_settings: Any) -> AsyncIterator[Database]:
    """Six days of two hundred servers in a chunk a day, refreshed and analysed, and the marks of two thousand."""
    settings = await new_settings()
    async with open_database(settings) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        await database.execute(
            "INSERT INTO chatops.servers (name) SELECT n::text FROM generate_series(1, $1) AS n", MARKS
        )
        await database.execute("INSERT INTO chatops.stream_marks SELECT id, 'spool', 7, now() FROM chatops.servers")
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent, memory_used_percent) "
            f"SELECT {TIME}, server, hours, 50 FROM {AGES}"
        )
        await database.execute(
            "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
            f"SELECT {TIME}, server, mount, 'disk', 'ext4', hours FROM {AGES}, unnest(ARRAY['/', '/home']) AS mount "
            "WHERE hours % 3 = 0"
        )
        await refresh_rollups(database, "filesystem")
        for table in await database.fetch(
            "SELECT format('%I.%I', hypertable_schema, hypertable_name) FROM timescaledb_information.hypertables "
            "WHERE hypertable_name IN ('host', 'filesystem') UNION ALL "
            "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) "
            "FROM timescaledb_information.continuous_aggregates WHERE view_name LIKE 'filesystem%' UNION ALL "
            "SELECT unnest(ARRAY['chatops.servers', 'chatops.stream_marks'])"
        ):
            await database.execute(f"ANALYZE {table[0]}")
        yield database


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, int | float) else f"'{value}'"


class Explained:
    """One execution: the scans that ran, and how many rows they looked at."""

    def __init__(self, nodes: list[dict[str, Any]], pages: dict[str, int]) -> None:
        self.scans = [node for node in nodes if "Relation Name" in node and node["Actual Loops"] > 0]
        self.whole = [
            node["Relation Name"]
            for node in self.scans
            if node["Node Type"] == "Seq Scan" and pages.get(node["Relation Name"], 0) > SMALL_PAGES
        ]
        self.rows = sum(
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in self.scans
        )


async def explain(database: Database, statement: str, *parameters: Any) -> Explained:
    values = f"({', '.join(map(_literal, parameters))})" if parameters else ""
    async with database.transaction() as transaction:
        await transaction.execute(f"PREPARE explained AS {statement}")
        for _ in range(9):
            await transaction.execute(f"EXPLAIN EXECUTE explained {values}")
        text = await transaction.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained {values}")
        await transaction.execute("DEALLOCATE explained")
        pages = {row[0]: row[1] for row in await transaction.fetch("SELECT relname, relpages FROM pg_class")}
    return Explained(list(_nodes(msgspec.json.decode(text)[0]["Plan"])), pages)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@pytest.mark.parametrize(
    ("metric", "length", "points", "tier", "at_most"),
    [
        ("host.cpu_percent", timedelta(hours=6), 500, "raw", 7),
        ("filesystem.used_percent", timedelta(hours=6), 300, "1m", 6),
        ("filesystem.used_percent", timedelta(days=5), 100, "1h", 84),
    ],
)
async def test_reading_one_servers_history_looks_at_its_rows_only(
    stored: Database, metric: str, length: timedelta, points: int, tier: str, at_most: int
) -> None:
    now = datetime.now(UTC)
    chosen = plan(now - length, now, points, now, 5.0)
    assert chosen.tier == tier
    measurement = BY_NAME[metric.partition(".")[0]]
    field = measurement.field(metric.partition(".")[2])
    assert field is not None
    statement, parameters = series_statement(measurement, field, chosen, [7], {}, None, (), 1_000_001)
    explained = await explain(stored, statement, *parameters)
    assert explained.whole == []
    assert 0 < explained.rows <= at_most


@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda m: m.name)
async def test_the_latest_rows_of_one_server_are_found_by_index(stored: Database, measurement: Any) -> None:
    explained = await explain(stored, latest_statement(measurement), 7)
    assert explained.whole == []
    assert explained.rows <= 8


async def test_a_server_without_readings_costs_no_more(stored: Database) -> None:
    explained = await explain(stored, latest_statement(BY_NAME["host"]), SERVERS + 1)
    assert explained.whole == []
    assert explained.rows == 0


@pytest.mark.parametrize(("query", "at_most"), [("newest_hosts", 2 * SERVERS), ("newest_filesystems", 4 * SERVERS)])
async def test_the_fleets_newest_rows_are_found_by_time(stored: Database, query: str, at_most: int) -> None:
    explained = await explain(stored, getattr(load_queries("live"), query).sql)
    assert explained.whole == []
    assert explained.rows <= at_most


async def test_marks_of_a_batch_are_found_by_key(stored: Database) -> None:
    ids = list(range(100, 110))
    statement = load_queries("ingest").advance_marks.sql
    explained = await explain(stored, statement, ids, ["spool"] * 10, [7] * 10, [8] * 10)
    assert explained.whole == []
    assert explained.rows <= 4 * len(ids)


async def test_the_fleets_list_reads_each_mark_once(stored: Database) -> None:
    explained = await explain(stored, load_queries("live").list_fleet.sql)
    # Twice all servers: the view, and the table for its interval.
    assert explained.rows <= 3 * MARKS
