"""Which backend and who, for notebooks and scripts: the only place here that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class ClientSettings:
    """`api_url` is the backend's address."""

    api_url: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ClientSettings":
        """``CHATOPS_API_URL`` (default: this machine's, on ``CHATOPS_PORT``), ``CHATOPS_USERNAME`` (default: admin)
        and ``CHATOPS_PASSWORD`` or ``CHATOPS_PASSWORD_FILE``. Raise `SettingsError` when there is no password."""
        env = os.environ if environment is None else environment
        return cls(
            api_url=env.get("CHATOPS_API_URL") or f"http://127.0.0.1:{env.get('CHATOPS_PORT') or 8000}",
            username=env.get("CHATOPS_USERNAME") or "admin",
            password=_password(env),
        )


def _password(env: Mapping[str, str]) -> str:
    if env.get("CHATOPS_PASSWORD"):
        return env["CHATOPS_PASSWORD"]
    file = env.get("CHATOPS_PASSWORD_FILE")
    if not file:
        raise SettingsError("set CHATOPS_PASSWORD, or CHATOPS_PASSWORD_FILE to a file that holds it")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"CHATOPS_PASSWORD_FILE names {file}, which cannot be read ({error})") from error
