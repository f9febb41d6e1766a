"""Everything under ``/alerts`` through the clients, against the real backend."""

import asyncio
import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chatops_client import ApiError, AsyncClient, Client
from chatops_protocol.alert_resources import (
    Channel,
    Incident,
    Silence,
    SuggestionRequest,
    Threshold,
    UpdateChannelRequest,
)
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio


def rule_on(server_id: int, critical: float = 5.0) -> Threshold:
    return Threshold(
        name=f"rule {time.time_ns()}",
        metric="host.cpu_percent",
        server_ids=[server_id],
        window_s=60,
        critical=critical,
        enabled=False,
    )


def test_a_rule_is_made_changed_and_deleted(client: Client, reported: Reported) -> None:
    rule = rule_on(reported.server_id)
    stored = client.alerts.create_threshold(rule)
    assert (stored.threshold, stored.broken) == (rule, None)
    assert stored.id in {known.id for known in client.alerts.thresholds()}
    changed = client.alerts.update_threshold(stored.id, rule_on(reported.server_id, 7.0))
    assert client.alerts.threshold(stored.id) == changed
    assert changed.threshold.critical == 7.0
    client.alerts.delete_threshold(stored.id)
    with pytest.raises(ApiError) as caught:
        client.alerts.threshold(stored.id)
    assert caught.value.status == 404


def test_a_refused_rule_says_which_field_is_wrong(client: Client, reported: Reported) -> None:
    with pytest.raises(ApiError) as caught:
        client.alerts.create_threshold(Threshold(name="x", metric="host.cpu_percnt", all_servers=True, critical=1.0))
    assert caught.value.status == 400
    assert [item["key"] for item in caught.value.extra] == ["metric"]


def test_a_backtest_takes_a_rule_or_the_id_of_one(client: Client, reported: Reported) -> None:
    end = datetime.fromtimestamp(reported.newest_at, UTC) + timedelta(minutes=5)
    rule = rule_on(reported.server_id)
    stored = client.alerts.create_threshold(rule)
    tried = client.alerts.backtest(rule, end - timedelta(hours=1), end)
    assert set(tried.per_server) == {reported.server_id}
    assert tried.evaluated > 0
    assert client.alerts.backtest(stored.id, end - timedelta(hours=1), end).firings == tried.firings
    client.alerts.delete_threshold(stored.id)


def test_a_suggestion_that_cannot_be_made_says_why(client: Client, reported: Reported) -> None:
    end = datetime.fromtimestamp(reported.newest_at, UTC)
    start = end - timedelta(hours=1)
    incident = Incident(server_id=reported.server_id + 1000, start=start, end=end)
    asked = SuggestionRequest(threshold=rule_on(reported.server_id), start=start, end=end, incidents=[incident])
    with pytest.raises(ApiError, match="does not watch"):
        client.alerts.suggest(asked)


def test_silences_are_made_changed_and_ended(client: Client, reported: Reported) -> None:
    now = datetime.now(UTC)
    silence = Silence(
        comment="maintenance", server_id=reported.server_id, starts_at=now, ends_at=now + timedelta(hours=1)
    )
    stored = client.alerts.create_silence(silence)
    assert stored.active
    assert stored.created_by == "admin"
    longer = msgspec.structs.replace(silence, ends_at=now + timedelta(hours=2))
    assert client.alerts.update_silence(stored.id, longer).silence.ends_at == longer.ends_at
    client.alerts.delete_silence(stored.id)
    assert stored.id not in {known.id for known in client.alerts.silences()}


def test_a_channel_hides_its_address_and_is_switched_off(client: Client) -> None:
    channel = client.alerts.create_channel(Channel(f"hook {time.time_ns()}", "webhook", "https://1.1.1.1/secret-path"))
    assert "secret-path" not in channel.shown_url
    assert client.alerts.update_channel(channel.id, UpdateChannelRequest(enabled=False)).enabled is False
    assert channel.id in {known.id for known in client.alerts.channels()}
    client.alerts.delete_channel(channel.id)
    with pytest.raises(ApiError) as caught:
        client.alerts.test_channel(channel.id)
    assert caught.value.status == 404


def test_an_unknown_alert_is_404_for_every_act(client: Client) -> None:
    for act in (client.alerts.get, client.alerts.acknowledge, client.alerts.resolve):
        with pytest.raises(ApiError) as caught:
            act(999_999)
        assert caught.value.status == 404
    assert client.alerts.list(threshold_id=999_999) == []
    assert client.alerts.page(threshold_id=999_999).next_cursor is None


async def test_open_alerts_come_complete_first(backend: Backend) -> None:
    async with AsyncClient(backend.url) as client:
        async with asyncio.timeout(20):
            await client.login("admin", ADMIN_PASSWORD)
            async with aclosing(client.live_alerts()) as states:
                state = await anext(states)
        assert state.complete
        assert all(alert.state != "resolved" for alert in state.alerts)
