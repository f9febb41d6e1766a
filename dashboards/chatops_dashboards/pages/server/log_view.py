"""What the logs tab is made of: its controls, set as the address says, and what stands there instead of lines. Pure but
for the list of sources."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.server.head import idle_view
from chatops_dashboards.pages.server.log_query import RANGES, LogQuery
from chatops_dashboards.session import Session
from chatops_protocol.log_lines import PLATFORM_SOURCE, LogSource

ANY = "any"
LEVEL_CHOICES = {
    ANY: "All lines",
    "info": "Info and worse",
    "notice": "Notice and worse",
    "warning": "Warning and worse",
    "error": "Error and worse",
    "critical": "Critical",
}
# Who wrote nothing for so long is no source to choose from.
SOURCES_OF = timedelta(days=30)
SETTINGS = "CHATOPS_LOG_FILES=/var/log/syslog,/var/log/nginx/*.log\nCHATOPS_LOG_JOURNAL=1"


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    """The controls, set as the address says; the lines follow by callback."""
    asked, now = LogQuery.from_query(query), datetime.now(UTC)
    sources = await session.client.logs.sources(server_id, now - SOURCES_OF)
    start, end = asked.range(now)
    return html.Div(
        [
            html.Div(
                [
                    dmc.Select(
                        id="logs-level",
                        label="Level",
                        value=asked.level or ANY,
                        data=[{"value": value, "label": word} for value, word in LEVEL_CHOICES.items()],
                        allowDeselect=False,
                        w=200,
                    ),
                    dmc.Select(
                        id="logs-source",
                        label="Source",
                        placeholder="all",
                        value=asked.source,
                        data=source_choices(sources, asked.source),
                        clearable=True,
                        searchable=True,
                        w=260,
                    ),
                    dmc.TextInput(
                        id="logs-search",
                        label="Search",
                        placeholder='refused "out of memory" conn* -debug',
                        value=asked.search or "",
                        debounce=400,
                        leftSection=icon("search", 16),
                        className="grow",
                    ),
                ],
                className="toolbar",
            ),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="logs-range",
                        value=asked.preset if asked.follows else "custom",
                        data=[{"value": key, "label": word} for key, word in RANGES.items()]
                        + [{"value": "custom", "label": "Custom"}],
                        size="xs",
                        **dashed(aria_label="Range"),
                    ),
                    html.Div(
                        [_picker("logs-start", "From", start, zone), _picker("logs-end", "To", end or now, zone)],
                        id="logs-custom",
                        className="custom-range",
                        style={"display": "none"} if asked.follows else {},
                    ),
                ],
                className="toolbar logs-ranges",
            ),
            html.Div(
                [
                    html.Div(id="logs-note", className="live-note", role="status"),
                    dmc.Button(
                        [
                            html.Span(id="logs-follow-icon", className="icon icon-pause icon-16"),
                            html.Span("Pause", id="logs-follow-word", className="button-word"),
                        ],
                        id="logs-follow",
                        variant="default",
                        size="xs",
                        **dashed(aria_pressed="true"),
                    ),
                ],
                className="live-bar",
            ),
            html.Div(how_to(sources), id="logs-hint"),
            html.Div(outline(), id="logs-state"),
            html.Div(id="logs-list", className="logs-list", role="log", **dashed(aria_live="off", aria_label="Lines")),
            html.Div(
                [
                    html.Button("Older lines", id="logs-older", className="plain-button", hidden=True),
                    html.Span(id="logs-foot", className="dim small"),
                ],
                className="logs-foot",
            ),
            html.Div(id="logs-older-message"),
            *[dcc.Store(id=f"logs-{name}") for name in ("batch", "news", "shown", "link", "resume", "query")],
            dcc.Store(id="logs-moment", data=query.get("at")),
            idle_view(server_id),
        ]
    )


def _picker(place_id: str, label: str, moment: datetime, zone: tzinfo) -> dmc.DateTimePicker:
    return dmc.DateTimePicker(
        id=place_id,
        value=moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        label=label,
        size="xs",
        w=190,
        withSeconds=False,
        valueFormat="YYYY-MM-DD HH:mm",
    )


def outline() -> html.Div:
    """Grey lines where the lines will be."""
    return html.Div([dmc.Skeleton(height=20, radius="sm") for _ in range(12)], className="panel stack tight")


def source_choices(sources: Sequence[LogSource], chosen: str | None) -> list[dict[str, str]]:
    """By name; the one a link names is there although it was silent lately."""
    names = {source.source for source in sources} | {PLATFORM_SOURCE} | ({chosen} if chosen else set())
    words = {PLATFORM_SOURCE: "chatops: what happened to the server"}
    return [{"value": name, "label": words.get(name, name)} for name in sorted(names)]


def how_to(sources: Sequence[LogSource]) -> Any:
    """How a host comes to send lines; nothing when it does."""
    if any(source.source != PLATFORM_SOURCE for source in sources):
        return None
    return html.Section(
        [
            html.H2("This host sends no log lines yet"),
            html.P(
                [
                    "Name files, the journal, or both, in the environment of the agent on the host (of ",
                    html.Code("chatops up"),
                    " on this one), then start it again:",
                ],
                className="tight",
            ),
            copyable(SETTINGS, "logs-settings", "the settings"),
            html.P(
                [
                    html.Code("CHATOPS_LOG_FILES"),
                    " takes whole paths and globs, separated by commas; the agent's user must be able to read them.",
                    " For the journal it needs the group ",
                    html.Code("systemd-journal"),
                    ". Lines come from then on. What happens to the server itself stands here in any case.",
                ],
                className="dim small tight",
            ),
        ],
        className="panel form logs-how-to",
    )


def nothing_found(asked: LogQuery) -> html.Div:
    """Why the list is empty, and what to do next."""
    wider = "new ones appear here as they come" if asked.follows else "choose a longer range"
    if not asked.filtered:
        return empty("No lines in this range", f"Nothing was logged then; {wider}.", picture="search")
    clear = html.Button("Clear the filters", id="logs-clear", className="plain-button")
    words = f"No line of this range passes the filters; {wider}."
    if asked.level is not None:
        words += " Lines that do not say their level are left out."
    return empty("Nothing matches", words, picture="search", action=clear)


def nothing_then(asked: LogQuery, moment: datetime, zone: tzinfo) -> html.Div:
    """The same for a moment of the past."""
    words = f"Nothing was logged in the {RANGES[asked.preset]} before {absolute(moment, zone)}, nor just after it."
    if not asked.filtered:
        return empty("No lines around this moment", f"{words} Lines are kept for a month or so.", picture="search")
    clear = html.Button("Clear the filters", id="logs-clear", className="plain-button")
    return empty("Nothing matches", f"{words} Without the filters there may be some.", picture="search", action=clear)
