"""What an analysis is asked about: the metric, its labels, servers and range, with refusals that name what is wrong."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from chatops_backend.accounts.visibility import VisibleServers
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics.question import Question, require_metrics, require_range
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.catalog import Field, Measurement
from chatops_protocol.resources import Tier

MOST_SERVERS = 2_000
# Of "the last week", whose start was reckoned by the caller's clock a while before its end by ours.
SLACK_S = 300.0


class Choice(Struct, frozen=True):
    """One metric of some servers. `interval_s`: the longest time between two of their readings."""

    measurement: Measurement
    field: Field
    labels: dict[str, str]
    server_ids: list[int]
    interval_s: float

    @property
    def metric(self) -> str:
        return f"{self.measurement.name}.{self.field.name}"


class Range(Struct, frozen=True):
    start: datetime
    end: datetime

    @property
    def length_s(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def seconds(self) -> tuple[float, float]:
        """As Unix seconds."""
        return self.start.timestamp(), self.end.timestamp()

    def from_bucket(self, bucket_s: float) -> "Range":
        """The same with its start at the beginning of a bucket, so that none is read in part."""
        return Range(datetime.fromtimestamp(self.start.timestamp() // bucket_s * bucket_s, UTC), self.end)

    def earlier(self, seconds: float) -> "Range":
        return Range(self.start - timedelta(seconds=seconds), self.end - timedelta(seconds=seconds))


async def read_choice(
    database: Database,
    visible: VisibleServers,
    metric: str,
    server_ids: Sequence[int] | None,
    tag: str | None = None,
    labels: str = "{}",
) -> Choice:
    """Raises `ProblemError` 404 for an unknown metric and for a server that does not exist or is not seen, 400 for
    unknown labels and for no server at all."""
    named = _labels(labels)
    [(measurement, field)] = require_metrics(_question(metric, named, datetime.now(UTC), None))
    servers = await chosen_servers(database, visible, server_ids, tag)
    if not servers:
        said = "Name a server by `server_id`, or several by `tag`." if tag is None else f"No server has the tag {tag}."
        raise ProblemError(400, "No servers", said)
    return Choice(measurement, field, named, servers, await required_interval(database, servers))


async def chosen_servers(
    database: Database, visible: VisibleServers, server_ids: Sequence[int] | None, tag: str | None
) -> list[int]:
    """Those named, which must be seen, and those with the tag that are."""
    chosen = dict.fromkeys(server_ids or ())
    if any(not 1 <= server_id < 2**31 for server_id in chosen):
        raise ProblemError(400, "Servers not usable", "`server_id` is the id of a server, from 1 on.")
    for server_id in chosen:
        visible.require(server_id)
    if tag is not None:
        chosen |= dict.fromkeys(filter(visible.sees, await load_queries("metrics").find_tagged(database, tag=tag)))
    if len(chosen) > MOST_SERVERS:
        raise ProblemError(400, "Servers not usable", f"Name up to {MOST_SERVERS} servers.")
    return list(chosen)


async def required_interval(database: Database, server_ids: Sequence[int]) -> float:
    """The longest collection interval in seconds. Raises 404 for the first server that does not exist."""
    rows = load_queries("metrics").find_intervals(database, server_ids=list(server_ids))
    known: dict[int, float] = {row["id"]: row["interval_s"] async for row in rows}
    for server_id in server_ids:
        if server_id not in known:
            raise not_found("server", server_id)
    return max(known.values())


def read_range(start: datetime, end: datetime | None, now: datetime, longest_s: float) -> Range:
    """With zones. Raises `ProblemError` 400 when it is reversed, or longer than `longest_s`."""
    found = Range(*require_range(_question("", {}, start, end), now))
    if found.length_s > longest_s + SLACK_S:
        days = longest_s / 86_400
        raise ProblemError(400, "Range too long", f"This analysis takes up to {days:g} days; ask for a shorter range.")
    return found


def finest_kept(
    candidates: Sequence[tuple[Tier, float]], start: datetime, whole_since: Mapping[Tier, datetime]
) -> tuple[Tier, float]:
    """The first tier and bucket that reaches back to `start`, or the last one."""
    reaching = (found for found in candidates if found[0] not in whole_since or whole_since[found[0]] <= start)
    return next(reaching, candidates[-1])


def _question(metric: str, labels: dict[str, str], start: datetime, end: datetime | None) -> Question:
    return Question(metrics=[metric], server_ids=[], start=start, end=end, points=1, labels=labels)


def _labels(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProblemError(
            400, "Labels not readable", f'`labels` must be a JSON object of strings, as {{"mountpoint": "/"}}: {error}'
        ) from None
