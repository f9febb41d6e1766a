"""The command `chatops agent` (also `python -m chatops_agent`). Options stand for the settings of the same name."""

import os
import signal
import sys

import click

from chatops_agent import __version__
from chatops_agent.settings import DEFAULT_INTERVAL_S, DEFAULT_SPOOL_MAX_BYTES, Settings, SettingsError

ONCE_AFTER_S = 1.0


@click.command()
@click.option(
    "--api-url", metavar="URL", help="Address of the backend, like https://chatops.example.org [CHATOPS_API_URL]"
)
@click.option(
    "--api-key-file", metavar="FILE", help="File with this server's API key [CHATOPS_API_KEY_FILE, or CHATOPS_API_KEY]"
)
@click.option(
    "--ca-file", metavar="FILE", help="Certificate authorities to trust instead of the system's [CHATOPS_CA_FILE]"
)
@click.option(
    "--interval", metavar="SECONDS", help=f"Time between collections, {DEFAULT_INTERVAL_S:g} s [CHATOPS_INTERVAL]"
)
@click.option("--spool-dir", metavar="DIRECTORY", help="Where unsent collections wait [CHATOPS_SPOOL_DIR]")
@click.option(
    "--spool-max-bytes", metavar="BYTES", help=f"Size of the spool, {DEFAULT_SPOOL_MAX_BYTES} [CHATOPS_SPOOL_MAX_BYTES]"
)
@click.option(
    "--log-files", metavar="PATHS", help="Log files to follow: paths or globs, separated by commas [CHATOPS_LOG_FILES]"
)
@click.option("--log-journal", metavar="1|0", help="Follow the systemd journal, 0 [CHATOPS_LOG_JOURNAL]")
@click.option("--once", is_flag=True, help="Print one collection as JSON and exit; needs no backend")
@click.version_option(__version__, prog_name="chatops agent")
def agent(once: bool, **options: str | None) -> None:
    """Collect this host's metrics and send them to the backend, until SIGINT or SIGTERM.

    The API key comes from the environment or a file, never from the command line, where every user could see it.
    """
    if once:
        _print_once()
        return
    for number in (signal.SIGINT, signal.SIGTERM):  # until the runner takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    given = {f"CHATOPS_{name.upper()}": value for name, value in options.items() if value is not None}
    environment = {**os.environ, **given}
    if "CHATOPS_API_KEY_FILE" in given:
        environment.pop("CHATOPS_API_KEY", None)
    # Late: `--help` and a wrong setting need none of it.
    from chatops_agent.logs import log_to_stderr
    from chatops_agent.runner import run_agent
    from chatops_agent.spool_directory import SpoolError

    try:
        log_to_stderr()
        run_agent(Settings.from_environment(environment))
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except SpoolError as error:
        raise click.ClickException(str(error)) from None


def _print_once() -> None:
    import time

    from msgspec import json

    from chatops_agent.collection import standard_collection
    from chatops_agent.counters import Counters
    from chatops_protocol.catalog import BY_NAME

    counters = Counters()
    collection = standard_collection(counters, ONCE_AFTER_S, ONCE_AFTER_S)
    collection.collect()
    time.sleep(ONCE_AFTER_S)  # rates need two readings
    readings = {
        name: [dict(zip(BY_NAME[name].columns, row, strict=True)) for row in rows]
        for name, rows in collection.collect().items()
    }
    sys.stdout.buffer.write(json.format(json.encode({"time": time.time(), **readings})) + b"\n")
    if counters.collector_errors:
        raise click.ClickException(f"{counters.collector_errors} readings failed")
