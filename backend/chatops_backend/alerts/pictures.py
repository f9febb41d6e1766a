"""The picture of a notification: what its first measured change looked like before it. Handed to the notifier."""

from datetime import UTC, datetime

import msgspec

from chatops_backend.alerts.message import Notice, ToldChange
from chatops_backend.alerts.picture import LEFT, RIGHT, Curve, draw
from chatops_backend.metrics.reader import MetricReader

POINTS = (RIGHT - LEFT) // 2
# The window that decided is the last quarter, and an hour is shown at least.
WINDOWS_SHOWN = 4
LEAST_SHOWN_S = 3600.0


class AlertPictures:
    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader

    async def __call__(self, notice: Notice) -> bytes | None:
        """A PNG; None when nothing was measured. Raises what reading raises."""
        change = next((change for change in notice.changes if change.metric is not None), None)
        return await self._draw(notice.server_id, change) if change is not None else None

    async def _draw(self, server_id: int, change: ToldChange) -> bytes | None:
        if change.metric is None:
            return None
        start = change.at - max(LEAST_SHOWN_S, WINDOWS_SHOWN * change.window_s)
        answer = await self._reader.read(
            change.metric,
            [server_id],
            datetime.fromtimestamp(start, UTC),
            datetime.fromtimestamp(change.at, UTC),
            POINTS,
            {name: _text(value) for name, value in change.labels.items()},
        )
        if not answer.series:
            return None
        series = answer.series[0]
        return draw(
            Curve(
                times=[moment.timestamp() for moment in series.time],
                avg=series.avg,
                low=series.min,
                high=series.max,
                bounds=_bounds(change),
                start=start,
                end=change.at,
                window_s=change.window_s,
            )
        )


def _bounds(change: ToldChange) -> list[float]:
    """The lines to draw. A difference's bound is no value of the curve."""
    if change.bound is None or change.kind == "change":
        return []
    return list(change.bound) if isinstance(change.bound, tuple) else [change.bound]


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
