"""The address of the history tab restores its view, whatever somebody typed into it."""

from datetime import UTC, datetime, timedelta

import pytest

from chatops_dashboards.pages.server.history import zoomed_range
from chatops_dashboards.pages.server.history_query import DEFAULT_METRICS, HistoryQuery

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked",
    [
        HistoryQuery(),
        HistoryQuery(("filesystem.used_percent",), ("/ · /dev/vda1", "a,b\tc"), "7d"),
        HistoryQuery(start=NOW - timedelta(days=2), end=NOW),
    ],
)
def test_a_view_survives_the_address(asked: HistoryQuery) -> None:
    assert HistoryQuery.from_query(asked.to_query()) == asked


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "no.such,<script>"},
        {"range": "999y"},
        {"start": "yesterday", "end": "today"},
        {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        {"start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"},
    ],
)
def test_what_is_not_understood_is_the_default(query: dict[str, str]) -> None:
    asked = HistoryQuery.from_query(query)
    assert asked == HistoryQuery(DEFAULT_METRICS)


def test_a_preset_ends_now() -> None:
    assert HistoryQuery(preset="6h").range(NOW) == (NOW - timedelta(hours=6), NOW)


def test_a_drag_on_a_chart_is_a_range_and_other_events_are_not() -> None:
    drag = {"xaxis.range[0]": "2026-01-02 10:00:00.5", "xaxis.range[1]": "2026-01-02 11:00:00"}
    found = zoomed_range([None, {"autosize": True}, drag], UTC)
    assert found is not None
    assert (found[1] - found[0]).total_seconds() == 3599.5
    assert zoomed_range([{"xaxis.autorange": True}, None], UTC) is None
    assert zoomed_range([{"xaxis.range[0]": "x", "xaxis.range[1]": "y"}], UTC) is None
