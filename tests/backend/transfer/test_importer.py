"""Imported rows of every age are stored once, and the roll-ups hold them and all that they held before."""

import asyncio
from datetime import timedelta

import polars as pl
import pytest

from chatops_backend.database.open import open_database
from tests.backend.transfer.importing import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    Imports,
    disk_rows,
    expected,
    new_server,
    rolled,
)

pytestmark = pytest.mark.anyio

TIERS = ("1m", "1h", "1d")


@pytest.fixture
async def own_database(new_settings):
    """Roll-ups are of the whole fleet, and so are their watermarks. No policy runs but by a test."""
    async with open_database(await new_settings()) as database:
        await database.execute("SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs")
        yield database


async def test_a_fresh_system_gets_thirty_days_and_its_roll_ups_hold_them(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    frame = disk_rows(server, NOW - 30 * DAY, NOW, 10 * MINUTE)
    stored = 0
    for _, piece in frame.group_by(frame["time"].dt.week(), maintain_order=True):
        result = await imports.store(piece)
        assert (result.rows, result.refused) == (piece.height, [])
        stored += result.stored
    assert stored == frame.height
    await imports.finish()
    for tier in TIERS:
        assert await rolled(own_database, tier, server) == expected(frame, tier)


async def test_old_rows_alone_are_shown_though_nothing_was_ever_rolled_up(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    frame = disk_rows(server, NOW - 20 * DAY, NOW - 19 * DAY, timedelta(seconds=40))
    assert (await imports.store(frame)).stored == frame.height
    await imports.finish()
    for tier in TIERS:
        assert await rolled(own_database, tier, server) == expected(frame, tier)
    # What made them visible is gone.
    for table in ("disk", "disk_1m", "disk_1h", "disk_1d"):
        assert await own_database.fetchval(f"SELECT count(*) FROM metrics.{table} WHERE server_id = 0") == 0


@pytest.mark.parametrize(("days", "tiers"), [(200, ("1h", "1d")), (1000, ("1d",))])
async def test_rows_older_than_a_roll_up_is_kept_go_into_the_next(own_database, days, tiers) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    frame = disk_rows(server, NOW - days * DAY, NOW - days * DAY + 30 * HOUR, 10 * MINUTE)
    assert (await imports.store(frame)).stored == frame.height
    await imports.finish()
    for tier in TIERS:
        assert await rolled(own_database, tier, server) == (expected(frame, tier) if tier in tiers else [])


async def test_roll_ups_whose_raw_rows_are_gone_stay_as_they_are(own_database) -> None:
    database, imports = own_database, Imports(own_database)
    others, server = await new_server(database, "db"), await new_server(database, "web")
    theirs = disk_rows(others, NOW - 12 * DAY, NOW, 10 * MINUTE)
    early = Imports(database, NOW - 7 * DAY)
    for imported, until in ((early, NOW - 7 * DAY), (imports, NOW)):
        await imported.store(theirs.filter(theirs["time"] < until))
        await imported.finish()
    await database.execute("SELECT drop_chunks('metrics.disk', $1::timestamptz)", NOW - 7 * DAY)
    before = {tier: await rolled(database, tier, others) for tier in TIERS}
    assert before["1m"] == expected(theirs, "1m")

    frame = disk_rows(server, NOW - 12 * DAY, NOW, 10 * MINUTE)
    assert (await imports.store(frame)).stored == frame.height
    await imports.finish()

    assert {tier: await rolled(database, tier, others) for tier in TIERS} == before
    assert {tier: await rolled(database, tier, server) for tier in TIERS} == {
        tier: expected(frame, tier) for tier in TIERS
    }
    # Nor do the policies empty them, whenever they run.
    for job in await database.fetch(
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    ):
        await database.execute("CALL run_job($1::integer)", job["job_id"])
    assert {tier: await rolled(database, tier, others) for tier in TIERS} == before


async def test_what_was_dropped_while_an_import_waited_is_not_refreshed(own_database) -> None:
    database, imports = own_database, Imports(own_database, NOW - 3 * DAY)
    others, server = await new_server(database, "db"), await new_server(database, "web")
    theirs = disk_rows(others, NOW - 8 * DAY, NOW - 7 * DAY, 10 * MINUTE)
    await imports.store(theirs)
    await imports.finish()
    await imports.store(disk_rows(server, NOW - 8 * DAY, NOW - 7 * DAY, 10 * MINUTE))
    await database.execute("SELECT drop_chunks('metrics.disk', $1::timestamptz)", NOW - 7 * DAY)
    before = {tier: await rolled(database, tier, others) for tier in TIERS}
    imports.now = NOW
    await imports.finish()
    assert {tier: await rolled(database, tier, others) for tier in TIERS} == before


async def test_recent_values_that_keep_coming_do_not_put_off_the_roll_ups_of_an_import(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    await imports.store(disk_rows(server, NOW - 2 * DAY, NOW - DAY, HOUR))
    imports.now += MINUTE / 2
    values = pl.DataFrame({"time": [NOW], "server_id": [server], "name": ["queue"], "labels": ["{}"], "value": [1.0]})
    await imports.store(values, "custom")
    imports.now += MINUTE / 2 + timedelta(seconds=1)
    running = asyncio.create_task(imports.rollups.run())
    try:
        async with asyncio.timeout(60):
            while imports.rollups.progress().pending_days:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()


async def test_repeating_an_import_stores_nothing_twice(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    frame = disk_rows(server, NOW - 8 * DAY, NOW, 6 * MINUTE)
    first = frame.filter(frame["time"] < NOW - 2 * DAY)
    assert (await imports.store(first)).stored == first.height
    for result in (await imports.store(frame), await imports.store(frame)):
        assert result.stored + result.already_there == frame.height
    assert result.stored == 0
    await imports.finish()
    assert (await imports.store(frame)).already_there == frame.height
    await imports.finish()
    for tier in TIERS:
        assert await rolled(own_database, tier, server) == expected(frame, tier)


async def test_an_hour_that_begins_during_an_import_leaves_no_gap(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    frame = disk_rows(server, NOW - 8 * DAY, NOW, 6 * MINUTE)
    await imports.store(frame)
    imports.now += HOUR
    await imports.finish()
    assert await rolled(own_database, "1m", server) == expected(frame, "1m")


async def test_a_minute_that_has_not_ended_is_read_from_its_rows(own_database) -> None:
    imports, server = Imports(own_database), await new_server(own_database, "web")
    await imports.store(disk_rows(server, NOW - HOUR, NOW, timedelta(seconds=5)))
    await imports.finish()
    await own_database.execute(
        "INSERT INTO metrics.disk (time, server_id, device, busy_percent) VALUES ($1, $2, 'sda', 100)", NOW, server
    )
    assert (await rolled(own_database, "1m", server))[-1][3] == 100
