"""Settings of the dashboard process: the only place here that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class DashboardSettings:
    """`api_url` is where this process, and the agents, reach the backend. `allowed_origins` are further origins whose
    pages may post and open sockets here (a reverse proxy that changes the host)."""

    host: str = "127.0.0.1"
    port: int = 8050
    api_url: str = "http://127.0.0.1:8000"
    allowed_origins: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "DashboardSettings":
        """Raise `SettingsError` when a value cannot be used."""
        env = os.environ if environment is None else environment
        backend_port = _port(env, "CHATOPS_PORT", 8000)
        return cls(
            host=env.get("CHATOPS_HOST") or "127.0.0.1",
            port=_port(env, "CHATOPS_DASHBOARD_PORT", 8050),
            api_url=check_api_url(env.get("CHATOPS_API_URL") or f"http://127.0.0.1:{backend_port}"),
            allowed_origins=tuple(o.strip() for o in env.get("CHATOPS_ALLOWED_ORIGINS", "").split(",") if o.strip()),
        )

    @property
    def secure(self) -> bool:
        """Whether people reach the dashboard over TLS (a proxy in front says so by an https origin)."""
        return any(origin.startswith("https://") for origin in self.allowed_origins)


def check_api_url(text: str) -> str:
    """Return the address without a trailing slash, or raise `SettingsError`."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"CHATOPS_API_URL is {text!r}; it must look like http://host:8000 or https://host")
    return text.rstrip("/")


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError(f"{name} is {text!r}; it must be a port number from 1 to 65535")
    return int(text)
