"""The parameters `start` and `end` of lists of things that last: what overlaps the range is listed. Used by the routes
of commands and alerts."""

from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from litestar.params import QueryParameter

from chatops_backend.problems import ProblemError

Start = Annotated[datetime | None, QueryParameter(description="What was not over before this time")]
End = Annotated[datetime | None, QueryParameter(description="What had begun before this time")]


class Overlap(NamedTuple):
    """Either side may be open."""

    start: datetime | None
    end: datetime | None


def read_overlap(start: datetime | None, end: datetime | None) -> Overlap:
    """Times without a zone are UTC. Raises `ProblemError` 400 for a range that ends before it starts
    or that no UTC time can name."""
    asked = Overlap(_aware(start), _aware(end))
    if asked.start is not None and asked.end is not None and asked.start >= asked.end:
        raise ProblemError(400, "Range not usable", "`start` must be before `end`.")
    return asked


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ProblemError(400, "Range not usable", "The range begins before the year 1 or ends after 9999.") from None
