"""Which servers of a backend are the demo's own. Only those are ever changed or removed by `chatops demo`."""

from collections.abc import Iterable, Sequence

from chatops_cli.demo.fleet import NAME_PREFIX, TAG, Host
from chatops_cli.demo.incidents import Incident
from chatops_protocol.resources import Server

MARK = "Demo data, made up by `chatops demo`: there is no such machine."
LINE = "Incident: "


def describe(host: Host, incidents: Sequence[Incident]) -> str:
    """The description of a demo server: what it is, and what befell it."""
    return "\n".join([MARK, *(LINE + incident.line for incident in incidents if incident.server == host.name)])


def is_own(server: Server) -> bool:
    """By its name, its tag and how its description begins: whoever changes one of them takes it away from the demo."""
    return server.name.startswith(NAME_PREFIX) and TAG in server.tags and server.description.startswith(MARK)


def own_servers(servers: Iterable[Server]) -> list[Server]:
    return [server for server in servers if is_own(server)]


def in_the_way(servers: Iterable[Server], hosts: Sequence[Host]) -> list[str]:
    """Names that the demo would use, of servers that are somebody's."""
    names = {host.name for host in hosts}
    return sorted(server.name for server in servers if server.name.lower() in names and not is_own(server))


def incident_lines(server: Server) -> list[str]:
    return [line.removeprefix(LINE) for line in server.description.splitlines() if line.startswith(LINE)]
