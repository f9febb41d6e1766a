"""Whom a command is for, and what will happen, in words. Pure, but for asking what the hosts allow."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from chatops_dashboards.components.command_form import read_options
from chatops_dashboards.session import Session
from chatops_dashboards.units import format_duration
from chatops_protocol.control_messages import CommandPolicy
from chatops_protocol.resources import Server

MOST_NAMED = 12


def choose(servers: Sequence[Server], ids: Sequence[str] | None, tag: str | None) -> list[Server]:
    """Those named, and those with the tag."""
    wanted = set(ids or ())
    return [server for server in servers if str(server.id) in wanted or (tag and tag in server.tags)]


def chosen_words(chosen: Sequence[Server], policies: Mapping[int, CommandPolicy]) -> str:
    """How many, and which of them will not run it."""
    if not chosen:
        return "No server is chosen."
    words = [f"{len(chosen)} {'server' if len(chosen) == 1 else 'servers'}: {_names(chosen)}."]
    off = [server for server in chosen if policies.get(server.id) == "off"]
    away = [server for server in chosen if server.id not in policies]
    listed = [server for server in chosen if policies.get(server.id) == "allowlist"]
    if off:
        words.append(f"Takes no commands: {_names(off)}.")
    if away:
        words.append(f"Not connected, so that it waits a minute for them: {_names(away)}.")
    if listed:
        words.append(f"Runs what its own list names only: {_names(listed)}.")
    return " ".join(words)


def _names(servers: Sequence[Server]) -> str:
    names = ", ".join(server.name for server in servers[:MOST_NAMED])
    return names + (f" and {len(servers) - MOST_NAMED} more" if len(servers) > MOST_NAMED else "")


def consequence(asked: Mapping[str, Any], chosen: Sequence[Server], policies: Mapping[int, CommandPolicy]) -> list[Any]:
    """What will run on which hosts, and how."""
    how = "All at once" if not asked["at_a_time"] else f"{asked['at_a_time']} at a time"
    if asked["stop_after_failures"]:
        if not asked["at_a_time"]:
            how = "One at a time"
        count = asked["stop_after_failures"]
        how += f"; after {count} that {'does' if count == 1 else 'do'} not end well the rest is cancelled"
    where = f", in {asked['working_directory']}" if asked["working_directory"] else ""
    hosts = "host" if len(chosen) == 1 else "hosts"
    return [
        f"This runs on {len(chosen)} {hosts}:",
        html.Code(asked["command"], className="breakable run-part block"),
        chosen_words(chosen, policies),
        html.Br(),
        f"{how}{where}. Each is ended after {format_duration(asked['timeout_s'])} at the latest.",
    ]


def read_request(text: str | None, chosen: Sequence[Server], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request for those chosen now, whoever has the tag later. Raises `ValueError` in words."""
    line = (text or "").strip()
    if not line:
        raise ValueError("Type a command; nothing was run.")
    if not chosen:
        raise ValueError("No server is chosen, so nothing was run. Choose some by name, or a tag.")
    at_a_time, stop_after = options.get("at_a_time"), options.get("stop_after")
    return {
        "command": line,
        **read_options(options.get("timeout"), options.get("folder")),
        "at_a_time": int(at_a_time) if at_a_time else None,
        "stop_after_failures": int(stop_after) if stop_after else None,
        "server_ids": [server.id for server in chosen],
    }


async def policies_of(session: Session) -> dict[int, CommandPolicy]:
    return {one.server_id: one.command_policy for one in (await session.client.commands.policies()).policies}
