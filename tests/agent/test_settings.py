"""Settings of the agent: what is refused and what the refusal says."""

import ipaddress
import socket
from pathlib import Path

import psutil
import pytest

from chatops_agent.settings import Settings, SettingsError

KEY = "chatops_agent_canary"


def settings(**changes: str) -> Settings:
    return Settings.from_environment(
        {
            "CHATOPS_API_URL": "https://chatops.example.org",
            "CHATOPS_API_KEY": KEY,
            "CHATOPS_SPOOL_DIR": "/spool",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("api_url", "url", "through_proxy"),
    [
        ("https://chatops.example.org", "wss://chatops.example.org/api/v1/agents/ws", True),
        ("https://10.0.0.1:8443/", "wss://10.0.0.1:8443/api/v1/agents/ws", True),
        ("https://example.org/chatops", "wss://example.org/chatops/api/v1/agents/ws", True),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/agents/ws", False),
        ("http://localhost:8000", "ws://localhost:8000/api/v1/agents/ws", False),
        ("http://[::1]:8000", "ws://[::1]:8000/api/v1/agents/ws", False),
    ],
)
def test_the_backends_address_becomes_the_sockets(api_url: str, url: str, through_proxy: bool) -> None:
    made = settings(CHATOPS_API_URL=api_url)
    assert (made.url, made.through_proxy) == (url, through_proxy)


@pytest.mark.parametrize(
    "host",
    ["example.org", "10.0.0.1", "0.0.0.0", "127.0.0.1.example.org", "localhost.example.org", "[2001:db8::1]", "127.1"],
)
def test_plain_http_to_another_host_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="unencrypted; use https"):
        settings(CHATOPS_API_URL=f"http://{host}:8000")


def test_plain_http_is_allowed_to_an_address_of_this_host_and_past_the_proxy() -> None:
    """`chatops up` with CHATOPS_HOST set to the host's own address gives its agent such an address."""
    own = [a.address for of in psutil.net_if_addrs().values() for a in of if a.family == socket.AF_INET]
    own = [address for address in own if not ipaddress.ip_address(address).is_loopback]
    if not own:
        pytest.skip("this host has no address but loopback's")
    made = settings(CHATOPS_API_URL=f"http://{own[0]}:8000")
    assert (made.through_proxy, made.own_address) == (False, own[0])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CHATOPS_API_URL", "", "is not set"),
        ("CHATOPS_API_URL", "ftp://example.org", "must look like"),
        ("CHATOPS_API_URL", "example.org:8000", "must look like"),
        ("CHATOPS_API_URL", "https://example.org:99999", "is not an address"),
        ("CHATOPS_API_URL", "https://user:secret@example.org", "must not contain a user name"),
        ("CHATOPS_API_URL", "https://example.org/?key=1", "must look like"),
        ("CHATOPS_API_KEY", "", "create a key"),
        ("CHATOPS_API_KEY", "two words", "copy it again"),
        ("CHATOPS_INTERVAL", "soon", "from 1 to 3600"),
        ("CHATOPS_INTERVAL", "0.1", "from 1 to 3600"),
        ("CHATOPS_INTERVAL", "nan", "from 1 to 3600"),
        ("CHATOPS_PROCESS_INTERVAL", "-1", "from 1 to 3600"),
        ("CHATOPS_SPOOL_MAX_BYTES", "12", "or more"),
        ("CHATOPS_SPOOL_MAX_BYTES", "1 GB", "whole number"),
        ("CHATOPS_CA_FILE", "/does/not/exist", "not a readable file"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        settings(**{name: value})
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_key_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    assert settings(CHATOPS_API_KEY="", CHATOPS_API_KEY_FILE=str(file)).api_key == KEY
    with pytest.raises(SettingsError, match="cannot be read"):
        settings(CHATOPS_API_KEY="", CHATOPS_API_KEY_FILE=str(tmp_path / "none"))


def test_the_key_is_not_in_the_representation() -> None:
    assert KEY not in repr(settings())


def test_processes_are_never_read_more_often_than_the_rest() -> None:
    assert settings(CHATOPS_INTERVAL="60").process_interval_s == 60


def test_the_spool_has_a_place_of_its_own_by_default() -> None:
    assert settings(CHATOPS_SPOOL_DIR="", STATE_DIRECTORY="/var/lib/private/agent").spool_dir == Path(
        "/var/lib/private/agent"
    )
    assert "chatops-agent" in str(settings(CHATOPS_SPOOL_DIR="").spool_dir)


def test_log_files_are_paths_and_globs_separated_by_commas() -> None:
    made = settings(CHATOPS_LOG_FILES=" /var/log/syslog , /var/log/nginx/*.log,,/var/log/syslog")
    assert made.log_files == ("/var/log/syslog", "/var/log/nginx/*.log")
    assert made.follows_logs
    assert not settings().follows_logs
    assert settings(CHATOPS_LOG_JOURNAL="on").follows_logs
    assert settings(CHATOPS_LOG_LINES_PER_S="20").log_lines_per_s == 20


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("CHATOPS_LOG_FILES", "syslog", "write the whole path"),
        ("CHATOPS_LOG_FILES", "/var/log/syslog,nginx/*.log", "'nginx/\\*.log'"),
        ("CHATOPS_LOG_JOURNAL", "maybe", "must be 0 or 1"),
        ("CHATOPS_LOG_LINES_PER_S", "0", "from 1 to 10000"),
        ("CHATOPS_LOG_LINES_PER_S", "many", "from 1 to 10000"),
    ],
)
def test_wrong_settings_of_logs_are_refused(name: str, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(**{name: text})


def test_containers_are_out_of_reach_unless_the_host_says_otherwise() -> None:
    assert settings().docker_policy == "off"
    assert settings().docker_socket == "/var/run/docker.sock"
    for policy in ("off", "read", "control"):
        assert settings(CHATOPS_ALLOW_DOCKER=policy).docker_policy == policy
    assert settings(CHATOPS_DOCKER_SOCKET="unix:///run/engine").docker_socket == "/run/engine"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CHATOPS_ALLOW_DOCKER", "yes"),
        ("CHATOPS_ALLOW_DOCKER", "Control"),
        ("CHATOPS_DOCKER_SOCKET", "tcp://engine:2375"),
        ("CHATOPS_DOCKER_SOCKET", "docker.sock"),
    ],
)
def test_wrong_settings_of_containers_are_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: text})


def test_nothing_is_run_unless_the_host_says_otherwise() -> None:
    made = settings()
    assert (made.command_policy, made.allow_root, made.command_key) == ("off", False, None)
    assert settings(CHATOPS_ALLOW_COMMANDS="shell", CHATOPS_ALLOW_ROOT="1").allow_root


def test_a_list_of_commands_needs_its_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set CHATOPS_COMMANDS_FILE"):
        settings(CHATOPS_ALLOW_COMMANDS="allowlist")
    with pytest.raises(SettingsError, match="not a readable file"):
        settings(CHATOPS_ALLOW_COMMANDS="allowlist", CHATOPS_COMMANDS_FILE=str(tmp_path / "none"))
    listing = tmp_path / "commands.toml"
    listing.write_text("")
    made = settings(CHATOPS_ALLOW_COMMANDS="allowlist", CHATOPS_COMMANDS_FILE=str(listing))
    assert (made.command_policy, made.commands_file) == ("allowlist", listing)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CHATOPS_ALLOW_COMMANDS", "on"),
        ("CHATOPS_ALLOW_COMMANDS", "Shell"),
        ("CHATOPS_ALLOW_COMMANDS", "all"),
        ("CHATOPS_ALLOW_ROOT", "maybe"),
        ("CHATOPS_COMMAND_KEY", "short"),
        ("CHATOPS_COMMAND_KEY", "AAAA"),
    ],
)
def test_wrong_settings_of_commands_are_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: text})


def test_commands_get_little_of_the_environment_and_nothing_of_the_agents() -> None:
    made = settings(HOME="/home/ann", PATH="/bin", LC_ALL="C.UTF-8", AWS_SECRET_ACCESS_KEY="x", LD_PRELOAD="x")
    expected = {"HOME": "/home/ann", "PATH": "/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    assert made.command_environment == expected
    assert settings().command_environment["PATH"].endswith("/bin")
    assert KEY not in repr(made)
