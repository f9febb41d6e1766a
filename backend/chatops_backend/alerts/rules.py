"""Rules as they are kept: checked, stored, replaced, deleted. Called by the routes; evaluates nothing.

A rule that changes what it watches, is switched off or deleted ends its open alerts, and those who were told of them
hear of it: nothing else would.
"""

import asyncpg
import msgspec
from asyncpg import Record

from chatops_backend.accounts.visibility import VisibleServers
from chatops_backend.alerts.alert_acts import close_alerts_of
from chatops_backend.alerts.rule_faults import Fault, faults_of
from chatops_backend.alerts.watched_servers import servers_of
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics.statements import label_named
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.alert_resources import StoredThreshold, Threshold
from chatops_protocol.catalog import find_metric

# What a value of the rule is. Levels and durations are not among it: the state machine goes on with the new ones.
UNREADABLE = "the stored rule cannot be read: save it anew, or delete it"
_MEANING = ("kind", "metric", "labels", "aggregate", "window_s", "comparison", "against_s", "within_s")


async def checked(database: Executor, rule: Threshold, visible: VisibleServers) -> Threshold:
    """The rule as it is to be stored. Raises `ProblemError` 400 that names every field at fault and says what to do.
    A server that is not visible is one that does not exist."""
    faults = faults_of(rule)
    queries = load_queries("alerts")
    unknown = await queries.unknown_servers(database, server_ids=rule.server_ids or [])
    unknown = sorted({*unknown, *(one for one in rule.server_ids or [] if not visible.sees(one))})
    if unknown:
        faults.append(Fault("server_ids", f"there is no server {_listed(unknown)}; remove it"))
    for field in ("channel_ids", "escalate_channel_ids"):
        unknown = await queries.unknown_channels(database, channel_ids=getattr(rule, field))
        if unknown:
            faults.append(Fault(field, f"there is no channel {_listed(unknown)}; remove it"))
    if faults:
        raise ProblemError(
            400,
            "The rule is not valid",
            "; ".join(f"`{fault.field}`: {fault.message}" for fault in faults) + ".",
            extra=[{"message": fault.message, "key": fault.field, "source": "body"} for fault in faults],
        )
    return msgspec.structs.replace(
        rule,
        labels=await _canonical_labels(database, rule),
        server_ids=list(dict.fromkeys(rule.server_ids)) if rule.server_ids is not None else None,
        channel_ids=list(dict.fromkeys(rule.channel_ids)),
        escalate_channel_ids=list(dict.fromkeys(rule.escalate_channel_ids)),
    )


async def list_thresholds(
    database: Executor, visible: VisibleServers, after: int, count: int, threshold_id: int | None = None
) -> list[StoredThreshold]:
    """Rules that watch a visible server; of the servers that they name, those that are visible."""
    rows = load_queries("alerts").list_thresholds(
        database, after=after, threshold_id=threshold_id, visible=visible.listed, count=count
    )
    return [_shown(_stored(row), visible) async for row in rows]


async def find_threshold(database: Executor, threshold_id: int, visible: VisibleServers) -> StoredThreshold:
    for found in await list_thresholds(database, visible, 0, 1, threshold_id):
        return found
    raise not_found("rule", threshold_id)


async def create_threshold(
    database: Database, rule: Threshold, actor: Actor, visible: VisibleServers
) -> StoredThreshold:
    rule = await checked(database, rule, visible)
    _require_within(rule, visible)
    async with database.transaction() as transaction:
        row = await load_queries("alerts").create_threshold(
            transaction, name=rule.name, definition=encoded(rule), enabled=rule.enabled
        )
        if row is None:
            raise _name_taken(rule.name)
        await record(transaction, actor, "rule.create", Target("rule", row["id"], rule.name), after=rule)
    return _stored(row)


async def replace_threshold(
    database: Database, threshold_id: int, rule: Threshold, actor: Actor, visible: VisibleServers
) -> StoredThreshold:
    queries = load_queries("alerts")
    try:
        async with database.transaction() as transaction:
            definition = await queries.lock_threshold(transaction, threshold_id=threshold_id)
            if definition is None:
                raise not_found("rule", threshold_id)
            await _require_own(transaction, threshold_id, definition, visible)
            rule = await checked(transaction, rule, visible)
            _require_within(rule, visible)
            watched: set[int] = set()
            old = _readable(definition)
            if rule.enabled and old is not None and _means_the_same(old, rule):
                watched = {server.id for server in await servers_of(transaction, rule)}
            await close_alerts_of(transaction, threshold_id, actor.username, "the rule was changed", but_of=watched)
            row = await queries.update_threshold(
                transaction,
                threshold_id=threshold_id,
                name=rule.name,
                definition=encoded(rule),
                enabled=rule.enabled,
            )
            target = Target("rule", threshold_id, rule.name)
            before = msgspec.json.decode(definition)
            await record(transaction, actor, "rule.update", target, before=before, after=rule)
    except asyncpg.UniqueViolationError:
        raise _name_taken(rule.name) from None
    return _stored(row)


async def delete_threshold(database: Database, threshold_id: int, actor: Actor, visible: VisibleServers) -> None:
    queries = load_queries("alerts")
    async with database.transaction() as transaction:
        definition = await queries.lock_threshold(transaction, threshold_id=threshold_id)
        if definition is None:
            raise not_found("rule", threshold_id)
        await _require_own(transaction, threshold_id, definition, visible)
        await close_alerts_of(transaction, threshold_id, actor.username, "the rule was deleted")
        await queries.delete_threshold(transaction, threshold_id=threshold_id)
        before = msgspec.json.decode(definition)
        await record(
            transaction, actor, "rule.delete", Target("rule", threshold_id, before.get("name", "")), before=before
        )


async def narrowed(database: Executor, rule: Threshold, visible: VisibleServers) -> Threshold:
    """The rule, watching none but visible servers: for a replay, which reads what it watches."""
    if visible.ids is None:
        return rule
    watched = [server.id for server in await servers_of(database, rule) if visible.sees(server.id)]
    return msgspec.structs.replace(rule, server_ids=watched, tag=None, all_servers=False)


async def _require_own(transaction: Executor, threshold_id: int, definition: str, visible: VisibleServers) -> None:
    """Raise `ProblemError` 404 for a rule that is not visible, 403 for one that watches other servers too."""
    if visible.ids is not None:
        await find_threshold(transaction, threshold_id, visible)
        # What nobody can read may reach everywhere.
        _require_within(_readable(definition) or Threshold(name="?", all_servers=True), visible)


def _require_within(rule: Threshold, visible: VisibleServers) -> None:
    if visible.ids is None:
        return
    if rule.all_servers or rule.tag is not None or not all(map(visible.sees, rule.server_ids or [])):
        raise ProblemError(
            403,
            "Forbidden",
            "You see some servers only, and this rule reaches beyond: name yours in `server_ids`.",
        )


def _shown(stored: StoredThreshold, visible: VisibleServers) -> StoredThreshold:
    named = stored.threshold.server_ids
    if visible.ids is None or named is None:
        return stored
    rule = msgspec.structs.replace(stored.threshold, server_ids=[one for one in named if visible.sees(one)])
    return msgspec.structs.replace(stored, threshold=rule)


def encoded(rule: Threshold) -> str:
    return msgspec.json.encode(rule).decode()


async def _canonical_labels(database: Executor, rule: Threshold) -> dict[str, str]:
    found = find_metric(rule.metric or "")
    labels = dict(rule.labels)
    for name, text in rule.labels.items():
        label = label_named(found[0], name) if found is not None else None
        if label is not None and label.type == "jsonb":
            labels[name] = await load_queries("alerts").canonical_json(database, text=text)
    return labels


def _means_the_same(before: Threshold, after: Threshold) -> bool:
    return all(getattr(before, field) == getattr(after, field) for field in _MEANING)


def _readable(definition: str) -> Threshold | None:
    """None when another version wrote it, or a hand did."""
    try:
        return msgspec.json.decode(definition, type=Threshold)
    except msgspec.MsgspecError:
        return None


def _stored(row: Record) -> StoredThreshold:
    """What cannot be read is shown as broken and by its name, watching nothing: the other rules are listed with it."""
    rule = _readable(row["definition"])
    return StoredThreshold(
        id=row["id"],
        threshold=rule or Threshold(name=row["name"], enabled=False),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        broken=row["broken"] if rule is not None else row["broken"] or UNREADABLE,
    )


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:10]))


def _name_taken(name: str) -> ProblemError:
    return ProblemError(409, "Name taken", f"There is a rule {name} already; choose another name.")
