"""When a series reaches a level, by the robust line through its past. Pure; `questions.py` reads for it."""

import math
from datetime import datetime
from statistics import NormalDist
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.theil_sen import FEWEST_POINTS, Slope, robust_deviation, theil_sen
from chatops_backend.analysis.words import at, change_in_words, day_in_words, value_in_words
from chatops_protocol.analysis_resources import Direction, SeriesForecast
from chatops_protocol.catalog import Field
from chatops_protocol.resources import Tier

CONFIDENCE = 0.95
DAY_S = 86_400.0
# A line through less says more of the time of the day than of a trend.
SHORTEST_S = DAY_S
# A series that is silent for so long has ended: a file system that was unmounted, a host that was switched off.
GONE_AFTER_S = 2 * DAY_S
# Where the line stands is said by the readings of the last day, and by three of them at least.
NEWEST_S, FEWEST_NEWEST = DAY_S, 3
FURTHEST_DAYS = 365.25 * 100
# What came before counts no more when the newest part fits a line so many times better; of stairs it does not, so
# nothing is taken to fit better than a fiftieth of the range.
BETTER, LEAST_OF_RANGE, SHORTER = 3.0, 0.02, 0.75


class Target(Struct, frozen=True):
    """What is asked of a series. `end`: Unix seconds."""

    unit: str
    level: float | None
    direction: Direction
    end: float
    horizon_s: float


def default_direction(field: Field) -> Direction:
    """What runs out falls: free and available amounts."""
    return "falling" if "free" in field.name or "available" in field.name else "rising"


def default_level(field: Field, direction: Direction) -> float | None:
    """A percentage is full at 100; everything is empty at 0; otherwise nobody knows but who asks."""
    if direction == "falling":
        return 0.0
    return 100.0 if field.unit == "percent" else None


def forecast_series(
    server_id: int, labels: dict[str, Any], frame: pl.DataFrame, tier: Tier, bucket_s: float, target: Target
) -> SeriesForecast:
    """`frame`: ``time`` (start of each bucket, Unix seconds, ascending) and ``value``. See `docs/analysis.md`.

    The slope and its interval are those of `theil_sen`, over the longest newest part of the history that is one line
    (`_part_of_one_line`). It goes through the median of what the readings of the last day are above it, so that a disk
    which was cleaned yesterday is forecast from where it is now.
    """
    frame = frame.drop_nulls("value")
    known: dict[str, Any] = {
        "server_id": server_id,
        "labels": labels,
        "tier": tier,
        "bucket_seconds": bucket_s,
        "points": len(frame),
    }
    if frame.is_empty():
        return SeriesForecast(outcome="not_enough_data", explanation="It has no readings in this time.", **known)
    # A bucket stands for its middle; the newest one is not over yet.
    begun = pl.col("time").cast(pl.Float64)
    frame = frame.with_columns(middle=(begun + pl.min_horizontal(begun + bucket_s, pl.lit(target.end))) / 2)
    newest = frame.row(-1, named=True)
    known |= {"current": newest["value"], "current_at": at(min(newest["time"] + bucket_s, target.end))}
    silent_s = target.end - newest["time"] - bucket_s
    if silent_s > GONE_AFTER_S:
        said = f"It has no readings since {day_in_words(at(newest['time']))}."
        return SeriesForecast(outcome="gone", explanation=said, **known)
    spanned = newest["time"] + bucket_s - frame["time"][0]
    if len(frame) < FEWEST_POINTS or spanned < SHORTEST_S:
        said = (
            f"{len(frame)} readings over {spanned / 3600:.0f} hours are too few for a trend: it takes {FEWEST_POINTS} "
            f"over {SHORTEST_S / 3600:.0f} hours."
        )
        return SeriesForecast(outcome="not_enough_data", explanation=said, **known)
    days, values, found = _part_of_one_line((frame["middle"] - target.end) / DAY_S, frame["value"])
    line, unsure = _line_at_end(days, values, found.slope)
    known |= {
        "points": len(days),
        "since": at(frame["time"][len(frame) - len(days)]),
        "slope_per_day": found.slope,
        "slope_low_per_day": found.low if math.isfinite(found.low) else None,
        "slope_high_per_day": found.high if math.isfinite(found.high) else None,
        "line": line,
        "line_at": at(target.end),
    }
    return _judged(known, found, line, unsure, target)


def _part_of_one_line(days: pl.Series, values: pl.Series) -> tuple[pl.Series, pl.Series, Slope]:
    """The whole, unless it bends: a disk that was level for weeks and fills since Tuesday is asked about since Tuesday.

    Lines of the whole, of its newest three quarters, of three quarters of these, and so on, fit when their residuals
    (by their robust deviation) are no more than `BETTER` times the least ones. The whole if it does, otherwise the part
    whose slope has the narrowest interval.
    """
    parts: list[tuple[pl.Series, pl.Series, Slope, float]] = []
    length = len(days)
    while not parts or (length >= FEWEST_POINTS and days[-1] - days[-length] >= 0.9 * SHORTEST_S / DAY_S):
        part, newest = days.tail(length), values.tail(length)
        found = theil_sen(part, newest, CONFIDENCE)
        residuals = newest - part * found.slope
        parts.append((part, newest, found, robust_deviation(residuals - _middle(residuals))))
        length = int(length * SHORTER)
    least = LEAST_OF_RANGE * (_number(values.max()) - _number(values.min()))
    best = max(least, min(part[3] for part in parts))
    if parts[0][3] <= BETTER * best:
        return parts[0][:3]
    chosen = min((part for part in parts if part[3] <= BETTER * best), key=lambda part: part[2].high - part[2].low)
    return chosen[:3]


def _line_at_end(days: pl.Series, values: pl.Series, slope: float) -> tuple[float, float]:
    """Where it stands, and how far that may be off: a median of n readings has the deviation 1.2533 / √n of theirs."""
    residuals = values - days * slope
    count = max(FEWEST_NEWEST, int((days >= days[-1] - NEWEST_S / DAY_S).sum()))
    reach = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * 1.2533 / math.sqrt(count)
    return _middle(residuals.tail(count)), robust_deviation(residuals - _middle(residuals)) * reach


def _middle(values: pl.Series) -> float:
    return _number(values.median())


def _number(value: object) -> float:
    assert isinstance(value, float)
    return value


def _judged(known: dict[str, Any], found: Slope, line: float, unsure: float, target: Target) -> SeriesForecast:
    unit, rate = target.unit, f"{change_in_words(found.slope, target.unit)} a day"
    interval = (
        f"({change_in_words(found.low, unit)} to {change_in_words(found.high, unit)})"
        if math.isfinite(found.low) and math.isfinite(found.high)
        else ""
    )
    level = target.level
    falling = target.direction == "falling"
    if level is not None and (known["current"] <= level if falling else known["current"] >= level):
        return SeriesForecast(
            outcome="reached", explanation=f"It is at {value_in_words(level, unit)} already.", **known
        )
    if not interval:
        said = "Its readings follow each other so closely that they are too few independent ones for a trend."
        return SeriesForecast(outcome="no_trend", explanation=said, **known)
    if found.low <= 0 <= found.high:
        said = f"It has no trend: {rate} {interval} may as well be none."
        return SeriesForecast(outcome="no_trend", explanation=said, **known)
    if level is None:
        return SeriesForecast(outcome="trend", explanation=f"It changes by {rate} {interval}.", **known)
    if (found.slope > 0) == falling:
        said = f"It moves away from {value_in_words(level, unit)}: {rate} {interval}."
        return SeriesForecast(outcome="moves_away", explanation=said, **known)
    steep, flat = (found.low, found.high) if falling else (found.high, found.low)
    nearer, further = (line - unsure, line + unsure) if falling else (line + unsure, line - unsure)
    starts = ((line, found.slope), (nearer, steep), (further, flat))
    middle, first, last = (max(0.0, (level - value) / slope) for value, slope in starts)
    if middle > FURTHEST_DAYS:
        said = f"It reaches {value_in_words(level, unit)} in more than a hundred years: {rate} {interval}."
        return SeriesForecast(outcome="beyond_horizon", explanation=said, **known)
    reaches_at, earliest_at = _days_after(target.end, middle), _days_after(target.end, first)
    latest_at = _days_after(target.end, last) if last <= FURTHEST_DAYS else None
    when = f"not before {day_in_words(earliest_at)}"
    if latest_at is not None:
        first_day, last_day = day_in_words(earliest_at), day_in_words(latest_at)
        when = f"between {first_day} and {last_day}" if first_day != last_day else "give or take hours"
    said = f"It reaches {value_in_words(level, unit)} on {day_in_words(reaches_at)}"
    said += f" ({when}): {rate}."
    within = middle * DAY_S <= target.horizon_s
    if not within:
        said = f"Not within {target.horizon_s / DAY_S:.0f} days: {said[0].lower()}{said[1:]}"
    return SeriesForecast(
        outcome="reaches" if within else "beyond_horizon",
        explanation=said,
        reaches_at=reaches_at,
        earliest_at=earliest_at,
        latest_at=latest_at,
        **known,
    )


def _days_after(end: float, days: float) -> datetime:
    return at(end + days * DAY_S)


def in_order(series: list[SeriesForecast]) -> list[SeriesForecast]:
    """What has reached the level, then what will, the soonest first, then the rest."""
    ranks = {"reached": 0, "reaches": 1, "beyond_horizon": 2}
    return sorted(
        series,
        key=lambda one: (
            ranks.get(one.outcome, 3),
            one.reaches_at.timestamp() if one.reaches_at is not None else math.inf,
            one.server_id,
            [str(text) for text in one.labels.values()],
        ),
    )
