"""This window of one series against the same window of earlier days or weeks. Pure; `questions.py` reads for it."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from chatops_backend.analysis.words import at, change_in_words, value_in_words
from chatops_protocol.analysis_resources import EarlierWindow, Effect, SeriesComparison

FEWEST_POINTS = 5
# Where Cliff's delta begins to be called so (Romano et al. 2006).
_EFFECTS: tuple[tuple[float, Effect], ...] = ((0.474, "large"), (0.33, "medium"), (0.147, "small"), (0.0, "negligible"))
Span = tuple[float, float]


def hodges_lehmann(now: pl.Series, before: pl.Series) -> float:
    """The median of all differences between a value of `now` and one of `before` (Hodges and Lehmann 1963): by how much
    the one lies above the other, though a quarter of the values be anything. Neither is empty or has nulls."""
    differences = (
        now.to_frame("now").join(before.to_frame("before"), how="cross").select(pl.col("now") - pl.col("before"))
    )
    middle = differences.to_series().median()
    assert isinstance(middle, float)
    return middle


def cliffs_delta(now: pl.Series, before: pl.Series) -> float:
    """How much more often a value of `now` is above one of `before` than below it, from -1 to 1 (Cliff 1993). By ranks:
    of U as Mann and Whitney count it, delta is 2 U / (n m) - 1."""
    ranks = pl.concat([now, before]).rank("average").head(len(now))
    above = float(ranks.sum()) - len(now) * (len(now) + 1) / 2
    return 2 * above / (len(now) * len(before)) - 1


def effect_in_word(delta: float) -> Effect:
    return next(word for least, word in _EFFECTS if abs(delta) >= least)


def compare_series(
    server_id: int, labels: dict[str, Any], frame: pl.DataFrame, window: Span, earlier: Sequence[Span], unit: str
) -> SeriesComparison:
    """`frame`: ``time`` (Unix seconds) and ``value``; `earlier` are the windows to compare with, in Unix seconds. See
    `hodges_lehmann` and `cliffs_delta`."""
    frame = frame.drop_nulls("value")
    now = _within(frame, window)
    each = [_within(frame, span) for span in earlier]
    before = pl.concat(each)
    medians = [_median(values) for values in each]
    known: dict[str, Any] = {
        "server_id": server_id,
        "labels": labels,
        "points": len(now),
        "points_before": len(before),
        "windows": [
            EarlierWindow(at(span[0]), at(span[1]), median, len(values))
            for span, median, values in zip(earlier, medians, each, strict=True)
        ],
        "median": _median(now),
        "median_before": _median(before),
    }
    if len(now) < FEWEST_POINTS or len(before) < FEWEST_POINTS:
        where = "this window" if len(now) < FEWEST_POINTS else "the earlier windows"
        said = f"{min(len(now), len(before))} readings in {where} are too few; it takes {FEWEST_POINTS}."
        return SeriesComparison(outcome="not_enough_data", explanation=said, **known)
    shift, delta = hodges_lehmann(now, before), cliffs_delta(now, before)
    effect = effect_in_word(delta)
    there = [median for median in medians if median is not None]
    outside = known["median"] > max(there) or known["median"] < min(there)
    said = (
        f"{value_in_words(known['median'], unit)} where {value_in_words(known['median_before'], unit)} is usual "
        f"({change_in_words(shift, unit)}): a {effect} difference"
    )
    said += ", and beyond each of the earlier windows." if outside and len(there) > 1 else "."
    return SeriesComparison(
        outcome="same" if effect == "negligible" else "higher" if delta > 0 else "lower",
        explanation=said,
        shift=shift,
        delta=delta,
        effect=effect,
        outside=outside,
        **known,
    )


def in_order(series: list[SeriesComparison]) -> list[SeriesComparison]:
    """The largest effect first."""
    return sorted(series, key=lambda one: -abs(one.delta) if one.delta is not None else 1.0)


def _within(frame: pl.DataFrame, span: Span) -> pl.Series:
    return frame.filter((pl.col("time") >= span[0]) & (pl.col("time") < span[1]))["value"]


def _median(values: pl.Series) -> float | None:
    middle = values.median()
    return middle if isinstance(middle, float) else None
