"""The command `chatops user`: people's accounts without a log-in, for whoever can reach the database."""

import secrets
import time
from typing import TextIO

import click

from chatops_backend.accounts import first_run, second_factor, users
from chatops_backend.accounts.principals import Principals
from chatops_backend.audit.actor import command_line
from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_backend.terminal import print_table, with_database
from chatops_protocol.resources import ROLES, Role, UpdateUserRequest, User

_password_option = click.option(
    "--password-file",
    type=click.File(),
    help="Read the password from this file ('-': standard input); without it one is generated and printed.",
)
_role_type = click.Choice(ROLES)


@click.group()
def user() -> None:
    """Add, list and change people."""


@user.command("add")
@click.argument("username")
@click.option("--role", type=_role_type, default="viewer", show_default=True)
@_password_option
def add(username: str, role: Role, password_file: TextIO | None) -> None:
    """Make an account for USERNAME."""
    password = _password(password_file)
    made = with_database(lambda database: first_run.create_user(database, username, password, role, command_line()))
    click.echo(f"{made.username} is now a user, role {made.role}")
    _show_generated(password, password_file)


@user.command("list")
def list_all() -> None:
    """Everybody, with role and state."""
    found = with_database(first_run.list_users)
    print_table(
        ("id", "username", "role", "state", "since"),
        [
            (one.id, one.username, one.role, "active" if one.active else "disabled", f"{one.created_at:%Y-%m-%d}")
            for one in found
        ],
    )


@user.command("set-password")
@click.argument("username")
@_password_option
def set_password(username: str, password_file: TextIO | None) -> None:
    """Give USERNAME another password; ends all sessions of that person."""
    password = _password(password_file)
    if not with_database(lambda database: first_run.set_password(database, username, password, command_line())):
        raise click.ClickException(f"there is no user {username}; `chatops user list` shows them")
    click.echo(f"{username} has a new password")
    _show_generated(password, password_file)


@user.command("change")
@click.argument("username")
@click.option("--role", type=_role_type, help="The new role.")
@click.option("--enable/--disable", "active", default=None, help="Whether the person may log in.")
def change(username: str, role: Role | None, active: bool | None) -> None:
    """Change the role of USERNAME, or disable the account."""
    if role is None and active is None:
        raise click.UsageError("say what to change: --role, --enable or --disable")

    async def work(database: Database) -> User:
        found = await _find(database, username)
        request = UpdateUserRequest(role=role, active=active)
        # A running backend has its own memory of sessions and notices within a second.
        principals = Principals(database, time.monotonic)
        return await users.update_user(database, principals, found.id, request, None, command_line())

    changed = with_database(work)
    click.echo(f"{changed.username}: role {changed.role}, {'active' if changed.active else 'disabled'}")


@user.command("second-factor-off")
@click.argument("username")
def second_factor_off(username: str) -> None:
    """Switch off the second factor of USERNAME, who has lost the telephone and the recovery codes."""

    async def work(database: Database) -> None:
        await second_factor.switch_off(database, await _find(database, username), command_line())

    with_database(work)
    click.echo(f"{username} logs in with the password alone now")


async def _find(database: Database, username: str) -> User:
    for one in await first_run.list_users(database):
        if one.username.lower() == username.lower():
            return one
    raise ProblemError(404, "Not found", f"there is no user {username}; `chatops user list` shows them")


def _password(file: TextIO | None) -> str:
    return secrets.token_urlsafe(15) if file is None else file.read().strip("\r\n")


def _show_generated(password: str, file: TextIO | None) -> None:
    if file is None:
        click.echo(f"password: {password}")
