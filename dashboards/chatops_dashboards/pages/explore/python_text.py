"""What the Explore page shows, as the Python that asks for the same. The text runs as it stands. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from chatops_client.queries import QueryOptions
from chatops_dashboards.pages.explore.query import ExploreQuery


def python_text(
    asked: ExploreQuery,
    server_ids: Sequence[int],
    start: datetime,
    end: datetime,
    options: QueryOptions,
    api_url: str,
    username: str,
) -> str:
    """`server_ids` are those of the page at this moment; all servers are asked for anew when none is chosen. Everything
    from outside stands in quotes of Python's own making."""
    chooses = bool(asked.servers or asked.tag)
    ids = "[server.id for server in client.servers()]" if not chooses else repr(list(server_ids))
    told = {name: value for name, value in options.items() if name != "server_ids"}
    lines = [
        "from datetime import datetime",
        "from getpass import getpass",
        "",
        "from chatops_client import Client",
        "",
        f"client = Client({api_url!r}, username={username!r}, password=getpass())",
        f"start = datetime.fromisoformat({_iso(start)!r})",
        f"end = datetime.fromisoformat({_iso(end)!r})",
        "",
    ]
    given = [f"server_ids={ids}", *(f"{name}={value!r}" for name, value in told.items() if value)]
    several = len(asked.metrics) > 1 and asked.view != "heat"
    metrics = list(asked.metrics) if several else asked.metrics[0]
    lines += [
        "frame = client.query(",
        *(f"    {part}," for part in (repr(metrics), "start", "end", *given)),
        ")",
        "print(frame)",
    ]
    return "\n".join(lines) + "\n"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()
