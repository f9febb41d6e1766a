"""The command `chatops audit`: read and check the audit log without a log-in, for whoever can reach the database."""

from datetime import UTC

import click

from chatops_backend.audit import verification
from chatops_backend.audit.routes import entry_from, read_expected_head
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_backend.terminal import print_table, with_database
from chatops_protocol.audit_resources import AuditEntry

# `list_entries` without a filter.
_ANY = dict.fromkeys(
    (
        "before",
        "actor",
        "user_id",
        "action",
        "target_type",
        "target_id",
        "server_id",
        "result",
        "start",
        "end",
        "search",
    )
)


@click.group()
def audit() -> None:
    """Read and check the audit log."""


@audit.command("verify")
@click.option("--expect", metavar="ENTRIES:HASH", help="A head of former times, as `chatops audit head` printed it.")
def verify(expect: str | None) -> None:
    """Follow the chain from its beginning; exit code 1 when it is broken.

    It finds entries that were edited, deleted, moved or cut off. Whoever owns the database can rewrite all of it: to
    find that, keep what `chatops audit head` prints somewhere else, and give it to --expect.
    """
    try:
        expected = read_expected_head(expect) if expect is not None else None
    except ProblemError as error:
        raise click.BadParameter(error.problem.detail, param_hint="--expect") from None
    found = with_database(lambda database: verification.verify(database, expected))
    if not found.valid:
        raise click.ClickException(
            f"the audit log is broken at entry {found.first_bad}: {found.reason} ({found.checked} before it are good)"
        )
    click.echo(f"the audit log is whole: {found.checked} entries, head {found.head.entries}:{found.head.hash}")


@audit.command("head")
def head() -> None:
    """Print how long the log is and the hash it ends with, to be kept somewhere else."""
    found = with_database(verification.read_head)
    click.echo(f"{found.entries}:{found.hash}")


@audit.command("list")
@click.option("--actor", help="A username.")
@click.option("--action", help="Such as user.create, or user for all about users.")
@click.option("--search", help="A text anywhere in an entry.")
@click.option("--count", type=click.IntRange(1, 100_000), default=50, show_default=True)
def list_entries(actor: str | None, action: str | None, search: str | None, count: int) -> None:
    """The newest entries, newest first."""

    async def work(database: Database) -> list[AuditEntry]:
        wanted = _ANY | {"actor": actor, "action": action, "search": search, "count": count}
        return [entry_from(row) async for row in load_queries("audit").list_entries(database, **wanted)]

    print_table(
        ("id", "time", "who", "address", "action", "on", "result", "detail"),
        [
            (
                entry.id,
                f"{entry.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
                entry.username or entry.actor_kind,
                entry.address,
                entry.action,
                _printable(" ".join(filter(None, (entry.target_type, entry.target_id, entry.target_name)))),
                entry.result,
                _printable(entry.detail),
            )
            for entry in with_database(work)
        ],
    )


def _printable(text: str) -> str:
    """Nothing that would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
