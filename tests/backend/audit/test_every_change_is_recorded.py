"""Every route that changes something is called once, and leaves an entry that names the caller and the act.

The routes are read from the application: a new one without a recipe here fails. So does one that records nothing.
"""

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import polars as pl
import pyotp
import pytest

from chatops_backend.accounts.access import route_handlers_of
from chatops_backend.app import create_app
from chatops_backend.audit.verification import verify
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from tests.backend.audit.tampering import broken_log
from tests.backend.transfer.importing import body_of

pytestmark = pytest.mark.anyio

CANARY = "canary-4be81c52"
RULE = {"metric": "host.cpu_percent", "all_servers": True, "window_s": 300, "warning": 90.0, "for_s": 0}
SILENCE = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"}


def fresh() -> str:
    return f"made-{secrets.token_hex(5)}"


@dataclass
class World:
    """The application with an administrator in it, and what a recipe needs to be there."""

    database: Database
    person: Any

    async def server(self) -> int:
        return await self.database.fetchval("INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", fresh())

    async def command(self) -> int:
        body = {"server_ids": [await self.server()], "argv": ["true"]}
        return (await self.person.api.post("/commands", json=body)).json()["commands"][0]["id"]

    async def group(self) -> int:
        body = {"server_ids": [await self.server()], "argv": ["true"]}
        return (await self.person.api.post("/commands", json=body)).json()["id"]

    async def user(self) -> int:
        return await self.database.fetchval(
            "INSERT INTO chatops.users (username, password_hash, role) VALUES ($1, '', 'viewer') RETURNING id", fresh()
        )

    async def session(self) -> UUID:
        """One more of the administrator's own."""
        return await self.database.fetchval(
            "INSERT INTO chatops.sessions (user_id, expires_at) VALUES ($1, now() + INTERVAL '1 day') RETURNING id",
            self.person.id,
        )

    async def user_with_second_factor(self) -> int:
        user_id = await self.user()
        await self.database.execute("INSERT INTO chatops.second_factors (user_id, salt) VALUES ($1, '')", user_id)
        return user_id

    async def key(self) -> int:
        answer = await self.person.api.post("/api-keys", json={"server_id": await self.server(), "name": "agent"})
        return answer.json()["id"]

    async def rule(self) -> int:
        return (await self.person.api.post("/alerts/thresholds", json=RULE | {"name": fresh()})).json()["id"]

    async def alert(self) -> int:
        return await self.database.fetchval(
            "INSERT INTO chatops.alerts (threshold_id, server_id, state, level, window_s, started_at) "
            "VALUES ($1, $2, 'firing', 'warning', 300, now()) RETURNING id",
            await self.rule(),
            await self.server(),
        )

    async def silence(self) -> int:
        body = SILENCE | {"server_id": await self.server()}
        return (await self.person.api.post("/alerts/silences", json=body)).json()["id"]

    async def view(self) -> int:
        return (await self.person.api.post("/views", json={"name": fresh(), "query": {}})).json()["id"]

    async def channel(self) -> int:
        return await self.database.fetchval(
            "INSERT INTO chatops.channels (name, type, url) VALUES ($1, 'webhook', 'http://127.0.0.1:9/') RETURNING id",
            fresh(),
        )


Body = Callable[[World], Awaitable[Any]]


async def no_body(_: World) -> Any:
    return None


@dataclass
class Recipe:
    """`action` is what is recorded; `maker` names the method of `World` whose id goes into the path. `makes`: the entry
    is about what the request made, and not about what its path names."""

    action: str
    maker: str | None = None
    body: Body = field(default=no_body)
    result: str = "ok"
    makes: bool = False


def given(**body: Any) -> Body:
    async def make(_: World) -> Any:
        return {name: value() if callable(value) else value for name, value in body.items()}

    return make


async def own_password(world: World) -> Any:
    return {"current_password": world.person.password, "new_password": f"a new one, {CANARY}"}


async def own_log_in(world: World) -> Any:
    return {"username": world.person.username, "password": world.person.password}


async def key_of_a_server(world: World) -> Any:
    return {"server_id": await world.server(), "name": "agent"}


async def command_on_a_server(world: World) -> Any:
    return {"server_ids": [await world.server()], "command": "true"}


async def silence_of_a_server(world: World) -> Any:
    return SILENCE | {"server_id": await world.server()}


async def current_password(world: World) -> Any:
    return {"current_password": world.person.password}


async def first_code(world: World) -> Any:
    enrolled = await world.person.api.post("/auth/second-factor/enrol", json=await current_password(world))
    return {"totp_code": pyotp.TOTP(enrolled.json()["secret"]).now()}


async def recovery_code(world: World) -> Any:
    confirmed = await world.person.api.post("/auth/second-factor/confirm", json=await first_code(world))
    return {"totp_code": confirmed.json()["recovery_codes"][0]}


async def rows_of_a_server(world: World) -> Any:
    times = [datetime.now(UTC) - timedelta(hours=1)]
    rows = pl.DataFrame({"time": times, "server_id": [await world.server()], "device": ["sda"], "busy_percent": [5.0]})
    return body_of(rows)


async def custom_value(_: World) -> Any:
    return [{"name": "queue", "value": 5.0}]


RECIPES: dict[str, Recipe] = {
    "POST /auth/login": Recipe("auth.login", body=own_log_in),
    "POST /auth/logout": Recipe("auth.logout"),
    "POST /auth/change-password": Recipe("auth.change_password", body=own_password),
    "DELETE /auth/sessions": Recipe("session.end"),
    "DELETE /auth/sessions/{session_id:uuid}": Recipe("session.end", "session"),
    "PUT /auth/me": Recipe("user.update", body=given(display_name="Ann")),
    "POST /users": Recipe("user.create", body=given(username=fresh, password=f"long {CANARY}", role="viewer")),
    "PUT /users/{user_id:int}": Recipe("user.update", "user", given(role="operator")),
    "PATCH /users/{user_id:int}": Recipe("user.update", "user", given(password=f"long {CANARY}")),
    "DELETE /users/{user_id:int}": Recipe("user.delete", "user"),
    "DELETE /users/{user_id:int}/sessions": Recipe("session.end"),
    "DELETE /users/{user_id:int}/sessions/{session_id:uuid}": Recipe("session.end", "session"),
    "POST /auth/second-factor/enrol": Recipe("second_factor.enrol", body=current_password),
    "POST /auth/second-factor/confirm": Recipe("second_factor.switch_on", body=first_code),
    "POST /auth/second-factor/recovery-codes": Recipe("second_factor.recovery_codes", body=recovery_code),
    "POST /auth/second-factor/disable": Recipe("second_factor.switch_off", body=recovery_code),
    "DELETE /users/{user_id:int}/second-factor": Recipe("second_factor.switch_off", "user_with_second_factor"),
    "POST /servers": Recipe("server.create", body=given(name=fresh)),
    "PUT /servers/{server_id:int}": Recipe("server.update", "server", given(name=fresh)),
    "PATCH /servers/{server_id:int}": Recipe("server.update", "server", given(tags=["a"])),
    "DELETE /servers/{server_id:int}": Recipe("server.delete", "server"),
    "POST /api-keys": Recipe("api_key.create", body=key_of_a_server),
    "POST /api-keys/{key_id:int}/deactivate": Recipe("api_key.deactivate", "key"),
    "DELETE /api-keys/{key_id:int}": Recipe("api_key.delete", "key"),
    "POST /alerts/{alert_id:int}/acknowledge": Recipe("alert.acknowledge", "alert", given(comment="mine")),
    "POST /alerts/{alert_id:int}/resolve": Recipe("alert.resolve", "alert"),
    "POST /alerts/thresholds": Recipe("rule.create", body=given(name=fresh, **RULE)),
    "PUT /alerts/thresholds/{threshold_id:int}": Recipe("rule.update", "rule", given(name=fresh, **RULE)),
    "DELETE /alerts/thresholds/{threshold_id:int}": Recipe("rule.delete", "rule"),
    "POST /alerts/channels": Recipe(
        "channel.create", body=given(name=fresh, type="webhook", url=f"http://127.0.0.1:9/{CANARY}")
    ),
    "PUT /alerts/channels/{channel_id:int}": Recipe(
        "channel.update", "channel", given(url=f"http://127.0.0.1:9/{CANARY}")
    ),
    "PATCH /alerts/channels/{channel_id:int}": Recipe("channel.update", "channel", given(name=fresh)),
    "DELETE /alerts/channels/{channel_id:int}": Recipe("channel.delete", "channel"),
    "POST /alerts/channels/{channel_id:int}/test": Recipe("channel.test", "channel", result="failed"),
    "POST /alerts/silences": Recipe("silence.create", body=silence_of_a_server),
    "PUT /alerts/silences/{silence_id:int}": Recipe("silence.update", "silence", silence_of_a_server),
    "DELETE /alerts/silences/{silence_id:int}": Recipe("silence.delete", "silence"),
    "POST /views": Recipe("view.create", body=given(name=fresh, query={"range": "6h"})),
    "PUT /views/{view_id:int}": Recipe("view.update", "view", given(name=fresh, query={"range": "6h"})),
    "DELETE /views/{view_id:int}": Recipe("view.delete", "view"),
    "POST /metrics/import": Recipe("metrics.import", body=rows_of_a_server),
    "POST /metrics/custom": Recipe("metrics.custom", body=custom_value),
    "PUT /metrics/policies": Recipe("metric_policies.update", body=given(raw_days=8, minutes_days=90, hours_days=730)),
    "PUT /logs/policies": Recipe("log_policies.update", body=given(keep_days=20, compress_after_days=5)),
    "POST /commands": Recipe("command.run", body=command_on_a_server, result="intended"),
    "POST /commands/{server_id:int}": Recipe("command.run", "server", given(argv=["true"]), "intended", makes=True),
    "POST /commands/{command_id:int}/cancel": Recipe("command.cancel", "command"),
    "POST /commands/groups/{group_id:int}/cancel": Recipe("command.cancel", "group"),
    "POST /processes/{server_id:int}/{pid:int}/signal": Recipe(
        "process.signal", "server", given(signal="TERM", started_at=1.5), "intended", makes=True
    ),
    **{
        f"POST /docker/{{server_id:int}}/containers/{{container_id:str}}/{verb}": Recipe(
            f"container.{verb}", "server", result="intended", makes=True
        )
        for verb in ("start", "stop", "restart", "pause", "unpause", "kill")
    },
}
CHANGES_NOTHING = {
    "POST /metrics/import/finish": "brings the roll-ups up to date; what was imported is recorded",
    "POST /auth/second-factor/prove": "says again who is there; a wrong code is recorded",
    "POST /auth/refresh": "the session goes on as it was; a token used twice is recorded",
    "POST /alerts/thresholds/backtest": "reads stored readings",
    "POST /alerts/thresholds/suggest": "reads stored readings",
}


@pytest.fixture(scope="module")
async def whole_app(new_settings, passwords):
    settings = replace(await new_settings(), allow_private_targets=True)
    async with open_database(settings) as database:
        yield create_app(settings, database)


@pytest.fixture
async def world(whole_app, new_person) -> World:
    person = await new_person("admin", into=whole_app)
    return World(whole_app.state["accounts"].database, person)


def test_every_route_that_may_change_something_has_a_recipe(whole_app) -> None:
    found = {
        f"{method} {route.path.removeprefix('/api/v1')}"
        for route in whole_app.routes
        for handler in route_handlers_of(route)
        for method in getattr(handler, "http_methods", ())
        if method not in ("GET", "HEAD", "OPTIONS")
    }
    assert found == RECIPES.keys() | CHANGES_NOTHING.keys()


async def prepared(world: World, route: str) -> tuple[Callable[[], Awaitable[httpx.Response]], str | None]:
    """What sends the request of a route, and the id that is in its path. What it needs is there."""
    recipe = RECIPES[route]
    method, path = route.split()
    path = path.replace("{user_id:int}/sessions", f"{world.person.id}/sessions")
    made = str(await getattr(world, recipe.maker)()) if recipe.maker is not None else None
    if made is not None:
        path = path[: path.index("{")] + made + path[path.index("}") + 1 :]
    path = path.replace("{pid:int}", "4711").replace("{container_id:str}", "web")
    if path.startswith("/docker/"):
        path += "?wait_s=0"  # no agent is there to answer
    if path == "/metrics/import":
        path += "?measurement=disk"
    if path == "/metrics/custom":
        path += f"?server_id={await world.server()}"
    body = await recipe.body(world)
    sent = {} if body is None else {"content" if isinstance(body, bytes) else "json": body}
    return lambda: world.person.api.request(method, path, **sent), made


@pytest.mark.parametrize("route", RECIPES)
async def test_a_change_is_recorded_with_who_made_it_and_without_its_secrets(world, route) -> None:
    recipe = RECIPES[route]
    send, made = await prepared(world, route)
    last = await world.database.fetchval("SELECT entries FROM chatops.audit_head")

    answer = await send()

    assert answer.status_code < 300, answer.text
    rows = await world.database.fetch("SELECT * FROM chatops.audit_log WHERE id > $1 ORDER BY id", last)
    assert {row["action"] for row in rows} == {recipe.action}
    assert [row["result"] for row in rows] in ([recipe.result], ["intended", recipe.result])
    row = rows[-1]
    assert (row["actor_kind"], row["username"], row["role"]) == ("person", world.person.username, "admin")
    assert (row["user_id"], row["address"]) == (world.person.id, "127.0.0.1")
    assert row["session_id"] is not None
    assert row["target_id"] is not None
    assert recipe.makes or made in (None, row["target_id"])
    assert CANARY not in json.dumps([dict(row) for row in rows], default=str)
    assert (await verify(world.database)).valid


@pytest.mark.parametrize("route", RECIPES)
async def test_a_change_that_cannot_be_recorded_is_refused_and_not_made(world, route) -> None:
    send, _ = await prepared(world, route)
    async with broken_log(world.database):
        before = await everything(world.database)
        answer = await send()
        after = await everything(world.database)
    if route == "POST /auth/logout":
        # Who wants to be logged out is; that right is nobody's to refuse.
        assert answer.status_code == 204
        assert (await world.person.api.get("/auth/me")).status_code == 401
        return
    assert (answer.status_code, answer.json()["title"]) == (503, "Not recorded")
    assert after == before


async def everything(database: Database) -> dict[str, Any]:
    tables = (
        "users",
        "sessions",
        "servers",
        "api_keys",
        "alerts",
        "thresholds",
        "channels",
        "silences",
        "alert_events",
        "commands",
        "command_groups",
        "saved_views",
    )
    found = {table: await database.fetch(f"SELECT * FROM chatops.{table} ORDER BY 1, 2") for table in tables}
    return found | {"disk": await database.fetch("SELECT * FROM metrics.disk ORDER BY 1, 2")}
