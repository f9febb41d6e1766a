"""Runs the application with uvicorn until a signal. Called by the command line only."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn

from chatops_dashboards.app import create_app
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.log_format import log_to_stderr

STOP_TIMEOUT_S = 5
# Longer than reverse proxies keep a connection: whoever hangs up first loses the request that is on its way.
KEEP_ALIVE_S = 130


def serve(settings: DashboardSettings, listener: socket.socket) -> None:
    """Serve on `listener` until SIGINT or SIGTERM, then return."""
    log_to_stderr()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(_serve(settings, listener))


async def _serve(settings: DashboardSettings, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            create_app(settings),
            ws="websockets-sansio",
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again after serving, and a clean stop would not exit with 0.
        yield
