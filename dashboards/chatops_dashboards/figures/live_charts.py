"""The charts of the live tab: what each shows, its figure from recent history, the points a reading adds. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any

from chatops_dashboards.figures.frame import layout, y_axis
from chatops_dashboards.moments import from_unix, on_axis
from chatops_dashboards.theme import SLATE, metric_colour
from chatops_dashboards.units import Scale, scale_for
from chatops_protocol.resources import Series

WINDOW_S = 900.0
NO_READINGS = "No readings in the last 15 minutes"
CHART_HEIGHT = 210
# A reading this many intervals late leaves a gap in the line.
GAP_INTERVALS = 3.0


@dataclass(frozen=True)
class Line:
    field: str
    name: str
    fill: bool = False
    measurement: str = "host"

    @property
    def metric(self) -> str:
        return f"{self.measurement}.{self.field}"


@dataclass(frozen=True)
class LiveChart:
    """One chart of fields of the host. `top` is the end of the axis where the quantity has one."""

    name: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    top: float | None = None
    # The field whose newest value says how large the axis is, when the lines do not (memory: the total).
    sized_by: str | None = None


CHARTS: tuple[LiveChart, ...] = (
    LiveChart(
        "cpu",
        "CPU",
        "percent",
        (
            Line("cpu_percent", "busy", fill=True),
            Line("cpu_user_percent", "user"),
            Line("cpu_system_percent", "kernel"),
            Line("cpu_iowait_percent", "waiting for I/O"),
        ),
        top=100,
    ),
    LiveChart(
        "memory",
        "Memory",
        "bytes",
        (
            Line("memory_used_bytes", "used", fill=True),
            Line("memory_cached_bytes", "cache"),
            Line("swap_used_bytes", "swap"),
        ),
        sized_by="memory_total_bytes",
    ),
    LiveChart("load", "Load", "load", (Line("load_1m", "1 min"), Line("load_5m", "5 min"), Line("load_15m", "15 min"))),
    LiveChart(
        "disk",
        "Disk I/O",
        "bytes_per_second",
        (Line("disk_read_bytes_per_second", "read"), Line("disk_write_bytes_per_second", "written")),
    ),
    LiveChart(
        "network",
        "Network",
        "bytes_per_second",
        (Line("network_receive_bytes_per_second", "received"), Line("network_transmit_bytes_per_second", "sent")),
    ),
)

INTERFACE_CHART = LiveChart(
    "interface",
    "Interface",
    "bytes_per_second",
    (
        Line("receive_bytes_per_second", "received", measurement="network"),
        Line("transmit_bytes_per_second", "sent", measurement="network"),
    ),
)


def chart_scale(chart: LiveChart, host: Mapping[str, Any], largest: float | None = None) -> Scale:
    """Memory is scaled by the machine's size, rates by the `largest` in the window."""
    if chart.unit == "bytes":
        return scale_for("bytes", host.get(chart.sized_by or "") or 2.0**30)
    return scale_for(chart.unit, largest if chart.unit == "bytes_per_second" else None)


class Peaks:
    """What a chart's window holds, as far as its axis needs it: the largest value now."""

    def __init__(self, chart: LiveChart, history: Mapping[str, Series | None]) -> None:
        self._chart = chart
        self._values = deque(
            sorted(
                (moment.timestamp(), value)
                for series in (history.get(line.metric) for line in chart.lines)
                if series is not None
                for moment, value in zip(series.time, series.avg, strict=True)
                if value is not None
            )
        )

    def add(self, collected_at: float, row: Mapping[str, Any]) -> None:
        for line in self._chart.lines:
            if isinstance(value := row.get(line.field), int | float):
                self._values.append((collected_at, float(value)))
        while self._values and self._values[0][0] < collected_at - WINDOW_S:
            self._values.popleft()

    def largest(self) -> float | None:
        return max((value for _, value in self._values), default=None)


def live_figure(
    chart: LiveChart,
    history: Mapping[str, Series | None],
    scale: Scale,
    top: float | None,
    zone: tzinfo,
    when_empty: str = "",
) -> dict[str, Any]:
    """The chart filled with `history` (by metric). Missing readings are None and break the line.

    Without any reading its axes have nothing to say and `when_empty` is written instead; it must be drawn anew when
    the first one arrives.
    """
    traces = []
    for index, line in enumerate(chart.lines):
        series = history.get(line.metric)
        colour = metric_colour(line.metric, index)
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": line.name,
            "x": [on_axis(moment, zone) for moment in series.time] if series else [],
            "y": [_scaled(value, scale) for value in series.avg] if series else [],
            "line": {"color": colour, "width": 1.8 if index == 0 else 1.4},
            "connectgaps": False,
        }
        if line.fill:
            trace |= {"fill": "tozeroy", "fillcolor": _faint(colour)}
        traces.append(trace)
    frame = layout(y_axis(scale, top=top), revision=chart.name, height=CHART_HEIGHT, legend=len(traces) > 1)
    frame["xaxis"]["tickformatstops"] = [
        {"dtickrange": [None, 59_999], "value": "%H:%M:%S"},
        {"dtickrange": [59_999, None], "value": "%H:%M"},
    ]
    if not has_readings(history):
        frame["xaxis"]["showticklabels"] = False
        frame["yaxis"]["showticklabels"] = top is not None
        frame["annotations"] = [
            {"text": when_empty, "showarrow": False, "font": {"color": SLATE, "size": 14}}
            | {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        ]
    return {"data": traces, "layout": frame}


def has_readings(history: Mapping[str, Series | None]) -> bool:
    return any(series.time for series in history.values() if series is not None)


def first_of(history: Mapping[str, Series | None], collected_at: float, now: float) -> bool:
    """Whether a reading is the first within the window of a chart that was drawn empty: it is drawn anew with it. A
    backlog's readings from before the window are none."""
    return not has_readings(history) and collected_at > now - WINDOW_S


def extension(
    chart: LiveChart,
    host: Mapping[str, Any],
    collected_at: float,
    previous_at: float | None,
    interval_s: float,
    scale: Scale,
    zone: tzinfo,
) -> list[Any]:
    """What `extendData` of the chart's graph takes for one reading: points, trace numbers, how many to keep."""
    moments: list[datetime] = [from_unix(collected_at)]
    late = previous_at is not None and collected_at - previous_at > GAP_INTERVALS * interval_s
    xs = [on_axis(moment, zone) for moment in moments]
    if late and previous_at is not None:
        xs.insert(0, on_axis(from_unix(previous_at + interval_s), zone))
    ys = [[*([None] if late else []), _scaled(host.get(line.field), scale)] for line in chart.lines]
    keep = max(60, round(WINDOW_S / max(interval_s, 0.5)))
    return [{"x": [xs] * len(ys), "y": ys}, list(range(len(ys))), keep]


def interval_of(times: Sequence[datetime], default: float = 5.0) -> float:
    """The usual distance of readings in seconds: the median, which gaps do not move."""
    gaps = sorted((b - a).total_seconds() for a, b in pairwise(times))
    return max(0.5, gaps[len(gaps) // 2]) if gaps else default


def _scaled(value: Any, scale: Scale) -> float | None:
    return None if not isinstance(value, int | float) else round(value / scale.divisor, 4)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
