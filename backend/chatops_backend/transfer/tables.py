"""What TimescaleDB says of a measurement: the tables behind its roll-ups, and how long each tier is kept."""

from msgspec import Struct

from chatops_backend.database.interface import Database
from chatops_backend.transfer.ages import ROLLUPS, Policies
from chatops_protocol.resources import Tier

_TABLES = """
SELECT view_name, format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) AS name,
       materialization_hypertable_name AS hypertable
  FROM timescaledb_information.continuous_aggregates
 WHERE view_schema = 'metrics' AND view_name = ANY($1::text[])
"""
# A roll-up's policy is listed under its view or under the table behind it, as the version has it.
_POLICIES = """
SELECT hypertable_name, proc_name, (config->>'drop_after')::interval AS drop_after,
       (config->>'start_offset')::interval AS start_offset
  FROM timescaledb_information.jobs
 WHERE proc_name IN ('policy_retention', 'policy_refresh_continuous_aggregate') AND hypertable_name = ANY($1::text[])
"""


class Tables(Struct, frozen=True):
    """Of one measurement: the tables behind its roll-ups, and its policies."""

    measurement: str
    rollup: dict[Tier, str]
    policies: Policies


async def find_tables(database: Database, measurement: str) -> Tables:
    views: dict[str, Tier] = {f"{measurement}_{tier}": tier for tier, _, _ in ROLLUPS}
    rows = await database.fetch(_TABLES, list(views))
    tiers: dict[str, Tier] = {row["hypertable"]: views[row["view_name"]] for row in rows} | views | {measurement: "raw"}
    policies = Policies({}, {})
    for job in await database.fetch(_POLICIES, list(tiers)):
        tier = tiers[job["hypertable_name"]]
        if job["proc_name"] == "policy_retention":
            policies.kept[tier] = job["drop_after"]
        else:
            policies.reach[tier] = job["start_offset"]
    return Tables(measurement, {views[row["view_name"]]: row["name"] for row in rows}, policies)
