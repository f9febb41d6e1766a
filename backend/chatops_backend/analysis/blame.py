"""Which processes or containers a host's rise is made of. Pure; `questions.py` reads for it."""

import math
from collections.abc import Sequence
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.words import change_in_words, value_in_words
from chatops_protocol.analysis_resources import BlameShares, Culprit

# What rose by less than this part of the host's spread around its mean is no rise.
LEAST_OF_SPREAD = 0.5
Span = tuple[float, float]


class HostRise(Struct, frozen=True):
    """Means over window and baseline, in the metric's unit, and whether the difference is worth an explanation."""

    window: float | None
    before: float | None
    rises: bool

    @property
    def rise(self) -> float | None:
        return None if self.window is None or self.before is None else self.window - self.before


def host_rise(frame: pl.DataFrame, window: Span, baseline: Span) -> HostRise:
    """`frame`: ``time``, ``value`` and ``samples`` (rows in each bucket). Means and not medians, since only they add up
    over processes. A rise is a difference of more than half of the baseline's standard deviation."""
    frame = frame.drop_nulls("value")
    now, before = _within(frame, window), _within(frame, baseline)
    means = [_mean(now), _mean(before)]
    if means[0] is None or means[1] is None:
        return HostRise(means[0], means[1], rises=False)
    spread = before["value"].std()
    least = LEAST_OF_SPREAD * spread if isinstance(spread, float) else 0.0
    return HostRise(means[0], means[1], rises=means[0] - means[1] > least)


def shares(
    members: Sequence[tuple[dict[str, Any], pl.DataFrame]],
    divisor: float,
    host: HostRise,
    window: Span,
    baseline: Span,
    unit: str,
    limit: int,
) -> BlameShares:
    """Each member (labels, and a frame as `host_rise` takes it) with its part of the rise: its mean over the window
    less that over the baseline, divided by `divisor`, which turns its unit into the host's.

    A mean is the sum of its readings over the number of collections: a process that was not listed was smaller than
    those that were, and counts as nothing. So of what was not listed in the baseline at all the rise is the most that
    it can be. `unexplained` is the host's rise less those of all members, those beyond `limit` included.
    """
    frames = [(labels, frame.drop_nulls("value")) for labels, frame in members]
    collections = [_collections([frame for _, frame in frames], span) for span in (window, baseline)]
    if not all(collections):
        when = "the window" if not collections[0] else "the baseline"
        return BlameShares(outcome="not_enough_data", explanation=f"There are no readings in {when}.", culprits=[])
    each = [_culprit(labels, frame, divisor, host, (window, baseline), collections) for labels, frame in frames]
    found = sorted((one for one in each if one is not None), key=lambda one: -one.rise)
    explained = math.fsum(one.rise for one in found)
    rise = host.rise
    left = rise - explained if rise is not None else None
    part = left / rise if left is not None and rise and host.rises else None
    return BlameShares(
        outcome="ranked",
        explanation=_told(found, part, unit),
        culprits=found[:limit],
        unexplained=left,
        unexplained_share=part,
    )


def _culprit(
    labels: dict[str, Any],
    frame: pl.DataFrame,
    divisor: float,
    host: HostRise,
    spans: tuple[Span, Span],
    collections: list[int],
) -> Culprit | None:
    sums, listed = [], []
    for span, count in zip(spans, collections, strict=True):
        rows = _within(frame, span)
        sums.append(float((rows["value"] * rows["samples"]).sum()) / count / divisor)
        listed.append(min(1.0, int(rows["samples"].sum()) / count))
    if not any(listed):
        return None
    rise = sums[0] - sums[1]
    return Culprit(
        labels=labels,
        rise=rise,
        share=rise / host.rise if host.rise and host.rises else None,
        window=sums[0],
        before=sums[1] if listed[1] else None,
        at_most=not listed[1],
        listed=listed[0],
        listed_before=listed[1],
    )


def _collections(frames: Sequence[pl.DataFrame], span: Span) -> int:
    """How often the agent looked: in each bucket as often as the member that was listed most."""
    if not frames:
        return 0
    each = pl.concat([_within(frame, span).select("time", "samples") for frame in frames])
    return int(each.group_by("time").agg(pl.col("samples").max())["samples"].sum())


def _told(found: list[Culprit], part: float | None, unit: str) -> str:
    if not found:
        return "None was listed."
    if part is None:
        return "There is no rise to explain; these changed most."
    first = found[0]
    name = ", ".join(str(value) for value in first.labels.values())
    most = "at most " if first.at_most else ""
    return (
        f"{name} rose by {most}{change_in_words(first.rise, unit).lstrip('+')}, {_percent(first.share)} of the rise; "
        f"{_percent(part)} of it is unexplained."
    )


def rise_in_words(host: HostRise, unit: str) -> str:
    if host.window is None or host.before is None or host.rise is None:
        return f"The host has no readings in the {'window' if host.window is None else 'baseline'}."
    said = f"from {value_in_words(host.before, unit)} to {value_in_words(host.window, unit)}"
    said += f" ({change_in_words(host.rise, unit)})"
    return f"It rose {said}." if host.rises else f"It did not rise beyond what is usual: {said}."


def _percent(share: float | None) -> str:
    return "an unknown part" if share is None else f"{round(share * 100)} %"


def _within(frame: pl.DataFrame, span: Span) -> pl.DataFrame:
    return frame.filter((pl.col("time") >= span[0]) & (pl.col("time") < span[1]))


def _mean(frame: pl.DataFrame) -> float | None:
    weight = int(frame["samples"].sum())
    return float((frame["value"] * frame["samples"]).sum()) / weight if weight else None
