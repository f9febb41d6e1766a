"""Settings: a secret that can be guessed does not start, a generated one is kept and readable by its owner alone."""

import stat
from pathlib import Path

import pytest

from chatops_backend.settings import (
    Settings,
    SettingsError,
    address_of,
    load_or_create_secret_key,
    prepare_data_dir,
)


@pytest.mark.parametrize("name", ["CHATOPS_SECRET_KEY", "CHATOPS_DASHBOARD_SECRET"])
@pytest.mark.parametrize(
    "secret",
    [
        "short",
        "x" * 64,
        "abab" * 16,
        "please-CHANGE-ME-please-change-me-1234567",
        "example secret key 0123456789abcdef",
    ],
)
def test_a_short_or_example_secret_is_refused(name: str, secret: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.* unset it"):
        Settings.from_environment({name: secret})


def test_the_generated_secret_is_kept_and_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    secret = load_or_create_secret_key(settings)
    assert len(secret) >= 32
    assert load_or_create_secret_key(settings) == secret
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", " "])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(SettingsError, match="CHATOPS_PORT"):
        Settings.from_environment({"CHATOPS_PORT": port})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("chatops.example", "http://chatops.example:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        ("2001:db8::7", "http://[2001:db8::7]:8000"),
    ],
)
def test_an_address_can_be_opened_whatever_the_host(host: str, address: str) -> None:
    assert address_of(host, 8000) == address


def test_the_dashboard_of_an_ipv6_host_may_open_sockets(tmp_path: Path) -> None:
    assert "http://[::1]:8050" in Settings(data_dir=tmp_path, host="::1").origins


@pytest.mark.parametrize("proxies", ["proxy.example", "10.0.0.1/8", "*", "10.0.0.1;10.0.0.2"])
def test_a_proxy_is_trusted_by_its_address(proxies: str) -> None:
    with pytest.raises(SettingsError, match="CHATOPS_TRUSTED_PROXIES"):
        Settings.from_environment({"CHATOPS_TRUSTED_PROXIES": proxies})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://somebody@db/chatops\n")
    settings = Settings.from_environment({"CHATOPS_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url == "postgresql://somebody@db/chatops"
    with pytest.raises(SettingsError, match="CHATOPS_ADMIN_PASSWORD_FILE"):
        Settings.from_environment({"CHATOPS_ADMIN_PASSWORD_FILE": str(tmp_path / "absent")})


def test_secrets_are_not_in_the_repr() -> None:
    hidden = {"secret_key": "s3cret" * 8, "dashboard_secret": "s3cret" * 7, "admin_password": "passw0rd"}
    settings = Settings(data_dir=Path("x"), **hidden)
    assert "s3cret" not in repr(settings)
    assert "passw0rd" not in repr(settings)


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="CHATOPS_DATA_DIR"):
        prepare_data_dir(tmp_path / "file" / "data")
