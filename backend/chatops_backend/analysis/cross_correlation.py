"""How series moved with one of them, at which lag, and what of that is more than chance. Pure; used by correlate."""

import math
from statistics import NormalDist
from typing import Literal

import polars as pl
from msgspec import Struct

Method = Literal["pearson", "spearman"]

# Steps that both series have; with fewer a series is ``short``.
FEWEST_STEPS = 20
# Standard deviations beyond which a step counts no more.
MOST_DEVIATIONS = 10.0
CONFIDENCE = 0.95
# A step spans so many parts of the window's points: five minutes of six hours.
STEPS_OF_WINDOW = 72
_MAD_SCALE, _MEAN_SCALE = 1.4826, 1.2533
# What is left of equal numbers after averaging.
_ROUNDING = 1e-12


class Moved(Struct, frozen=True):
    """One series beside the one asked about. `lag` in points of the grid, above zero: it moved later."""

    name: str
    correlation: float
    lag: int
    strength: float
    points: int
    effective_points: float


class Compared(Struct, frozen=True):
    """`moved` is ranked by strength. The names of what had too few steps, and of what did not change."""

    moved: list[Moved]
    short: list[str]
    constant: list[str]


def standardised_steps(values: pl.Series, span: int) -> pl.Series | Literal["short", "constant"]:
    """Differences to the value `span` points before (of the values themselves all that grow would look alike), centred
    at their median and divided by their robust standard deviation: 1.4826 median absolute deviations, or 1.2533 mean
    absolute ones where more than half of the steps are equal. Cut at `MOST_DEVIATIONS`, so that a single jump is not
    everything. `values` are of a regular grid, null where there is no reading."""
    steps = values.diff(span)
    if len(steps) - steps.null_count() < FEWEST_STEPS:
        return "short"
    centred = steps - steps.median()
    least = _ROUNDING * (_number(values.abs().max()) or 1.0)
    scale = _number(centred.abs().median()) * _MAD_SCALE
    if scale <= least:
        scale = _number(centred.abs().mean()) * _MEAN_SCALE
    if scale <= least:
        return "constant"
    return (centred / scale).clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)


def compare_with(
    target: pl.Series, others: dict[str, pl.Series], max_lag: int, method: Method = "pearson"
) -> Compared | Literal["short", "constant"]:
    """Rank `others` by how they moved with `target`; all are of one regular grid. A word when `target` is no good.

    The correlation is Pearson's of `standardised_steps`, or of their ranks (Spearman), at the lag up to `max_lag`
    points where it is furthest from zero. Strength is the low end of its interval by Fisher's transformation, with two
    guards: points that follow on each other count as fewer (n / (1 + 2 Σ r₁ r₂) over the series' own correlations,
    Bartlett 1935, Pyper and Peterman 1998), and the stretch of one step that counts most is left out, since two series
    that jumped once near each other prove nothing. The interval is wide enough for all lags and series that were tried
    (Šidák 1967).
    """
    span = max(1, len(target) // STEPS_OF_WINDOW)
    moving = standardised_steps(target, span)
    if isinstance(moving, str):
        return moving
    found = {name: standardised_steps(values, span) for name, values in others.items()}
    usable = {name: steps for name, steps in found.items() if isinstance(steps, pl.Series)}
    if method == "spearman":
        moving, usable = moving.rank(), {name: steps.rank() for name, steps in usable.items()}
    best = _best_lags(moving, usable, max_lag)
    tried = (2 * max_lag + 1) * max(1, len(usable))
    reach = NormalDist().inv_cdf(0.5 + CONFIDENCE ** (1 / tried) / 2)
    moved = [
        _moved(name, moving.shift(lag), usable[name], correlation, lag, span, reach)
        for name, (lag, correlation) in best.items()
    ]
    return Compared(
        moved=sorted(moved, key=lambda one: (-one.strength, -abs(one.correlation))),
        short=[name for name, steps in found.items() if isinstance(steps, str) and steps == "short"]
        + [name for name in usable if name not in best],
        constant=[name for name, steps in found.items() if isinstance(steps, str) and steps == "constant"],
    )


def _best_lags(target: pl.Series, others: dict[str, pl.Series], max_lag: int) -> dict[str, tuple[int, float]]:
    """Of each series the lag whose correlation is furthest from zero, the smallest of equals. Lags at which less than
    half of the steps have a partner are left out."""
    if not others:
        return {}
    size = len(target)
    names = list(others)
    table = pl.DataFrame(
        {
            "name": pl.Series(range(len(names))).repeat_by(size).explode(),
            "target": pl.concat([target] * len(names)),
            "other": pl.concat([others[name].cast(pl.Float64) for name in names]),
        }
    )
    lags = sorted(range(-max_lag, max_lag + 1), key=abs)
    both = {lag: pl.col("target").shift(lag).is_not_null() & pl.col("other").is_not_null() for lag in lags}
    found = table.group_by("name", maintain_order=True).agg(
        *(pl.corr(pl.col("target").shift(lag), "other").alias(f"r{lag}") for lag in lags),
        *(both[lag].sum().alias(f"n{lag}") for lag in lags),
    )
    best = {}
    for row in found.iter_rows(named=True):
        fewest = max(FEWEST_STEPS, max(row[f"n{lag}"] for lag in lags) / 2)
        usable = [
            (lag, row[f"r{lag}"])
            for lag in lags
            if row[f"n{lag}"] >= fewest and row[f"r{lag}"] is not None and math.isfinite(row[f"r{lag}"])
        ]
        if usable:
            best[names[row["name"]]] = max(usable, key=lambda one: round(abs(one[1]), 9))
    return best


def _moved(
    name: str, target: pl.Series, other: pl.Series, correlation: float, lag: int, span: int, reach: float
) -> Moved:
    """`target` is shifted by the lag already."""
    pairs = pl.DataFrame({"x": target.cast(pl.Float64), "y": other.cast(pl.Float64)})
    pairs = pairs.with_columns(pl.when(pl.col("x").is_not_null() & pl.col("y").is_not_null()).then(pl.all()))
    points = len(pairs) - pairs["x"].null_count()
    effective = _effective(pairs, points, 3 * span)
    kept = _without_the_largest(pairs, span)
    left = _number(kept.select(pl.corr("x", "y")).item())
    strength = 0.0
    if effective > 4 and math.isfinite(left) and left * correlation > 0:
        size = min(abs(left), abs(correlation), 1 - 1e-12)
        strength = math.tanh(max(0.0, math.atanh(size) - reach / math.sqrt(effective - 3)))
    return Moved(name, correlation, lag, strength, points, effective)


def _effective(pairs: pl.DataFrame, points: int, furthest: int) -> float:
    """How many independent pairs they are worth, at most as many as they are."""
    lags = range(1, min(furthest, points // 4) + 1)
    if not lags:
        return float(points)
    found = pairs.select(pl.corr(name, pl.col(name).shift(lag)).alias(f"{name}{lag}") for name in "xy" for lag in lags)
    own = {
        name: value if value is not None and math.isfinite(value) else 0.0
        for name, value in found.row(0, named=True).items()
    }
    shared = sum((1 - lag / points) * own[f"x{lag}"] * own[f"y{lag}"] for lag in lags)
    return min(float(points), points / max(1.0, 1 + 2 * shared))


def _without_the_largest(pairs: pl.DataFrame, span: int) -> pl.DataFrame:
    """Leaves out the step whose product is furthest from the mean, and those that overlap with it."""
    size = ((pl.col("x") - pl.col("x").mean()) * (pl.col("y") - pl.col("y").mean())).abs()
    place = pairs.select(size.arg_max()).item()
    if place is None:
        return pairs
    return pl.concat([pairs.head(max(0, place - span + 1)), pairs.slice(place + span)])


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
