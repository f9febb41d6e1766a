"""What is stored of a measurement at a moment: the last reading at or before it, of what is kept of that age."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from chatops_dashboards.components.server_tables import Row
from chatops_dashboards.pages.server.past.moment import kept_of
from chatops_dashboards.session import Session
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.resources import MetricSeries

# Points of a few seconds: readings come as they are, unless they are roll-ups.
POINTS = 30
# What is collected every few minutes is looked for this far back, finely enough to tell
# its rhythm.
SPARSE = timedelta(hours=1)
SPARSE_POINTS = 90


class Reading(NamedTuple):
    """When it was, over how many seconds, and its rows: labels and fields."""

    time: datetime
    bucket_seconds: float
    rows: list[Row]


async def read_at(
    session: Session, server_id: int, measurement: str, moment: datetime, now: datetime, fields: Sequence[str] = ()
) -> Reading | None:
    """All fields unless told which; None when there is no reading just before the moment, or none as long before it as
    the server's readings are apart."""
    names = fields or tuple(field.name for field in BY_NAME[measurement].fields)

    async def last_within(reach: timedelta, points: int) -> tuple[Reading | None, timedelta]:
        answers = await asyncio.gather(
            *(
                session.client.history_series(
                    server_id, f"{measurement}.{name}", moment - reach, moment + timedelta(seconds=1), points=points
                )
                for name in names
            )
        )
        return last_of(dict(zip(names, answers, strict=True)), moment), rhythm_of(answers)

    reach = kept_of(moment, now).reach
    found, _ = await last_within(reach, POINTS)
    if found is not None or reach >= SPARSE:
        return found
    found, rhythm = await last_within(SPARSE, SPARSE_POINTS)
    return found if found is not None and moment - found.time <= rhythm * 1.5 else None


def rhythm_of(answers: Sequence[MetricSeries]) -> timedelta:
    """How far apart readings are, by the middle of the steps between them; zero when there are fewer than three."""
    times = sorted(
        {
            time
            for answer in answers
            for series in answer.series
            for time, value in zip(series.time, series.avg, strict=True)
            if value is not None
        }
    )
    steps = [later - earlier for earlier, later in pairwise(times)]
    return median_low(steps) if len(steps) > 1 else timedelta(0)


def last_of(answers: Mapping[str, MetricSeries], moment: datetime) -> Reading | None:
    """One reading out of parallel series: the newest time at which any of them has a value."""
    newest: datetime | None = None
    for answer in answers.values():
        for series in answer.series:
            for time, value in zip(series.time, series.avg, strict=True):
                if value is not None and time <= moment and (newest is None or time > newest):
                    newest = time
    if newest is None:
        return None
    rows: dict[tuple[str, ...], Row] = {}
    for field, answer in answers.items():
        for series in answer.series:
            for time, value in zip(series.time, series.avg, strict=True):
                if time == newest and value is not None:
                    labels = {name: str(label) for name, label in series.labels.items()}
                    rows.setdefault(tuple(labels.values()), {**labels})[field] = value
    return Reading(newest, max(answer.bucket_seconds for answer in answers.values()), list(rows.values()))
