"""The bar above a server's tabs that says which moment they show: now, or one of the past, chosen here.

The moment is one store, `server-moment` (None: now), which all tabs obey; `server-past` tells when that turns from now
to the past and back.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.moments import absolute, from_unix, zone_label
from chatops_dashboards.pages.server.past.moment import SPANS, local, read, span_of, stretch, write
from chatops_dashboards.pages.server.past.slider import not_drawn_yet, slider
from chatops_dashboards.session import current_session, request_zone

TICK_MS = 2000
# A step that ends so near to now goes back to live.
NOW = timedelta(seconds=5)
PLAY = [icon("play", 16), html.Span("Play", className="button-word")]
STOP = [icon("pause", 16), html.Span("Stop", className="button-word")]


def open_button() -> dmc.Button:
    """Beside the tabs; only there while one looks at now."""
    return dmc.Button(
        [icon("history", 16), html.Span("Time travel", className="button-word")],
        id="moment-open",
        variant="default",
        size="xs",
        className="moment-open",
        **dashed(aria_expanded="false", aria_controls="moment-tools"),
    )


def bar(moment: datetime | None, now: datetime, zone: tzinfo) -> html.Div:
    """The banner and the tools; `frame_class` of what holds both says which of them are seen."""
    return html.Div(
        [
            html.Div(
                [
                    html.Div(words(moment, now, zone), id="moment-words", className="moment-words", role="status"),
                    dmc.Button("Back to live", id="moment-live", size="xs", variant="default"),
                ],
                id="moment-banner",
                className="moment-banner",
            ),
            html.Section(
                [
                    html.Div(
                        [
                            dmc.SegmentedControl(
                                id="moment-span",
                                value=span_of(moment, now),
                                data=[{"value": name, "label": span.word} for name, span in SPANS.items()],
                                size="xs",
                                **dashed(aria_label="How far back the slider goes"),
                            ),
                            dmc.DateTimePicker(
                                id="moment-field",
                                value=local(moment or now, zone),
                                size="xs",
                                w=190,
                                withSeconds=True,
                                valueFormat="YYYY-MM-DD HH:mm:ss",
                                maxDate=local(now + timedelta(days=1), zone)[:10],
                                **dashed(aria_label="Date and time of the moment"),
                            ),
                            dmc.Group(
                                [
                                    _button("moment-back", [icon("back", 16)], "One step back"),
                                    _button("moment-forth", [icon("forth", 16)], "One step forward"),
                                    _button("moment-play", PLAY, "Play: a step every two seconds"),
                                ],
                                gap=4,
                                wrap="nowrap",
                            ),
                        ],
                        className="toolbar moment-toolbar",
                    ),
                    html.Div(not_drawn_yet(), id="moment-slider", className="moment-slider"),
                ],
                id="moment-tools",
                className="panel moment-tools",
                **dashed(aria_label="The moment to look at"),
            ),
            dcc.Store(id="server-moment", data=write(moment) if moment is not None else None),
            dcc.Store(id="server-past", data=moment is not None),
            dcc.Interval(id="moment-tick", interval=TICK_MS, disabled=True),
        ]
    )


def _button(place_id: str, children: list[Any], label: str) -> dmc.Button:
    return dmc.Button(children, id=place_id, variant="default", size="xs", **dashed(aria_label=label))


def words(moment: datetime | None, now: datetime, zone: tzinfo) -> list[Any]:
    if moment is None:
        return []
    return [
        icon("history", 18),
        html.Span(
            [
                "You look at the past: ",
                html.B(absolute(moment, zone), className="numeric"),
                " ",
                html.Span(["(", moment_text(moment, now, zone), ")"], className="no-wrap"),
                html.Span(f" · {zone_label(zone, moment)}", className="wide-only"),
            ]
        ),
    ]


def frame_class(moment: datetime | None, *, opened: bool = False) -> str:
    return "server-frame " + ("in-past" if moment is not None else "choosing" if opened else "at-now")


def chosen(
    trigger: Any, at: float | None, drawn: dict[str, Any] | None, text: str | None, moment: datetime | None,
    span: str, now: datetime, zone: tzinfo,
) -> datetime | None:  # fmt: skip
    """The moment that a person asks for; None: now. What a control was drawn with asks for nothing."""
    if trigger == "moment-live":
        return None
    if trigger == "moment-at":
        if at is None or drawn is None:
            return moment
        slid = from_unix(round(drawn["start"] + at))
        here = moment if moment is not None else from_unix(drawn["start"] + drawn["at"])
        if abs((slid - here).total_seconds()) <= 1:
            return moment
        at_end = drawn["live"] and at >= SPANS[drawn["span"]].length.total_seconds()
        return None if at_end or slid > now - NOW else slid
    if trigger == "moment-field":
        found = read(text, zone, now)
        return moment if found is None or (moment is None and now - found < NOW) else found
    step = SPANS[span].step
    moved = (moment or now.replace(microsecond=0)) + (-step if trigger == "moment-back" else step)
    return None if moved > now - NOW else moved


def register(app: Dash) -> None:
    in_browser(app, "rememberMoment", Output("moment-banner", "data-at"), Input("server-moment", "data"))

    @app.callback(
        Output("server-moment", "data"),
        Output("server-past", "data"),
        Output("moment-words", "children"),
        Output("server-frame", "className"),
        Output("moment-field", "value"),
        Output("moment-at", "value"),
        Output("moment-tick", "disabled"),
        Output("moment-play", "children"),
        Input("moment-at", "value"),
        Input("moment-field", "value"),
        Input("moment-back", "n_clicks"),
        Input("moment-forth", "n_clicks"),
        Input("moment-tick", "n_intervals"),
        Input("moment-live", "n_clicks"),
        State("moment-drawn", "data"),
        State("server-moment", "data"),
        State("moment-span", "value"),
        State("moment-tick", "disabled"),
        prevent_initial_call=True,
    )
    def travel(
        at: float | None, text: str | None, back: Any, forth: Any, _tick: Any, live: Any, drawn: dict[str, Any] | None,
        stored: str | None, span: str, still: bool,
    ) -> Any:  # fmt: skip
        zone, now, trigger = request_zone(), datetime.now(UTC), ctx.triggered_id
        clicks = {"moment-back": back, "moment-forth": forth, "moment-live": live}
        moment = read(stored, zone, now)
        if (trigger in clicks and not clicks[trigger]) or (trigger == "moment-tick" and still):
            return (no_update,) * 8
        wanted = chosen(trigger, at, drawn, text, moment, span, now, zone)
        if wanted == moment:
            return (no_update,) * 8
        return (*shown(moment, wanted, drawn, trigger, now, zone), *_playing(wanted, still))

    @app.callback(
        Output("moment-tick", "disabled", allow_duplicate=True),
        Output("moment-play", "children", allow_duplicate=True),
        Input("moment-play", "n_clicks"),
        State("moment-tick", "disabled"),
        State("server-moment", "data"),
        prevent_initial_call=True,
    )
    def play(clicks: int | None, still: bool, stored: str | None) -> Any:
        if not clicks or stored is None:
            return no_update, no_update
        return not still, STOP if still else PLAY

    @app.callback(
        Output("server-frame", "className", allow_duplicate=True),
        Output("moment-open", "aria-expanded"),
        Output("moment-field", "value", allow_duplicate=True),
        Input("moment-open", "n_clicks"),
        State("server-frame", "className"),
        prevent_initial_call=True,
    )
    def open_tools(clicks: int | None, seen: str) -> Any:
        if not clicks or "in-past" in seen:
            return (no_update,) * 3
        opened = "choosing" not in seen
        return frame_class(None, opened=opened), str(opened).lower(), local(datetime.now(UTC), request_zone())

    @app.callback(
        Output("moment-slider", "children"),
        Input("server-frame", "className"),
        Input("moment-span", "value"),
        Input("server-moment", "data"),
        State("moment-drawn", "data"),
        State("server-id", "data"),
    )
    async def draw_slider(
        seen: str, span: str, stored: str | None, drawn: dict[str, Any] | None, server_id: int
    ) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        moment = read(stored, zone, now)
        if "at-now" in seen or (drawn and not outgrown(drawn, span, moment, now)):
            return no_update
        return await slider(current_session(), int(server_id), span, moment, now, zone)


def shown(
    before: datetime | None, moment: datetime | None, drawn: dict[str, Any] | None, trigger: Any, now: datetime,
    zone: tzinfo,
) -> tuple[Any, ...]:  # fmt: skip
    """Store, turn, words, class, field and slider for the moment; a control that asked is left as it is."""
    turned = (before is None) != (moment is None)
    place: Any = no_update
    if drawn is not None and trigger != "moment-at":
        length = SPANS[drawn["span"]].length.total_seconds()
        at = length if moment is None else moment.timestamp() - drawn["start"]
        place = round(min(max(at, 0), length))
    return (
        write(moment) if moment is not None else None,
        (moment is not None) if turned else no_update,
        words(moment, now, zone),
        frame_class(moment) if turned else no_update,
        no_update if trigger == "moment-field" and moment is not None else local(moment or now, zone),
        place,
    )


def _playing(moment: datetime | None, still: bool) -> tuple[Any, Any]:
    return (True, PLAY) if moment is None and not still else (no_update, no_update)


def outgrown(drawn: dict[str, Any], span: str, moment: datetime | None, now: datetime) -> bool:
    """Whether the slider has to be drawn for another stretch: another length, or the moment left it. One that stands
    at now is drawn anew when now has gone on by more than a step."""
    if drawn["span"] != span:
        return True
    length = SPANS[span].length
    start = from_unix(drawn["start"])
    if moment is None:
        return stretch(length, None, now)[0] - start > SPANS[span].step
    return not start <= moment <= start + length
