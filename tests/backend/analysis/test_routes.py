"""The five questions over HTTP, against a database whose history is constructed; and what is refused."""

import time
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from chatops_backend.analysis.questions import correlate
from chatops_backend.database.interface import Database
from tests.backend.analysis.conftest import DAY, DELAY, HOUR, INCIDENT, MINUTE, NOW, UNUSUAL, History
from tests.backend.metrics.conftest import assert_problem

pytestmark = pytest.mark.anyio


async def answer(asked: httpx.AsyncClient, name: str, **parameters: Any) -> dict[str, Any]:
    sent = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in parameters.items()}
    found = await asked.get(f"/{name}", params=sent)
    assert found.status_code == 200, found.text
    return dict(found.json())


async def new_server(database: Database, name: str, interval_s: float) -> int:
    found = await database.fetchval(
        "INSERT INTO chatops.servers (name, interval_s) VALUES ($1, $2) RETURNING id", name, interval_s
    )
    return int(found)


# -- forecast ----------------------------------------------------------------------------------------------------


async def test_which_disks_are_full_this_month_and_when(asked: httpx.AsyncClient, servers: History) -> None:
    """40 % thirty days ago and 1.5 points a day since: 85 now, so 100 in ten days."""
    found = await answer(asked, "forecast", metric="filesystem.used_percent", tag="all")
    assert (found["level"], found["direction"], found["unit"]) == (100.0, "rising", "percent")
    by_mount = {one["labels"]["mountpoint"]: one for one in found["series"]}
    first = found["series"][0]
    assert first is by_mount["/"]
    assert first["outcome"] == "reaches"
    assert (first["server_id"], first["tier"]) == (servers.disks, "1d")
    assert abs(datetime.fromisoformat(first["reaches_at"]) - (NOW + 10 * DAY)) < timedelta(days=1)
    assert first["earliest_at"] <= first["reaches_at"] <= first["latest_at"]
    assert first["slope_per_day"] == pytest.approx(1.5, abs=0.1)
    assert by_mount["/home"]["outcome"] == "no_trend"
    assert by_mount["/old"]["outcome"] == "gone"


async def test_less_than_a_fortnight_is_read_by_the_hour(asked: httpx.AsyncClient, servers: History) -> None:
    found = await answer(
        asked,
        "forecast",
        metric="filesystem.used_percent",
        server_id=servers.disks,
        labels='{"mountpoint": "/"}',
        history_s=6 * 86_400,
    )
    [series] = found["series"]
    assert (series["tier"], series["bucket_seconds"]) == ("1h", 7200.0)
    assert series["outcome"] == "reaches"
    assert abs(datetime.fromisoformat(series["reaches_at"]) - (NOW + 10 * DAY)) < timedelta(days=2)


async def test_a_level_and_a_horizon_of_ones_own(asked: httpx.AsyncClient, servers: History) -> None:
    parameters = {"metric": "filesystem.used_percent", "server_id": servers.disks, "labels": '{"mountpoint": "/"}'}
    [series] = (await answer(asked, "forecast", **parameters, level=90))["series"]
    assert abs(datetime.fromisoformat(series["reaches_at"]) - (NOW + 3.3 * DAY)) < timedelta(days=1)
    [series] = (await answer(asked, "forecast", **parameters, horizon_s=86_400))["series"]
    assert series["outcome"] == "beyond_horizon"


# -- anomalies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "tier", "bucket_s"), [(6 * HOUR, "1m", 300), (24 * HOUR, "1m", 900), (5 * DAY, "1h", 3600)]
)
async def test_what_was_unusual_is_found(
    asked: httpx.AsyncClient, servers: History, length: timedelta, tier: str, bucket_s: float
) -> None:
    found = await answer(
        asked, "anomalies", metric="host.cpu_percent", server_id=servers.rhythm, start=NOW - length, end=NOW
    )
    assert (found["tier"], found["bucket_seconds"]) == (tier, bucket_s)
    [series] = found["series"]
    assert (series["outcome"], series["season"], series["weeks"]) == ("unusual", "hour_of_week", 4)
    stretch = max(series["stretches"], key=lambda one: one["score"])
    # A bucket of an hour holds a part of what was busy before and after.
    slack = timedelta(seconds=bucket_s)
    assert UNUSUAL[0] - slack <= datetime.fromisoformat(stretch["start"]) < UNUSUAL[1]
    assert stretch["value"] - stretch["expected"] > 10
    assert len(series["time"]) == len(series["score"]) == len(series["high"])


# -- correlate ---------------------------------------------------------------------------------------------------

LAST_HOURS = {"metric": "host.cpu_percent", "start": NOW - 6 * HOUR, "end": NOW}


async def test_what_moved_with_it_leads_with_its_delay(asked: httpx.AsyncClient, servers: History) -> None:
    found = await answer(asked, "correlate", server_id=servers.incident, **LAST_HOURS)
    assert (found["outcome"], found["tier"], found["bucket_seconds"]) == ("ranked", "1m", 60.0)
    strong = {(one["metric"], one["labels"].get("name")): one for one in found["series"] if one["strength"] > 0}
    assert list(strong)[:2] == [("process.cpu_percent", "backup"), ("disk.write_bytes_per_second", None)] or list(
        strong
    )[:2] == [("disk.write_bytes_per_second", None), ("process.cpu_percent", "backup")]
    assert strong["process.cpu_percent", "backup"]["lag_s"] == 0
    assert strong["disk.write_bytes_per_second", None]["lag_s"] == DELAY * 60
    assert set(strong) == {("process.cpu_percent", "backup"), ("disk.write_bytes_per_second", None)}
    assert found["constant"] > 0
    assert found["compared"] >= 4


async def test_seen_from_the_follower_the_lag_is_the_other_way(asked: httpx.AsyncClient, servers: History) -> None:
    parameters = LAST_HOURS | {"metric": "disk.write_bytes_per_second", "method": "spearman"}
    found = await answer(asked, "correlate", server_id=servers.incident, **parameters)
    host = next(one for one in found["series"] if one["metric"] == "host.cpu_percent")
    assert host["lag_s"] == -DELAY * 60
    assert found["method"] == "spearman"


async def test_series_of_other_servers_are_compared_when_named(asked: httpx.AsyncClient, servers: History) -> None:
    alone = await answer(asked, "correlate", server_id=servers.incident, **LAST_HOURS)
    both = await answer(asked, "correlate", server_id=servers.incident, other_tag="all", limit=500, **LAST_HOURS)
    assert {one["server_id"] for one in alone["series"]} == {servers.incident}
    total = [found["compared"] + found["constant"] + found["short"] for found in (alone, both)]
    assert total[1] > total[0]


async def test_which_series_must_be_said(asked: httpx.AsyncClient, servers: History) -> None:
    parameters = {"metric": "process.cpu_percent", "start": (NOW - HOUR).isoformat(), "server_id": servers.incident}
    assert_problem(await asked.get("/correlate", params=parameters), 400, "3 series", "name=backup")
    labels = {"labels": '{"name": "backup"}'}
    assert (await asked.get("/correlate", params=parameters | labels)).json()["outcome"] == "ranked"


async def test_a_series_is_named_by_its_object_too(asked: httpx.AsyncClient, servers: History) -> None:
    server = await new_server(servers.database, "pushes", 5.0)
    rows = [(NOW - n * MINUTE, server, region, float(n * n % 17)) for n in range(240) for region in ("north", "south")]
    await servers.database.execute(
        "INSERT INTO metrics.custom (time, server_id, name, labels, value) SELECT time, server_id, 'queue', "
        "jsonb_build_object('region', region), value FROM unnest($1::timestamptz[], $2::integer[], $3::text[], "
        "$4::float8[]) AS line (time, server_id, region, value)",
        *map(list, zip(*rows, strict=True)),
    )
    found = await answer(
        asked,
        "correlate",
        server_id=server,
        metric="custom.value",
        start=NOW - 4 * HOUR,
        labels='{"name": "queue", "labels": "{\\"region\\": \\"north\\"}"}',
    )
    assert (found["outcome"], found["labels"]["labels"]) == ("ranked", {"region": "north"})
    assert found["series"][0]["labels"]["labels"] == {"region": "south"}


async def test_a_server_that_reports_every_few_minutes_has_wider_buckets(
    asked: httpx.AsyncClient, servers: History
) -> None:
    server = await new_server(servers.database, "seldom", 200.0)
    rows = [(NOW - n * timedelta(seconds=200), server, float(n * n % 17)) for n in range(216)]
    await servers.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent, memory_used_percent) SELECT time, server_id, value, "
        "value * 2 FROM unnest($1::timestamptz[], $2::integer[], $3::float8[]) AS line (time, server_id, value)",
        *map(list, zip(*rows, strict=True)),
    )
    sent = LAST_HOURS | {"metric": "host.cpu_percent", "start": NOW - 12 * HOUR, "end": NOW}
    found = await answer(asked, "correlate", server_id=server, **sent)
    assert (found["outcome"], found["bucket_seconds"]) == ("ranked", 600)
    assert found["series"][0]["metric"] == "host.memory_used_percent"


async def test_what_stood_still_and_what_is_not_there_are_answers(asked: httpx.AsyncClient, servers: History) -> None:
    still = await answer(
        asked,
        "correlate",
        server_id=servers.incident,
        **LAST_HOURS | {"metric": "process.cpu_percent", "labels": '{"name": "idle"}'},
    )
    assert (still["outcome"], still["series"]) == ("constant", [])
    nothing = await answer(asked, "correlate", server_id=servers.silent, **LAST_HOURS)
    assert nothing["outcome"] == "not_enough_data"
    brief = await answer(asked, "correlate", server_id=servers.incident, **LAST_HOURS | {"start": NOW - 5 * MINUTE})
    assert brief["outcome"] == "not_enough_data"


async def test_more_series_than_can_be_ranked_are_refused(
    asked: httpx.AsyncClient, servers: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correlate, "MOST_SERIES", 5)
    sent = {"server_id": servers.incident, "metric": "host.cpu_percent", "start": (NOW - HOUR).isoformat()}
    assert_problem(await asked.get("/correlate", params=sent), 400, "fewer")


# -- compare -----------------------------------------------------------------------------------------------------


async def test_this_window_is_compared_with_those_of_other_days_and_weeks(
    asked: httpx.AsyncClient, servers: History
) -> None:
    parameters = {"metric": "host.cpu_percent", "server_id": servers.rhythm, "start": UNUSUAL[0], "end": UNUSUAL[1]}
    for against, count in (("day", 7), ("week", 4)):
        found = await answer(asked, "compare", **parameters, against=against)
        [series] = found["series"]
        assert len(series["windows"]) == count
        # Four readings an hour are too few, so two hours are asked for below.
        assert series["outcome"] == "not_enough_data"
    whole = await answer(asked, "compare", **parameters | {"start": NOW - 3 * HOUR})
    [series] = whole["series"]
    assert (series["outcome"], series["points"]) == ("higher", 8)
    usual = await answer(asked, "compare", **parameters | {"start": NOW - 30 * HOUR, "end": NOW - 24 * HOUR})
    assert usual["series"][0]["outcome"] in ("same", "lower", "higher")
    assert abs(usual["series"][0]["shift"]) < 2


# -- blame -------------------------------------------------------------------------------------------------------


async def test_the_culprit_of_a_rise_has_its_share(asked: httpx.AsyncClient, servers: History) -> None:
    found = await answer(asked, "blame", server_id=servers.incident, start=INCIDENT[0], end=INCIDENT[1])
    assert (found["outcome"], found["cores"], found["tier"]) == ("rise", 4, "1m")
    first = found["processes"]["culprits"][0]
    assert first["labels"] == {"name": "backup", "user": "root"}
    assert first["share"] == pytest.approx(0.9, abs=0.1)
    assert found["processes"]["unexplained_share"] == pytest.approx(0.1, abs=0.1)
    assert found["containers"]["outcome"] == "not_enough_data"
    assert datetime.fromisoformat(found["baseline_end"]) == INCIDENT[0]


async def test_the_minute_in_which_the_window_begins_is_not_of_the_baseline_too(
    asked: httpx.AsyncClient, servers: History
) -> None:
    server, rise = await new_server(servers.database, "steps", 30.0), NOW - 30 * MINUTE
    times = [NOW - n * MINUTE / 2 for n in range(120)]
    await servers.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) SELECT time, $1, value "
        "FROM unnest($2::timestamptz[], $3::float8[]) AS line (time, value)",
        server,
        times,
        [50.0 if time >= rise else 10.0 for time in times],
    )
    found = await answer(asked, "blame", server_id=server, start=rise + MINUTE / 2, end=rise + 5 * MINUTE)
    assert (found["before"], found["window"]) == (10, 50)


async def test_memory_that_did_not_rise_is_no_ones_fault(asked: httpx.AsyncClient, servers: History) -> None:
    found = await answer(
        asked,
        "blame",
        server_id=servers.incident,
        metric="host.memory_used_bytes",
        start=NOW - HOUR,
        end=NOW,
        baseline_start=NOW - 2 * HOUR,
    )
    assert found["outcome"] in ("no_rise", "rise")
    assert found["cores"] is None
    assert {one["rise"] for one in found["processes"]["culprits"]} == {0.0}


async def test_a_server_without_readings_is_an_answer(asked: httpx.AsyncClient, servers: History) -> None:
    found = await answer(asked, "blame", server_id=servers.silent, start=NOW - HOUR)
    assert (found["outcome"], found["rise"]) == ("not_enough_data", None)
    for name in ("forecast", "anomalies", "compare"):
        more = {} if name == "forecast" else {"start": NOW - HOUR}
        assert (await answer(asked, name, metric="host.cpu_percent", server_id=servers.silent, **more))["series"] == []


async def test_the_last_week_and_the_last_hours_are_not_a_moment_too_long(
    asked: httpx.AsyncClient, servers: History
) -> None:
    """`end` is now when the question arrives, which is later than when its start was reckoned."""
    parameters = {"metric": "host.cpu_percent", "server_id": servers.rhythm}
    assert (await answer(asked, "compare", **parameters, start=NOW - 7 * DAY, against="week"))["period_s"] == 604_800
    assert (await answer(asked, "anomalies", **parameters, start=NOW - 6 * HOUR))["bucket_seconds"] == 300


# -- what is refused ---------------------------------------------------------------------------------------------

START = (NOW - HOUR).isoformat()
REFUSED = [
    ("forecast", {"metric": "host.cpu_percnt"}, 404, "host.cpu_percent"),
    ("forecast", {"metric": "host.cpu_percent", "labels": '{"core": "1"}'}, 400, "no label"),
    ("forecast", {"metric": "host.cpu_percent", "labels": "["}, 400, "JSON object"),
    ("forecast", {"metric": "host.cpu_percent", "history_s": "60"}, 400, "history_s"),
    ("forecast", {"metric": "host.cpu_percent", "level": "nan"}, 400, "level"),
    ("forecast", {"metric": "host.cpu_percent", "end": "0001-01-01T00:00:00Z"}, 400, "2000"),
    ("anomalies", {"metric": "host.cpu_percent"}, 400, "start"),
    ("anomalies", {"metric": "host.cpu_percent", "start": "2020-01-01T00:00:00Z"}, 400, "31 days"),
    ("compare", {"metric": "host.cpu_percent", "start": (NOW - 8 * DAY).isoformat(), "against": "week"}, 400, "7 days"),
    ("anomalies", {"metric": "host.cpu_percent", "start": START, "weeks": "99"}, 400, "weeks"),
    ("anomalies", {"metric": "host.cpu_percent", "start": START, "threshold": "nan"}, 400, "threshold"),
    ("correlate", {"metric": "host.cpu_percent", "start": START, "end": START}, 400, "not before"),
    ("correlate", {"metric": "host.cpu_percent", "start": START, "method": "kendall"}, 400, "method"),
    ("correlate", {"metric": "host.cpu_percent", "start": START, "other_server_id": "2000000000"}, 404, "2000000000"),
    ("compare", {"metric": "host.cpu_percent", "start": START, "against": "year"}, 400, "against"),
    ("compare", {"metric": "host.cpu_percent", "start": (NOW - 3 * DAY).isoformat()}, 400, "overlap"),
    ("blame", {"metric": "host.load_1m", "start": START}, 400, "host.cpu_percent"),
    ("blame", {"start": START, "baseline_end": START}, 400, "baseline_start"),
    ("blame", {"start": START, "baseline_start": START, "baseline_end": NOW.isoformat()}, 400, "overlap"),
]


@pytest.mark.parametrize(
    ("name", "parameters", "status", "word"), REFUSED, ids=[f"{case[0]}-{n}" for n, case in enumerate(REFUSED)]
)
async def test_what_is_wrong_is_named(
    asked: httpx.AsyncClient, servers: History, name: str, parameters: dict[str, str], status: int, word: str
) -> None:
    found = await asked.get(f"/{name}", params=parameters | {"server_id": servers.rhythm})
    assert_problem(found, status, word)


@pytest.mark.parametrize("name", ["forecast", "anomalies", "compare"])
@pytest.mark.parametrize(("choice", "word"), [({}, "server_id"), ({"tag": "nobody"}, "nobody")], ids=["none", "tag"])
async def test_no_servers_are_refused(asked: httpx.AsyncClient, name: str, choice: dict[str, str], word: str) -> None:
    sent = {"metric": "host.cpu_percent"} | ({} if name == "forecast" else {"start": START}) | choice
    assert_problem(await asked.get(f"/{name}", params=sent), 400, word)


async def test_correlate_of_six_hours_is_quick_enough_to_be_asked_at_will(
    asked: httpx.AsyncClient, servers: History
) -> None:
    """A hang would show here; `chatops bench correlate` has the figure."""
    began = time.perf_counter()
    await answer(asked, "correlate", server_id=servers.incident, **LAST_HOURS)
    assert time.perf_counter() - began < 30
