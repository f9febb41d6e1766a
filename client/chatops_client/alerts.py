"""``/alerts`` of the clients: `client.alerts` (`Alerts`) and `async_client.alerts` (`AsyncAlerts`)."""

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import polars as pl

from chatops_client import alert_calls
from chatops_client.resource_frames import alerts_to_frame
from chatops_client.wire import Call
from chatops_protocol.alert_resources import (
    Alert,
    AlertDetail,
    AlertState,
    Backtest,
    Channel,
    ChannelTest,
    Level,
    Silence,
    StoredChannel,
    StoredSilence,
    StoredThreshold,
    Suggestion,
    SuggestionRequest,
    Threshold,
    UpdateChannelRequest,
)
from chatops_protocol.resources import Page

T = TypeVar("T")


class Sender(Protocol):
    """What `Alerts` needs of its client."""

    def request(self, call: Call[T]) -> T: ...
    def all_pages(self, call: Call[Page[T]], limit: int | None = None) -> list[T]: ...


class AsyncSender(Protocol):
    """What `AsyncAlerts` needs of its client."""

    async def request(self, call: Call[T]) -> T: ...
    async def all_pages(self, call: Call[Page[T]], limit: int | None = None) -> list[T]: ...


class Alerts:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def __call__(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 10_000,
    ) -> pl.DataFrame:
        """Those that match as a frame (`alerts_to_frame`), newest first, at most `limit`."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return alerts_to_frame(self._client.all_pages(call, limit))

    def list(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 200,
    ) -> list[Alert]:
        """The newest alerts that match, at most `limit`. `start` and `end`: those that fired in between, if only for a
        part of it."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return (self._client.request(call.page(None, limit))).items

    def page(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Alert]:
        """One page of those that match, newest first; `start` and `end` as for `list`."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return self._client.request(call.page(cursor, limit))

    def get(self, alert_id: int) -> AlertDetail:
        """An alert with its events."""
        return self._client.request(alert_calls.alert(alert_id))

    def acknowledge(self, alert_id: int, comment: str = "") -> AlertDetail:
        return self._client.request(alert_calls.acknowledge(alert_id, comment))

    def resolve(self, alert_id: int, comment: str = "") -> AlertDetail:
        """End it by hand; it fires anew when its condition holds again."""
        return self._client.request(alert_calls.resolve(alert_id, comment))

    def thresholds(self) -> builtins.list[StoredThreshold]:
        """Every rule, all pages."""
        return self._client.all_pages(alert_calls.thresholds())

    def threshold(self, threshold_id: int) -> StoredThreshold:
        return self._client.request(alert_calls.threshold(threshold_id))

    def create_threshold(self, rule: Threshold) -> StoredThreshold:
        return self._client.request(alert_calls.create_threshold(rule))

    def update_threshold(self, threshold_id: int, rule: Threshold) -> StoredThreshold:
        """Replace the rule."""
        return self._client.request(alert_calls.update_threshold(threshold_id, rule))

    def delete_threshold(self, threshold_id: int) -> None:
        self._client.request(alert_calls.delete_threshold(threshold_id))

    def backtest(self, rule: Threshold | int, start: datetime, end: datetime) -> Backtest:
        """What a rule, stored (its id) or not, would have done between two moments."""
        return self._client.request(alert_calls.backtest(rule, start, end))

    def suggest(self, asked: SuggestionRequest) -> Suggestion:
        """The quietest level and duration that still catch all incidents."""
        return self._client.request(alert_calls.suggest(asked))

    def silences(self) -> builtins.list[StoredSilence]:
        return self._client.all_pages(alert_calls.silences())

    def create_silence(self, silence: Silence) -> StoredSilence:
        return self._client.request(alert_calls.create_silence(silence))

    def update_silence(self, silence_id: int, silence: Silence) -> StoredSilence:
        return self._client.request(alert_calls.update_silence(silence_id, silence))

    def delete_silence(self, silence_id: int) -> None:
        self._client.request(alert_calls.delete_silence(silence_id))

    def channels(self) -> builtins.list[StoredChannel]:
        return self._client.all_pages(alert_calls.channels())

    def create_channel(self, channel: Channel) -> StoredChannel:
        return self._client.request(alert_calls.create_channel(channel))

    def update_channel(self, channel_id: int, changes: UpdateChannelRequest) -> StoredChannel:
        """Only what is given in `changes` changes."""
        return self._client.request(alert_calls.update_channel(channel_id, changes))

    def delete_channel(self, channel_id: int) -> None:
        self._client.request(alert_calls.delete_channel(channel_id))

    def test_channel(self, channel_id: int) -> ChannelTest:
        """Send a test message through it now."""
        return self._client.request(alert_calls.test_channel(channel_id))


class AsyncAlerts:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def __call__(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 10_000,
    ) -> pl.DataFrame:
        """Those that match as a frame (`alerts_to_frame`), newest first, at most `limit`."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return alerts_to_frame(await self._client.all_pages(call, limit))

    async def list(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 200,
    ) -> list[Alert]:
        """The newest alerts that match, at most `limit`. `start` and `end`: those that fired in between, if only for a
        part of it."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return (await self._client.request(call.page(None, limit))).items

    async def page(
        self,
        *,
        states: Sequence[AlertState] = (),
        level: Level | None = None,
        server_id: int | None = None,
        threshold_id: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Alert]:
        """One page of those that match, newest first; `start` and `end` as for `list`."""
        call = alert_calls.alerts(states, level, server_id, threshold_id, start, end)
        return await self._client.request(call.page(cursor, limit))

    async def get(self, alert_id: int) -> AlertDetail:
        """An alert with its events."""
        return await self._client.request(alert_calls.alert(alert_id))

    async def acknowledge(self, alert_id: int, comment: str = "") -> AlertDetail:
        return await self._client.request(alert_calls.acknowledge(alert_id, comment))

    async def resolve(self, alert_id: int, comment: str = "") -> AlertDetail:
        """End it by hand; it fires anew when its condition holds again."""
        return await self._client.request(alert_calls.resolve(alert_id, comment))

    async def thresholds(self) -> builtins.list[StoredThreshold]:
        """Every rule, all pages."""
        return await self._client.all_pages(alert_calls.thresholds())

    async def threshold(self, threshold_id: int) -> StoredThreshold:
        return await self._client.request(alert_calls.threshold(threshold_id))

    async def create_threshold(self, rule: Threshold) -> StoredThreshold:
        return await self._client.request(alert_calls.create_threshold(rule))

    async def update_threshold(self, threshold_id: int, rule: Threshold) -> StoredThreshold:
        """Replace the rule."""
        return await self._client.request(alert_calls.update_threshold(threshold_id, rule))

    async def delete_threshold(self, threshold_id: int) -> None:
        await self._client.request(alert_calls.delete_threshold(threshold_id))

    async def backtest(self, rule: Threshold | int, start: datetime, end: datetime) -> Backtest:
        """What a rule, stored (its id) or not, would have done between two moments."""
        return await self._client.request(alert_calls.backtest(rule, start, end))

    async def suggest(self, asked: SuggestionRequest) -> Suggestion:
        """The quietest level and duration that still catch all incidents."""
        return await self._client.request(alert_calls.suggest(asked))

    async def silences(self) -> builtins.list[StoredSilence]:
        return await self._client.all_pages(alert_calls.silences())

    async def create_silence(self, silence: Silence) -> StoredSilence:
        return await self._client.request(alert_calls.create_silence(silence))

    async def update_silence(self, silence_id: int, silence: Silence) -> StoredSilence:
        return await self._client.request(alert_calls.update_silence(silence_id, silence))

    async def delete_silence(self, silence_id: int) -> None:
        await self._client.request(alert_calls.delete_silence(silence_id))

    async def channels(self) -> builtins.list[StoredChannel]:
        return await self._client.all_pages(alert_calls.channels())

    async def create_channel(self, channel: Channel) -> StoredChannel:
        return await self._client.request(alert_calls.create_channel(channel))

    async def update_channel(self, channel_id: int, changes: UpdateChannelRequest) -> StoredChannel:
        """Only what is given in `changes` changes."""
        return await self._client.request(alert_calls.update_channel(channel_id, changes))

    async def delete_channel(self, channel_id: int) -> None:
        await self._client.request(alert_calls.delete_channel(channel_id))

    async def test_channel(self, channel_id: int) -> ChannelTest:
        """Send a test message through it now."""
        return await self._client.request(alert_calls.test_channel(channel_id))
