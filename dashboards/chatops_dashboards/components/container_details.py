"""One container in detail: what the engine knows of it, without the values of its environment. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.states import notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.container_words import HEALTH_WORDS, ports_text, state_word
from chatops_dashboards.units import UNKNOWN, format_value
from chatops_protocol.container_messages import HIDDEN, ContainerInspected


def details_frame() -> html.Div:
    """Grey lines until the stream fills it."""
    outline = html.Div([dmc.Skeleton(height=20, radius="sm") for _ in range(8)], className="stack tight")
    return html.Div(outline, id="container-details")


def details(found: ContainerInspected, now: datetime, zone: tzinfo) -> html.Div:
    return html.Div(
        [
            *(notice(text, "warning") for text in warnings(found)),
            html.Dl([_fact(name, value) for name, value in _facts(found, now, zone)], className="facts"),
            _section(
                "Command", html.Code(found.command, className="run-part block breakable") if found.command else None
            ),
            _section("Mounts", _mounts(found)),
            _section("Networks", _networks(found)),
            _section("Labels", _pairs(found.labels, "Label", "Value", "Labels")),
            _section("Environment", _environment(found)),
        ],
        className="stack tight container-details",
    )


def warnings(found: ContainerInspected) -> list[str]:
    """What one should not have to search for."""
    told = []
    if found.out_of_memory:
        told.append("Its last run was ended because it had no memory left.")
    if found.error:
        told.append(f"The engine could not start it: {found.error}")
    if found.privileged:
        told.append("It is privileged: whoever gets into it has the whole host.")
    if found.added_capabilities:
        told.append(f"It may do more than others: {', '.join(found.added_capabilities)}.")
    return told


def _facts(found: ContainerInspected, now: datetime, zone: tzinfo) -> list[tuple[str, Any]]:
    exit_code = "" if found.exit_code is None else f" ({found.exit_code})"
    health = "no check" if found.health is None else HEALTH_WORDS.get(found.health, found.health)
    cores = UNKNOWN if found.cpu_limit is None else f"{found.cpu_limit:g} cores"
    memory = found.memory_limit_bytes
    rows: list[tuple[str, Any]] = [
        ("State", state_word(found.state) + exit_code),
        ("Health", health if not found.health_check else f"{health}: {found.health_check}"),
        ("Made", moment_text(found.created_at, now, zone)),
        ("Started", moment_text(found.started_at, now, zone)),
        ("Ended", moment_text(found.finished_at, now, zone)),
        ("Restarts by the engine", UNKNOWN if found.restart_count is None else str(found.restart_count)),
        ("Restart policy", found.restart_policy),
        ("Memory limit", "none" if memory is None else format_value(float(memory), "bytes")),
        ("CPU limit", "none" if found.cpu_limit is None else cores),
        ("Ports", ports_text(found.ports) or "none"),
        ("Network mode", found.network_mode),
        ("Host name", found.hostname),
        ("User", found.user or "root"),
        ("Folder", found.working_directory or "/"),
        ("Log driver", found.log_driver),
        ("Image", found.image),
        ("Image id", html.Code(found.image_id.removeprefix("sha256:")[:12], title=found.image_id)),
        ("Id", html.Code(found.id, className="breakable")),
    ]
    return [(name, value) for name, value in rows if value != ""]


def _fact(name: str, value: Any) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)])


def _section(title: str, content: Any) -> Any:
    return None if content is None else html.Section([html.H3(title), content])


def _pairs(pairs: Mapping[str, str], name: str, value: str, caption: str) -> html.Div | None:
    rows: Sequence[Sequence[Any]] = [
        [html.Code(key, className="breakable"), html.Span(text, className="breakable")]
        for key, text in sorted(pairs.items())
    ]
    return data_table([(name, False), (value, False)], rows, caption=caption) if rows else None


def _environment(found: ContainerInspected) -> html.Div | None:
    if not found.environment:
        return None
    hidden = dict.fromkeys(found.environment, HIDDEN)
    return html.Div(
        [
            html.P("The values stay on the host.", className="dim small tight"),
            _pairs(hidden, "Variable", "Value", "Environment"),
        ]
    )


def _mounts(found: ContainerInspected) -> html.Div | None:
    rows = [
        [
            html.Code(mount.destination, className="breakable"),
            html.Code(mount.source, className="breakable"),
            mount.type,
            "read only" if mount.read_only else "read and write",
        ]
        for mount in found.mounts
    ]
    heads = [("In the container", False), ("On the host", False), ("Kind", False), ("Access", False)]
    return data_table(heads, rows, caption="Mounts", hide_on_phone=(2,)) if rows else None


def _networks(found: ContainerInspected) -> html.Div | None:
    rows = [[network.name, network.address or UNKNOWN, ", ".join(network.aliases)] for network in found.networks]
    heads = [("Network", False), ("Address", False), ("Also called", False)]
    return data_table(heads, rows, caption="Networks") if rows else None
