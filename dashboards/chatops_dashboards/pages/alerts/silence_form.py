"""The dialogue in which a silence is made or changed. A recurring one is shown in the clock it repeats by."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.moments import from_axis, zone_label, zone_named
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.alert_resources import Silence, StoredSilence

RECURRENCES = {"none": "Once", "daily": "Every day", "weekly": "Every week"}
FIELDS = ("rule", "server", "tag", "start", "end", "recurrence", "comment")
ON_AXIS = "%Y-%m-%d %H:%M:%S"
DrawTable = Callable[[Session, tzinfo], Awaitable[Any]]


def dialogue(rules: Mapping[int, str], servers: Mapping[int, str], tags: Sequence[str]) -> html.Div:
    def choices(names: Mapping[int, str]) -> list[dict[str, str]]:
        return [{"value": str(key), "label": name} for key, name in names.items()]

    def moment(name: str, label: str) -> dmc.DateTimePicker:
        return dmc.DateTimePicker(
            id=f"silences-{name}", label=label, valueFormat="YYYY-MM-DD HH:mm", withSeconds=False, clearable=False
        )

    anything = {"placeholder": "any", "clearable": True, "searchable": True}
    return html.Div(
        [
            dcc.Store(id="silences-edited"),
            dmc.Modal(
                id="silences-dialogue",
                title="New silence",
                children=dmc.Stack(
                    [
                        html.P(
                            "An alert is silenced when it matches everything that is named here.",
                            className="dim tight",
                        ),
                        dmc.Select(id="silences-rule", label="Rule", data=choices(rules), **anything),
                        dmc.Select(id="silences-server", label="Server", data=choices(servers), **anything),
                        dmc.Select(id="silences-tag", label="Servers with the tag", data=list(tags), **anything),
                        dmc.SimpleGrid([moment("start", "From"), moment("end", "To")], cols={"base": 1, "xs": 2}),
                        html.Span(id="silences-zone", className="dim small"),
                        dmc.Select(
                            id="silences-recurrence",
                            label="Repeated",
                            value="none",
                            allowDeselect=False,
                            data=[{"value": key, "label": word} for key, word in RECURRENCES.items()],
                        ),
                        dmc.TextInput(id="silences-comment", label="Comment"),
                        html.Div(id="silences-error"),
                        dmc.Group(
                            [
                                dmc.Button("Cancel", id="silences-cancel", variant="default"),
                                dmc.Button("Silence", id="silences-submit"),
                            ],
                            justify="flex-end",
                        ),
                    ]
                ),
            ),
        ]
    )


def clock_of(silence: Silence, zone: tzinfo) -> tzinfo:
    """The zone in which a silence is shown and changed: that of the reader, unless it repeats by another clock."""
    return zone if silence.recurrence == "none" else zone_named(silence.timezone)


def form_of(silence: Silence, clock: tzinfo) -> dict[str, Any]:
    """The fields as a person sees them."""
    return {
        "rule": None if silence.threshold_id is None else str(silence.threshold_id),
        "server": None if silence.server_id is None else str(silence.server_id),
        "tag": silence.tag,
        "start": silence.starts_at.astimezone(clock).strftime(ON_AXIS),
        "end": silence.ends_at.astimezone(clock).strftime(ON_AXIS),
        "recurrence": silence.recurrence,
        "comment": silence.comment,
    }


def silence_from(form: Mapping[str, Any], zone: tzinfo) -> Silence:
    """The silence of a filled form. Raises `ValueError` with what to correct."""
    if not any(form.get(name) for name in ("rule", "server", "tag")):
        raise ValueError("Name a rule, a server or a tag; a silence of nothing silences nothing.")
    try:
        start, end = from_axis(form.get("start") or "", zone), from_axis(form.get("end") or "", zone)
    except ValueError:
        raise ValueError("Say from when to when.") from None
    return Silence(
        comment=form.get("comment") or "",
        threshold_id=int(form["rule"]) if form.get("rule") else None,
        server_id=int(form["server"]) if form.get("server") else None,
        tag=form.get("tag") or None,
        starts_at=start,
        ends_at=end,
        recurrence=form.get("recurrence") or "none",
        timezone=getattr(zone, "key", "UTC"),
    )


async def save(session: Session, edited: Mapping[str, Any] | None, form: Mapping[str, Any], zone: tzinfo) -> str:
    """Make or change it; return what was done. Raises `ValueError` with what to correct."""
    if edited is None:
        await session.client.alerts.create_silence(silence_from(form, zone))
        return "Silenced. Alerts are still watched and shown."
    await session.client.alerts.update_silence(int(edited["id"]), silence_from(form, zone_named(edited["zone"])))
    return "The silence is changed."


def register(app: Dash, draw_table: DrawTable) -> None:
    @app.callback(
        Output("silences-dialogue", "opened"),
        Output("silences-dialogue", "title"),
        Output("silences-submit", "children"),
        Output("silences-zone", "children"),
        Output("silences-edited", "data"),
        Output("silences-error", "children"),
        Output("silences-message", "children", allow_duplicate=True),
        *[Output(f"silences-{name}", "value") for name in FIELDS],
        Input("silences-add", "n_clicks"),
        Input({"type": "silence-edit", "silence": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def open_dialogue(_add: int | None, _edit: list[int | None]) -> Any:
        unchanged = (no_update,) * (7 + len(FIELDS))
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return unchanged
        asked, zone, now = ctx.triggered_id, request_zone(), datetime.now(UTC)
        if not isinstance(asked, dict):
            start = now.replace(second=0)
            empty = Silence(starts_at=start, ends_at=start + timedelta(hours=1))
            words = _zone_words(zone, now)
            return True, "New silence", "Silence", words, None, None, None, *form_of(empty, zone).values()
        try:
            stored = await _find(current_session(), int(asked["silence"]))
        except (ApiError, BackendUnreachableError) as error:
            return *unchanged[:6], explain(error), *unchanged[7:]
        if stored is None:
            return *unchanged[:6], notice("This silence is gone.", "warning"), *unchanged[7:]
        clock = clock_of(stored.silence, zone)
        edited = {"id": stored.id, "zone": getattr(clock, "key", "UTC")}
        form = form_of(stored.silence, clock).values()
        return True, "Change silence", "Save", _zone_words(clock, now), edited, None, None, *form

    @app.callback(
        Output("silences-dialogue", "opened", allow_duplicate=True),
        Input("silences-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("silences-table", "children"),
        Output("silences-dialogue", "opened", allow_duplicate=True),
        Output("silences-error", "children", allow_duplicate=True),
        Output("silences-message", "children"),
        Input("silences-submit", "n_clicks"),
        State("silences-edited", "data"),
        *[State(f"silences-{name}", "value") for name in FIELDS],
        running=[(Output("silences-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def submit(clicks: int | None, edited: dict[str, Any] | None, *values: Any) -> Any:
        if not clicks:
            return (no_update,) * 4
        session, zone = current_session(), request_zone()
        try:
            done = await save(session, edited, dict(zip(FIELDS, values, strict=True)), zone)
            table = await draw_table(session, zone)
        except ValueError as error:
            return no_update, no_update, notice(str(error), "critical"), no_update
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update
        return table, False, None, notice(done)


async def _find(session: Session, silence_id: int) -> StoredSilence | None:
    return next((stored for stored in await session.client.alerts.silences() if stored.id == silence_id), None)


def _zone_words(zone: tzinfo, now: datetime) -> str:
    return f"Times in {zone_label(zone, now)}"
