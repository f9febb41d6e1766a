"""What ran at a moment of the past: a slider over the host's CPU, and the programs of the reading before it."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.server_tables import Row, process_table
from chatops_dashboards.components.states import empty, failure
from chatops_dashboards.figures.sparkline import spark_mask
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import absolute, from_axis, from_unix
from chatops_dashboards.newest_only import Running, newest_only
from chatops_dashboards.pages.server.head import idle_view
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.resources import MetricSeries

RANGES = {"1h": ("1 h", 3600), "24h": ("24 h", 86_400), "7d": ("7 d", 7 * 86_400)}
FIELDS = ("cpu_percent", "memory_resident_bytes", "memory_percent", "process_count", "thread_count")
POINTS = 200
# How long readings of a kind are kept, and how far before the moment the last of them may be.
REACH = (
    (timedelta(days=6, hours=23), timedelta(seconds=150)),
    (timedelta(days=89), timedelta(minutes=4)),
    (timedelta(days=729), timedelta(hours=3)),
    (timedelta(days=36_500), timedelta(days=3)),
)


class Then(NamedTuple):
    """The reading before a moment: when it was, over how many seconds, and its programs."""

    time: datetime
    bucket_seconds: float
    rows: list[Row]


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    now = datetime.now(UTC)
    moment = _moment(query.get("at"), zone) or now
    length = next((name for name, (_, seconds) in RANGES.items() if (now - moment).total_seconds() <= seconds), "7d")
    return html.Div(
        [
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="then-range",
                        value=length,
                        data=[{"value": name, "label": word} for name, (word, _) in RANGES.items()],
                        size="xs",
                        **dashed(aria_label="Range of the slider"),
                    ),
                    dmc.DateTimePicker(
                        id="then-moment",
                        value=_local(moment, zone),
                        label="Any moment",
                        size="xs",
                        w=200,
                        withSeconds=True,
                        valueFormat="YYYY-MM-DD HH:mm:ss",
                    ),
                    dmc.SegmentedControl(
                        id="then-by",
                        value="cpu",
                        data=[{"value": "cpu", "label": "By CPU"}, {"value": "memory", "label": "By memory"}],
                        size="xs",
                        **dashed(aria_label="Order"),
                    ),
                ],
                className="toolbar",
            ),
            html.Div(await slider(session, server_id, length, moment, now, zone), id="then-slider", className="panel"),
            html.Div(await table(session, server_id, moment, "cpu", now, zone), id="then-table"),
            idle_view(server_id),
        ],
        className="stack",
    )


async def slider(session: Session, server_id: int, length: str, moment: datetime, now: datetime, zone: tzinfo) -> Any:
    """The CPU of the range as a line, and under it the slider."""
    seconds = RANGES[length][1]
    start = now - timedelta(seconds=seconds)
    answer = await session.client.history_series(server_id, "host.cpu_percent", start, now, points=POINTS)
    points = [
        (time.timestamp(), value)
        for series in answer.series
        for time, value in zip(series.time, series.avg, strict=True)
    ]
    mask = spark_mask(points, now.timestamp(), float(seconds))
    value = min(max((moment - start).total_seconds(), 0.0), seconds)
    form = "%H:%M" if seconds <= 86_400 else "%a %H:%M"
    return [
        html.Div("CPU of the host, 0 to 100 %", className="dim small"),
        html.Div(
            html.Div(style={"maskImage": mask, "WebkitMaskImage": mask}, className="spark")
            if mask
            else html.Div("No readings in this range", className="dim small"),
            className="spark-box then-spark",
        ),
        dmc.Slider(
            id="then-at",
            min=0,
            max=seconds,
            step=30 if seconds <= 3600 else 60,
            value=round(value),
            updatemode="mouseup",
            label={"function": "momentLabel", "options": {"start": start.timestamp()}},
            marks=[
                {
                    "value": seconds * part // 4,
                    "label": (start + timedelta(seconds=seconds * part // 4)).astimezone(zone).strftime(form),
                }
                for part in range(1, 4)
            ],
            color="gray",
            mb=22,
            **dashed(aria_label="Moment"),
        ),
        dcc.Store(id="then-start", data=start.timestamp()),
    ]


async def table(session: Session, server_id: int, moment: datetime, by: str, now: datetime, zone: tzinfo) -> Any:
    found = await read_then(session, server_id, moment, now)
    head = html.H2(f"What ran at {absolute(moment, zone)}")
    if found is None:
        text = "No reading of processes just before this moment: the agent was not running, or it is too long ago."
        return html.Div([head, empty("Not known", text, picture="search")], className="stack tight")
    exact = "" if found.bucket_seconds <= 30 else f", averages over {found.bucket_seconds:g} s"
    return html.Div(
        [
            head,
            html.P(
                f"The reading of {absolute(found.time, zone)}{exact}: the programs that used most CPU or memory. "
                "CPU is a share of one core.",
                className="dim small tight",
            ),
            html.Div(process_table(found.rows, by), className="panel flush"),
        ],
        className="stack tight",
    )


async def read_then(session: Session, server_id: int, moment: datetime, now: datetime) -> Then | None:
    """The last reading at or before `moment`, of what is stored of that age; None when there is none near it."""
    reach = next((reach for kept, reach in REACH if now - moment <= kept), REACH[-1][1])
    answers = await asyncio.gather(
        *(
            session.client.history_series(
                server_id, f"process.{field}", moment - reach, moment + timedelta(seconds=1), points=4
            )
            for field in FIELDS
        )
    )
    return last_of(dict(zip(FIELDS, answers, strict=True)), moment)


def last_of(answers: dict[str, MetricSeries], moment: datetime) -> Then | None:
    """One reading out of parallel series: the newest time at which any program has a value."""
    cpu = answers["cpu_percent"]
    known = [
        time
        for answer in answers.values()
        for series in answer.series
        for time, value in zip(series.time, series.avg, strict=True)
        if value is not None and time <= moment
    ]
    if not known:
        return None
    newest = max(known)
    rows: dict[tuple[str, str], Row] = {}
    for field, answer in answers.items():
        for series in answer.series:
            for time, value in zip(series.time, series.avg, strict=True):
                if time == newest and value is not None:
                    key = (str(series.labels.get("name", "")), str(series.labels.get("user", "")))
                    rows.setdefault(key, {"name": key[0], "user": key[1]})[field] = value
    return Then(newest, cpu.bucket_seconds, list(rows.values()))


def _moment(text: str | None, zone: tzinfo) -> datetime | None:
    """What the picker or the address says, in the zone of whoever looks; None for what is no moment."""
    try:
        return from_axis(text, zone) if text else None
    except ValueError:
        return None


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def register(app: Dash, views: LiveViews) -> None:
    running: Running = {}

    @app.callback(
        Output("then-slider", "children"),
        Input("then-range", "value"),
        State("then-moment", "value"),
        State("server-id", "data"),
        prevent_initial_call=True,
    )
    async def stretch(length: str, text: str | None, server_id: int) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        try:
            return await slider(current_session(), int(server_id), length, _moment(text, zone) or now, now, zone)
        except (ApiError, BackendUnreachableError) as error:
            return failure(error, "The CPU of this range")

    @app.callback(
        Output("then-table", "children"),
        Output("then-moment", "value"),
        Output("processes-address", "data", allow_duplicate=True),
        Input("then-at", "value"),
        Input("then-moment", "value"),
        Input("then-by", "value"),
        State("then-start", "data"),
        State("server-id", "data"),
        State("tab", "data"),
        prevent_initial_call=True,
    )
    async def show(at: float, text: str | None, by: str, start: float, server_id: int, tab: str) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        slid = ctx.triggered_id == "then-at"
        moment = from_unix(start + at) if slid else _moment(text, zone)
        if moment is None:
            return no_update, no_update, no_update
        moment = min(moment, now)
        session = current_session()
        try:
            found = await newest_only(running, f"{tab}", lambda: table(session, int(server_id), moment, by, now, zone))
        except (ApiError, BackendUnreachableError) as error:
            return failure(error, "The processes of this moment"), no_update, no_update
        if found is None:
            return no_update, no_update, no_update
        local = _local(moment, zone)
        address = {"place": f"/servers/{server_id}", "tab": "processes", "view": "then", "at": local}
        return found, local if slid else no_update, address
