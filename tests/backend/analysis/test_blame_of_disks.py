"""Blame of disks over HTTP: who writes, who fills a file system, and what has to be said for it."""

from typing import Any

import httpx
import polars as pl
import pytest

from tests.backend.analysis.conftest import DAY, HOUR, NOW, History, store
from tests.backend.analysis.test_routes import answer, new_server
from tests.backend.metrics.conftest import assert_problem

pytestmark = pytest.mark.anyio

GIB, A_DAY = 2**30, 2**30 / 86_400
# A whole hour, since these ranges are read by the hour.
END = NOW.replace(minute=0)
TIMES = [END - n * HOUR for n in range(20 * 24, 0, -1)]
BEGAN = END - 10 * DAY
WINDOW: dict[str, Any] = {"start": BEGAN, "end": END}
MAIL = '{"mountpoint": "/srv"}'


def _stepped(before: float, now: float) -> list[float]:
    return [now if time >= BEGAN else before for time in TIMES]


@pytest.fixture(scope="module")
async def filling(history: tuple[History, Any]) -> int:
    """/srv gains 8 GiB a day for ten days and nothing before: `audit` writes 7.5 and wrote 0.75, since yesterday in a
    container that was made anew; the database writes 400 and wrote 300."""
    database = history[0].database
    server = await new_server(database, "filling", 60.0)
    containers = []
    for name, rates in (("audit", (0.75, 7.5)), ("database", (300.0, 400.0))):
        frame = pl.DataFrame(
            {"time": TIMES, "disk_write_bytes_per_second": [rate * A_DAY for rate in _stepped(*rates)]}
        )
        containers.append(
            frame.with_columns(
                server_id=server,
                name=pl.lit(name),
                image=pl.lit("image"),
                container_id=pl.when((pl.col("time") >= END - DAY) & (pl.lit(name) == "audit"))
                .then(pl.lit("new"))
                .otherwise(pl.lit("old")),
            )
        )
    await store(database, "container", *containers)
    days = [max(0.0, (time - BEGAN) / DAY) for time in TIMES]
    spaces = {"/srv": [(100 + 8 * day) * GIB for day in days], "/": [50.0 * GIB for _ in days]}
    await store(
        database,
        "filesystem",
        *(
            pl.DataFrame({"time": TIMES, "used_bytes": values}).with_columns(
                server_id=server, mountpoint=pl.lit(place), device=pl.lit(place), filesystem_type=pl.lit("ext4")
            )
            for place, values in spaces.items()
        ),
    )
    writes = pl.DataFrame({"time": TIMES, "disk_write_bytes_per_second": [rate * A_DAY for rate in _stepped(320, 430)]})
    await store(database, "host", writes.with_columns(server_id=server))
    return server


@pytest.mark.parametrize("metric", ["filesystem.used_percent", "filesystem.used_bytes"])
async def test_who_fills_a_file_system_is_who_began_to_write(
    asked: httpx.AsyncClient, filling: int, metric: str
) -> None:
    found = await answer(asked, "blame", server_id=filling, metric=metric, labels=MAIL, **WINDOW)
    assert (found["outcome"], found["metric"], found["unit"]) == ("rise", metric, "bytes_per_second")
    assert found["tier"] == "1h"
    assert (found["window"], found["before"]) == (pytest.approx(8 * A_DAY), pytest.approx(0))
    assert "which file system is not recorded" in found["explanation"]
    first, second = found["containers"]["culprits"]
    assert first["labels"] == {"container_id": "new", "name": "audit", "image": "image"}
    assert first["window"] == pytest.approx(7.5 * A_DAY)
    assert first["before"] == pytest.approx(0.75 * A_DAY)
    assert not first["at_most"]
    assert second["labels"]["name"] == "database"
    assert found["containers"]["explanation"] == "audit writes 7.5 GiB a day, 10 times as much as before."
    assert found["processes"]["culprits"] == []


async def test_a_file_system_that_does_not_fill_has_no_cause(asked: httpx.AsyncClient, filling: int) -> None:
    found = await answer(
        asked, "blame", server_id=filling, metric="filesystem.used_bytes", labels='{"mountpoint": "/"}', **WINDOW
    )
    assert (found["outcome"], found["window"]) == ("no_rise", 0)


async def test_a_rise_of_writes_is_made_of_containers_and_a_rest(asked: httpx.AsyncClient, filling: int) -> None:
    metric = "host.disk_write_bytes_per_second"
    found = await answer(asked, "blame", server_id=filling, metric=metric, **WINDOW)
    assert (found["outcome"], found["rise"]) == ("rise", pytest.approx(110 * A_DAY))
    assert [one["labels"]["name"] for one in found["containers"]["culprits"]] == ["database", "audit"]
    assert found["containers"]["culprits"][0]["share"] == pytest.approx(100 / 110)
    assert found["containers"]["unexplained"] == pytest.approx((110 - 100 - 6.75) * A_DAY)
    assert (found["processes"]["outcome"], found["processes"]["culprits"]) == ("not_enough_data", [])
    assert "not what single processes do" in found["processes"]["explanation"]


async def test_one_of_several_file_systems_must_be_named(asked: httpx.AsyncClient, filling: int) -> None:
    sent: dict[str, Any] = {"server_id": filling, "metric": "filesystem.used_bytes", "start": BEGAN.isoformat()}
    assert_problem(await asked.get("/blame", params=sent), 400, "/srv")
    wrong = await asked.get("/blame", params=sent | {"labels": '{"core": "1"}'})
    assert_problem(wrong, 400, "no label")


async def test_a_file_system_that_is_not_there_has_too_few_readings(asked: httpx.AsyncClient, filling: int) -> None:
    labels = '{"mountpoint": "/nowhere"}'
    found = await answer(asked, "blame", server_id=filling, metric="filesystem.used_percent", labels=labels, **WINDOW)
    assert (found["outcome"], found["rise"]) == ("not_enough_data", None)
    assert "too few readings" in found["explanation"]
