"""Settings of the agent: the only place in this package that reads the environment.

`Settings.from_environment` is called once, by the command line; everything else is handed the result. It refuses an
address to which the key would travel unencrypted.
"""

import base64
import binascii
import ipaddress
import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from chatops_protocol.container_messages import DockerPolicy
from chatops_protocol.control_messages import CommandPolicy

SOCKET_PATH = "/api/v1/agents/ws"
DEFAULT_INTERVAL_S = 5.0
DEFAULT_PROCESS_INTERVAL_S = 30.0
DEFAULT_SPOOL_MAX_BYTES = 256 * 1024 * 1024
DEFAULT_LOG_LINES_PER_S = 500
MINIMUM_SPOOL_BYTES = 2 * 1024 * 1024
COMMAND_KEY_BYTES = 32
DEFAULT_DOCKER_SOCKET = "/var/run/docker.sock"
# All that commands get of the agent's own environment; its key and whatever else stands there is not theirs.
_PASSED_ON = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what to do."""


@dataclass(frozen=True)
class Settings:
    """`url` is the WebSocket address; `through_proxy` says whether the environment's proxy may be used for it.

    `own_address` is this host's, when plain http goes there: connections start from it too, so that the operating
    system refuses them as soon as it has become another host's.
    `docker_socket` is used when `docker_policy` is not ``off``.
    `commands_file` is the list for the policy ``allowlist``, `command_key` the backend's public key when it was given,
    `command_environment` what commands get to see.
    """

    url: str
    api_key: str = field(repr=False)
    spool_dir: Path
    interval_s: float = DEFAULT_INTERVAL_S
    process_interval_s: float = DEFAULT_PROCESS_INTERVAL_S
    spool_max_bytes: int = DEFAULT_SPOOL_MAX_BYTES
    ca_file: Path | None = None
    through_proxy: bool = False
    own_address: str | None = None
    command_policy: CommandPolicy = "off"
    commands_file: Path | None = None
    allow_root: bool = False
    command_key: bytes | None = None
    command_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    docker_policy: DockerPolicy = "off"
    docker_socket: str = DEFAULT_DOCKER_SOCKET
    log_files: tuple[str, ...] = ()
    log_journal: bool = False
    log_lines_per_s: int = DEFAULT_LOG_LINES_PER_S

    @property
    def follows_logs(self) -> bool:
        return bool(self.log_files) or self.log_journal

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Raise `SettingsError` when a value is missing or cannot be used."""
        env = os.environ if environment is None else environment
        url, through_proxy, own_address = socket_address(env.get("CHATOPS_API_URL") or "")
        interval = _seconds(env, "CHATOPS_INTERVAL", DEFAULT_INTERVAL_S)
        return cls(
            url=url,
            api_key=_api_key(env),
            spool_dir=Path(env.get("CHATOPS_SPOOL_DIR") or _default_spool_dir(env)).absolute(),
            interval_s=interval,
            process_interval_s=max(interval, _seconds(env, "CHATOPS_PROCESS_INTERVAL", DEFAULT_PROCESS_INTERVAL_S)),
            spool_max_bytes=_spool_max_bytes(env),
            ca_file=_readable_file(env, "CHATOPS_CA_FILE"),
            through_proxy=through_proxy,
            own_address=own_address,
            command_policy=_command_policy(env),
            commands_file=_readable_file(env, "CHATOPS_COMMANDS_FILE"),
            allow_root=_switch(env, "CHATOPS_ALLOW_ROOT"),
            command_key=_command_key(env),
            command_environment=_command_environment(env),
            docker_policy=_docker_policy(env),
            docker_socket=_docker_socket(env),
            log_files=_log_files(env),
            log_journal=_switch(env, "CHATOPS_LOG_JOURNAL"),
            log_lines_per_s=_log_lines_per_s(env),
        )


def socket_address(api_url: str) -> tuple[str, bool, str | None]:
    """Return the agent socket's address under `api_url`, and `through_proxy` and `own_address` of the settings."""
    if not api_url:
        raise SettingsError(
            "CHATOPS_API_URL is not set; set it to the backend's address, like https://chatops.example.org"
        )
    try:
        parts = urlsplit(api_url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"CHATOPS_API_URL {api_url!r} is not an address ({error})") from None
    if parts.username is not None or parts.password is not None:
        raise SettingsError("CHATOPS_API_URL must not contain a user name or password")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise SettingsError(f"CHATOPS_API_URL {api_url!r} must look like https://host:port")
    url = _as_websocket(parts, host, port)
    if is_loopback(host):
        return url, False, None
    if parts.scheme == "https":
        return url, True, None
    if not is_own_address(host):
        raise SettingsError(
            f"CHATOPS_API_URL {api_url!r} is plain http to another host: the API key would cross the network "
            "unencrypted; use https:// (plain http is allowed to localhost and to addresses of this host only)"
        )
    return url, False, host


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine. Anything that only resolves to it does not count: names can change."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_address(host: str) -> bool:
    """Whether `host` is an address of one of this host's interfaces, now. A name does not count."""
    try:
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast:
            return False  # these can be bound although nothing has them
        with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def _as_websocket(parts: SplitResult, host: str, port: int | None) -> str:
    scheme = "wss" if parts.scheme == "https" else "ws"
    bracketed = f"[{host}]" if ":" in host else host
    return f"{scheme}://{bracketed}{f':{port}' if port else ''}{parts.path.rstrip('/')}{SOCKET_PATH}"


def _api_key(env: Mapping[str, str]) -> str:
    key = env.get("CHATOPS_API_KEY", "").strip()
    if not key and env.get("CHATOPS_API_KEY_FILE"):
        path = Path(env["CHATOPS_API_KEY_FILE"])
        try:
            key = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"CHATOPS_API_KEY_FILE names {path}, which cannot be read ({error})") from None
    if not key:
        raise SettingsError(
            "CHATOPS_API_KEY is not set; create a key for this server in the dashboard, then set CHATOPS_API_KEY to it "
            "or CHATOPS_API_KEY_FILE to a file that holds it"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError("the API key contains characters that no key has; copy it again")
    return key


def _default_spool_dir(env: Mapping[str, str]) -> Path:
    if env.get("STATE_DIRECTORY"):  # set by systemd for a unit with StateDirectory=
        return Path(env["STATE_DIRECTORY"].split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/chatops-agent")
    if env.get("XDG_STATE_HOME"):
        return Path(env["XDG_STATE_HOME"]) / "chatops-agent"
    try:
        return Path.home() / ".local" / "state" / "chatops-agent"
    except RuntimeError:
        raise SettingsError(
            "this user has no home directory; set CHATOPS_SPOOL_DIR to a directory it can write"
        ) from None


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 3600:
        raise SettingsError(f"{name} is {text!r}; it must be a number of seconds from 1 to 3600")
    return seconds


def _spool_max_bytes(env: Mapping[str, str]) -> int:
    text = env.get("CHATOPS_SPOOL_MAX_BYTES") or str(DEFAULT_SPOOL_MAX_BYTES)
    if not text.isdigit() or int(text) < MINIMUM_SPOOL_BYTES:
        raise SettingsError(
            f"CHATOPS_SPOOL_MAX_BYTES is {text!r}; it must be a whole number of bytes, {MINIMUM_SPOOL_BYTES} or more"
        )
    return int(text)


def _readable_file(env: Mapping[str, str], name: str) -> Path | None:
    if not env.get(name):
        return None
    path = Path(env[name]).absolute()
    if not os.access(path, os.R_OK) or not path.is_file():
        raise SettingsError(f"{name} names {path}, which is not a readable file")
    return path


def _command_policy(env: Mapping[str, str]) -> CommandPolicy:
    match env.get("CHATOPS_ALLOW_COMMANDS") or "off":
        case "off":
            return "off"
        case "shell":
            return "shell"
        case "allowlist":
            if not env.get("CHATOPS_COMMANDS_FILE"):
                raise SettingsError(
                    "CHATOPS_ALLOW_COMMANDS is allowlist; set CHATOPS_COMMANDS_FILE to the file that lists the commands"
                )
            return "allowlist"
        case text:
            raise SettingsError(f"CHATOPS_ALLOW_COMMANDS is {text!r}; it must be off, allowlist or shell")


def _docker_policy(env: Mapping[str, str]) -> DockerPolicy:
    match env.get("CHATOPS_ALLOW_DOCKER") or "off":
        case "off":
            return "off"
        case "read":
            return "read"
        case "control":
            return "control"
        case text:
            raise SettingsError(f"CHATOPS_ALLOW_DOCKER is {text!r}; it must be off, read or control")


def _docker_socket(env: Mapping[str, str]) -> str:
    path = (env.get("CHATOPS_DOCKER_SOCKET") or DEFAULT_DOCKER_SOCKET).removeprefix("unix://")
    if not path.startswith("/"):
        raise SettingsError(f"CHATOPS_DOCKER_SOCKET is {path!r}; it must be the path of the engine's Unix socket")
    return path


def _command_key(env: Mapping[str, str]) -> bytes | None:
    text = (env.get("CHATOPS_COMMAND_KEY") or "").strip()
    if not text:
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != COMMAND_KEY_BYTES:
        raise SettingsError("CHATOPS_COMMAND_KEY is not a key that `chatops server-add` or `chatops key add` shows")
    return key


def _command_environment(env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if name in _PASSED_ON or name.startswith("LC_")}
    return {**kept, "PATH": env.get("PATH") or _DEFAULT_PATH, "TERM": "dumb"}


def _switch(env: Mapping[str, str], name: str) -> bool:
    match (env.get(name) or "0").lower():
        case "0" | "false" | "off" | "no":
            return False
        case "1" | "true" | "on" | "yes":
            return True
        case text:
            raise SettingsError(f"{name} is {text!r}; it must be 0 or 1")


def _log_files(env: Mapping[str, str]) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(p.strip() for p in env.get("CHATOPS_LOG_FILES", "").split(",") if p.strip()))
    for pattern in patterns:
        if not Path(pattern).is_absolute():
            raise SettingsError(f"CHATOPS_LOG_FILES names {pattern!r}; write the whole path, like /var/log/syslog")
    return patterns


def _log_lines_per_s(env: Mapping[str, str]) -> int:
    text = env.get("CHATOPS_LOG_LINES_PER_S") or str(DEFAULT_LOG_LINES_PER_S)
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise SettingsError(f"CHATOPS_LOG_LINES_PER_S is {text!r}; it must be a whole number from 1 to 10000")
    return int(text)
