"""What is stored of a measurement at a moment: the last reading at or before it, of what is kept of that age."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from chatops_dashboards.components.server_tables import Row
from chatops_dashboards.pages.server.past.moment import kept_of
from chatops_dashboards.session import Session
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.resources import MetricSeries

# Points of a few seconds: readings come as they are, unless they are roll-ups.
POINTS = 30


class Reading(NamedTuple):
    """When it was, over how many seconds, and its rows: labels and fields."""

    time: datetime
    bucket_seconds: float
    rows: list[Row]


async def read_at(
    session: Session, server_id: int, measurement: str, moment: datetime, now: datetime, fields: Sequence[str] = ()
) -> Reading | None:
    """All fields unless told which; None when there is no reading just before the moment."""
    names = fields or tuple(field.name for field in BY_NAME[measurement].fields)
    start, end = moment - kept_of(moment, now).reach, moment + timedelta(seconds=1)
    answers = await asyncio.gather(
        *(
            session.client.history_series(server_id, f"{measurement}.{name}", start, end, points=POINTS)
            for name in names
        )
    )
    return last_of(dict(zip(names, answers, strict=True)), moment)


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
