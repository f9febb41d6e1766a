"""Who fills a file system: the container that began to write about when it began to fill. Pure; `questions/filling.py`
reads for it. By rates alone this could not be told: a database that overwrites its files writes far more than stays."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from chatops_backend.analysis.blame import HostRise, Span, shares
from chatops_backend.analysis.words import value_in_words
from chatops_protocol.analysis_resources import BlameShares, Culprit

DAY_S = 86_400
# A file system that gains less than a tenth more than before fills as it did.
LEAST_FASTER = 1.1
# Who began to write less than this part of what the file system gains did not fill it.
LEAST_OF_GAIN = 0.1
# Who is named as the cause writes at least so many times as much as before.
LEAST_TIMES = 2.0
# "About as much as the file system gains": between half of it and twice.
ABOUT_TIMES = 2.0


def growth(frame: pl.DataFrame, window: Span, baseline: Span) -> HostRise:
    """`frame`: ``time`` and ``value`` (bytes in use). Bytes per second from the first reading of each range to its
    last, so what is deleted on the way counts against what is written."""
    now, before = _slope(frame, window), _slope(frame, baseline)
    rises = now is not None and before is not None and now > max(0.0, before * LEAST_FASTER)
    return HostRise(now, before, rises)


def writers(
    members: Sequence[tuple[dict[str, Any], pl.DataFrame]], gained: HostRise, window: Span, baseline: Span, limit: int
) -> BlameShares:
    """Each container (labels, and a frame as `blame.shares` takes it) with what it writes. Those that began to write,
    and no less than counts, come first, by how many times as much as before; then those that write about as much as the
    file system gains, the nearest first. A share is of what it gains more than before. What they leave unexplained is
    not known, since not all that is written stays.

    Without a growth before the window there is nothing to compare with: then writing as much as the file system gains
    is all that counts, and a rise is the most that it can be.
    """
    if gained.window is not None and gained.before is None:
        return _by_what_they_write_now(members, gained, window, limit)
    found = shares(members, 1.0, gained, window, baseline, "bytes_per_second", len(members))
    ordered = sorted(found.culprits, key=lambda one: _place(one, gained))
    said = _told(ordered, gained) if found.outcome == "ranked" else found.explanation
    return msgspec.structs.replace(
        found, culprits=ordered[:limit], explanation=said, unexplained=None, unexplained_share=None
    )


def _by_what_they_write_now(
    members: Sequence[tuple[dict[str, Any], pl.DataFrame]], gained: HostRise, window: Span, limit: int
) -> BlameShares:
    found = shares(members, 1.0, gained, window, window, "bytes_per_second", len(members))
    writing = [
        msgspec.structs.replace(one, rise=one.window, before=None, share=None, at_most=True, listed_before=0.0)
        for one in found.culprits
    ]
    ordered = sorted(writing, key=lambda one: (not _writes_what_stays(one, gained), _distance(one, gained)))
    said = found.explanation
    if ordered and _writes_what_stays(ordered[0], gained):
        first = ordered[0]
        said = f"{first.labels['name']} writes {_bytes(first.window)} a day, about as much as the file system gains."
    elif ordered:
        said = "No container writes about as much as the file system gains."
    return msgspec.structs.replace(
        found, culprits=ordered[:limit], explanation=said, unexplained=None, unexplained_share=None
    )


def growth_in_words(gained: HostRise, name: str) -> str:
    if gained.window is None:
        return f"{name} has too few readings in the window."
    if gained.before is None:
        said = f"{name} {_a_day(gained.window)}. There are too few readings in the baseline to compare with."
    else:
        said = f"{name} {_a_day(gained.window)}, and {_a_day(gained.before)} before."
    if gained.before is not None and gained.window > 0 and not gained.rises:
        said += " It fills no faster than before, so what fills it began earlier: choose a stretch that begins there."
    return said + " Containers are judged by their writes to all disks of the host; which file system is not recorded."


def _told(ordered: list[Culprit], gained: HostRise) -> str:
    if not ordered:
        return "None was listed."
    first = ordered[0]
    if _writes_what_stays(first, gained) and not _began(first, gained):
        said = f"{first.labels['name']} writes {_bytes(first.window)} a day, about as much as the file system gains"
        return f"No container began to write. {said}; it wrote {_bytes(first.before or 0.0)} a day before."
    if not _began(first, gained):
        return f"No container began to write: none that counts here writes {LEAST_TIMES:g} times as much as before."
    times = _times(first)
    before = f"{times:.3g} times as much as before" if math.isfinite(times) else "nothing before"
    said = f"{first.labels['name']} writes {_bytes(first.window)} a day, {before}"
    if gained.window is not None and first.window > 2 * gained.window:
        said += "; that is more than the file system gains, so not all of it stays"
    return said + "."


def _place(one: Culprit, gained: HostRise) -> tuple[int, float]:
    if _began(one, gained):
        return 0, -_times(one)
    if gained.window and _writes_what_stays(one, gained):
        return 1, _distance(one, gained)
    return 2, -one.rise


def _distance(one: Culprit, gained: HostRise) -> float:
    """How far what it writes is from what the file system gains, by their quotient."""
    gain = gained.window or 0.0
    return abs(math.log(one.window / gain)) if gain > 0 and one.window > 0 else math.inf


def _began(one: Culprit, gained: HostRise) -> bool:
    counts = gained.window is not None and one.rise > 0 and one.rise >= LEAST_OF_GAIN * gained.window
    return counts and _times(one) >= LEAST_TIMES


def _writes_what_stays(one: Culprit, gained: HostRise) -> bool:
    gain = gained.window or 0.0
    return gain > 0 and gain / ABOUT_TIMES <= one.window <= gain * ABOUT_TIMES


def _times(one: Culprit) -> float:
    return one.window / one.before if one.before else math.inf


def _a_day(rate: float) -> str:
    return f"{'gains' if rate >= 0 else 'loses'} {_bytes(abs(rate))} a day"


def _bytes(rate: float) -> str:
    return value_in_words(rate * DAY_S, "bytes")


def _slope(frame: pl.DataFrame, span: Span) -> float | None:
    within = frame.drop_nulls("value").filter((pl.col("time") >= span[0]) & (pl.col("time") < span[1])).sort("time")
    if within.height < 2:
        return None
    seconds = within["time"][-1] - within["time"][0]
    return float(within["value"][-1] - within["value"][0]) / float(seconds)
