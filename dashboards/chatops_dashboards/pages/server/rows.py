"""The rows of a reading, and what the table tabs share: first from the newest reading, then by push."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from dash import html

from chatops_client import Latest
from chatops_dashboards.components.server_tables import Row
from chatops_dashboards.components.states import empty
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.live import Push
from chatops_dashboards.moments import from_unix
from chatops_dashboards.session import Session

Draw = Callable[[Sequence[Row]], Any]


def host_of(latest: Latest) -> Row:
    """The host's fields; none from a server that never reported."""
    return latest.measurements.get("host") or {}


def rows_of(latest: Latest, measurement: str) -> list[Row]:
    rows = latest.measurements.get(measurement)
    return list(rows) if isinstance(rows, list) else []


def as_of(moment: datetime | None, zone: tzinfo) -> html.Div:
    """How old the table is; the head of the page says when the server went quiet."""
    if moment is None:
        return html.Div("No reading yet", className="as-of")
    return html.Div(["As of ", moment_text(moment, datetime.now(UTC), zone)], className="as-of")


def table_or_empty(rows: Sequence[Row], draw: Draw, nothing: str) -> Any:
    return draw(rows) if rows else empty("Nothing here yet", nothing, picture="server")


async def push_rows(session: Session, server_id: int, measurement: str, draw: Draw, zone: tzinfo, push: Push) -> None:
    """Redraw the table (`server-rows`) whenever the measurement arrives."""
    async for samples in session.client.live_server(server_id):
        rows = samples.measurements.get(measurement)
        if isinstance(rows, list) and rows:
            push("server-rows", children=draw(rows))
            push("server-as-of", children=as_of(from_unix(samples.collected_at), zone))
