"""Answers of ``/analysis``: forecast, anomalies, correlate, compare, blame. JSON on the wire.

Each answer, and each series in it, says what came of it in `outcome`, and in `explanation` in a sentence for people.
Too little data is such an outcome and no error. What is unknown is None, never zero.
"""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from chatops_protocol.resources import Tier

Direction = Literal["rising", "falling"]

# -- forecast ----------------------------------------------------------------------------------------------------

# reaches: a trend, and the level within the horizon. beyond_horizon: later than that. moves_away: the trend goes the
# other way. trend: no level was given. no_trend: the slope's interval includes zero.
ForecastOutcome = Literal[
    "reaches", "reached", "beyond_horizon", "moves_away", "trend", "no_trend", "not_enough_data", "gone"
]


class SeriesForecast(Struct, frozen=True, kw_only=True):
    """One series. `slope_per_day` is Theil's and Sen's, in the metric's unit, with its interval at the answer's
    `confidence`, of the `points` from `since` on: the newest part of the history that is one line. The line to draw is
    ``line + slope_per_day · (days since line_at)``.

    `reaches_at` lies between `earliest_at` and `latest_at`, which follow from the steepest and the flattest slope of
    the interval, and from how far the line may be off. They are given for ``reaches`` and ``beyond_horizon`` only, and
    not when they are more than a hundred years off.
    """

    server_id: int
    labels: dict[str, Any]
    outcome: ForecastOutcome
    explanation: str
    tier: Tier
    bucket_seconds: float
    points: int
    since: datetime | None = None
    current: float | None = None
    current_at: datetime | None = None
    slope_per_day: float | None = None
    slope_low_per_day: float | None = None
    slope_high_per_day: float | None = None
    line: float | None = None
    line_at: datetime | None = None
    reaches_at: datetime | None = None
    earliest_at: datetime | None = None
    latest_at: datetime | None = None


class Forecast(Struct, frozen=True, kw_only=True):
    """Series that reach the level come first, the soonest at the head. `level` is None when none was given and the
    metric has none of its own."""

    metric: str
    unit: str
    level: float | None
    direction: Direction
    start: datetime
    end: datetime
    horizon_s: float
    confidence: float
    series: list[SeriesForecast]


# -- anomalies ---------------------------------------------------------------------------------------------------

Season = Literal["hour_of_week", "hour_of_day", "none"]


class UnusualStretch(Struct, frozen=True, kw_only=True):
    """Unusual buckets without a usual one between them. `score` is that of the furthest bucket, with its sign: above
    zero it was higher than expected. `value` and `expected` are of that bucket, at `peak_at`."""

    start: datetime
    end: datetime
    score: float
    value: float
    expected: float
    peak_at: datetime
    buckets: int


class SeriesAnomalies(Struct, frozen=True, kw_only=True):
    """One series: parallel lists, one entry per bucket of the window. `expected` is the median of the same hours before
    the window, `low` to `high` what would not have been unusual, `score` the distance from `expected` in robust
    standard deviations. None where there is no reading, or nothing to compare it with.

    `season`: which hours are the same ones. `weeks`: how many weeks before the window have readings.
    """

    server_id: int
    labels: dict[str, Any]
    outcome: Literal["unusual", "usual", "not_enough_data"]
    explanation: str
    season: Season
    weeks: int
    time: list[datetime]
    value: list[float | None]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]
    score: list[float | None]
    stretches: list[UnusualStretch]


class Anomalies(Struct, frozen=True, kw_only=True):
    """A bucket is unusual from `threshold` robust standard deviations on. The profile is made of what was before
    `start`, from `profile_start` on. The series with the furthest bucket comes first."""

    metric: str
    unit: str
    tier: Tier
    bucket_seconds: float
    start: datetime
    end: datetime
    profile_start: datetime
    threshold: float
    series: list[SeriesAnomalies]


# -- correlate ---------------------------------------------------------------------------------------------------


class CorrelatedSeries(Struct, frozen=True, kw_only=True):
    """One series that was compared. `correlation` is that at `lag_s`, the best of those tried: above zero this series
    moved that much later than the one asked about, below zero earlier.

    `strength`, from 0 to 1, is what is left of the correlation's size at the low end of its interval, all lags that
    were tried considered; series are ranked by it. `effective_points`: how many independent points `points` are worth.
    """

    metric: str
    unit: str
    server_id: int
    labels: dict[str, Any]
    correlation: float
    lag_s: float
    strength: float
    points: int
    effective_points: float


class Correlations(Struct, frozen=True, kw_only=True):
    """`series` are ranked by strength; those whose strength is 0 cannot be told from chance, and come after the others.
    `compared` series were looked at; `constant` did not change and `short` have too few readings in the window: these
    have no correlation."""

    metric: str
    unit: str
    server_id: int
    labels: dict[str, Any]
    outcome: Literal["ranked", "nothing_moved_with_it", "constant", "not_enough_data"]
    explanation: str
    method: Literal["pearson", "spearman"]
    tier: Tier
    bucket_seconds: float
    start: datetime
    end: datetime
    max_lag_s: float
    compared: int
    constant: int
    short: int
    series: list[CorrelatedSeries]


# -- compare -----------------------------------------------------------------------------------------------------

Effect = Literal["negligible", "small", "medium", "large"]


class EarlierWindow(Struct, frozen=True):
    """The same window of an earlier day or week. `median` is None when it has no readings."""

    start: datetime
    end: datetime
    median: float | None
    points: int


class SeriesComparison(Struct, frozen=True, kw_only=True):
    """One series. `shift` is Hodges' and Lehmann's: the median difference between a reading of this window and one of
    the earlier ones, in the metric's unit. `delta` is Cliff's, from -1 (all lower) to 1 (all higher), and `effect` is
    it in a word. `outside`: the median is above, or below, that of every earlier window."""

    server_id: int
    labels: dict[str, Any]
    outcome: Literal["higher", "lower", "same", "not_enough_data"]
    explanation: str
    points: int
    points_before: int
    windows: list[EarlierWindow]
    median: float | None = None
    median_before: float | None = None
    shift: float | None = None
    delta: float | None = None
    effect: Effect | None = None
    outside: bool | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """The largest effect comes first. `period_s` is the distance between the windows: a day or a week."""

    metric: str
    unit: str
    tier: Tier
    bucket_seconds: float
    start: datetime
    end: datetime
    period_s: float
    series: list[SeriesComparison]


# -- blame -------------------------------------------------------------------------------------------------------


class Culprit(Struct, frozen=True, kw_only=True):
    """A program of one user, or a container: its means over baseline and window in the host metric's unit.

    `rise` is the difference, and `share` its part of the host's rise. `before` is None for what was not listed in the
    baseline, since agents list the largest processes only; `rise` is then the most it can be, and `at_most` is true.
    `listed` and `listed_before`: the part of the collections in which it was listed; the means count the others as
    nothing, since it was smaller than all that were.
    """

    labels: dict[str, Any]
    rise: float
    share: float | None
    window: float
    before: float | None
    at_most: bool
    listed: float
    listed_before: float


class BlameShares(Struct, frozen=True, kw_only=True):
    """What processes (or containers) account for, the largest rise first. `unexplained` is the host's rise without
    theirs, in its unit, and `unexplained_share` its part; below zero they rose by more than the host did, as memory
    that processes share is counted in each."""

    outcome: Literal["ranked", "not_enough_data"]
    explanation: str
    culprits: list[Culprit]
    unexplained: float | None = None
    unexplained_share: float | None = None


class Blame(Struct, frozen=True, kw_only=True):
    """Processes and containers are two views of the same: what runs in a container is in both, so they never add up.

    Of a file system, `unit` is bytes per second: `window` and `before` are what it gains, the containers' what they
    write to all disks of the host; which file system is not recorded, nor what single processes write.

    `cores`: a process's share of one core divided by it is its share of the host; None where it is not needed, or not
    known. Shares are None unless the outcome is ``rise``.
    """

    server_id: int
    metric: str
    unit: str
    outcome: Literal["rise", "no_rise", "not_enough_data"]
    explanation: str
    tier: Tier
    start: datetime
    end: datetime
    baseline_start: datetime
    baseline_end: datetime
    window: float | None
    before: float | None
    rise: float | None
    cores: int | None
    processes: BlameShares
    containers: BlameShares
