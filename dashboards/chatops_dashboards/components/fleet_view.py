"""The fleet as people see it: summary line, cards, rows of the table. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from chatops_dashboards.components.alert_status import SHAPES
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.status import level_mark, meter, moment_text, status_badge, tag_list
from chatops_dashboards.figures.sparkline import spark_mask, spark_runs
from chatops_dashboards.fleet_alerts import Fired
from chatops_dashboards.fleet_hub import SPARK_WINDOW_S, Spark
from chatops_dashboards.fleet_state import NOTHING_FIRES, Problem, high_since, problems_of, severity
from chatops_dashboards.moments import from_unix, since_text
from chatops_dashboards.theme import CPU_LASTS_S, CRITICAL_PERCENT, WARNING_PERCENT, Level
from chatops_dashboards.units import format_duration, format_value
from chatops_protocol.alert_resources import Level as AlertLevel
from chatops_protocol.live_messages import FleetEntry

MOST_PROBLEMS = 4


def summary(
    entries: Sequence[FleetEntry],
    sparks: Mapping[int, Spark],
    now: datetime,
    zone: tzinfo,
    down_since: float | None,
    fired: Fired = NOTHING_FIRES,
) -> html.Div:
    """What fires, how many hosts there are, then what is wrong, where and since when."""
    counts = {status: sum(entry.status == status for entry in entries) for status in ("online", "offline", "never")}
    problems = problems_of(entries, sparks, now.timestamp(), fired)
    all_well = not problems and bool(counts["online"]) and down_since is None
    parts: list[Any] = [
        html.Div(
            [
                alert_line(fired, all_well=all_well),
                _count(counts["online"], "online", "online"),
                _count(counts["offline"], "offline", "offline"),
                _count(counts["never"], "never", "never reported"),
            ],
            className="counts",
        )
    ]
    if down_since is not None:
        parts.append(
            html.Div(
                [
                    icon("alert", 16),
                    html.Div(
                        [
                            f"No live data from the backend since {since_text(from_unix(down_since), now, zone)} (",
                            moment_text(from_unix(down_since), now, zone),
                            "). What you see may be old; reconnecting…",
                        ]
                    ),
                ],
                className="notice notice-warning",
                role="alert",
            )
        )
    if problems:
        lines = [html.Li(_problem_line(problem, now, zone)) for problem in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            more = f"and {len(problems) - MOST_PROBLEMS} more"
            alerts = any(problem.alert for problem in problems[MOST_PROBLEMS:])
            lines.append(html.Li(dcc.Link(more, href="/alerts") if alerts else more, className="dim"))
        worst = "critical" if any(problem.level == "critical" for problem in problems) else "warning"
        parts.append(html.Ul(lines, className=f"problems {worst}", **dashed(aria_label="Needs attention")))
    return html.Div(parts, className="summary")


def alert_line(fired: Fired, *, all_well: bool) -> Any:
    """How many alerts fire, by level, and the way to them; or that none does, claiming no more than is known."""
    if not fired.current:
        return html.Span("Alerts: not known now", className="dim", title="The backend does not tell which alerts fire")
    count, acknowledged = fired.firing(), fired.acknowledged
    if count:
        levels: tuple[AlertLevel, ...] = ("critical", "warning")
        return dcc.Link(
            [
                html.Strong(f"{count} {'alert' if count == 1 else 'alerts'} firing"),
                *[
                    html.Span(f"{SHAPES[level]} {fired.firing(level)} {level}", className=f"level-{level}")
                    for level in levels
                    if fired.firing(level)
                ],
                html.Span(f"{acknowledged} acknowledged", className="dim") if acknowledged else None,
            ],
            href="/alerts",
            className=f"alerts-firing alerts-{'critical' if fired.firing('critical') else 'warning'}",
        )
    if acknowledged:
        text = f"{acknowledged} {'alert' if acknowledged == 1 else 'alerts'}, acknowledged"
        return dcc.Link(text, href="/alerts", className="alerts-firing")
    if fired.rules_on == 0:
        words = f"{SHAPES['warning']} No rule is switched on"
        return dcc.Link(words, href="/alerts/rules", className="level-warning", title="Nothing would raise an alert")
    if all_well:
        return html.Span([icon("check", 16), "No alert fires, no host is over a mark"], className="all-well")
    return html.Span("No alert fires", className="dim")


def legend() -> html.P:
    """What the colours and the shapes on this page say."""
    return html.P(
        [
            "A host takes the colour of its worst alert that fires. Beside a figure, whatever the rules: ",
            html.Span("▲", className="level-warning"),
            f" from {WARNING_PERCENT:.0f} %, ",
            html.Span("◆", className="level-critical"),
            f" from {CRITICAL_PERCENT:.0f} % (CPU once it lasts {format_duration(CPU_LASTS_S)}).",
        ],
        className="dim small legend",
    )


def _count(number: int, status: str, word: str) -> html.Span:
    return html.Span(
        [
            html.Span(className=f"shape shape-{status}", **dashed(aria_hidden="true")),
            html.Strong(f"{number}"),
            f" {word}",
        ],
        className=f"count status-{status}" + ("" if number else " none"),
    )


def _problem_line(problem: Problem, now: datetime, zone: tzinfo) -> list[Any]:
    line: list[Any] = [
        level_mark(problem.level),
        dcc.Link(problem.entry.name, href=f"/servers/{problem.entry.server_id}", className="strong-link"),
        " ",
        dcc.Link(problem.alert.threshold_name, href=f"/alerts/{problem.alert.id}") if problem.alert else None,
        " · " if problem.alert and problem.text else None,
        html.Span(problem.text),
    ]
    if problem.since is not None:
        since = from_unix(problem.since)
        line += [f" since {since_text(since, now, zone)} (", moment_text(since, now, zone), ")"]
    if problem.note:
        line.append(f" · {problem.note}")
    return line


def card(
    entry: FleetEntry, spark: Spark | None, now: datetime, zone: tzinfo, fired: Fired = NOTHING_FIRES
) -> html.Article:
    """A server's card; its inside is replaced as readings arrive."""
    return html.Article(
        card_body(entry, spark, now, zone, fired),
        id={"type": "fleet-card", "server": entry.server_id},
        className=card_class(entry, fired),
    )


def card_class(entry: FleetEntry, fired: Fired) -> str:
    worst = fired.worst(entry.server_id)
    return f"card card-{worst}" if worst else "card"


def card_body(
    entry: FleetEntry, spark: Spark | None, now: datetime, zone: tzinfo, fired: Fired = NOTHING_FIRES
) -> list[Any]:
    title = html.Div(
        [
            dcc.Link(entry.name, href=f"/servers/{entry.server_id}", className="card-name", title=entry.name),
            status_badge(entry.status),
        ],
        className="card-head",
    )
    head = html.Div([title, tag_list(entry.tags), _card_alerts(entry, fired)])
    seen = None if entry.last_seen is None else from_unix(entry.last_seen)
    if entry.status == "never":
        return [head, html.P("No agent has reported yet.", className="dim card-note")]
    if entry.status == "offline":
        known = [v for v in (entry.cpu_percent, entry.memory_used_percent, entry.fullest_used_percent) if v is not None]
        note = ["Last seen ", moment_text(seen, now, zone), ". Readings below are from then." if known else "."]
        meters = html.Div(_meters(entry, spark, now), className="stale") if known else None
        return [head, html.P(note, className="card-note"), meters]
    mask = spark_mask(spark or (), now.timestamp(), SPARK_WINDOW_S)
    return [
        head,
        html.Div(
            html.Div(style={"maskImage": mask, "WebkitMaskImage": mask}, className="spark") if mask else None,
            className="spark-box",
            title="CPU, last 15 minutes",
            role="img",
            **dashed(aria_label="CPU of the last 15 minutes"),
        ),
        html.Div(_meters(entry, spark, now)),
        html.Div(
            [
                html.Span(
                    [icon("down", 14), format_value(entry.network_receive_bytes_per_second, "bytes_per_second")],
                    title="Received",
                ),
                html.Span(
                    [icon("up", 14), format_value(entry.network_transmit_bytes_per_second, "bytes_per_second")],
                    title="Sent",
                ),
                html.Span(moment_text(seen, now, zone), className="dim card-seen"),
            ],
            className="card-foot numeric",
        ),
    ]


def _meters(entry: FleetEntry, spark: Spark | None, now: datetime) -> list[html.Div]:
    busy_since = high_since(spark or ())
    lasting = busy_since is not None and now.timestamp() - busy_since >= CPU_LASTS_S
    cpu_level: Level | None = None if lasting or entry.cpu_percent is None else "ok"
    return [
        meter("CPU", entry.cpu_percent, level=cpu_level),
        meter("Memory", entry.memory_used_percent),
        meter("Disk", entry.fullest_used_percent, entry.fullest_mountpoint or ""),
    ]


def _card_alerts(entry: FleetEntry, fired: Fired) -> Any:
    """The worst alert by name, and how many more."""
    alerts = fired.of(entry.server_id)
    if not alerts:
        return None
    worst, more = alerts[0], len(alerts) - 1
    words = f"{SHAPES[worst.level]} {worst.threshold_name}"
    return dcc.Link(
        [
            html.Span(words, className="card-alert-name"),
            html.Span("acknowledged", className="dim small") if worst.state == "acknowledged" else None,
            html.Span(f"+{more} more", className="dim small") if more else None,
        ],
        href=f"/alerts/{worst.id}" if not more else f"/alerts?server={entry.server_id}",
        className=f"card-alert level-{worst.level}",
        title=f"{worst.level.capitalize()}: {worst.threshold_name}" + (f" and {more} more" if more else ""),
    )


def cards(
    entries: Sequence[FleetEntry],
    sparks: Mapping[int, Spark],
    now: datetime,
    zone: tzinfo,
    fired: Fired = NOTHING_FIRES,
) -> dmc.SimpleGrid:
    return dmc.SimpleGrid(
        [card(entry, sparks.get(entry.server_id), now, zone, fired) for entry in entries],
        cols={"base": 1, "sm": 2, "lg": 3, "xl": 4},
        spacing="md",
    )


def table_row(entry: FleetEntry, spark: Spark | None, now: float, fired: Fired = NOTHING_FIRES) -> dict[str, Any]:
    """A row of the table: plain data, which the grid's own renderers turn into text nodes."""
    levels = [alert.level for alert in fired.of(entry.server_id)]
    critical, warning = levels.count("critical"), levels.count("warning")
    return {
        "id": str(entry.server_id),
        "name": entry.name,
        "status": entry.status,
        "seen": entry.last_seen,
        "tags": entry.tags,
        "cpu": entry.cpu_percent,
        "memory": entry.memory_used_percent,
        "disk": entry.fullest_used_percent,
        "mountpoint": entry.fullest_mountpoint,
        "receive": entry.network_receive_bytes_per_second,
        "transmit": entry.network_transmit_bytes_per_second,
        "spark": [] if entry.status != "online" else spark_runs(spark or (), now, SPARK_WINDOW_S),
        # One number to sort by; the renderer shows the two.
        "alerts": critical * 10_000 + warning,
        "critical": critical,
        "warning": warning,
        "severity": severity(entry, fired),
    }
