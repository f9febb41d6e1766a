"""Asks what else moved with a series. Reads all series of a server, and of others, in one statement per measurement."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from chatops_backend.analysis.choice import SLACK_S, Choice, Range, finest_kept
from chatops_backend.analysis.cross_correlation import FEWEST_STEPS, Method, Moved, compare_with
from chatops_backend.analysis.series_frames import MOST_VALUES, Reading, SeriesFrame, read_series, too_much
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_protocol.analysis_resources import CorrelatedSeries, Correlations
from chatops_protocol.catalog import MEASUREMENTS, Field, Measurement
from chatops_protocol.resources import Tier

LONGEST_S = 31 * 86_400.0
# A few hundred points, and none narrower than the rhythm in which processes are listed.
_BUCKETS: tuple[tuple[float, Tier, float], ...] = (
    (3_600.0, "raw", 30.0),
    (43_200.0, "1m", 60.0),
    (172_800.0, "1m", 300.0),
)
_HOURS: tuple[Tier, float] = ("1h", 3_600.0)
_PARTS_OF_AN_HOUR = tuple(60.0 * minutes for minutes in range(1, 31) if 60 % minutes == 0)
# About five seconds of one processor, with sixty lags each.
MOST_SERIES = 1_000
MOST_LAG = 60
# Of all points, tried on both sides unless the caller says how much: a quarter of an hour of six hours.
_USUAL_PART_OF_WINDOW = 24


class CorrelateQuestion(Struct, frozen=True):
    """`choice` is of one server. `others` are more servers whose series are compared."""

    choice: Choice
    others: list[int]
    window: Range
    max_lag_s: float | None
    method: Method
    limit: int


class _Series(Struct, frozen=True):
    measurement: Measurement
    field: Field
    one: SeriesFrame

    @property
    def metric(self) -> str:
        return f"{self.measurement.name}.{self.field.name}"


async def ask(
    database: Database, turns: Turns, question: CorrelateQuestion, whole_since: Mapping[Tier, datetime]
) -> Correlations:
    """Raises `ProblemError` 400 when the labels leave several series to choose from, or when there are too many."""
    choice = question.choice
    tier, bucket_s = _grid(question, whole_since)
    window = question.window.from_bucket(bucket_s)
    servers = list(dict.fromkeys([*choice.server_ids, *question.others]))
    found: list[_Series] = []
    left = MOST_VALUES
    for measurement in MEASUREMENTS:
        reading = Reading(measurement, measurement.fields, tier, bucket_s, window.start, window.end)
        for one in await read_series(database, reading, servers, left):
            left -= one.frame.height * one.frame.width
            found += [_Series(measurement, field, one) for field in measurement.fields]
        if left <= 0 or len(found) > MOST_SERIES * 2:
            raise too_much(measurement)
    found = [one for one in found if one.one.frame[one.field.name].null_count() < one.one.frame.height]
    target = _the_one(choice, found)
    others = [one for one in found if one is not target]
    if len(others) > MOST_SERIES:
        raise ProblemError(
            400, "Too much to analyse", f"{len(others)} series are more than {MOST_SERIES}; name fewer other servers."
        )
    points = math.ceil(window.length_s / bucket_s)
    asked = question.max_lag_s / bucket_s if question.max_lag_s is not None else points / _USUAL_PART_OF_WINDOW
    max_lag = min(MOST_LAG, points // 4, round(asked))
    known: dict[str, Any] = {
        "metric": choice.metric,
        "unit": choice.field.unit,
        "server_id": choice.server_ids[0],
        "labels": target.one.labels if target is not None else choice.labels,
        "method": question.method,
        "tier": tier,
        "bucket_seconds": bucket_s,
        "start": window.start,
        "end": window.end,
        "max_lag_s": max_lag * bucket_s,
    }
    if target is None:
        return _nothing(known, "not_enough_data", "It has no readings in this window.")
    asked_about = target
    return await turns.compute(lambda: _ranked(known, question, asked_about, others, window, bucket_s, max_lag))


def _grid(question: CorrelateQuestion, whole_since: Mapping[Tier, datetime]) -> tuple[Tier, float]:
    """No narrower than two readings of a server that reports seldom."""
    length_s = question.window.length_s
    fitting: list[tuple[Tier, float]] = [
        (tier, width) for longest_s, tier, width in _BUCKETS if length_s <= longest_s + SLACK_S
    ]
    slow_s = question.choice.interval_s * 2
    usable = [(tier, width) for tier, width in fitting if slow_s <= width]
    if fitting and not usable:
        # Parts of an hour: others begin elsewhere in the database, which counts from 2000, than here.
        usable = [("1m", width) for width in _PARTS_OF_AN_HOUR if width >= slow_s][:1]
    return finest_kept([*usable, _HOURS], question.window.start, whole_since)


def _the_one(choice: Choice, found: Sequence[_Series]) -> _Series | None:
    """The series asked about, None when it has no readings."""
    fitting = [
        one
        for one in found
        if one.measurement is choice.measurement
        and one.field is choice.field
        and one.one.server_id == choice.server_ids[0]
        and all(_is_named(one.one.labels.get(name), value) for name, value in choice.labels.items())
    ]
    if len(fitting) > 1:
        several = "; ".join(
            ", ".join(f"{name}={value}" for name, value in one.one.labels.items()) for one in fitting[:5]
        )
        raise ProblemError(
            400,
            "Which series?",
            f"{choice.metric} has {len(fitting)} series here; name one by `labels`: {several}"
            f"{', …' if len(fitting) > 5 else ''}.",
        )
    return fitting[0] if fitting else None


def _is_named(label: Any, text: str) -> bool:
    """Labels that are objects are asked for by their JSON."""
    return bool(label == (msgspec.json.decode(text) if isinstance(label, dict) else text))


def _ranked(
    known: dict[str, Any],
    question: CorrelateQuestion,
    target: _Series,
    others: Sequence[_Series],
    window: Range,
    bucket_s: float,
    max_lag: int,
) -> Correlations:
    start, end = window.seconds
    grid = pl.DataFrame({"time": pl.int_range(int(start), math.ceil(end), int(bucket_s), eager=True)})
    frames = {id(one.one): grid.join(one.one.frame, on="time", how="left") for one in [target, *others]}
    values = {str(place): frames[id(one.one)][one.field.name] for place, one in enumerate(others)}
    compared = compare_with(frames[id(target.one)][target.field.name], values, max_lag, question.method)
    if compared == "short":
        said = f"It takes {FEWEST_STEPS} points of {bucket_s:g} s that follow on each other; ask for a longer window."
        return _nothing(known, "not_enough_data", said)
    if compared == "constant":
        return _nothing(known, "constant", "It did not change in this window, so nothing can have moved with it.")
    assert not isinstance(compared, str)
    series = [_correlated(others[int(one.name)], one, bucket_s) for one in compared.moved[: question.limit]]
    strong = [one for one in series if one.strength > 0]
    said = _told(strong[0]) if strong else "No series moved with it more than chance would have it."
    return Correlations(
        outcome="ranked" if strong else "nothing_moved_with_it",
        explanation=said,
        compared=len(compared.moved),
        constant=len(compared.constant),
        short=len(compared.short),
        series=series,
        **known,
    )


def _correlated(other: _Series, moved: Moved, bucket_s: float) -> CorrelatedSeries:
    return CorrelatedSeries(
        metric=other.metric,
        unit=other.field.unit,
        server_id=other.one.server_id,
        labels=other.one.labels,
        correlation=moved.correlation,
        lag_s=moved.lag * bucket_s,
        strength=moved.strength,
        points=moved.points,
        effective_points=moved.effective_points,
    )


def _told(first: CorrelatedSeries) -> str:
    named = ", ".join(str(value) for value in first.labels.values())
    when = "at the same time"
    if first.lag_s:
        minutes = f"{abs(first.lag_s) / 60:g} minutes"
        when = f"{minutes} later" if first.lag_s > 0 else f"{minutes} earlier"
    way = "the same way" if first.correlation > 0 else "the other way"
    return f"{first.metric}{f' ({named})' if named else ''} moved most with it, {way}, {when}."


def _nothing(known: dict[str, Any], outcome: Any, said: str) -> Correlations:
    return Correlations(outcome=outcome, explanation=said, compared=0, constant=0, short=0, series=[], **known)
