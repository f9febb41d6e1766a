"""Routes under ``/alerts/thresholds``. Everybody reads and replays rules, operators write them."""

import time
from typing import Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.alerts import backtest, rules, suggestion
from chatops_backend.alerts.replays import Replays
from chatops_backend.audit.actor import RequestActor
from chatops_backend.database.interface import Database
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_id_cursor
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import (
    Backtest,
    BacktestRequest,
    StoredThreshold,
    Suggestion,
    SuggestionRequest,
    Threshold,
)
from chatops_protocol.resources import Page


@get("/thresholds", opt=allow("viewer"))
async def list_thresholds(
    database: NamedDependency[Database], visible: Visible, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[StoredThreshold]:
    found = await rules.list_thresholds(database, visible, read_id_cursor(cursor), limit + 1)
    return page(found, limit, lambda rule: IdKey(rule.id))


@post("/thresholds", opt=allow("operator"))
async def create_threshold(
    data: JSONBody[Threshold], database: NamedDependency[Database], actor: RequestActor, visible: Visible
) -> StoredThreshold:
    return await rules.create_threshold(database, data, actor, visible)


@get("/thresholds/{threshold_id:int}", opt=allow("viewer"))
async def read_threshold(threshold_id: Id, database: NamedDependency[Database], visible: Visible) -> StoredThreshold:
    return await rules.find_threshold(database, threshold_id, visible)


@put("/thresholds/{threshold_id:int}", opt=allow("operator"))
async def replace_threshold(
    threshold_id: Id,
    data: JSONBody[Threshold],
    actor: RequestActor,
    visible: Visible,
    database: NamedDependency[Database],
) -> StoredThreshold:
    """The whole rule anew. Open alerts end when it is switched off or watches something else now."""
    return await rules.replace_threshold(database, threshold_id, data, actor, visible)


@delete("/thresholds/{threshold_id:int}", opt=allow("operator"))
async def delete_threshold(
    threshold_id: Id, actor: RequestActor, visible: Visible, database: NamedDependency[Database]
) -> None:
    """Open alerts end, and those who were told of them hear of it. What it fired stays listed."""
    await rules.delete_threshold(database, threshold_id, actor, visible)


@post("/thresholds/backtest", opt=allow("viewer"), status_code=200)
async def backtest_threshold(
    data: JSONBody[BacktestRequest],
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    replays: NamedDependency[Replays],
    visible: Visible,
) -> Backtest:
    """What a rule, stored or not, would have done from `start` to `end`. It changes nothing and tells nobody."""
    if (data.threshold is None) == (data.threshold_id is None):
        raise ProblemError(400, "Which rule?", "Give either `threshold_id`, of a stored rule, or `threshold`, a rule.")
    if data.threshold is not None:
        rule = await rules.checked(database, data.threshold, visible)
    else:
        rule = (await rules.find_threshold(database, data.threshold_id or 0, visible)).threshold
    rule = await rules.narrowed(database, rule, visible)
    return await replays.run(request, backtest.backtest(database, rule, data.start, data.end, time.time()))


@post("/thresholds/suggest", opt=allow("viewer"), status_code=200)
async def suggest_threshold(
    data: JSONBody[SuggestionRequest],
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    replays: NamedDependency[Replays],
    visible: Visible,
) -> Suggestion:
    """The quietest level and duration that would still have caught every incident."""
    rule = await rules.checked(database, data.threshold, visible)
    rule = await rules.narrowed(database, rule, visible)
    return await replays.run(request, suggestion.suggest(database, rule, data, time.time()))


handlers: list[Any] = [
    list_thresholds,
    create_threshold,
    read_threshold,
    replace_threshold,
    delete_threshold,
    backtest_threshold,
    suggest_threshold,
]
