"""``/metrics/export``: rows as a file, streamed. Choosing is done here, reading in `export_rows`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.visibility import Visible
from chatops_backend.analysis.choice import chosen_servers, required_interval
from chatops_backend.database.interface import Database
from chatops_backend.metrics.question import Question, require_metrics, require_range
from chatops_backend.problems import ProblemError
from chatops_backend.transfer.export_formats import MEDIA_TYPES, VALUE_BYTES, Format
from chatops_backend.transfer.export_rows import Selection, estimate_rows
from chatops_backend.transfer.exports import Exports
from chatops_backend.transfer.measurements import required_measurement
from chatops_protocol.catalog import Measurement
from chatops_protocol.resources import TAG_PATTERN, Tier
from chatops_protocol.transfer_resources import ESTIMATE_HEADER


@get("/export", opt=allow("viewer"))
async def export_rows(
    request: Request[Principal, Any, Any],
    start: FromQuery[datetime],
    exports: NamedDependency[Exports],
    database: NamedDependency[Database],
    visible: Visible,
    form: Annotated[Format, QueryParameter(name="format", description="csv, parquet or arrow (an IPC stream)")] = "csv",
    measurement: Annotated[str | None, QueryParameter(description="All fields of this one")] = None,
    metric: Annotated[
        list[str] | None, QueryParameter(description="Only these fields, all of one measurement: `measurement.field`")
    ] = None,
    server_ids: Annotated[
        list[int] | None, QueryParameter(name="server_id", description="May be given several times")
    ] = None,
    tag: Annotated[
        str | None, QueryParameter(min_length=1, max_length=64, pattern=TAG_PATTERN, description="All with this tag")
    ] = None,
    end: FromQuery[datetime | None] = None,
    tier: Annotated[Tier, QueryParameter(description="Readings as they came, or a roll-up")] = "raw",
) -> Stream:
    """Rows of a measurement as a file: time, server_id, labels, fields; of roll-ups avg, min and max of each field, and
    the number of readings. An answer that breaks off is not whole. One export at a time for each person."""
    now = datetime.now(UTC)
    found, fields = _columns(measurement, metric, start, end)
    start, end = require_range(_question(metric, start, end), now)
    servers = sorted(await chosen_servers(database, visible, server_ids, tag))
    if not servers:
        raise ProblemError(400, "No servers", "Name a server by `server_id`, or several by a `tag` that some have.")
    await required_interval(database, servers)
    selection = Selection(found, fields, tier, servers, start, end)
    estimate = await estimate_rows(database, selection) * len(selection.columns) * VALUE_BYTES[form]
    name = f"chatops-{found.name}-{tier}-{start:%Y%m%d-%H%M}.{form}"
    return Stream(
        exports.file(selection, form, request.user.user_id),
        media_type=MEDIA_TYPES[form],
        headers={ESTIMATE_HEADER: str(int(estimate)), "Content-Disposition": f'attachment; filename="{name}"'},
    )


def _columns(
    measurement: str | None, metrics: Sequence[str] | None, start: datetime, end: datetime | None
) -> tuple[Measurement, tuple[str, ...]]:
    if (measurement is None) == (not metrics):
        raise ProblemError(400, "Nothing chosen", "Give either `measurement` or one or several `metric`.")
    if measurement is not None:
        found = required_measurement(measurement)
        return found, found.field_names
    chosen = require_metrics(_question(metrics, start, end))
    if len({found.name for found, _ in chosen}) > 1:
        raise ProblemError(400, "Several measurements", "One file holds metrics of one measurement; ask several times.")
    names = {field.name for _, field in chosen}
    return chosen[0][0], tuple(name for name in chosen[0][0].field_names if name in names)


def _question(metrics: Sequence[str] | None, start: datetime, end: datetime | None) -> Question:
    return Question(metrics=list(metrics or ()), server_ids=[], start=start, end=end, points=1, labels={})
