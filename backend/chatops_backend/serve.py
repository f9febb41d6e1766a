"""Runs the backend under uvicorn until it is told to stop. Used by `chatops server`."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn

from chatops_backend.accounts.first_run import ensure_first_administrator
from chatops_backend.alerts.channel_addresses import Addresses, seal_plain_addresses
from chatops_backend.alerts.starting_set import ensure_starting_set
from chatops_backend.app import create_app
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings, SettingsError, load_or_create_secret_key, prepare_data_dir
from chatops_protocol.agent_messages import MAX_FRAME_BYTES

log = logging.getLogger(__name__)

GRACE_S = 3
# Longer than clients and reverse proxies keep a connection (httpx 5 s, Caddy 120 s): whoever hangs up first loses the
# request that is on its way. At uvicorn's 5 s that was one in twelve after a pause of 5 s on a busy machine.
KEEP_ALIVE_S = 130


async def serve(settings: Settings) -> None:
    """Open and migrate the database, then serve; returns after SIGINT or SIGTERM.

    Raises `SettingsError`, `DatabaseError`, or what made a task fail that must run.
    """
    prepare_data_dir(settings.data_dir)
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        async with open_database(settings) as database:
            await migrate(database, report=lambda line: log.info("applying %s", line))
            await ensure_starting_set(database)
            await seal_plain_addresses(database, Addresses(load_or_create_secret_key(settings)))
            password = await ensure_first_administrator(database, settings)
            if password is not None:
                # To the terminal, not into a log that is kept.
                print(f"administrator {settings.admin_username}, password {password}", flush=True)  # noqa: T201
            failures: list[BaseException] = []

            def stop(error: BaseException | None = None) -> None:
                server.should_exit = True
                if error is not None:
                    failures.append(error)

            server = _Server(
                uvicorn.Config(
                    create_app(settings, database, stop),
                    ws="websockets-sansio",
                    ws_max_size=MAX_FRAME_BYTES,
                    ws_per_message_deflate=False,
                    proxy_headers=bool(settings.trusted_proxies),
                    forwarded_allow_ips=list(settings.trusted_proxies),
                    server_header=False,
                    access_log=False,
                    log_config=None,
                    timeout_graceful_shutdown=GRACE_S,
                    timeout_keep_alive=KEEP_ALIVE_S,
                )
            )
            logging.getLogger("uvicorn.error").addFilter(_without_the_peers_traceback)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            _collect_garbage_seldom()
            await server.serve(sockets=[listener])
            if failures:
                raise failures[0]


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `SettingsError` when the port is taken or the address is not this machine's."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Without the protocol named, asyncio leaves Nagle's algorithm on, which costs 40 ms an answer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port} ({error.strerror}); stop what uses it, or set CHATOPS_HOST or CHATOPS_PORT"
        ) from error
    return listener


def _collect_garbage_seldom() -> None:
    """Every row in flight is an object to look at: at Python's default of 700 a fifth of ingest went into it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _without_the_peers_traceback(record: logging.LogRecord) -> bool:
    """One line for text that is not UTF-8: it is the peer's fault, and anybody can send as much of it as they like."""
    if record.exc_info is not None and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again after serving, and the database would not be closed.
        yield
