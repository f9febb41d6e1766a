"""How long tiers are kept: the policies follow, nothing that is stored is emptied, nobody asks for what is gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from chatops_backend.accounts import service
from chatops_backend.accounts.first_run import ensure_first_administrator
from chatops_backend.app import create_app
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.metrics.reader import MetricReader
from chatops_protocol.catalog import MEASUREMENTS
from tests.backend.conftest import open_client
from tests.conftest import ADMIN_PASSWORD

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
DEFAULTS = {"raw_days": 7, "minutes_days": 90, "hours_days": 730}


@pytest.fixture(scope="module")
async def own(new_settings: Any) -> Any:
    """A database whose policies nobody runs but the test, and an administrator's client of its application."""
    settings = await new_settings()
    async with open_database(settings) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        app = create_app(settings, database)
        await ensure_first_administrator(database, settings)
        async with open_client(app) as anonymous:
            login = {"username": "admin", "password": ADMIN_PASSWORD}
            tokens = (await anonymous.post("/auth/login", json=login)).json()
        async with open_client(app, tokens["access_token"]) as client:
            yield database, client
        app.state[service.STATE_KEY].close()


async def configured(database: Database, procedure: str, tier: str, key: str) -> set[timedelta]:
    rows = await database.fetch(
        "SELECT (config ->> $3)::interval AS value FROM chatops.metric_tier_jobs WHERE proc_name = $1 AND tier = $2",
        procedure,
        tier,
        key,
    )
    assert len(rows) == len(MEASUREMENTS)
    return {row["value"] for row in rows}


async def test_the_policies_of_every_measurement_follow_and_refreshes_never_reach_further_back(own: Any) -> None:
    database, client = own
    assert (await client.get("/metrics/policies")).json() == DEFAULTS
    refresh = "policy_refresh_continuous_aggregate"
    before = {tier: await configured(database, refresh, tier, "start_offset") for tier in ("1m", "1h", "1d")}
    for raw, minutes, hours in ((8, 20, 60), (30, 120, 1_000), (7, 90, 730)):
        wanted = {"raw_days": raw, "minutes_days": minutes, "hours_days": hours}
        assert (await client.put("/metrics/policies", json=wanted)).json() == wanted
        assert (await client.get("/metrics/policies")).json() == wanted
        for tier, days in (("raw", raw), ("1m", minutes), ("1h", hours)):
            assert await configured(database, "policy_retention", tier, "drop_after") == {days * DAY}
        # From the first, shorter times on; the source of what lies further back is gone.
        assert await configured(database, refresh, "1m", "start_offset") == before["1m"] == {6 * DAY}
        assert await configured(database, refresh, "1h", "start_offset") == {19 * DAY}
        assert await configured(database, refresh, "1d", "start_offset") == {58 * DAY}


@pytest.mark.parametrize(
    "wrong",
    [
        {"raw_days": 6, "minutes_days": 90, "hours_days": 730},
        {"raw_days": 91, "minutes_days": 90, "hours_days": 730},
        {"raw_days": 7, "minutes_days": 90, "hours_days": 80},
        {"raw_days": 7, "minutes_days": 90},
        {"raw_days": 7, "minutes_days": 90, "hours_days": 1e9},
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_changes_nothing(own: Any, wrong: dict[str, Any]) -> None:
    _, client = own
    before = (await client.get("/metrics/policies")).json()
    answer: httpx.Response = await client.put("/metrics/policies", json=wrong)
    assert answer.status_code == 400, answer.text
    assert (await client.get("/metrics/policies")).json() == before


async def test_a_tier_is_not_asked_for_what_it_let_go_before_it_was_kept_for_longer(own: Any) -> None:
    database, client = own
    await client.put("/metrics/policies", json=DEFAULTS)
    now = datetime.now(UTC)
    server_id = await database.fetchval("INSERT INTO chatops.servers (name) VALUES ('kept longer') RETURNING id")
    await database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        "SELECT $2::timestamptz - n * INTERVAL '5 seconds', $1, 40 FROM generate_series(1, 720) AS n",
        server_id,
        now - 10 * DAY,
    )
    await database.execute("CALL refresh_continuous_aggregate('metrics.host_1m', $1::timestamptz, $2::timestamptz)",
                           now - 12 * DAY, now - 8 * DAY)  # fmt: skip
    await database.execute("SELECT drop_chunks('metrics.host', $1::timestamptz)", now - 9 * DAY)
    await client.put("/metrics/policies", json=DEFAULTS | {"raw_days": 60})

    reader = MetricReader(database)
    asked = ("host.cpu_percent", [server_id], now - 10 * DAY - timedelta(minutes=10), now - 10 * DAY, 500)
    answer = await reader.read(*asked, {})
    assert answer.tier == "1m"
    assert answer.series[0].avg[0] == pytest.approx(40)
    # And what is kept from now on is asked for when it has become that old.
    later = (now + 50 * DAY).timestamp()
    reader = MetricReader(database, clock=lambda: later)
    recent = await reader.read("host.cpu_percent", [server_id], now, now + timedelta(minutes=10), 500, {})
    assert recent.tier == "raw"


async def test_a_refresh_after_longer_times_leaves_what_is_rolled_up_and_dropped(own: Any) -> None:
    database, client = own
    for days in (8, 60):
        await client.put("/metrics/policies", json={"raw_days": days, "minutes_days": days + 1, "hours_days": days + 2})
    kept = "SELECT count(*) FROM metrics.host_1m WHERE time < now() - INTERVAL '9 days'"
    before = await database.fetchval(kept)
    assert before > 0
    jobs = "SELECT job_id FROM chatops.metric_tier_jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    for job in await database.fetch(jobs):
        await database.execute("CALL run_job($1::integer)", job["job_id"])
    assert await database.fetchval(kept) == before
