"""`chatops demo`: fills a running backend with a fleet that does not exist, lists it, and removes it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chatops_cli.demo.fleet import Host
from chatops_cli.demo.history import History
from chatops_cli.demo.incidents import Incident
from chatops_cli.demo.ownership import in_the_way, incident_lines, own_servers
from chatops_cli.demo.roles import HOSTS, fleet
from chatops_cli.demo.upload import UploadError, create_servers, remove_servers, send_rows
from chatops_cli.log_in import log_in, login_options
from chatops_cli.transfer.rollups import until_rolled_up
from chatops_client import ApiError, BackendUnreachableError, Client
from chatops_protocol.resources import Server


@click.command()
@click.option("--servers", type=click.IntRange(1, len(HOSTS)), default=len(HOSTS), show_default=True, help="How many.")
@click.option("--days", type=click.IntRange(1, 80), default=30, show_default=True, help="How far back.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Another one, another history."
)
@click.option("--again", is_flag=True, help="Remove the demo fleet that is there, and make it anew.")
@click.option("--list", "only_list", is_flag=True, help="Print the demo fleet that is there, with its incidents.")
@click.option("--remove", is_flag=True, help="Remove the demo fleet.")
@login_options
def demo(
    servers: int,
    days: int,
    seed: int,
    again: bool,
    only_list: bool,
    remove: bool,
    url: str | None,
    username: str | None,
    password_file: TextIO | None,
    totp_code: str | None,
) -> None:
    """Fill a running backend with servers that do not exist and weeks of plausible history, incidents included.

    They are named demo-…, tagged demo, and described as demo data. Nobody is notified of them. Other servers are left
    alone.
    """
    if sum((again, only_list, remove)) > 1:
        raise click.UsageError("--again, --list and --remove are three different things; choose one")
    with log_in(url, username, password_file, totp_code) as client, _errors_in_words():
        present = client.servers()
        found, hosts = own_servers(present), fleet(servers)
        if only_list:
            _print_fleet(found)
            return
        _require_administrator(client)
        if remove:
            _remove(client, found)
            return
        if found and not again:
            raise click.ClickException(
                f"the demo fleet is there already ({len(found)} servers, made {found[0].created_at:%Y-%m-%d %H:%M} "
                "UTC): `--list` prints it, `--again` makes it anew, `--remove` removes it"
            )
        taken = in_the_way(present, hosts)
        if taken:
            raise click.ClickException(
                f"there is a server {taken[0]} that the demo did not make, or that was changed since; "
                "rename or delete it"
            )
        if found:
            _remove(client, found)
        _fill(client, hosts, days, seed)


def _fill(client: Client, hosts: Sequence[Host], days: int, seed: int) -> None:
    began, now = time.monotonic(), datetime.now(UTC)
    history = History(hosts, now, days, seed)
    try:
        with _progress() as stage:
            ids = create_servers(client, history, now, stage("servers", len(hosts)))
            tables = history.tables(ids, stage("history", len(hosts)))
            rows = send_rows(client, tables, stage("rows", sum(map(len, tables.values()))))
            progress = client.transfer.finish_import()
            advance, before = stage("roll-ups", progress.pending_days), 0
            for done in until_rolled_up(client, progress):
                advance(done - before)
                before = done
    except BaseException:
        click.echo("the demo fleet is not whole: `chatops demo --remove` removes it, `--again` starts anew", err=True)
        raise
    click.echo(
        f"demo data: {len(ids)} servers, {days} days, {rows:,} rows in {time.monotonic() - began:.0f} s. "
        "There are no such machines: each shows as never connected, and its alerts are silenced."
    )
    _print_incidents(history.incidents)


def _remove(client: Client, found: Sequence[Server]) -> None:
    with _progress() as stage:
        remove_servers(client, found, stage("removing", len(found)))
    click.echo(f"removed {len(found)} demo servers" if found else "there is no demo fleet")


def _require_administrator(client: Client) -> None:
    person = client.me()
    if person.role != "admin":
        raise click.ClickException(
            f"{person.username} is {person.role}; only administrators make and remove servers: give --username"
        )


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except (ApiError, BackendUnreachableError, UploadError) as error:
        raise click.ClickException(error.detail if isinstance(error, ApiError) else str(error)) from None


Stage = Callable[[str, int], Callable[[int], None]]


@contextmanager
def _progress() -> Iterator[Stage]:
    """A bar for each stage, on standard error."""
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def stage(name: str, total: int) -> Callable[[int], None]:
            task: TaskID = bars.add_task(name, total=total)
            return lambda steps: bars.advance(task, steps)

        yield stage


def _print_fleet(servers: Sequence[Server]) -> None:
    if not servers:
        click.echo("there is no demo fleet; `chatops demo` makes one")
    for server in servers:
        click.echo(f"{server.name} (id {server.id}; {', '.join(server.tags)})")
        for line in incident_lines(server):
            click.echo(f"  {line}")


def _print_incidents(incidents: Sequence[Incident]) -> None:
    click.echo("Incidents to be found:" if incidents else "Nothing befell so small a fleet.")
    for incident in incidents:
        click.echo(f"  {incident.server}: {incident.line}")
