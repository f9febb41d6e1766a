"""A database of its own with three servers whose history is constructed, and the whole application over it."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from chatops_backend.accounts import first_run, service
from chatops_backend.accounts.passwords import Passwords
from chatops_backend.app import create_app
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_protocol.resources import CreateUserRequest
from tests.backend.conftest import open_client

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# The incident of the third server: from an hour and a half ago for an hour.
INCIDENT = (NOW - 90 * MINUTE, NOW - 30 * MINUTE)
# The second server is busier than usual from two hours to one hour ago.
UNUSUAL = (NOW - 2 * HOUR, NOW - HOUR)
CORES = 4
DELAY = 3


@dataclass(frozen=True)
class History:
    """`disks`: a file system that is full in ten days, one that is level, one without readings for a fortnight.
    `rhythm`: five weeks of busy days. `incident`: six hours in which `backup` makes the host busy, and the disk
    follows three minutes later."""

    database: Database
    disks: int
    rhythm: int
    incident: int
    silent: int


@pytest.fixture(scope="package")
async def history(new_settings: Any) -> AsyncIterator[tuple[History, Any]]:
    settings = await new_settings()
    async with open_database(settings) as database:
        # Roll-ups are computed as they are asked for: a refresh of five weeks takes a minute.
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        ids = [
            await database.fetchval(
                "INSERT INTO chatops.servers (name, tags) VALUES ($1, '{all}') RETURNING id", f"server {n}"
            )
            for n in range(4)
        ]
        made = History(database, *ids)
        chance = np.random.default_rng(20_261_124)
        await store(database, "filesystem", _disks(made.disks, chance))
        await store(database, "host", _rhythm(made.rhythm, chance), _incident_host(made.incident, chance))
        await store(database, "process", _incident_processes(made.incident, chance))
        await store(database, "disk", _incident_disk(made.incident, chance))
        await store(database, "cpu", _cores(made.incident))
        yield made, settings


async def store(database: Database, table: str, *frames: pl.DataFrame) -> None:
    async with database.transaction() as transaction:
        for frame in frames:
            columns = [frame[name].to_list() for name in frame.columns]
            await transaction.insert_columns(table, frame.columns, columns)


def _times(start: timedelta, step: timedelta) -> list[datetime]:
    return [NOW - start + step * n for n in range(int(start / step))]


def _disks(server_id: int, chance: np.random.Generator) -> pl.DataFrame:
    parts = []
    for mountpoint, first, per_day, until in (("/", 40, 1.5, 30), ("/home", 50, 0, 30), ("/old", 20, 1, 14)):
        times = _times(30 * DAY, timedelta(hours=6))[: until * 4]
        values = first + per_day * np.arange(len(times)) / 4 + chance.normal(0, 0.3, len(times))
        parts.append(
            pl.DataFrame({"time": times, "used_percent": values}).with_columns(
                server_id=server_id,
                mountpoint=pl.lit(mountpoint),
                device=pl.lit("disk"),
                filesystem_type=pl.lit("ext4"),
            )
        )
    return pl.concat(parts)


def _rhythm(server_id: int, chance: np.random.Generator) -> pl.DataFrame:
    times = _times(35 * DAY, timedelta(minutes=15))
    hours = np.array([time.hour + time.minute / 60 for time in times])
    values = 30 + 20 * np.sin((hours - 9) / 12 * np.pi) + chance.normal(0, 1, len(times))
    values += np.array([35 if UNUSUAL[0] <= time < UNUSUAL[1] else 0 for time in times])
    return pl.DataFrame({"time": times, "cpu_percent": values}).with_columns(server_id=server_id)


def _busy(times: list[datetime], delay: int = 0) -> np.ndarray:
    return np.array([1.0 if INCIDENT[0] <= time - delay * MINUTE < INCIDENT[1] else 0.0 for time in times])


def _wander(times: list[datetime], seed: int) -> np.ndarray:
    """The same for the same seed, half a minute a step."""
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.5, len(times)))


HALF_MINUTES = _times(timedelta(hours=6), timedelta(seconds=30))


def _incident_host(server_id: int, chance: np.random.Generator) -> pl.DataFrame:
    wander = _wander(HALF_MINUTES, 1)
    cpu = 20 + wander + 40 * _busy(HALF_MINUTES) + chance.normal(0, 0.2, len(HALF_MINUTES))
    return pl.DataFrame(
        {
            "time": HALF_MINUTES,
            "cpu_percent": cpu,
            "memory_used_bytes": 4e9 + 1e6 * np.cumsum(chance.normal(size=len(HALF_MINUTES))),
            "memory_total_bytes": [16e9] * len(HALF_MINUTES),
        }
    ).with_columns(server_id=server_id)


def _incident_processes(server_id: int, chance: np.random.Generator) -> pl.DataFrame:
    size = len(HALF_MINUTES)
    values = {
        "backup": 10
        + CORES * (_wander(HALF_MINUTES, 1) * 0.5 + 36 * _busy(HALF_MINUTES))
        + chance.normal(0, 0.5, size),
        "database": 30 + np.cumsum(chance.normal(0, 0.5, size)),
        "idle": np.full(size, 1.0),
    }
    return pl.concat(
        pl.DataFrame({"time": HALF_MINUTES, "cpu_percent": cpu, "memory_resident_bytes": [1e9] * size}).with_columns(
            server_id=server_id, name=pl.lit(name), user=pl.lit("root")
        )
        for name, cpu in values.items()
    )


def _incident_disk(server_id: int, chance: np.random.Generator) -> pl.DataFrame:
    size = len(HALF_MINUTES)
    moved = np.roll(_wander(HALF_MINUTES, 1), 2 * DELAY)
    moved[: 2 * DELAY] = moved[2 * DELAY]
    written = 1e6 * (10 + moved + 40 * _busy(HALF_MINUTES, DELAY)) + chance.normal(0, 1e5, size)
    return pl.DataFrame({"time": HALF_MINUTES, "write_bytes_per_second": written}).with_columns(
        server_id=server_id, device=pl.lit("vda")
    )


def _cores(server_id: int) -> pl.DataFrame:
    times = HALF_MINUTES[::10]
    return pl.concat(
        pl.DataFrame({"time": times, "cpu_percent": [25.0] * len(times)}).with_columns(
            server_id=server_id, core=pl.lit(str(core))
        )
        for core in range(CORES)
    )


@pytest.fixture(scope="package")
async def asked(history: tuple[History, Any], passwords: Passwords) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client of the application over `history`, under ``/api/v1/analysis``."""
    made, settings = history
    app = create_app(settings, made.database)
    name, password = f"viewer-{secrets.token_hex(4)}", "a password that is long enough"
    request = CreateUserRequest(username=name, password=password, role="viewer")
    await first_run.users.create_user(made.database, request, await passwords.hash(password), SYSTEM)
    async with open_client(app) as anonymous:
        tokens = (await anonymous.post("/auth/login", json={"username": name, "password": password})).json()
    async with open_client(app, tokens["access_token"]) as client:
        client.base_url = client.base_url.join("/api/v1/analysis")
        yield client
    app.state[service.STATE_KEY].close()


@pytest.fixture
def servers(history: tuple[History, Any]) -> History:
    return history[0]
