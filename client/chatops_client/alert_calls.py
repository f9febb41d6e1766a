"""Every call under ``/alerts``, one function each: arguments in, `Call` out."""

from collections.abc import Sequence
from datetime import datetime

from chatops_client.wire import Call, query_params, segment
from chatops_protocol.alert_resources import (
    AcknowledgeRequest,
    Alert,
    AlertDetail,
    AlertState,
    Backtest,
    BacktestRequest,
    Channel,
    ChannelTest,
    Level,
    ResolveRequest,
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


def alerts(
    states: Sequence[AlertState],
    level: Level | None,
    server_id: int | None,
    threshold_id: int | None,
    start: datetime | None,
    end: datetime | None,
) -> Call[Page[Alert]]:
    parameters = {
        "state": list(states),
        "level": level,
        "server_id": server_id,
        "threshold_id": threshold_id,
        "start": start,
        "end": end,
    }
    return Call("GET", "/alerts", Page[Alert], query_params(parameters))


def alert(alert_id: int) -> Call[AlertDetail]:
    return Call("GET", f"/alerts/{segment(alert_id)}", AlertDetail)


def acknowledge(alert_id: int, comment: str) -> Call[AlertDetail]:
    return Call("POST", f"/alerts/{segment(alert_id)}/acknowledge", AlertDetail, body=AcknowledgeRequest(comment))


def resolve(alert_id: int, comment: str) -> Call[AlertDetail]:
    return Call("POST", f"/alerts/{segment(alert_id)}/resolve", AlertDetail, body=ResolveRequest(comment))


# -- rules -------------------------------------------------------------------------------------------------------


def thresholds() -> Call[Page[StoredThreshold]]:
    return Call("GET", "/alerts/thresholds", Page[StoredThreshold])


def threshold(threshold_id: int) -> Call[StoredThreshold]:
    return Call("GET", f"/alerts/thresholds/{segment(threshold_id)}", StoredThreshold)


def create_threshold(rule: Threshold) -> Call[StoredThreshold]:
    return Call("POST", "/alerts/thresholds", StoredThreshold, body=rule)


def update_threshold(threshold_id: int, rule: Threshold) -> Call[StoredThreshold]:
    return Call("PUT", f"/alerts/thresholds/{segment(threshold_id)}", StoredThreshold, body=rule)


def delete_threshold(threshold_id: int) -> Call[None]:
    return Call("DELETE", f"/alerts/thresholds/{segment(threshold_id)}", None)


def backtest(rule: Threshold | int, start: datetime, end: datetime) -> Call[Backtest]:
    if isinstance(rule, int):
        asked = BacktestRequest(threshold_id=rule, start=start, end=end)
    else:
        asked = BacktestRequest(threshold=rule, start=start, end=end)
    return Call("POST", "/alerts/thresholds/backtest", Backtest, body=asked)


def suggest(asked: SuggestionRequest) -> Call[Suggestion]:
    return Call("POST", "/alerts/thresholds/suggest", Suggestion, body=asked)


# -- silences ----------------------------------------------------------------------------------------------------


def silences() -> Call[Page[StoredSilence]]:
    return Call("GET", "/alerts/silences", Page[StoredSilence])


def create_silence(silence: Silence) -> Call[StoredSilence]:
    return Call("POST", "/alerts/silences", StoredSilence, body=silence)


def update_silence(silence_id: int, silence: Silence) -> Call[StoredSilence]:
    return Call("PUT", f"/alerts/silences/{segment(silence_id)}", StoredSilence, body=silence)


def delete_silence(silence_id: int) -> Call[None]:
    return Call("DELETE", f"/alerts/silences/{segment(silence_id)}", None)


# -- channels ----------------------------------------------------------------------------------------------------


def channels() -> Call[Page[StoredChannel]]:
    return Call("GET", "/alerts/channels", Page[StoredChannel])


def create_channel(channel: Channel) -> Call[StoredChannel]:
    return Call("POST", "/alerts/channels", StoredChannel, body=channel)


def update_channel(channel_id: int, changes: UpdateChannelRequest) -> Call[StoredChannel]:
    return Call("PUT", f"/alerts/channels/{segment(channel_id)}", StoredChannel, body=changes)


def delete_channel(channel_id: int) -> Call[None]:
    return Call("DELETE", f"/alerts/channels/{segment(channel_id)}", None)


def test_channel(channel_id: int) -> Call[ChannelTest]:
    return Call("POST", f"/alerts/channels/{segment(channel_id)}/test", ChannelTest)
