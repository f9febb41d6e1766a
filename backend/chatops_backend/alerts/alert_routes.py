"""Routes under ``/alerts`` for the alerts themselves. Everybody reads, operators acknowledge and resolve."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from asyncpg import Record
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible, VisibleServers
from chatops_backend.alerts import alert_acts
from chatops_backend.audit.actor import RequestActor
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdFilter, Limit, page, read_cursor
from chatops_backend.problems import not_found
from chatops_backend.time_range import End, Start, read_overlap
from chatops_protocol.alert_resources import (
    AcknowledgeRequest,
    Alert,
    AlertDetail,
    AlertEvent,
    AlertState,
    Bound,
    Level,
    ResolveRequest,
    Threshold,
)
from chatops_protocol.resources import Page

States = Annotated[
    list[AlertState] | None, QueryParameter(name="state", max_items=4, description="May be given several times")
]


_BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)


class _AlertKey(msgspec.Struct, frozen=True, array_like=True):
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@get("/", opt=allow("viewer"))
async def list_alerts(
    database: NamedDependency[Database],
    visible: Visible,
    states: States = None,
    level: FromQuery[Level | None] = None,
    server_id: IdFilter = None,
    threshold_id: IdFilter = None,
    start: Start = None,
    end: End = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[Alert]:
    """Newest first. `start` and `end`: those that fired in between, if only for a part of it."""
    asked = read_overlap(start, end)
    before = read_cursor(cursor, _AlertKey)
    rows = load_queries("alerts").list_alerts(
        database,
        before=before.id if before is not None else None,
        states=states or None,
        level=level,
        server_id=server_id,
        threshold_id=threshold_id,
        alert_id=None,
        start=asked.start,
        end=asked.end,
        visible=visible.listed,
        count=limit + 1,
    )
    return page([alert_from(row) async for row in rows], limit, lambda alert: _AlertKey(alert.id))


@get("/{alert_id:int}", opt=allow("viewer"))
async def read_alert(alert_id: Id, database: NamedDependency[Database], visible: Visible) -> AlertDetail:
    """The alert and everything that happened to it."""
    return await _detail(database, alert_id, visible)


@post("/{alert_id:int}/acknowledge", opt=allow("operator"), status_code=200)
async def acknowledge_alert(
    alert_id: Id,
    data: JSONBody[AcknowledgeRequest],
    actor: RequestActor,
    visible: Visible,
    database: NamedDependency[Database],
) -> AlertDetail:
    """Somebody takes care of it: it neither repeats nor escalates. An acknowledged alert stays as it is."""
    await alert_acts.require_visible(database, alert_id, visible)
    await alert_acts.acknowledge(database, alert_id, actor, data.comment)
    return await _detail(database, alert_id, visible)


@post("/{alert_id:int}/resolve", opt=allow("operator"), status_code=200)
async def resolve_alert(
    alert_id: Id,
    actor: RequestActor,
    visible: Visible,
    database: NamedDependency[Database],
    data: JSONBody[ResolveRequest | None] = None,
) -> AlertDetail:
    """It is over. If its condition still holds, a new alert follows."""
    await alert_acts.require_visible(database, alert_id, visible)
    await alert_acts.resolve(database, alert_id, actor, data.comment if data is not None else "")
    return await _detail(database, alert_id, visible)


async def _detail(database: Database, alert_id: int, visible: VisibleServers) -> AlertDetail:
    queries = load_queries("alerts")
    wanted = alert_acts.ANY | {"visible": visible.listed}
    rows = queries.list_alerts(database, alert_id=alert_id, count=1, **wanted)
    found = [alert_from(row) async for row in rows]
    if not found:
        raise not_found("alert", alert_id)
    began = found[0].pending_at or found[0].started_at or _BEFORE_ALL
    # A chunk or two instead of two years of them; the day is for clocks that differ.
    events = queries.list_events(database, alert_id=alert_id, since=began - timedelta(days=1))
    return AlertDetail(found[0], [_event(row) async for row in events])


def alert_from(row: Record) -> Alert:
    rule = msgspec.json.decode(row["definition"], type=Threshold)
    return Alert(
        id=row["id"],
        threshold_id=row["threshold_id"],
        threshold_name=rule.name,
        server_id=row["server_id"],
        server_name=row["server_name"],
        labels=msgspec.json.decode(row["labels"]),
        metric=rule.metric,
        state=row["state"],
        level=row["level"],
        value=row["value"],
        bound=_bound(row),
        window_s=row["window_s"],
        pending_at=row["pending_at"],
        started_at=row["started_at"],
        learned_at=row["learned_at"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        comment=row["comment"],
        resolved_at=row["resolved_at"],
        silenced=row["silenced"],
        held_back_by=row["held_back_by"],
        runbook_url=rule.runbook_url,
        threshold_deleted=row["rule_deleted"],
    )


def _event(row: Record) -> AlertEvent:
    return AlertEvent(
        time=row["time"],
        alert_id=row["alert_id"],
        transition=row["transition"],
        level=row["level"],
        value=row["value"],
        bound=_bound(row),
        window_s=row["window_s"],
        actor=row["actor"],
        comment=row["comment"],
    )


def _bound(row: Record) -> Bound | None:
    return msgspec.json.decode(row["bound"], type=Bound | None) if row["bound"] is not None else None


handlers: list[Any] = [list_alerts, read_alert, acknowledge_alert, resolve_alert]
