"""Backtests against a plain re-implementation, by hand for one known incident, and through the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatops_backend.alerts import replay_values
from chatops_backend.alerts.backtest import backtest
from chatops_backend.alerts.replay_values import plan_replay, read_values
from chatops_backend.alerts.stretches import HOUR_S, MOST_ROWS, pieces, stretches
from chatops_backend.alerts.watched_servers import servers_of
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.rules import alerts_app, rule
from tests.backend.alerts.stored_history import END, START, StoredHistory, expected, fill
from tests.rollups import refresh_rollups

pytestmark = pytest.mark.anyio

LATER = (END + timedelta(days=20)).timestamp()
MOUNT = "filesystem.used_percent"
CPU = "host.cpu_percent"


@pytest.fixture(scope="module")
async def history(new_settings):
    """Three servers, one of which never sent anything. The last hours are not in the roll-ups yet."""
    async with open_database(await new_settings()) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        rows = await database.fetch(
            "INSERT INTO chatops.servers (name, tags) VALUES ('a', '{web}'), ('b', '{}'), ('c', '{}') RETURNING id"
        )
        stored = StoredHistory(database, [row["id"] for row in rows])
        await fill(stored)
        for measurement in ("host", "filesystem"):
            await refresh_rollups(database, measurement, END - timedelta(hours=5))
        yield stored


RULES = [
    pytest.param({"metric": CPU, "critical": 70.0}, "1m", 60, id="plain"),
    pytest.param(
        {"metric": MOUNT, "warning": 60.0, "critical": 80.0, "clear": 50.0, "for_s": 300}, "1m", 60, id="two levels"
    ),
    pytest.param({"metric": MOUNT, "critical": 75.0, "window_s": 60, "clear_for_s": 600.0}, "1m", 60, id="one minute"),
    pytest.param({"metric": MOUNT, "critical": 48.0, "window_s": 60}, "1m", 60, id="often"),
    pytest.param({"metric": CPU, "critical": 60.0, "window_s": 21_600, "aggregate": "max"}, "1m", 60, id="six hours"),
    pytest.param({"metric": CPU, "critical": 44.0, "window_s": 43_200}, "1h", 3_600, id="twelve hours"),
    pytest.param({"metric": CPU, "critical": 25.0, "comparison": "lt", "aggregate": "min"}, "1m", 60, id="below"),
    pytest.param({"metric": MOUNT, "critical": 85.0, "comparison": "gte", "aggregate": "last"}, "1m", 60, id="last"),
    pytest.param(
        {"metric": CPU, "comparison": "outside", "warning": (30.0, 60.0), "critical": (20.0, 80.0)},
        "1m",
        60,
        id="outside",
    ),
    pytest.param({"metric": CPU, "critical": 70.0, "no_data": "keep", "clear_for_s": 1200.0}, "1m", 60, id="keep"),
    pytest.param({"metric": CPU, "critical": 70.0, "no_data": "fire", "for_s": 120}, "1m", 60, id="fire"),
    pytest.param(
        {"metric": CPU, "kind": "change", "against_s": 3600, "critical": 20.0, "for_s": 600}, "1m", 60, id="change"
    ),
    pytest.param(
        {"metric": MOUNT, "kind": "forecast", "window_s": 21_600, "within_s": 86_400, "warning": 95.0},
        "1m",
        1_800,
        id="forecast",
    ),
    pytest.param({"kind": "offline", "window_s": 120}, "1m", 60, id="offline"),
]


@pytest.mark.parametrize(("values", "tier", "step_s"), RULES)
async def test_a_backtest_finds_what_stepping_through_every_moment_finds(
    history: StoredHistory, values: dict[str, Any], tier: str, step_s: int
) -> None:
    threshold = Threshold(name="x", server_ids=history.servers[:2], **values)
    answer = await backtest(history.database, threshold, START, END, LATER)
    assert (answer.tier, answer.step_s, answer.truncated) == (tier, step_s, False)
    mounts = ("/", "/home") if values.get("metric") == MOUNT else ("",)
    wanted: list[tuple[Any, ...]] = []
    told, seconds = 0, 0.0
    for server_id in history.servers[:2]:
        for mount in mounts:
            transitions = expected(history, threshold, (server_id, mount), step_s, tier)
            told += sum(t.kind in ("fired", "raised", "resolved") for t in transitions)
            fired: Any = None
            for t in [t for t in transitions if t.kind in ("fired", "raised", "resolved")]:
                if t.kind == "resolved":
                    wanted.append((server_id, mount, fired[0], t.at, fired[1]))
                    seconds += t.at - fired[0]
                    fired = None
                else:
                    fired = (fired[0] if fired else t.at, t.level)
            if fired:
                wanted.append((server_id, mount, fired[0], None, fired[1]))
                seconds += END.timestamp() - fired[0]
    found = [
        (f.server_id, f.labels.get("mountpoint", ""), f.started_at.timestamp(),
         f.resolved_at.timestamp() if f.resolved_at else None, f.level)
        for f in answer.firings
    ]  # fmt: skip
    assert len(wanted) > 0
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert (answer.notifications, answer.firing_seconds) == (told, pytest.approx(seconds))
    assert answer.per_server == {s: sum(f[0] == s for f in found) for s in history.servers[:2]}
    assert answer.evaluated > 0


async def test_quiet_stretches_are_not_read_and_make_no_difference(history: StoredHistory) -> None:
    threshold = Threshold(name="x", server_ids=history.servers[:1], metric=CPU, critical=75.0, clear=65.0)
    plan = plan_replay(threshold, START.timestamp(), END.timestamp(), LATER)
    servers = await servers_of(history.database, threshold)
    (some,) = [found async for found in read_values(history.database, plan, servers)]
    (every,) = [found async for found in read_values(history.database, plan, servers, all_values=True)]
    assert some.series[0].values.count() < every.series[0].values.count() / 2
    assert some.hours == every.hours
    answer = await backtest(history.database, threshold, START, END, LATER)
    assert len(answer.firings) == len([f for f in answer.firings if f.resolved_at is not None]) > 1


async def test_a_label_keeps_to_its_series_and_a_tag_to_its_servers(history: StoredHistory) -> None:
    values = {"name": "x", "metric": MOUNT, "critical": 70.0}
    one = await backtest(
        history.database, Threshold(**values, tag="web", labels={"mountpoint": "/"}), START, END, LATER
    )
    every = await backtest(history.database, Threshold(**values, all_servers=True), START, END, LATER)
    assert one.firings
    assert list(one.per_server) == history.servers[:1]
    assert one.firings == [
        f for f in every.firings if f.server_id == history.servers[0] and f.labels["mountpoint"] == "/"
    ]
    assert every.per_server[history.servers[2]] == 0


async def test_a_server_without_data_is_unknown_and_not_fine(history: StoredHistory) -> None:
    silent = {"name": "x", "server_ids": history.servers[2:], "metric": CPU, "critical": 70.0}
    answer = await backtest(history.database, Threshold(**silent), START, END, LATER)
    assert (answer.firings, answer.evaluated, answer.per_server) == ([], 0, {history.servers[2]: 0})
    (fired,) = (await backtest(history.database, Threshold(**silent, no_data="fire"), START, END, LATER)).firings
    assert (fired.started_at, fired.resolved_at, fired.value) == (START, None, None)
    offline = Threshold(name="x", server_ids=history.servers[2:], kind="offline")
    assert (await backtest(history.database, offline, START, END, LATER)).firings == []


async def test_a_server_that_was_silent_before_the_range_is_offline_in_it(history: StoredHistory) -> None:
    offline = Threshold(name="x", server_ids=history.servers[:1], kind="offline", window_s=300)
    start = END + timedelta(days=3)
    (fired,) = (await backtest(history.database, offline, start, start + timedelta(days=1), LATER)).firings
    assert (fired.started_at, fired.resolved_at) == (start, None)


async def test_a_range_that_reaches_into_the_future_ends_now(history: StoredHistory) -> None:
    threshold = Threshold(name="x", server_ids=history.servers[:1], metric=CPU, critical=10.0)
    now = (START + timedelta(hours=1)).timestamp()
    answer = await backtest(history.database, threshold, START, END, now)
    assert answer.firing_seconds == 3_600
    later = await backtest(history.database, threshold, END, END + timedelta(hours=1), now)
    assert (later.firings, later.evaluated) == ([], 0)


async def test_a_known_incident_fires_and_ends_when_it_should(new_settings) -> None:
    """Busy from 10:00 to 10:30. A five-minute average is above 90 once it holds busy minutes alone: at 10:05."""
    day = datetime(2026, 3, 29, tzinfo=UTC)
    async with open_database(await new_settings()) as database:
        server_id = await database.fetchval("INSERT INTO chatops.servers (name) VALUES ('a') RETURNING id")
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent) SELECT t, $1,"
            " CASE WHEN t >= $2::timestamptz + INTERVAL '10 h' AND t < $2::timestamptz + INTERVAL '10 h 30 min'"
            " THEN 100 ELSE 10 END"
            " FROM generate_series($2::timestamptz, $2::timestamptz + INTERVAL '12 h', INTERVAL '20 s') AS t",
            server_id,
            day,
        )
        values = {"name": "x", "all_servers": True, "metric": CPU, "critical": 90.0}
        answers = [
            (await backtest(database, Threshold(**values, **more), day, day + timedelta(hours=12), LATER)).firings
            for more in ({"for_s": 600}, {"clear": 20.0}, {"clear_for_s": 900.0}, {"for_s": 1_560})
        ]
    begin = day + timedelta(hours=10)
    spans = [[(f.started_at - begin, f.resolved_at and f.resolved_at - begin) for f in found] for found in answers]
    minutes = lambda *n: tuple(timedelta(minutes=one) for one in n)  # noqa: E731
    assert spans == [[minutes(15, 31)], [minutes(5, 35)], [minutes(5, 46)], []]
    assert [f.value for f in answers[0]] == [100.0]


def test_stretches_cover_loud_hours_with_their_margins_and_join_near_ones() -> None:
    day = 24 * HOUR_S
    loud = [40 * day, 2 * day, 3 * day, 40 * day + HOUR_S]
    assert stretches(loud, HOUR_S, 0, 50 * day) == [
        (2 * day - HOUR_S, 3 * day + 2 * HOUR_S),
        (40 * day - HOUR_S, 40 * day + 3 * HOUR_S),
    ]
    assert stretches(loud, HOUR_S, 2 * day, 40 * day) == [
        (2 * day, 3 * day + 2 * HOUR_S),
        (40 * day - HOUR_S, 40 * day),
    ]
    assert stretches([], HOUR_S, 0, day) == []


def test_pieces_are_no_larger_than_a_statement_may_be() -> None:
    covered = [(0, 100 * HOUR_S), (200 * HOUR_S, 201 * HOUR_S)]
    hours = [(first // HOUR_S, last // HOUR_S) for first, last in pieces(covered, MOST_ROWS / 30)]
    assert hours == [(0, 30), (30, 60), (60, 90), (90, 100), (200, 201)]
    assert pieces([(0, 2 * HOUR_S)], MOST_ROWS * 9) == [(0, HOUR_S), (HOUR_S, 2 * HOUR_S)]


async def test_more_than_can_be_read_is_refused(history: StoredHistory, monkeypatch) -> None:
    monkeypatch.setattr(replay_values, "MOST_ROWS", 1_000)
    threshold = Threshold(name="x", server_ids=history.servers[:1], metric=CPU, critical=10.0)
    with pytest.raises(ProblemError, match="Too much to replay"):
        await backtest(history.database, threshold, START, END, LATER)


@pytest.fixture
def app(build_app, database, settings):
    return alerts_app(build_app, database, settings)


async def test_whoever_reads_may_replay_and_nothing_changes(viewer, operator, database) -> None:
    await database.execute("INSERT INTO chatops.servers (name) VALUES ('idle') ON CONFLICT DO NOTHING")
    stored = (await operator.api.post("/alerts/thresholds", json=rule())).json()
    before = await database.fetchval("SELECT count(*) FROM chatops.thresholds")
    times = {"start": "2026-03-28T00:00:00+02:00", "end": "2026-03-30T00:00:00Z"}
    by_id = await viewer.api.post("/alerts/thresholds/backtest", json={"threshold_id": stored["id"]} | times)
    by_rule = await viewer.api.post("/alerts/thresholds/backtest", json={"threshold": stored["threshold"]} | times)
    assert by_id.status_code == by_rule.status_code == 200, by_id.text
    assert by_id.json() == by_rule.json()
    assert (by_id.json()["firings"], by_id.json()["tier"]) == ([], "1m")
    assert await database.fetchval("SELECT count(*) FROM chatops.thresholds") == before


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"threshold": None}, 400),
        ({"threshold_id": 1}, 400),
        ({"threshold": None, "threshold_id": 2_000_000_000}, 404),
        ({"threshold": rule(all_servers=None, server_ids=[])}, 400),
        ({"start": "2026-03-31T00:00:00Z"}, 400),
        ({"start": "2025-03-31T00:00:00Z"}, 400),
        ({"start": "2026-03-28T00:00:00"}, 400),
        ({"start": "yesterday"}, 400),
        ({"end": None}, 400),
    ],
    ids=str,
)
async def test_a_backtest_that_cannot_be_is_refused(viewer, changes, status) -> None:
    body = {"threshold": rule(), "start": "2026-03-28T00:00:00Z", "end": "2026-03-30T00:00:00Z"} | changes
    body = {name: value for name, value in body.items() if value is not None}
    answer = await viewer.api.post("/alerts/thresholds/backtest", json=body)
    assert answer.status_code == status, answer.text
