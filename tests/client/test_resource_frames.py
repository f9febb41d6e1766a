"""Alerts, log lines and newest readings as frames; and the settings a notebook is given."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from chatops_client import AsyncClient, Client, ClientSettings, Latest, SettingsError
from chatops_client.resource_frames import (
    ALERT_COLUMNS,
    LATEST_COLUMNS,
    LOG_COLUMNS,
    alerts_to_frame,
    latest_to_frame,
    lines_to_frame,
)
from chatops_protocol.alert_resources import Alert, Bound
from chatops_protocol.log_lines import LogLine
from tests.backend.logs.log_sending import logging_agent
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def alert(alert_id: int, bound: Bound | None, resolved_at: datetime | None = None) -> Alert:
    return Alert(
        id=alert_id,
        threshold_id=1,
        threshold_name="disk",
        server_id=2,
        server_name="db",
        labels={"mountpoint": "/", "device": "sda1"},
        metric="filesystem.used_percent",
        state="firing",
        level="critical",
        value=95.5,
        bound=bound,
        window_s=300,
        pending_at=None,
        started_at=NOON,
        resolved_at=resolved_at,
    )


def test_alerts_become_rows_with_bounds_as_numbers() -> None:
    frame = alerts_to_frame([alert(1, 90.0), alert(2, (10.0, 90.0), NOON), alert(3, None)])
    assert dict(frame.schema) == ALERT_COLUMNS
    assert frame.select("bound", "bound_high").rows() == [(90.0, None), (10.0, 90.0), (None, None)]
    assert frame["labels"][0] == "mountpoint=/,device=sda1"
    assert frame["resolved_at"].to_list() == [None, NOON, None]


def test_nothing_is_a_frame_with_all_columns() -> None:
    assert dict(alerts_to_frame([]).schema) == ALERT_COLUMNS
    assert dict(lines_to_frame(1, []).schema) == LOG_COLUMNS
    assert dict(latest_to_frame({}).schema) == LATEST_COLUMNS


def test_lines_become_rows_of_their_server() -> None:
    frame = lines_to_frame(7, [LogLine(1, NOON, "app.log", None, "hello")])
    assert frame.row(0, named=True) == {
        "time": NOON,
        "server_id": 7,
        "source": "app.log",
        "level": None,
        "message": "hello",
        "id": 1,
    }


def test_a_reading_that_is_missing_is_null_and_one_that_is_not_collected_has_no_row() -> None:
    latest = Latest(NOON, {"host": {"cpu_percent": None}, "cpu": [{"core": "0", "cpu_percent": 5.0}], "disk": None})
    frame = latest_to_frame({1: latest, 2: Latest(None, {})})
    assert frame.rows() == [
        (1, NOON, "host.cpu_percent", "", None, "percent"),
        (1, NOON, "cpu.cpu_percent", "core=0", 5.0, "percent"),
    ]


async def test_the_newest_readings_of_several_servers_are_one_frame(
    client: Client, backend: Backend, reported: Reported
) -> None:
    frame = client.latest([reported.server_id])
    cpu = frame.filter(pl.col("metric") == "host.cpu_percent")
    assert cpu.select("server_id", "value", "unit").rows() == [(reported.server_id, 22.0, "percent")]
    assert reported.server_id in client.latest()["server_id"]
    async with AsyncClient(backend.url) as other:
        await other.login("admin", ADMIN_PASSWORD)
        assert (await other.latest([reported.server_id])).equals(frame)


async def test_lines_and_alerts_come_as_frames_over_many_pages(
    backend: Backend, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_id, key = backend.add_server("frames of a client")
    now = datetime.now(UTC).timestamp()
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now - n, "a.log", "info", f"line {n}"] for n in range(5)))
    monkeypatch.setattr("chatops_client.wire.PAGE_SIZE", 2)
    assert client.logs(server_id, source="a.log")["message"].to_list() == [f"line {n}" for n in range(5)]
    assert client.logs(server_id, source="a.log", limit=3).height == 3
    assert client.alerts(server_id=server_id).is_empty()
    async with AsyncClient(backend.url) as other:
        await other.login("admin", ADMIN_PASSWORD)
        assert (await other.logs(server_id, source="a.log")).height == 5
        assert (await other.alerts(server_id=server_id)).is_empty()


def test_settings_name_the_backend_and_the_person(tmp_path: Path) -> None:
    given = {"CHATOPS_API_URL": "http://elsewhere:1", "CHATOPS_USERNAME": "ann", "CHATOPS_PASSWORD": "secret of ann"}
    settings = ClientSettings.from_environment(given)
    assert (settings.api_url, settings.username, settings.password) == ("http://elsewhere:1", "ann", "secret of ann")
    assert "secret of ann" not in repr(settings)
    file = tmp_path / "password"
    file.write_text("from a file\n")
    local = ClientSettings.from_environment({"CHATOPS_PORT": "8123", "CHATOPS_PASSWORD_FILE": str(file)})
    assert (local.api_url, local.username, local.password) == ("http://127.0.0.1:8123", "admin", "from a file")


def test_a_missing_password_is_said() -> None:
    with pytest.raises(SettingsError, match="set CHATOPS_PASSWORD"):
        ClientSettings.from_environment({})
    with pytest.raises(SettingsError, match="cannot be read"):
        ClientSettings.from_environment({"CHATOPS_PASSWORD_FILE": "nowhere/at/all"})


def test_a_client_logs_in_by_the_environment(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATOPS_API_URL", backend.url)
    monkeypatch.setenv("CHATOPS_PASSWORD", ADMIN_PASSWORD)
    with Client.from_environment() as client:
        assert client.me().username == "admin"
        assert client.tokens is not None
        with Client(backend.url, token=client.access_token()) as lent:
            assert lent.me().username == "admin"
