"""How the database answers: with the index of words where a word is rare, and never by reading everything."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.database.queries import load_queries

pytestmark = pytest.mark.anyio

SERVERS, LINES = 3, 30_000
NEEDLE_EVERY = 2_500
# Within one chunk, whatever the time of day: of a part of a day, reading all can be cheaper than the index of words.
NEWEST = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)


@pytest.fixture(scope="module")
async def stored(new_settings: Any) -> AsyncIterator[Database]:
    """A day of three servers in thirty thousand lines, some of them rare, and statistics as policies make them."""
    async with open_database(await new_settings()) as database:
        await database.execute(
            "INSERT INTO chatops.logs (time, server_id, source, level, message) "
            "SELECT $4::timestamptz - ($3::int - n) * INTERVAL '2.8 seconds', n % $1::int + 1, 'x', "
            "CASE WHEN n % 100 = 0 THEN 'warning' ELSE 'info' END::chatops.log_level, "
            "'request ' || n || ' from 10.0.' || n % 250 || '.7 status ' || n % 7 || "
            "CASE WHEN n % $2::int = 6 THEN ' needle' ELSE '' END FROM generate_series(0, $3::int - 1) AS n",
            SERVERS,
            NEEDLE_EVERY,
            LINES,
            NEWEST,
        )
        await database.execute("ANALYZE chatops.logs")
        yield database


async def looked_at(database: Database, **filters: Any) -> tuple[set[str], float]:
    """The indexes that were used, and how many rows were looked at, for the newest hundred lines of a day."""
    # In the order in which the query names them.
    values = {
        "server_id": 2, "start": NEWEST - timedelta(days=1), "end": NEWEST + timedelta(minutes=10), "before": None,
        "before_id": None, "level": None, "source": None, "search": None, "count": 101,
    } | filters  # fmt: skip
    query = load_queries("logs").list_log_lines.sql
    text = await database.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", *values.values())
    nodes = [node for node in _nodes(msgspec.json.decode(text)[0]["Plan"]) if node["Actual Loops"] > 0]
    assert [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Actual Rows"] > 100] == []
    rows = [
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if _is_of_a_chunk(node)
    ]
    return {node["Index Name"].removeprefix("_hyper_") for node in nodes if "Index Name" in node}, sum(rows)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _is_of_a_chunk(node: dict[str, Any]) -> bool:
    return "Relation Name" in node and node["Node Type"] != "Custom Scan"


@pytest.mark.parametrize("search", ["'needle'", "'haystack'", "'need':*", "('10' <-> '0' <-> '6') & 'needle'"])
async def test_a_rare_word_of_a_day_is_found_by_the_index_of_words(stored: Database, search: str) -> None:
    indexes, rows = await looked_at(stored, search=search)
    assert any(name.endswith("logs_words") for name in indexes), indexes
    assert rows <= 2 * LINES / NEEDLE_EVERY


@pytest.mark.parametrize("filters", [{}, {"search": "'request'"}, {"search": "'request' & !'needle'"}])
async def test_the_newest_lines_are_read_in_their_order_and_no_more_of_them(stored: Database, filters: Any) -> None:
    indexes, rows = await looked_at(stored, **filters)
    assert any(name.endswith("logs_server_time") for name in indexes), indexes
    assert rows <= 150


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
async def test_warnings_and_worse_have_an_index_of_their_own(stored: Database, level: str) -> None:
    indexes, rows = await looked_at(stored, level=level)
    assert any(name.endswith("logs_worse") for name in indexes), indexes
    assert rows <= LINES / SERVERS / 100 + 10


async def test_a_later_page_costs_no_more_than_the_first(stored: Database) -> None:
    before = NEWEST - timedelta(hours=12)
    _, rows = await looked_at(stored, before=before, before_id=1)
    assert rows <= 150


async def test_live_readers_look_at_what_is_new_only(stored: Database) -> None:
    newest = await stored.fetchval(load_queries("logs").newest_log_id.sql, 2)
    query = load_queries("logs").newest_log_lines.sql
    text = await stored.fetchval(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", 2, newest - 10 * SERVERS, None, None, None, 501
    )
    nodes = [node for node in _nodes(msgspec.json.decode(text)[0]["Plan"]) if _is_of_a_chunk(node)]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) == 10
    assert sum(node.get("Rows Removed by Filter", 0) for node in nodes) <= 10
