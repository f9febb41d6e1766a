"""Settings of the dashboard process: the only place here that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class DashboardSettings:
    """`api_url` is where this process, and the agents, reach the backend. `allowed_origins` are further origins whose
    pages may post and open sockets here (a reverse proxy that changes the host). `secret` is by what the backend
    believes us the addresses of browsers."""

    host: str = "127.0.0.1"
    port: int = 8050
    api_url: str = "http://127.0.0.1:8000"
    allowed_origins: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[str, ...] = ()

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
            secret=_header_value("CHATOPS_DASHBOARD_SECRET", _value_or_file(env, "CHATOPS_DASHBOARD_SECRET")),
            trusted_proxies=_networks(env, "CHATOPS_TRUSTED_PROXIES"),
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


def _value_or_file(env: Mapping[str, str], name: str) -> str | None:
    """A value, or the content of the file that `<name>_FILE` names (container secrets)."""
    if env.get(name):
        return env[name]
    file = env.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE names {file}, which cannot be read ({error})") from error


def _header_value(name: str, text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable()):
        raise SettingsError(f"{name} has characters that no header may carry; use letters and digits")
    return text


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = tuple(part.strip() for part in env.get(name, "").split(",") if part.strip())
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise SettingsError(f"{name} names {network!r}, which is no address and no network ({error})") from None
    return networks


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError(f"{name} is {text!r}; it must be a port number from 1 to 65535")
    return int(text)
