"""A robust slope with its interval. Pure; used by forecasts."""

import math
from statistics import NormalDist

import polars as pl
from msgspec import Struct

# An interval from ranks holds from about ten points on (Gilbert 1987, chapter 16.4.2).
FEWEST_POINTS = 10
_MAD_SCALE, _FAR = 1.4826, 3.0


class Slope(Struct, frozen=True):
    """In y per x. Without enough independent points the interval has no bounds: it is infinite."""

    slope: float
    low: float
    high: float


def theil_sen(x: pl.Series, y: pl.Series, confidence: float = 0.95) -> Slope:
    """The median of the slopes of all pairs of points: 29 % of the points may be anything (Theil 1950, Sen 1968).

    The interval follows from the variance of Kendall's S, corrected for ties, as slopes of the ranks (N ± C) / 2
    (Sen 1968; Gilbert 1987, section 16.4.2). Readings follow on each other, which makes them worth fewer independent
    ones: the variance is multiplied by (1 + r) / (1 - r) where r is above zero (Bayley and Hammersley 1946). r is the
    correlation of the line's residuals with the ones before them, cut at three robust standard deviations, plus
    (2 + 4 r) / n, by which the removal of a line makes it too small (Marriott and Pope 1954, Kendall 1954).

    `x` ascends without equal values, neither has nulls; at least two points. Takes memory for n² / 2 slopes.
    """
    slopes = _slopes(x, y)
    middle = slopes.median()
    assert isinstance(middle, float)
    residuals = y - x * middle
    variance = _kendall_variance(y) * _inflation(residuals - (residuals.median() or 0.0), _size(y))
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance)
    pairs = len(slopes)
    lower, upper = math.floor((pairs - reach) / 2), math.ceil((pairs + reach) / 2)
    ordered = slopes.sort()
    low = ordered[lower - 1] if lower >= 1 else -math.inf
    high = ordered[upper] if upper < pairs else math.inf
    return Slope(middle, low, high)


def _slopes(x: pl.Series, y: pl.Series) -> pl.Series:
    points = pl.DataFrame({"x": x, "y": y}).with_row_index("n")
    pairs = points.join(points, how="cross", suffix="_later").filter(pl.col("n") < pl.col("n_later"))
    return pairs.select(
        (pl.col("y_later") - pl.col("y")) / (pl.col("x_later") - pl.col("x")).alias("slope")
    ).to_series()


def _kendall_variance(y: pl.Series) -> float:
    n = len(y)
    ties = y.value_counts().get_column("count")
    tied = int((ties * (ties - 1) * (2 * ties + 5)).sum())
    return (n * (n - 1) * (2 * n + 5) - tied) / 18


def _inflation(residuals: pl.Series, size: float) -> float:
    """Not below 1. `residuals` have the median 0, and what is left of a straight line after rounding says nothing."""
    spread = robust_deviation(residuals)
    if spread <= 1e-9 * size:
        return 1.0
    cut = residuals.clip(-_FAR * spread, _FAR * spread)
    found = pl.select(pl.corr(cut.slice(1), cut.slice(0, len(cut) - 1))).item()
    if found is None or not math.isfinite(found):
        return 1.0
    r: float = min(max(0.0, found + (2 + 4 * found) / len(cut)), 0.99)
    return (1 + r) / (1 - r)


def robust_deviation(residuals: pl.Series) -> float:
    """1.4826 times the median distance from 0: the standard deviation, were they normal."""
    middle = residuals.abs().median()
    return float(middle) * _MAD_SCALE if isinstance(middle, float) else 0.0


def _size(y: pl.Series) -> float:
    largest = y.abs().max()
    assert isinstance(largest, float)
    return largest
