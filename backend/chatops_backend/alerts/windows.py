"""The value of a rule's window, from roll-up buckets. Pure polars: evaluator and backtest take the same values.

A bucket belongs to the window that ends at `at` when ``at - window_s <= time < at``; a window without a bucket, or one
whose field was NULL all through, has no value. Times are Unix seconds as integers, so no time zone decides anything.

Two faces of the same rules: ``*_at`` for many series at one moment (rows: the key columns, ``time``, ``avg``, ``min``,
``max``, ``samples``), ``rolling_*`` for one series at every step (on a `dense` grid; of the columns those of
`columns_of`).
"""

import math
from collections.abc import Sequence

import polars as pl

from chatops_protocol.alert_resources import Aggregate
from chatops_protocol.resources import Tier

WIDTH_S: dict[Tier, int] = {"1m": 60, "1h": 3_600}
# Above six hours a window is read from the hours: 360 minutes of every series are enough for one value.
LONGEST_MINUTES_S = 21_600

# An agent that missed fewer of its frames is not offline.
OFFLINE_INTERVALS = 3

# A forecast looks at no more bins than this: the fit compares each with each.
MOST_BINS = 12
# Share of a forecast's bins that must have a value.
LEAST_FILLED = 0.75
# Kendall's tau: of all pairs of bins, those that go the line's way less those that go against it. 0.6 is four of five
# pairs; a single step in the middle of the window reaches 0.55, noise 0.
LEAST_TAU = 0.6


def tier_of(window_s: int) -> Tier:
    """The roll-up that a window of this length is read from."""
    return "1m" if window_s <= LONGEST_MINUTES_S else "1h"


def columns_of(aggregate: Aggregate) -> tuple[str, ...]:
    """What a roll-up's row must bring for this aggregate."""
    return {"avg": ("avg", "samples"), "last": ("avg",), "min": ("min",), "max": ("max",)}[aggregate]


def values_at(buckets: pl.DataFrame, keys: Sequence[str], at: int, window_s: int, aggregate: Aggregate) -> pl.DataFrame:
    """One row (keys…, ``value``) for each series that has a value in the window ending at `at`."""
    inside = buckets.filter(_inside(at, window_s), pl.col("avg").is_not_null())
    return inside.group_by(keys, maintain_order=True).agg(value=_aggregated(aggregate))


def dense(buckets: pl.DataFrame, first: int, count: int, width_s: int) -> pl.DataFrame:
    """One series' buckets on a grid: row n is the bucket that starts at ``first + n * width_s``, NULL when missing.
    `buckets` has none without a reading."""
    grid = pl.DataFrame({"time": pl.int_range(first, first + count * width_s, width_s, dtype=pl.Int64, eager=True)})
    return grid.join(buckets, on="time", how="left", maintain_order="left")


def rolling_values(grid: pl.DataFrame, width_s: int, window_s: int, aggregate: Aggregate) -> pl.Series:
    """Per row of a `dense` grid the value of the window that ends where the row's bucket ends."""
    rows = window_s // width_s
    if aggregate == "last":
        return grid["avg"].forward_fill(limit=rows - 1)
    if aggregate == "min":
        return grid["min"].rolling_min(rows, min_samples=1)
    if aggregate == "max":
        return grid["max"].rolling_max(rows, min_samples=1)
    return _rolling_average(grid, rows)


def changes(values: pl.Series, step_s: int, against_s: int) -> pl.Series:
    """Per value the difference to the value `against_s` earlier; NULL when one of the two is missing."""
    return values - values.shift(against_s // step_s)


def silences(grid: pl.DataFrame, width_s: int, interval_s: float, before: int | None = None) -> pl.Series:
    """Per row of a `dense` grid (with a column ``seen``, NULL in missing rows) the seconds since the end of the newest
    bucket; `before` is the end of the one before the grid. NULL until the first bucket."""
    end = pl.col("time") + width_s
    newest = pl.when(pl.col("seen").is_not_null()).then(end).forward_fill().fill_null(pl.lit(before, dtype=pl.Int64))
    return grid.select(value=counted_silence(end - newest, interval_s).cast(pl.Float64))["value"]


def counted_silence(silent_s: pl.Expr, interval_s: pl.Expr | float) -> pl.Expr:
    """What an offline rule compares. Three intervals of an agent are no silence, however short the rule's window is."""
    return pl.when(silent_s > OFFLINE_INTERVALS * interval_s).then(silent_s).when(silent_s.is_not_null()).then(0.0)


def forecast_bins(window_s: int) -> tuple[int, int]:
    """Width of a forecast's bins in seconds, and how many make its window. A replay steps by the width."""
    width_s = WIDTH_S[tier_of(window_s)]
    bin_s = width_s * math.ceil(window_s / MOST_BINS / width_s)
    return bin_s, window_s // bin_s


def forecasts_at(buckets: pl.DataFrame, keys: Sequence[str], at: int, window_s: int, within_s: float) -> pl.DataFrame:
    """One row (keys…, ``value``) for each series whose fit is good: what its line reaches `within_s` after `at`."""
    bin_s, count = forecast_bins(window_s)
    inside = buckets.filter(_inside(at, bin_s * count), pl.col("avg").is_not_null())
    binned = inside.group_by([*keys, ((at - 1 - pl.col("time")) // bin_s).alias("bin")]).agg(value=_aggregated("avg"))
    series = binned.select(keys).unique(maintain_order=True)
    for number in range(count):
        one = binned.filter(pl.col("bin") == number).select(*keys, pl.col("value").alias(_bin(number)))
        series = series.join(one, on=list(keys), how="left", nulls_equal=True, maintain_order="left")
    fitted = _reached(series.select(map(_bin, range(count))), bin_s, within_s)
    return series.select(keys).with_columns(fitted.alias("value")).filter(pl.col("value").is_not_null())


def rolling_forecasts(grid: pl.DataFrame, width_s: int, window_s: int, within_s: float) -> pl.Series:
    """Per bin of a `dense` grid, oldest first, the forecast at the bin's end; NULL when the fit is poor. The grid
    holds whole bins."""
    bin_s, count = forecast_bins(window_s)
    rows = bin_s // width_s
    bins = _rolling_average(grid, rows).gather_every(rows, rows - 1)
    return _reached(pl.DataFrame([bins.shift(n).alias(_bin(n)) for n in range(count)]), bin_s, within_s)


def _inside(at: int, window_s: int) -> pl.Expr:
    return (pl.col("time") >= at - window_s) & (pl.col("time") < at)


def _aggregated(aggregate: Aggregate) -> pl.Expr:
    if aggregate == "avg":
        return (pl.col("avg") * pl.col("samples")).sum() / pl.col("samples").sum()
    if aggregate == "last":
        return pl.col("avg").sort_by("time").last()
    return pl.col("min").min() if aggregate == "min" else pl.col("max").max()


def _rolling_average(grid: pl.DataFrame, rows: int) -> pl.Series:
    weight = grid["samples"].fill_null(0).cast(pl.Float64)
    total = _rolling_sum(grid["avg"].fill_null(0.0) * weight, rows)
    average = total / _rolling_sum(weight, rows)
    return average.set(average.is_nan(), None)


def _rolling_sum(values: pl.Series, rows: int) -> pl.Series:
    """Sums of blocks of 1, 2, 4, … rows put together: no subtraction, so that what left the window leaves no trace of
    rounding in it, and the same rows always give the same sum."""
    block, size = values, 1
    total, behind = values.clear(len(values)).fill_null(0.0), 0
    while rows:
        if rows & 1:
            total, behind = total + block.shift(behind, fill_value=0.0), behind + size
        block, size, rows = block + block.shift(size, fill_value=0.0), size * 2, rows >> 1
    return total


def _reached(bins: pl.DataFrame, bin_s: int, within_s: float) -> pl.Series:
    """Per row a Theil-Sen line through bins 0 (the newest) to n, carried on to `within_s` after the end of bin 0."""
    count = bins.width
    pairs = [
        (pl.col(_bin(later)) - pl.col(_bin(earlier))) / ((earlier - later) * bin_s)
        for later in range(count)
        for earlier in range(later + 1, count)
    ]
    filled = pl.sum_horizontal(pl.col(_bin(n)).is_not_null() for n in range(count))
    fit = bins.with_columns(
        # An array: gathering the pairs into lists takes fifty times as long.
        slope=pl.concat_arr(pairs).arr.median(),
        tau=pl.sum_horizontal(pair.sign() for pair in pairs) / (filled * (filled - 1) / 2),
        filled=filled,
    )
    levels = [pl.col(_bin(n)) + pl.col("slope") * (n + 0.5) * bin_s for n in range(count)]
    good = (pl.col("tau").abs() >= LEAST_TAU) & (pl.col("filled") >= LEAST_FILLED * count)
    value = pl.concat_arr(levels).arr.median() + pl.col("slope") * within_s
    return fit.select(value=pl.when(good).then(value))["value"]


def _bin(number: int) -> str:
    return f"bin_{number}"
