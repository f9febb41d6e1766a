"""`chatops up`: everything on this machine, from one terminal.

Starts database, backend, dashboard and an agent for this host as processes of their own, tells what it does as it does
it, restarts what dies, and stops all on Ctrl-C. It holds no data and serves nothing itself.
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import click
import httpx

from chatops_agent.settings import Settings as AgentSettings
from chatops_backend.accounts.first_run import ensure_first_administrator
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.database.interface import DatabaseError
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.servers.local_server import ensure_local_server
from chatops_backend.settings import (
    Settings,
    SettingsError,
    address_of,
    load_or_create_secret_key,
    prepare_data_dir,
)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 7.0
MAX_BACKOFF_S = 30.0
# A part that ran so long has recovered: its next death starts the back-off anew.
STABLE_S = 60.0
_BACKEND_SECRETS = (
    "CHATOPS_SECRET_KEY",
    "CHATOPS_ADMIN_PASSWORD",
    "CHATOPS_DATABASE_URL",
    "CHATOPS_HEARTBEAT_URL",
    "CHATOPS_DASHBOARD_SECRET",
)


@click.command()
def up() -> None:
    """Run database, backend, dashboard and an agent for this host, until Ctrl-C."""
    settings = Settings.from_environment()
    sys.exit(asyncio.run(_Supervisor(settings).run()))


@dataclass
class _Part:
    name: str
    command: list[str]
    environment: Mapping[str, str]
    ready_url: str | None = None
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    output: list[asyncio.Task[None]] = field(default_factory=list)


class _Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._parts: list[_Part] = []
        self._untold_password: str | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        started = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({started, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                started.result()
                await stopping
            else:
                started.cancel()
        finally:
            stopping.cancel()
            if self._untold_password is not None:
                # It is stored by its hash alone: the next start could not tell it any more.
                say(f"{self._settings.admin_username} was created with password {self._untold_password}")
            await self._stop()
        return 0

    async def _start(self) -> None:
        settings = self._settings
        prepare_data_dir(settings.data_dir)
        if settings.port == settings.dashboard_port:
            raise SettingsError(
                f"CHATOPS_PORT and CHATOPS_DASHBOARD_PORT are both {settings.port}; backend and dashboard need one each"
            )
        for port, name in ((settings.port, "CHATOPS_PORT"), (settings.dashboard_port, "CHATOPS_DASHBOARD_PORT")):
            _require_free(settings.host, port, name)
        api = address_of(settings.host, settings.port)
        dashboard = address_of(settings.host, settings.dashboard_port)
        # The agent starts last, and answers no request: what is wrong with its settings is said before all else.
        AgentSettings.from_environment({**os.environ, "CHATOPS_API_URL": api, "CHATOPS_API_KEY": "made-further-down"})
        secret = load_or_create_secret_key(settings)
        say("opening the database (the first start installs and creates it, which takes a moment)")
        async with open_database(settings) as database:
            applied = await migrate(database, report=lambda line: say(f"  {line}"))
            say(f"schema is up to date ({applied} migrations applied now)")
            password = self._untold_password = await ensure_first_administrator(database, settings)
            agent_key = await ensure_local_server(database, settings.data_dir, socket.gethostname())
        environment = {
            **os.environ,
            "CHATOPS_DATA_DIR": str(settings.data_dir),
            "CHATOPS_HOST": settings.host,
            "CHATOPS_PORT": str(settings.port),
            "CHATOPS_DASHBOARD_PORT": str(settings.dashboard_port),
            "CHATOPS_SECRET_KEY": secret,
            "CHATOPS_API_URL": settings.api_url or api,
        }
        own = [sys.executable, "-m", "chatops_cli"]
        agent = {
            "CHATOPS_API_URL": api,
            "CHATOPS_API_KEY": agent_key,
            "CHATOPS_COMMAND_KEY": OrderSigner(secret).shown_public_key,
            "CHATOPS_SPOOL_DIR": environment.get("CHATOPS_SPOOL_DIR") or str(settings.data_dir / "spool"),
        }
        # What a part has no use for it is not given.
        without_secrets = {name: value for name, value in environment.items() if name not in _BACKEND_SECRETS}
        # By it the backend believes the dashboard, and no other process, whose log-in it passes on.
        shared = {"CHATOPS_DASHBOARD_SECRET": settings.dashboard_secret or secrets.token_urlsafe(32)}
        if settings.database_url is None:
            await self._add(_Part("database", [*own, "db"], environment))
        await self._add(_Part("backend", [*own, "server"], environment | shared, f"{api}/ready"))
        await self._add(_Part("dashboard", [*own, "dashboard"], without_secrets | shared, f"{dashboard}/ready"))
        await self._add(_Part("agent", [*own, "agent"], {**without_secrets, **agent}))
        words = f"ready: dashboard {dashboard}  api {api}"
        if password is not None:
            words += f"  log in as {settings.admin_username} with password {password} (shown this once)"
        click.echo(words)
        self._untold_password = None

    async def _add(self, part: _Part) -> None:
        """Start a part, wait until it answers, and keep it running from then on."""
        say(f"starting {part.name}")
        self._parts.append(part)
        await self._launch(part)
        deadline = time.monotonic() + START_TIMEOUT_S
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
            while part.ready_url is not None and not await _answers(client, part.ready_url):
                if part.process is not None and part.process.returncode is not None:
                    raise DatabaseError(f"{part.name} ended at start; its own message stands above")
                if time.monotonic() > deadline:
                    raise DatabaseError(f"{part.name} did not answer within {START_TIMEOUT_S:.0f} s")
                await asyncio.sleep(0.1)
        part.keeper = asyncio.create_task(self._keep_running(part))

    async def _launch(self, part: _Part) -> None:
        part.process = await asyncio.create_subprocess_exec(
            *part.command,
            env=dict(part.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C shall reach the supervisor alone, which then stops the parts in order.
            start_new_session=True,
        )
        if part.process.stdout is not None:
            part.output.append(asyncio.create_task(_relay(part.name, part.process.stdout)))

    async def _keep_running(self, part: _Part) -> None:
        backoff = 0.5
        while part.process is not None:
            started = time.monotonic()
            code = await part.process.wait()
            if time.monotonic() - started > STABLE_S:
                backoff = 0.5
            say(f"{part.name} ended (exit code {code}); starting it again in {backoff:g} s")
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF_S, backoff * 2)
            await self._launch(part)

    async def _stop(self) -> None:
        """Stop the parts, those that depend on others first; by force what takes too long."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # A part that is about to be started again would be left behind.
        keepers = [part.keeper for part in self._parts if part.keeper is not None]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for part in reversed(self._parts):
            process = part.process
            if process is None or process.returncode is not None:
                continue
            say(f"stopping {part.name}")
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), max(0.5, deadline - time.monotonic()))
            except TimeoutError:
                say(f"{part.name} does not stop and is killed")
                process.kill()
                await process.wait()
        for part in self._parts:
            for task in part.output:
                task.cancel()
        if self._parts:
            say("stopped")


def say(words: str) -> None:
    click.echo(f"chatops: {words}", err=True)


async def _relay(name: str, stream: asyncio.StreamReader) -> None:
    """To the end, whatever comes: a part whose output nobody reads stands still once the pipe is full."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the reader's 64 KiB, which it has thrown away
            click.echo(f"{name}: (a line too long to show)", err=True)
            continue
        if not line:
            return
        click.echo(f"{name}: {line.decode(errors='replace').rstrip()}", err=True)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def _require_free(host: str, port: int, setting: str) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise SettingsError(
            f"port {port} of {host} cannot be used ({error.strerror}); stop what uses it, or set {setting}"
        ) from error
