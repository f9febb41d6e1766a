"""Settings of backend and dashboard processes: the only place that reads the environment.

`Settings.from_environment` is called once per process, by the command line and by tests; everything else is handed the
result.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

MINIMUM_SECRET_BYTES = 32


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class Settings:
    """What `docs/settings.md` lists. Times in seconds."""

    data_dir: Path
    database_url: str | None = None  # None: the embedded database
    host: str = "127.0.0.1"
    port: int = 8000
    dashboard_port: int = 8050
    secret_key: str | None = field(default=None, repr=False)
    admin_username: str = "admin"
    admin_password: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()
    api_url: str | None = None
    allow_private_targets: bool = False
    heartbeat_url: str | None = field(default=None, repr=False)
    dashboard_secret: str | None = field(default=None, repr=False)
    shell_needs_second_factor: bool = False
    trusted_proxies: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Raise `SettingsError` when a value cannot be used."""
        env = os.environ if environment is None else environment
        secret = _value_or_file(env, "CHATOPS_SECRET_KEY")
        _check_secret("CHATOPS_SECRET_KEY", secret, "unset it to have one generated into the data directory")
        dashboard_secret = _value_or_file(env, "CHATOPS_DASHBOARD_SECRET")
        _check_secret("CHATOPS_DASHBOARD_SECRET", dashboard_secret, "unset it on both backend and dashboard")
        return cls(
            data_dir=Path(env.get("CHATOPS_DATA_DIR") or "data").absolute(),
            database_url=_value_or_file(env, "CHATOPS_DATABASE_URL"),
            host=env.get("CHATOPS_HOST") or "127.0.0.1",
            port=_port(env, "CHATOPS_PORT", 8000),
            dashboard_port=_port(env, "CHATOPS_DASHBOARD_PORT", 8050),
            secret_key=secret,
            admin_username=env.get("CHATOPS_ADMIN_USERNAME") or "admin",
            admin_password=_value_or_file(env, "CHATOPS_ADMIN_PASSWORD"),
            allowed_origins=tuple(o.strip() for o in env.get("CHATOPS_ALLOWED_ORIGINS", "").split(",") if o.strip()),
            api_url=env.get("CHATOPS_API_URL") or None,
            allow_private_targets=_switch(env, "CHATOPS_ALLOW_PRIVATE_TARGETS"),
            heartbeat_url=_web_address("CHATOPS_HEARTBEAT_URL", _value_or_file(env, "CHATOPS_HEARTBEAT_URL")),
            dashboard_secret=dashboard_secret,
            shell_needs_second_factor=_switch(env, "CHATOPS_SHELL_NEEDS_SECOND_FACTOR"),
            trusted_proxies=_networks(env, "CHATOPS_TRUSTED_PROXIES"),
        )

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages may open WebSockets: the configured ones, else the dashboard's own."""
        if self.allowed_origins:
            return self.allowed_origins
        return tuple(address_of(host, self.dashboard_port) for host in ("127.0.0.1", "localhost", self.host))


def address_of(host: str, port: int) -> str:
    """Where this machine reaches what listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def load_or_create_secret_key(settings: Settings) -> str:
    """Return the secret that signs access tokens; generate it into the data directory when none is set."""
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.data_dir / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = path.read_text().strip()
        if len(secret.encode()) < MINIMUM_SECRET_BYTES:
            raise SettingsError(
                f"{path} is shorter than {MINIMUM_SECRET_BYTES} bytes; delete it to have a new one made"
            ) from None
        return secret
    secret = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    return secret


def known_secret_key(settings: Settings) -> str | None:
    """The secret if there is one already: a command that is run elsewhere must not make another."""
    if settings.secret_key is None and not (settings.data_dir / "secret_key").is_file():
        return None
    return load_or_create_secret_key(settings)


def prepare_data_dir(path: Path) -> None:
    """Create the data directory, readable by its owner alone. Raise `SettingsError` when it cannot be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"the data directory {path} cannot be written ({error.strerror}); set CHATOPS_DATA_DIR to one that can"
        ) from error


def _check_secret(name: str, secret: str | None, otherwise: str) -> None:
    if secret is not None and len(secret.encode()) < MINIMUM_SECRET_BYTES:
        raise SettingsError(f"{name} is shorter than {MINIMUM_SECRET_BYTES} bytes; set a random one, or {otherwise}")
    if secret is not None and _is_guessable(secret):
        raise SettingsError(f"{name} looks like an example; set a random one, or {otherwise}")


def _is_guessable(secret: str) -> bool:
    lowered = secret.lower()
    return len(set(secret)) < 10 or any(word in lowered for word in ("changeme", "change-me", "change_me", "example"))


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


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = (env.get(name) or "0").lower()
    if text not in ("0", "1", "false", "true", "off", "on", "no", "yes"):
        raise SettingsError(f"{name} is {text[:20]!r}; it must be 1 or 0")
    return text in ("1", "true", "on", "yes")


def _web_address(name: str, text: str | None) -> str | None:
    """Not shown when it is wrong, since such addresses hold secrets."""
    if text is not None and not text.startswith(("https://", "http://")):
        raise SettingsError(f"{name} must start with https:// or http://")
    return text


def _value_or_file(env: Mapping[str, str], name: str) -> str | None:
    """A value, or the content of the file that `<name>_FILE` names (container secrets)."""
    if env.get(name):
        return env[name]
    file = env.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text().strip() or None
    except OSError as error:
        raise SettingsError(f"{name}_FILE names {file}, which cannot be read ({error.strerror})") from error
