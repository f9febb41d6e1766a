"""Readings with a shape that is known, what polars makes of them, and the whole application for who asks by HTTP."""

import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest
from litestar import Litestar

from chatops_backend.accounts import first_run, service
from chatops_backend.accounts.passwords import Passwords
from chatops_backend.app import create_app
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_protocol.resources import CreateUserRequest
from tests.backend.conftest import open_client

NOW = datetime(2025, 6, 18, 12, 0, 30, tzinfo=UTC)
MOUNTS = ("/", "/home")
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
# The readings of the third server are missing for ten minutes.
HOLE = (NOW - 50 * MINUTE, NOW - 40 * MINUTE)

_ORIGIN_US = int(datetime(2000, 1, 3, tzinfo=UTC).timestamp() * 1_000_000)
_WIDTHS = {"1m": 60.0, "1h": 3_600.0, "1d": 86_400.0}
_KEYS = ["server_id", "mountpoint"]


class Stored:
    """The database, the ids of its three servers, and the rows of ``metrics.filesystem`` as a frame."""

    def __init__(self, database: Database, servers: list[int], rows: pl.DataFrame) -> None:
        self.database = database
        self.servers = servers
        self.rows = rows

    def expected(self, field: str, tier: str, bucket_s: float, start: datetime, end: datetime) -> pl.DataFrame:
        """server_id, mountpoint, bucket, avg, min, max of the buckets from `start` to `end`."""
        value = pl.col(field)
        frame = self.rows.select(*_KEYS, "time", avg=value, min=value, max=value, samples=pl.lit(1, pl.Int64))
        for name, width in _WIDTHS.items():
            if tier != "raw":
                frame = _regrouped(frame, width)
            if name == tier:
                break
        frame = frame.filter((pl.col("time") >= start) & (pl.col("time") < end))
        if bucket_s != _WIDTHS.get(tier, 5.0):
            frame = _regrouped(frame, bucket_s)
        return frame.drop("samples").sort(*_KEYS, "time")


def _regrouped(frame: pl.DataFrame, width_s: float) -> pl.DataFrame:
    width = int(width_s * 1_000_000)
    bucket = (pl.col("time").dt.timestamp("us") - _ORIGIN_US) // width * width + _ORIGIN_US
    weight = pl.col("samples").filter(pl.col("avg").is_not_null()).sum()
    return frame.group_by(*_KEYS, bucket.cast(pl.Datetime("us", "UTC")).alias("time")).agg(
        avg=pl.when(weight > 0).then((pl.col("avg") * pl.col("samples")).sum() / weight),
        min=pl.col("min").min(),
        max=pl.col("max").max(),
        samples=pl.col("samples").sum(),
    )


def _moments() -> list[datetime]:
    """Every 5 s for two and a half hours, every ten minutes for six days, every six hours for fifty."""
    newest = [NOW - n * 5 * SECOND for n in range(1, 1_800)]
    days = [NOW - 3 * HOUR - n * 10 * MINUTE for n in range(6 * 144 - 18)]
    older = [NOW - 6 * DAY - n * 6 * HOUR for n in range(1, 176)]
    return newest + days + older


def _readings(servers: list[int]) -> pl.DataFrame:
    chance = random.Random(20_250_618)
    rows: list[dict[str, Any]] = []
    for server_id in servers:
        silent = {chance.randrange(150) for _ in range(30)}
        for moment in _moments():
            time = moment + timedelta(milliseconds=chance.randrange(400))
            if server_id == servers[2] and HOLE[0] <= time < HOLE[1]:
                continue
            age_minutes = int((NOW.replace(second=0) - time) // MINUTE)
            for mount in MOUNTS:
                percent = None if mount == "/home" and age_minutes in silent else chance.lognormvariate(3, 0.7)
                rows.append(
                    {
                        "time": time,
                        "server_id": server_id,
                        "mountpoint": mount,
                        "device": "/dev/vda1",
                        "filesystem_type": "ext4",
                        "used_bytes": chance.lognormvariate(25, 2),
                        "used_percent": percent,
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


@pytest.fixture(scope="module")
async def stored(new_settings: Any) -> AsyncIterator[Stored]:
    """Nothing but the test computes roll-ups: on a server its workers are stopped for this database."""
    async with open_database(await new_settings()) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        servers = [
            await database.fetchval(
                "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id", f"server {n}", tags
            )
            for n, tags in enumerate((["web", "eu"], ["web"], []))
        ]
        rows = _readings(servers)
        async with database.transaction() as transaction:
            await transaction.insert_columns(
                "filesystem", rows.columns, [rows[column].to_list() for column in rows.columns]
            )
        yield Stored(database, servers, rows)


@pytest.fixture(scope="session")
def app(database: Database, settings: Settings) -> Iterator[Litestar]:
    """The whole application over the session's database; its background tasks do not run."""
    made = create_app(settings, database)
    yield made
    made.state[service.STATE_KEY].close()


@pytest.fixture(scope="session")
async def api(app: Litestar, database: Database, passwords: Passwords) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client, under ``/api/v1``."""
    name, password = f"viewer-{secrets.token_hex(4)}", "a password that is long enough"
    request = CreateUserRequest(username=name, password=password, role="viewer")
    await first_run.users.create_user(database, request, await passwords.hash(password), SYSTEM)
    async with open_client(app) as anonymous:
        tokens = (await anonymous.post("/auth/login", json={"username": name, "password": password})).json()
    async with open_client(app, tokens["access_token"]) as client:
        yield client


NewServer = Callable[..., Awaitable[int]]


@pytest.fixture(scope="session")
def new_server(database: Database) -> NewServer:
    """A function that adds a server to the session's database and returns its id."""

    async def add(*tags: str, interval_s: float = 5.0) -> int:
        server_id: int = await database.fetchval(
            "INSERT INTO chatops.servers (name, tags, interval_s) VALUES ($1, $2, $3) RETURNING id",
            f"server {secrets.token_hex(6)}",
            list(tags),
            interval_s,
        )
        return server_id

    return add


# -- over HTTP, about now ----------------------------------------------------------------------------------------

TODAY = datetime.now(UTC).replace(microsecond=0)
METRIC = "host.cpu_percent"
LAST_HOUR = {
    "metric": METRIC,
    "start": (TODAY - HOUR).isoformat(),
    "end": TODAY.isoformat(),
    "points": "60",
}


@pytest.fixture(scope="session")
async def server_id(database: Database, new_server: NewServer) -> int:
    """A server with ten minutes of host, two file systems and two processes."""
    server_id = await new_server("web")
    host = "host (time, server_id, cpu_percent) SELECT at, $1, n FROM moments"
    filesystem = (
        "filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
        "SELECT at, $1, mount, 'disk', 'ext4', n FROM moments, unnest(ARRAY['/', '/home']) AS mount"
    )
    process = (
        'process (time, server_id, name, "user", cpu_percent) '
        "SELECT at, $1, 'python3', owner, n FROM moments, unnest(ARRAY['root', 'ann']) AS owner"
    )
    for statement in (host, filesystem, process):
        await database.execute(
            "WITH moments AS (SELECT $2::timestamptz - n * INTERVAL '5 seconds' AS at, n "
            f"FROM generate_series(1, 120) AS n) INSERT INTO metrics.{statement}",
            server_id,
            TODAY,
        )
    return server_id


def assert_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem
    return problem
