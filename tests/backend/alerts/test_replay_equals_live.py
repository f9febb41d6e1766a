"""The evaluator, tick by tick with a clock that is moved, and a replay of the same readings find the same."""

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.alerts.backtest import transitions_of
from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.alerts.replay_values import plan_replay, read_values
from chatops_backend.alerts.watched_servers import servers_of
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.fleet import Told

pytestmark = pytest.mark.anyio

CPU, DISK = "host.cpu_percent", "filesystem.used_percent"
BEGIN = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # Europe's clocks go forward within the second hour
MINUTES = 150
END = BEGIN + timedelta(minutes=MINUTES)
LATER = (END + timedelta(days=60)).timestamp()

# Rule, server, labels, transition, level, value; and the moment, in Unix seconds.
Happened = tuple[str, int, str, str, str, float | None]
RULES: dict[str, dict[str, Any]] = {
    "plain": {"metric": CPU, "critical": 70.0},
    "hysteresis": {"metric": CPU, "window_s": 60, "warning": 60.0, "critical": 85.0, "clear": 45.0, "for_s": 120},
    "late end": {"metric": CPU, "window_s": 60, "aggregate": "max", "warning": 75.0, "clear_for_s": 300.0},
    "below": {"metric": CPU, "window_s": 120, "aggregate": "min", "comparison": "lt", "critical": 25.0},
    "outside": {"metric": CPU, "comparison": "outside", "warning": (30.0, 60.0), "critical": (20.0, 80.0)},
    "ignore": {"metric": CPU, "window_s": 60, "critical": 50.0, "for_s": 180, "no_data": "ignore"},
    "keep": {"metric": CPU, "window_s": 60, "critical": 50.0, "for_s": 180, "no_data": "keep"},
    "fire": {"metric": CPU, "window_s": 60, "critical": 50.0, "for_s": 180, "no_data": "fire"},
    "fire at once": {"metric": CPU, "window_s": 60, "warning": 50.0, "critical": 90.0, "no_data": "fire"},
    "change": {"metric": CPU, "window_s": 120, "kind": "change", "against_s": 3_600, "critical": 25.0, "for_s": 60},
    "last": {"metric": DISK, "window_s": 180, "aggregate": "last", "warning": 60.0, "critical": 75.0},
    "one label": {"metric": DISK, "window_s": 60, "critical": 70.0, "labels": {"mountpoint": "/home"}},
    "labels keep": {"metric": DISK, "window_s": 60, "critical": 60.0, "for_s": 120, "no_data": "keep"},
    "labels fire": {"metric": DISK, "window_s": 60, "warning": 55.0, "critical": 70.0, "for_s": 60, "no_data": "fire"},
    "labels fire late": {"metric": DISK, "critical": 60.0, "for_s": 240, "clear_for_s": 120.0, "no_data": "fire"},
    "one label fires": {"metric": DISK, "window_s": 60, "critical": 70.0, "labels": {"mountpoint": "/home"}}
    | {"no_data": "fire"},
    "no such label": {"metric": DISK, "critical": 70.0, "labels": {"mountpoint": "/nowhere"}, "no_data": "fire"},
}


def walk(name: str, away: Iterable[tuple[float, float]]) -> Iterator[tuple[datetime, float | None]]:
    """A value that wanders across all levels, sometimes missing, with stretches of minutes without any reading."""
    chance = random.Random(name)
    moment, value = BEGIN - timedelta(minutes=70), 45.0
    while moment < END - timedelta(seconds=1):
        moment += timedelta(seconds=chance.choice([7, 15, 30, 30, 45, 110]))
        value = min(100.0, max(5.0, value + chance.gauss(0, 7) + (47 - value) * 0.03))
        minute = (moment - BEGIN).total_seconds() / 60
        if not any(first <= minute < last for first, last in away):
            # Some minutes have readings of other fields only.
            missing = chance.random() < 0.1 or any(first + 14 <= minute < last + 5 for first, last in away)
            yield moment, None if missing else round(value, 3)


async def store(database: Database, server_id: int, mount: str, away: Iterable[tuple[float, float]]) -> None:
    rows = list(walk(f"{server_id} {mount}", away))
    columns: dict[str, list[Any]] = {
        "time": [moment for moment, _ in rows],
        "server_id": [server_id] * len(rows),
        "used_percent" if mount else "cpu_percent": [value for _, value in rows],
    }
    if mount:
        columns |= {"mountpoint": [mount] * len(rows), "device": ["d"] * len(rows)}
        columns |= {"filesystem_type": ["ext4"] * len(rows)}
    async with database.transaction() as transaction:
        await transaction.insert_columns("filesystem" if mount else "host", list(columns), list(columns.values()))


@pytest.fixture(scope="module")
async def database(new_settings):
    """Three servers: one reports all the time, one with holes, in which its mounts come and go, one never."""
    async with open_database(await new_settings()) as opened:
        if opened.runs_policies:
            await opened.execute("SELECT _timescaledb_functions.stop_background_workers()")
        for name in ("steady", "holes", "never"):
            await opened.execute("INSERT INTO chatops.servers (name) VALUES ($1)", name)
        steady, holes, _ = await server_ids(opened)
        for mount in ("", "/", "/home"):
            await store(opened, steady, mount, [])
        both = [(40.0, 55.0), (100.0, 104.0)]
        await store(opened, holes, "", [*both, (130.0, 1_000.0)])
        await store(opened, holes, "/", [*both, (70.0, 85.0)])
        await store(opened, holes, "/home", [*both, (20.0, 30.0), (80.0, 95.0), (120.0, 1_000.0)])
        yield opened


async def server_ids(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("SELECT id FROM chatops.servers ORDER BY id")]


async def add_rules(database: Database, rules: dict[str, dict[str, Any]]) -> list[Threshold]:
    """In place of those that were there, on all servers unless they say others."""
    await database.execute("DELETE FROM chatops.thresholds")
    await database.execute("DELETE FROM chatops.alert_events")
    thresholds = [
        Threshold(name=name, **({"all_servers": True} if "server_ids" not in values else {}), **values)
        for name, values in rules.items()
    ]
    for threshold in thresholds:
        await database.execute(
            "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, $2::jsonb)",
            threshold.name,
            msgspec.json.encode(threshold).decode(),
        )
    return thresholds


Arrive = Callable[[float], Awaitable[None]]


async def live(
    database: Database, ticks: Iterable[float], arrive: Arrive | None = None
) -> list[tuple[Happened, float]]:
    """What the evaluator stores while its clock goes through `ticks`; `arrive` is called before each."""
    evaluator = Evaluator(database, Told())
    labels: dict[int, str] = {}  # by alert: a pending one that is cancelled is deleted
    for at in ticks:
        if arrive is not None:
            await arrive(at)
        await evaluator.evaluate(at)
        for row in await database.fetch("SELECT id, labels::text AS labels FROM chatops.alerts"):
            labels[row["id"]] = canonical(msgspec.json.decode(row["labels"]))
    rows = await database.fetch(
        "SELECT rule.name, event.server_id, event.alert_id, event.transition, event.level, event.value,"
        " extract(epoch FROM event.time)::float8 AS at FROM chatops.alert_events AS event"
        " JOIN chatops.thresholds AS rule ON rule.id = event.threshold_id"
    )
    return [
        (
            (row["name"], row["server_id"], labels[row["alert_id"]], row["transition"], row["level"], row["value"]),
            row["at"],
        )
        for row in rows
    ]


async def replayed(
    database: Database, thresholds: list[Threshold], begin: datetime = BEGIN, end: datetime = END
) -> list[tuple[Happened, float]]:
    found: list[tuple[Happened, float]] = []
    for threshold in thresholds:
        plan = plan_replay(threshold, begin.timestamp(), end.timestamp(), LATER)
        names = plan.source.measurement.label_names
        async for read in read_values(database, plan, await servers_of(database, threshold)):
            for one in read.series:
                labels = canonical(dict(zip(names, one.labels, strict=True)) if one.labels else {})
                for t in transitions_of(plan, plan.bounds, one):
                    value = None if one.part == "presence" else t.value
                    found.append(((threshold.name, read.server.id, labels, t.kind, t.level, value), t.at))
    return found


def canonical(labels: dict[str, Any]) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()


def rounded(found: list[tuple[Happened, float]]) -> list[Any]:
    """In order, values to a few digits: the database and polars add up in different orders."""
    return sorted((*what[:5], at, what[5] and round(what[5], 6)) for what, at in found)


async def test_what_rules_do_minute_by_minute_a_replay_finds(database: Database) -> None:
    thresholds = await add_rules(database, RULES)
    begin = int(BEGIN.timestamp())
    lived = rounded(await live(database, range(begin, int(END.timestamp()) + 1, 60)))
    found = rounded(await replayed(database, thresholds))
    for name in RULES:
        assert [one for one in found if one[0] == name] == [one for one in lived if one[0] == name]
    # Each of them did something, or the comparison says nothing.
    kinds = {name: {one[3] for one in lived if one[0] == name} for name in RULES}
    assert {name for name, seen in kinds.items() if not seen >= {"fired", "resolved"}} <= {"no such label"}
    assert {one[3] for one in lived} == {"pending", "cancelled", "fired", "raised", "resolved"}


async def test_forecasts_are_the_same_at_the_moments_that_a_replay_looks_at(database: Database) -> None:
    forecast = {"metric": CPU, "kind": "forecast", "window_s": 3_600, "within_s": 3_600, "warning": 75.0}
    thresholds = await add_rules(database, {"ignore": forecast, "keep": {**forecast, "no_data": "keep"}})
    begin = int(BEGIN.timestamp())
    lived = rounded(await live(database, range(begin, int(END.timestamp()) + 1, 300)))
    assert rounded(await replayed(database, thresholds)) == lived
    assert {one[3] for one in lived} >= {"fired", "resolved"}


async def test_a_long_window_read_from_the_hours_is_the_same_hour_by_hour(database: Database) -> None:
    begin = BEGIN + timedelta(days=10)
    server_id = await new_server(database)
    for number in range(80 * 6):
        await reading(database, server_id, begin + timedelta(minutes=10 * number), 30.0 + 50 * (number // 90 % 2))
    thresholds = await add_rules(
        database, {"hours": {"metric": CPU, "window_s": 28_800, "critical": 60.0, "clear": 40.0, "for_s": 7_200}}
    )
    end = begin + timedelta(hours=100)
    lived = rounded(await live(database, range(int(begin.timestamp()), int(end.timestamp()) + 1, 3_600)))
    assert rounded(await replayed(database, thresholds, begin, end)) == lived
    assert [one[3] for one in sorted(lived, key=lambda one: one[5])].count("fired") == 3


async def new_server(database: Database) -> int:
    row = await database.fetchval("INSERT INTO chatops.servers (name) VALUES (gen_random_uuid()::text) RETURNING id")
    return int(row)


async def reading(database: Database, server_id: int, moment: datetime, cpu: float) -> None:
    await database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) VALUES ($1, $2, $3)", moment, server_id, cpu
    )


# Minutes and the value that the host has in them; None: it sends nothing.
SCRIPT = [(4, 20.0), (6, 65.0), (5, 92.0), (5, 55.0), (4, 20.0), (2, 65.0), (4, 20.0), (5, None), (4, 20.0), (5, 92.0)]


async def test_every_ten_seconds_on_readings_that_arrive_a_rule_does_what_a_replay_finds_by_the_minute(
    database: Database,
) -> None:
    begin = BEGIN + timedelta(days=20)
    end = begin + timedelta(minutes=sum(minutes for minutes, _ in SCRIPT))
    server_id = await new_server(database)
    values = iter([value for minutes, value in SCRIPT for _ in range(minutes * 6)])

    async def arrive(at: float) -> None:
        value = next(values, None)
        if value is not None:
            await reading(database, server_id, datetime.fromtimestamp(at - 1, UTC), value)
        await heard(database, server_id, at - 1 if value is not None else None)

    on = {"server_ids": [server_id]}
    steps = {"metric": CPU, "window_s": 60, "warning": 60.0, "critical": 85.0, "clear": 45.0}
    rules = {
        "waits": {**on, **steps, "for_s": 180, "clear_for_s": 60.0},
        "at once": {**on, **steps, "no_data": "keep"},
        "no data": {**on, **steps, "for_s": 60, "no_data": "fire"},
        "offline": {**on, "kind": "offline", "window_s": 120},
    }
    for name in rules:  # one after the other: a host that is down would hold the others back
        thresholds = await add_rules(database, {name: rules[name]})
        values = iter([value for minutes, value in SCRIPT for _ in range(minutes * 6)])
        await database.execute("DELETE FROM metrics.host WHERE server_id = $1", server_id)
        await reading(database, server_id, begin - timedelta(seconds=5), 20.0)
        await heard(database, server_id, begin.timestamp() - 5)
        lived = await live(database, range(int(begin.timestamp()) + 10, int(end.timestamp()) + 1, 10), arrive)
        found = await replayed(database, thresholds, begin, end)
        lived.sort(key=lambda one: one[1])
        found.sort(key=lambda one: one[1])
        assert [what[:5] for what, _ in found] == [what[:5] for what, _ in lived], name
        assert [at for _, at in found] == [pytest.approx(at, abs=60) for _, at in lived], name
        assert {what[3] for what, _ in lived} >= {"fired", "resolved"}


async def heard(database: Database, server_id: int, at: float | None) -> None:
    if at is not None:
        await database.execute(
            "INSERT INTO chatops.stream_marks (server_id, stream, last_sequence, received_at)"
            " VALUES ($1, 's', 1, to_timestamp($2))"
            " ON CONFLICT (server_id, stream) DO UPDATE SET received_at = excluded.received_at",
            server_id,
            at,
        )
