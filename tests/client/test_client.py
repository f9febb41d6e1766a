"""The synchronous client against the real backend."""

import logging
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from chatops_client import ApiError, BackendUnreachableError, Client
from chatops_protocol.resources import UpdateServerRequest, UpdateUserRequest
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio


def around(moment: float) -> tuple[datetime, datetime]:
    middle = datetime.fromtimestamp(moment, UTC)
    return middle - timedelta(minutes=5), middle + timedelta(minutes=1)


def test_history_is_a_frame_of_the_readings(client: Client, reported: Reported) -> None:
    frame = client.history(reported.server_id, "host.cpu_percent", *around(reported.newest_at), points=200)
    assert frame.columns[:2] == ["time", "server_id"]
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    values = frame["avg"].drop_nulls().to_list()
    assert (min(values), max(values)) == (10.0, 22.0)


def test_labels_become_columns(client: Client, reported: Reported) -> None:
    frame = client.query(
        "filesystem.used_percent", *around(reported.newest_at), server_ids=[reported.server_id], points=50
    )
    assert frame["mountpoint"].unique().to_list() == ["/"]
    assert frame["server_id"].unique().to_list() == [reported.server_id]


def test_latest_separates_the_time_from_the_measurements(client: Client, reported: Reported) -> None:
    latest = client.latest(reported.server_id)
    assert latest.time is not None
    assert latest.time.timestamp() == pytest.approx(reported.newest_at, abs=0.01)
    assert latest.measurements["host"]["cpu_percent"] == 22.0
    assert latest.measurements["cpu"][0]["core"] == "0"


def test_the_catalogue_names_a_known_metric(client: Client) -> None:
    assert "host.cpu_percent" in {metric.metric for metric in client.catalog().metrics}


def test_all_pages_of_a_list_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatops_client.wire.PAGE_SIZE", 2)
    made = {client.create_server(f"paged {n}").id for n in range(5)}
    assert made <= {server.id for server in client.servers()}


def test_a_server_and_its_keys_are_created_changed_and_deleted(client: Client) -> None:
    server = client.create_server("temporary", tags=["a"])
    changed = client.update_server(server.id, UpdateServerRequest(description="changed"))
    assert (changed.name, changed.description, changed.tags) == ("temporary", "changed", ["a"])
    key = client.create_api_key(server.id, "first")
    client.deactivate_api_key(key.id)
    assert [known.active for known in client.api_keys(server.id)] == [False]
    client.delete_api_key(key.id)
    assert client.api_keys(server.id) == []
    assert client.connections(server.id) == []
    client.delete_server(server.id)
    with pytest.raises(ApiError) as caught:
        client.server(server.id)
    assert caught.value.status == 404


def test_users_are_created_and_switched_off(client: Client, backend: Backend) -> None:
    user = client.create_user("somebody", "a password of theirs", "viewer")
    with Client(backend.url, username="somebody", password="a password of theirs") as theirs:
        assert theirs.me().role == "viewer"
        theirs.change_password("a password of theirs", "another password of theirs")
        with pytest.raises(ApiError) as caught:
            theirs.create_server("not for viewers")
        assert caught.value.status == 403
    assert client.update_user(user.id, UpdateUserRequest(active=False)).active is False


def test_an_unknown_metric_is_an_error_that_names_it(client: Client, reported: Reported) -> None:
    with pytest.raises(ApiError, match="cpu_percnt"):
        client.history(reported.server_id, "host.cpu_percnt", *around(reported.newest_at))


def test_a_wrong_password_is_401(backend: Backend) -> None:
    with pytest.raises(ApiError) as caught:
        Client(backend.url, username="admin", password="wrong, surely wrong")
    assert caught.value.status == 401


def test_nobody_listening_is_told_apart_from_a_refusal() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(BackendUnreachableError):
        client.login("admin", "x")


def test_calls_without_tokens_ask_to_log_in(backend: Backend) -> None:
    with Client(backend.url) as client, pytest.raises(ApiError, match="log in"):
        client.me()


def test_many_threads_renew_an_expired_token_once(backend: Backend) -> None:
    now = [0.0]
    with Client(backend.url, clock=lambda: now[0]) as client:
        client.login("admin", ADMIN_PASSWORD)
        before = client.tokens
        now[0] = 890.0
        # Two renewals with one refresh token would revoke the session, and some of these calls would fail.
        names: list[str] = []
        threads = [threading.Thread(target=lambda: names.append(client.me().username)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert names == ["admin"] * 8
        assert client.tokens != before


def test_logging_out_ends_the_session(backend: Backend) -> None:
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as client:
        tokens = client.tokens
        client.logout()
        assert client.tokens is None
        client.tokens = tokens
        with pytest.raises(ApiError) as caught:
            client.me()
        assert caught.value.status == 401


def test_tokens_appear_neither_in_the_representation_nor_in_logs(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as client:
        client.me()
        tokens = client.tokens
        assert tokens is not None
        for secret in (tokens.access_token, tokens.refresh_token, ADMIN_PASSWORD):
            assert secret not in repr(tokens)
            assert secret not in caplog.text
