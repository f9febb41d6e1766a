"""Asks when series reach a level."""

from datetime import timedelta

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.choice import Choice, Range
from chatops_backend.analysis.forecast import CONFIDENCE, DAY_S, Target, forecast_series, in_order
from chatops_backend.analysis.series_frames import Reading, SeriesFrame, read_series
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_protocol.analysis_resources import Direction, Forecast, SeriesForecast
from chatops_protocol.resources import Tier

LONGEST_HISTORY_S = 730 * DAY_S
# From so many days on a day is a point; of less, two hours of the last fortnight are (168 points).
FEWEST_DAYS = 14
SHORT_HISTORY_S, SHORT_BUCKET_S = 14 * DAY_S, 7_200.0
# Pairs of points of all series together: about ten seconds of one processor.
MOST_PAIRS = 150_000_000


class ForecastQuestion(Struct, frozen=True):
    choice: Choice
    history: Range
    level: float | None
    direction: Direction
    horizon_s: float


async def ask(database: Database, turns: Turns, question: ForecastQuestion) -> Forecast:
    """Of each series the daily roll-up, or two hours of the hourly one when it has less than a fortnight."""
    choice, whole = question.choice, question.history
    days = await _read(database, choice, whole.from_bucket(DAY_S), "1d", DAY_S)
    young = {_key(one) for one in days if len(one.frame) < FEWEST_DAYS}
    hours: list[SeriesFrame] = []
    if young:
        start = max(whole.start, whole.end - timedelta(seconds=SHORT_HISTORY_S))
        recent = Range(start, whole.end).from_bucket(SHORT_BUCKET_S)
        servers = sorted({server_id for server_id, _ in young})
        narrowed = Choice(choice.measurement, choice.field, choice.labels, servers, choice.interval_s)
        read = await _read(database, narrowed, recent, "1h", SHORT_BUCKET_S)
        hours = [one for one in read if _key(one) in young]
    found: list[tuple[SeriesFrame, Tier, float]] = [(one, "1h", SHORT_BUCKET_S) for one in hours]
    # What ended before the last fortnight has no hours; its days say so.
    covered = {_key(one) for one in hours}
    found += [(one, "1d", DAY_S) for one in days if _key(one) not in covered]
    if sum(len(one.frame) ** 2 // 2 for one, _, _ in found) > MOST_PAIRS:
        raise ProblemError(
            400, "Too much to analyse", f"{len(found)} series are too many for this; ask for fewer or less `history_s`."
        )
    target = Target(choice.field.unit, question.level, question.direction, whole.end.timestamp(), question.horizon_s)
    return Forecast(
        metric=choice.metric,
        unit=choice.field.unit,
        level=question.level,
        direction=question.direction,
        start=whole.start,
        end=whole.end,
        horizon_s=question.horizon_s,
        confidence=CONFIDENCE,
        series=await turns.compute(lambda: in_order([_forecast(choice, *one, target) for one in found])),
    )


async def _read(database: Database, choice: Choice, span: Range, tier: Tier, bucket_s: float) -> list[SeriesFrame]:
    reading = Reading(choice.measurement, (choice.field,), tier, bucket_s, span.start, span.end, choice.labels)
    return await read_series(database, reading, choice.server_ids)


def _forecast(choice: Choice, one: SeriesFrame, tier: Tier, bucket_s: float, target: Target) -> SeriesForecast:
    frame = one.frame.select("time", pl.col(choice.field.name).alias("value"))
    return forecast_series(one.server_id, one.labels, frame, tier, bucket_s, target)


def _key(one: SeriesFrame) -> tuple[int, str]:
    return one.server_id, str(one.labels)
