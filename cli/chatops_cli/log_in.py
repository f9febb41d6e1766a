"""Logs a person in to a running backend, for commands that work through its API. Asks for what it is not told."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

import click
import httpx

from chatops_backend.settings import Settings, address_of
from chatops_client import ApiError, BackendUnreachableError, Client

Decorated = Callable[..., Any]


def login_options(command: Decorated) -> Decorated:
    """The options of `log_in`, as `url`, `username`, `password_file` and `totp_code`."""
    for option in reversed(
        (
            click.option("--url", help="The backend's address; without it CHATOPS_API_URL, or this machine's own."),
            click.option("--username", help="Who you are; without it CHATOPS_ADMIN_USERNAME, or admin."),
            click.option(
                "--password-file",
                type=click.File(),
                help="Read the password from this file ('-': standard input); without it CHATOPS_ADMIN_PASSWORD "
                "of the administrator, or a question.",
            ),
            click.option("--totp-code", help="Of whoever has a second factor; without it, a question."),
        )
    ):
        command = option(command)
    return command


class Person(NamedTuple):
    """Who logs in where. Never printed: it holds the password."""

    address: str
    name: str
    password: str


def log_in(url: str | None, username: str | None, password_file: TextIO | None, totp_code: str | None) -> Client:
    """An open client, logged in. Raises `click.ClickException` that says what to do."""
    return enter(ask(url, username, password_file), totp_code)


def ask(url: str | None, username: str | None, password_file: TextIO | None) -> Person:
    """Where, who and the password, from options, settings, or the person at the terminal."""
    settings = Settings.from_environment()
    address = url or settings.api_url or address_of(settings.host, settings.port)
    name = username or settings.admin_username
    _require_backend(address)
    return Person(address, name, _password(settings, name, password_file))


def enter(person: Person, totp_code: str | None) -> Client:
    client = Client(person.address)
    try:
        try:
            client.login(person.name, person.password, totp_code)
        except ApiError as error:
            if totp_code is not None or not _wants_code(error) or not _may_ask():
                raise
            client.login(person.name, person.password, click.prompt(f"Code of {person.name}'s second factor", err=True))
    except ApiError as error:
        client.close()
        advice = "" if error.status != 401 or _wants_code(error) else _advice(person.name)
        raise click.ClickException(f"{person.address} does not let {person.name} in: {error.detail}{advice}") from None
    except BackendUnreachableError as error:
        client.close()
        raise click.ClickException(str(error)) from None
    except BaseException:
        client.close()
        raise
    return client


def _require_backend(address: str) -> None:
    """Before anybody types a password in vain."""
    try:
        answers = httpx.get(f"{address}/health", timeout=10).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        answers = False
    if not answers:
        raise click.ClickException(
            f"no ChatOps backend answers at {address}; `make up` (or `chatops up`) starts one here, --url names another"
        )


def _password(settings: Settings, name: str, file: TextIO | None) -> str:
    if file is not None:
        return file.readline().rstrip("\r\n")
    if settings.admin_password is not None and name == settings.admin_username:
        return settings.admin_password
    if not _may_ask():
        raise click.UsageError(f"there is nobody to ask for the password of {name}: give --password-file")
    password: str = click.prompt(f"Password of {name}", hide_input=True, err=True)
    return password


def _may_ask() -> bool:
    return sys.stdin.isatty()


def _wants_code(error: ApiError) -> bool:
    return any(item.get("key") == "totp_code" for item in error.extra)


def _advice(name: str) -> str:
    return (
        f" Give --password-file with the password that `chatops up` printed when it made the account, "
        f"or a new one by `chatops user set-password {name}` (stop `chatops up` first)."
    )
