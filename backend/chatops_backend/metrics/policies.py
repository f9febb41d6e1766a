"""``/metrics/policies``: how long each tier is kept."""

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.audit.actor import RequestActor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import ProblemError
from chatops_protocol.metric_policies import MetricPolicies


@get("/policies", opt=allow("viewer"))
async def read_policies(database: NamedDependency[Database]) -> MetricPolicies:
    """How long readings and roll-ups are kept."""
    return await _policies(database)


@put("/policies", opt=allow("admin"))
async def set_policies(
    data: JSONBody[MetricPolicies],
    database: NamedDependency[Database],
    metric_reader: NamedDependency[MetricReader],
    actor: RequestActor,
) -> MetricPolicies:
    """Change it. What is older is dropped within a day and does not come back."""
    if not data.raw_days <= data.minutes_days <= data.hours_days:
        raise ProblemError(
            400, "Not possible", "`raw_days` must not exceed `minutes_days`, and these must not exceed `hours_days`."
        )
    async with database.transaction() as transaction:
        before = await _policies(transaction)
        await load_queries("metrics").set_metric_tiers(
            transaction, raw_days=data.raw_days, minutes_days=data.minutes_days, hours_days=data.hours_days
        )
        await record(
            transaction,
            actor,
            "metric_policies.update",
            Target("setting", "metric_policies"),
            before=before,
            after=data,
        )
    metric_reader.kept_tiers.ask_again()
    return data


async def _policies(database: Executor) -> MetricPolicies:
    days = {row["tier"]: row["days"] async for row in load_queries("metrics").read_metric_tiers(database)}
    return MetricPolicies(days["raw"], days["1m"], days["1h"])


route_handlers = [read_policies, set_policies]
