"""The commands `server`, `migrate` and `db`. Settings and database errors are shown by the caller as one line."""

import asyncio
import logging
import signal
import time
from dataclasses import replace

import click
import uvloop

from chatops_backend.database.embedded_process import DirectoryInUseError, EmbeddedProcess, socket_path
from chatops_backend.database.migrations import migrate as apply_migrations
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings, prepare_data_dir
from chatops_protocol.log_format import log_to_stderr

PATIENCE_S = 20.0


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again, and twice at once."""

    async def run() -> None:
        async with open_database(Settings.from_environment()) as database:
            applied = await apply_migrations(database, report=lambda line: click.echo(f"applying {line}"))
            click.echo(f"schema is up to date ({applied} applied now)")

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return asyncio.run(run())
        except DirectoryInUseError:
            # The other may be a `migrate` too, which soon ends; a backend does not.
            if time.monotonic() > deadline:
                raise
            click.echo("the database is in use by another process; waiting for it", err=True)


@click.command()
def db() -> None:
    """Run the embedded database alone, until Ctrl-C."""
    log_to_stderr()

    async def run() -> None:
        settings = Settings.from_environment()
        prepare_data_dir(settings.data_dir)
        process = EmbeddedProcess(settings.data_dir)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await process.start()
        try:
            click.echo(
                f"ready: postgresql:///postgres?host={socket_path(settings.data_dir).parent}&user=postgres "
                "(one client at a time)"
            )
            await stop.wait()
        finally:
            await process.stop()

    asyncio.run(run())


@click.command()
@click.option("--host", help="Address to listen on (CHATOPS_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (CHATOPS_PORT, 8000).")
def server(host: str | None, port: int | None) -> None:
    """Run the backend: REST API, WebSockets, ingest."""
    from chatops_backend.serve import serve

    log_to_stderr()
    # A line for each socket that opens or closes is too much with hundreds of agents.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    settings = Settings.from_environment()
    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    uvloop.run(serve(settings))
