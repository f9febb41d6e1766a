"""Suggestions: quieter than the rule they start from, and never at the price of an incident."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.alerts.backtest import backtest
from chatops_backend.alerts.suggestion import suggest
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import Incident, Suggestion, SuggestionRequest, Threshold
from tests.backend.alerts.rules import alerts_app, rule

pytestmark = pytest.mark.anyio

DAY = datetime(2026, 3, 20, tzinfo=UTC)
END = DAY + timedelta(days=2)
LATER = END.timestamp() + 86_400
RULE: dict[str, Any] = {"name": "x", "metric": "host.cpu_percent", "all_servers": True}


def hours(*numbers: float) -> list[datetime]:
    return [DAY + timedelta(hours=number) for number in numbers]


@pytest.fixture(scope="module")
async def busy(new_settings):
    """At 30 but for: a minute at 99 every hour, half an hour at 80 at 5:00, and an incident of an hour at 90 to 94 at
    30:00. The second server has an incident at 60 at 40:00."""
    async with open_database(await new_settings()) as database:
        rows = await database.fetch("INSERT INTO chatops.servers (name) VALUES ('a'), ('b') RETURNING id")
        servers = [row["id"] for row in rows]
        value = """CASE WHEN s = $1 AND m BETWEEN 1800 AND 1859 THEN 90 + m % 5
                        WHEN s = $1 AND m BETWEEN 300 AND 329 THEN 80
                        WHEN s <> $1 AND m BETWEEN 2400 AND 2459 THEN 60
                        WHEN m % 60 = 40 THEN 99 ELSE 30 END"""
        await database.execute(
            f"INSERT INTO metrics.host (time, server_id, cpu_percent) SELECT $2::timestamptz + m * INTERVAL '1 min', s,"
            f" {value} FROM generate_series(0, 2879) AS m, unnest($3::integer[]) AS s",
            servers[0],
            DAY,
            servers,
        )
        yield database, servers


async def ask(database: Any, incidents: list[Incident], **changes: Any) -> tuple[Suggestion, int]:
    """The suggestion, and how often a backtest of it fires."""
    start = Threshold(**RULE | {"window_s": 60, "critical": 50.0} | changes)
    request = SuggestionRequest(threshold=start, start=DAY, end=END, incidents=incidents)
    found = await suggest(database, start, request, LATER)
    suggested = msgspec.structs.replace(start, critical=found.level, clear=found.clear, for_s=found.for_s)
    replayed = await backtest(database, suggested, DAY, END, LATER)
    assert replayed.firing_seconds == found.firing_seconds
    for incident in incidents:
        assert any(
            f.server_id == incident.server_id
            and f.started_at <= incident.end
            and (f.resolved_at is None or f.resolved_at > incident.start)
            for f in replayed.firings
        )
    return found, len(replayed.firings)


async def test_an_incident_is_told_from_what_is_louder_but_shorter(busy) -> None:
    database, servers = busy
    start, end = hours(30, 31)
    found, firings = await ask(database, [Incident(server_id=servers[0], start=start, end=end)])
    assert (found.firings, firings) == (1, 1)
    assert found.level < 90
    assert found.for_s >= 60


async def test_every_incident_counts(busy) -> None:
    database, servers = busy
    incidents = [
        Incident(server_id=servers[0], start=hours(30)[0], end=hours(31)[0]),
        Incident(server_id=servers[1], start=hours(40)[0], end=hours(41)[0]),
    ]
    found, firings = await ask(database, incidents)
    assert (found.firings, firings) == (2, 2)
    assert found.level < 60
    assert found.for_s == 1_800  # longer than the half hour that was none


async def test_the_clear_level_keeps_its_distance(busy) -> None:
    database, servers = busy
    start, end = hours(30, 31)
    found, _ = await ask(database, [Incident(server_id=servers[0], start=start, end=end)], clear=40.0)
    assert found.clear == pytest.approx(found.level - 10, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "span", "words"),
    [
        ({"comparison": "outside", "critical": (10.0, 90.0)}, (30, 31), "one-sided"),
        ({"server_ids": [], "all_servers": False}, (30, 31), "does not watch"),
        ({}, (31, 30), "end after it starts"),
        ({}, (47, 49), "within"),
        ({"metric": "host.load_1m"}, (30, 31), "No level"),
    ],
)
async def test_what_cannot_be_searched_is_refused(busy, changes, span, words) -> None:
    database, servers = busy
    start, end = hours(*span)
    with pytest.raises(ProblemError, match=r".*") as refused:
        await ask(database, [Incident(server_id=servers[0], start=start, end=end)], **changes)
    assert words in f"{refused.value.problem.title} {refused.value.problem.detail}"


@pytest.fixture
def app(build_app, database, settings):
    return alerts_app(build_app, database, settings)


async def test_the_route_refuses_a_bad_rule_and_no_incidents(viewer) -> None:
    times = {"start": "2026-03-28T00:00:00Z", "end": "2026-03-30T00:00:00Z"}
    incident = {"server_id": 2_000_000_000} | times
    for body in (
        {"threshold": rule(window_s=61), "incidents": [incident]},
        {"threshold": rule(), "incidents": []},
        {"threshold": rule(), "incidents": [incident]},
    ):
        answer = await viewer.api.post("/alerts/thresholds/suggest", json=body | times)
        assert answer.status_code == 400, answer.text
