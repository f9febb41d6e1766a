"""The forecast of many series as a table, the soonest first, with a line about those that have no date. Text only.
Pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.figures.explore_chart import series_name
from chatops_dashboards.units import UNKNOWN, format_value
from chatops_protocol.analysis_resources import Forecast, ForecastOutcome, SeriesForecast

MOST_ROWS = 20
MONTH = timedelta(days=30)
# The button of a row, by its series and its words.
ChooseSeries = Callable[[SeriesForecast, str], Any]
# What stands in the table, and what is only counted, with the reason.
_DATED = ("reached", "reaches", "beyond_horizon", "trend")
_WITHOUT: Mapping[ForecastOutcome, str] = {
    "no_trend": "no trend",
    "moves_away": "a trend away from it",
    "not_enough_data": "too few readings",
    "gone": "no readings of late",
}


def forecast_table(found: Forecast, servers: Mapping[int, str], choose: ChooseSeries, zone: tzinfo) -> html.Div:
    """All series of the answer, which has the soonest first."""
    dated = [one for one in found.series if one.outcome in _DATED]
    heads = [("Server", False), ("Which", False), ("Now", True), ("Per day", True)]
    rows = [
        [
            choose(one, servers.get(one.server_id, f"server {one.server_id}")),
            series_name("", one.labels).removeprefix(" · ") if one.labels else "",
            format_value(one.current, found.unit),
            _per_day(one.slope_per_day, found.unit),
            *([_when(one, zone)] if found.level is not None else []),
        ]
        for one in dated[:MOST_ROWS]
    ]
    if found.level is not None:
        heads.append((f"{level_word(found).capitalize()} on", False))
    caption = f"When all series of {found.metric} reach their end, the soonest first; choose one to see its line"
    parts: list[Any] = [html.P(_sentence(found, dated), className="tight", role="status")]
    if rows:
        parts.append(data_table(heads, rows, caption=caption, stacked=True))
    if len(dated) > MOST_ROWS:
        parts.append(html.P(f"and {len(dated) - MOST_ROWS} more, none sooner", className="dim small tight"))
    if (without := _without(found)) is not None:
        parts.append(html.P(without, className="dim small tight"))
    return html.Div(parts, className="explore-forecasts stack tight", **dashed(aria_label="Forecast of all series"))


def level_word(found: Forecast) -> str:
    """What reaching the level is called: of a percentage that ends at 100 it is full, of what is free it is used up."""
    if found.level == 100.0 and found.unit == "percent":
        return "full"
    return "used up" if found.level == 0.0 else f"at {format_value(found.level, found.unit)}"


def _sentence(found: Forecast, dated: list[SeriesForecast]) -> str:
    if found.level is None:
        return f"{len(dated)} of {len(found.series)} series have a trend; {found.metric} has no end to reach."
    end = found.end + MONTH
    soon = sum(one.outcome == "reached" or (one.reaches_at is not None and one.reaches_at <= end) for one in dated)
    word, count = level_word(found), "None" if soon == 0 else str(soon)
    return f"{count} of {len(found.series)} series {'is' if soon == 1 else 'are'} {word} within 30 days."


def _when(one: SeriesForecast, zone: tzinfo) -> str:
    if one.outcome == "reached":
        return "already"
    if one.reaches_at is None:
        return "in more than 100 years"
    first, last = _day(one.earliest_at, zone), _day(one.latest_at, zone)
    between = f"{first} – {last}" if last != UNKNOWN else f"{first} at the earliest"
    return f"{_day(one.reaches_at, zone)} ({between})" if first != last else _day(one.reaches_at, zone)


def _without(found: Forecast) -> str | None:
    counts = Counter(one.outcome for one in found.series if one.outcome not in _DATED)
    if not counts:
        return None
    reasons = [f"{counts[outcome]} {word}" for outcome, word in _WITHOUT.items() if counts[outcome]]
    return f"{counts.total()} more without a date: {', '.join(reasons)}."


def _per_day(value: float | None, unit: str) -> str:
    """Of a share it is points, not per cent."""
    if value is None:
        return UNKNOWN
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{abs(value):.2f} points" if unit == "percent" else f"{sign}{format_value(abs(value), unit)}"


def _day(moment: datetime | None, zone: tzinfo) -> str:
    return UNKNOWN if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d")
