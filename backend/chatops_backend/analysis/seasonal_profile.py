"""How far values are from what is usual for the hour of the week. Pure; used by anomalies."""

import math

import polars as pl

from chatops_protocol.analysis_resources import Season

HOUR_S, DAY_S, WEEK_S = 3_600, 86_400, 604_800
# A normal distribution's standard deviation in its median absolute deviations.
MAD_SCALE = 1.4826
# Of the same hour, for its median; and of any hour, when not even three days are known.
FEWEST_REPEATS, FEWEST_BUCKETS = 3, 30
# A spread is not taken for less than this part of that of all hours together.
LEAST_OF_SPREAD = 0.1
# Of what never changed, and then did.
HIGHEST_SCORE = 1_000.0
_MONDAY_S = 345_600  # 1970-01-05
# By how much the median absolute deviation of n values is too small (Croux and Rousseeuw 1992); n / (n - 0.8) beyond.
_TOO_SMALL = {1: 1.0, 2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.2, 7: 1.14, 8: 1.129, 9: 1.107}


def seasonal_scores(history: pl.DataFrame, window: pl.DataFrame, least_spread: float) -> tuple[pl.DataFrame, Season]:
    """The window's rows with ``expected``, ``spread`` and ``score``, null where the history knows nothing of that hour.

    Both frames have ``time`` (Unix seconds) and ``value``. `expected` is the median of the history's values of the same
    hour of the week (UTC) where three weeks have some, otherwise of the same hour of the day where three days have
    some; of all values when that is so for no hour. The season says which it is for most of the window. `spread` is the
    median absolute deviation from these medians, times 1.4826: that of the same hour on all days, since few weeks have
    few values for an hour of the week. Small samples are corrected as Croux and Rousseeuw (1992) say. It is at least
    `least_spread`, and a tenth of the spread of all hours together. The score is the distance in spreads, widened by
    what the median itself may be off; that 3.5 is far is from Iglewicz and Hoaglin (1993).
    """
    history, window = _placed(history.drop_nulls("value")), _placed(window)
    by_week, by_day = _medians(history, ["day", "hour"], "week"), _medians(history, ["hour"], "date")
    seasonal = not by_day.is_empty()
    if not seasonal:
        history, window = (frame.with_columns(hour=pl.lit(0, pl.Int64)) for frame in (history, window))
        by_day = _medians(history, ["hour"], "time", FEWEST_BUCKETS)
    fitted = _expected(history, by_week, by_day).with_columns(
        deviation=(pl.col("value") - pl.col("expected")).abs() * MAD_SCALE * _correction()
    )
    usual = fitted["deviation"].median()
    least = max(least_spread, LEAST_OF_SPREAD * usual if isinstance(usual, float) else 0.0)
    spreads = fitted.group_by("hour").agg(spread=pl.col("deviation").median())
    scored = _expected(window, by_week, by_day).join(spreads, on="hour", how="left").sort("time")
    weekly = int(scored["weekly"].sum()) * 2 > len(scored)
    season: Season = "none" if not seasonal else "hour_of_week" if weekly else "hour_of_day"
    unsure = (1 + math.pi / 2 / pl.col("repeats")).sqrt()
    scored = scored.with_columns(spread=pl.max_horizontal("spread", pl.lit(least)) * unsure)
    distance = pl.col("value") - pl.col("expected")
    score = pl.when(pl.col("spread") > 0).then(distance / pl.col("spread")).otherwise(distance.sign() * HIGHEST_SCORE)
    scored = scored.with_columns(score=score.clip(-HIGHEST_SCORE, HIGHEST_SCORE))
    return scored.select("time", "value", "expected", "spread", "score"), season


def _placed(frame: pl.DataFrame) -> pl.DataFrame:
    since = pl.col("time") - _MONDAY_S
    return frame.with_columns(
        week=since // WEEK_S, date=since // DAY_S, day=since // DAY_S % 7, hour=since // HOUR_S % 24
    )


def _medians(history: pl.DataFrame, keys: list[str], repeat: str, fewest: int = FEWEST_REPEATS) -> pl.DataFrame:
    found = history.group_by(keys).agg(expected=pl.col("value").median(), repeats=pl.col(repeat).n_unique())
    return found.filter(pl.col("repeats") >= fewest)


def _expected(frame: pl.DataFrame, by_week: pl.DataFrame, by_day: pl.DataFrame) -> pl.DataFrame:
    """With ``expected``, of how many ``repeats`` it is, and whether of the hour of the week (``weekly``)."""
    joined = frame.join(by_week, on=["day", "hour"], how="left").join(by_day, on="hour", how="left", suffix="_day")
    return joined.with_columns(
        weekly=pl.col("expected").is_not_null(),
        expected=pl.coalesce("expected", "expected_day"),
        repeats=pl.coalesce("repeats", "repeats_day"),
    )


def _correction() -> pl.Expr:
    repeats = pl.col("repeats")
    return repeats.replace_strict(_TOO_SMALL, default=repeats / (repeats - 0.8), return_dtype=pl.Float64)
