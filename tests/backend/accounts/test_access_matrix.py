"""Every route of the whole application with every caller, against the table below.

The routes are read from the application: one that is missing here, or declares something else, fails.
"""

import asyncio
import json
from typing import Any

import httpx
import pytest
import websockets
from litestar import Litestar, get, post, websocket

from chatops_backend.accounts.access import (
    allow,
    allow_anyone,
    allow_person_socket,
    declared_access,
    require_access,
    route_handlers_of,
    verify_routes,
)
from chatops_backend.accounts.service import STATE_KEY
from chatops_backend.accounts.sockets import Socket
from chatops_backend.app import create_app
from chatops_backend.database.open import open_database
from chatops_backend.problems import exception_handlers
from chatops_backend.servers.agent_keys import generate_key
from chatops_protocol.resources import ROLES

pytestmark = pytest.mark.anyio

ACCESS = {
    "POST /api/v1/auth/login": "anyone",
    "POST /api/v1/auth/refresh": "anyone",
    "POST /api/v1/auth/logout": "anyone",
    "POST /api/v1/auth/change-password": "viewer",
    "GET /api/v1/auth/me": "viewer",
    "PUT /api/v1/auth/me": "viewer",
    "GET /api/v1/auth/sessions": "viewer",
    "DELETE /api/v1/auth/sessions": "viewer",
    "DELETE /api/v1/auth/sessions/{session_id:uuid}": "viewer",
    "GET /api/v1/auth/second-factor": "viewer",
    "POST /api/v1/auth/second-factor/enrol": "viewer",
    "POST /api/v1/auth/second-factor/confirm": "viewer",
    "POST /api/v1/auth/second-factor/prove": "viewer",
    "POST /api/v1/auth/second-factor/recovery-codes": "viewer",
    "POST /api/v1/auth/second-factor/disable": "viewer",
    "GET /api/v1/users": "admin",
    "POST /api/v1/users": "admin",
    "GET /api/v1/users/{user_id:int}": "admin",
    "PUT /api/v1/users/{user_id:int}": "admin",
    "PATCH /api/v1/users/{user_id:int}": "admin",
    "DELETE /api/v1/users/{user_id:int}": "admin",
    "GET /api/v1/users/{user_id:int}/sessions": "admin",
    "DELETE /api/v1/users/{user_id:int}/sessions": "admin",
    "DELETE /api/v1/users/{user_id:int}/sessions/{session_id:uuid}": "admin",
    "DELETE /api/v1/users/{user_id:int}/second-factor": "admin",
    "GET /api/v1/servers": "viewer",
    "POST /api/v1/servers": "admin",
    "GET /api/v1/servers/{server_id:int}": "viewer",
    "PUT /api/v1/servers/{server_id:int}": "operator",
    "PATCH /api/v1/servers/{server_id:int}": "operator",
    "DELETE /api/v1/servers/{server_id:int}": "admin",
    "GET /api/v1/servers/{server_id:int}/connections": "viewer",
    "GET /api/v1/api-keys": "admin",
    "POST /api/v1/api-keys": "admin",
    "POST /api/v1/api-keys/{key_id:int}/deactivate": "admin",
    "DELETE /api/v1/api-keys/{key_id:int}": "admin",
    "GET /api/v1/metrics/catalog": "viewer",
    "GET /api/v1/metrics/{server_id:int}/latest": "viewer",
    "GET /api/v1/metrics/{server_id:int}/history": "viewer",
    "GET /api/v1/metrics/query": "viewer",
    "GET /api/v1/metrics/storage": "admin",
    "GET /api/v1/analysis/forecast": "viewer",
    "GET /api/v1/analysis/anomalies": "viewer",
    "GET /api/v1/analysis/correlate": "viewer",
    "GET /api/v1/analysis/compare": "viewer",
    "GET /api/v1/analysis/blame": "viewer",
    "GET /api/v1/metrics/export": "viewer",
    "POST /api/v1/metrics/custom": "operator",
    "GET /api/v1/metrics/import": "operator",
    "POST /api/v1/metrics/import": "operator",
    "POST /api/v1/metrics/import/finish": "operator",
    "GET /api/v1/alerts": "viewer",
    "GET /api/v1/alerts/{alert_id:int}": "viewer",
    "POST /api/v1/alerts/{alert_id:int}/acknowledge": "operator",
    "POST /api/v1/alerts/{alert_id:int}/resolve": "operator",
    "GET /api/v1/alerts/thresholds": "viewer",
    "POST /api/v1/alerts/thresholds": "operator",
    "GET /api/v1/alerts/thresholds/{threshold_id:int}": "viewer",
    "PUT /api/v1/alerts/thresholds/{threshold_id:int}": "operator",
    "DELETE /api/v1/alerts/thresholds/{threshold_id:int}": "operator",
    "POST /api/v1/alerts/thresholds/backtest": "viewer",
    "POST /api/v1/alerts/thresholds/suggest": "viewer",
    "GET /api/v1/alerts/channels": "viewer",
    "POST /api/v1/alerts/channels": "admin",
    "GET /api/v1/alerts/channels/{channel_id:int}": "viewer",
    "PUT /api/v1/alerts/channels/{channel_id:int}": "admin",
    "PATCH /api/v1/alerts/channels/{channel_id:int}": "admin",
    "DELETE /api/v1/alerts/channels/{channel_id:int}": "admin",
    "POST /api/v1/alerts/channels/{channel_id:int}/test": "admin",
    "GET /api/v1/alerts/silences": "viewer",
    "POST /api/v1/alerts/silences": "operator",
    "PUT /api/v1/alerts/silences/{silence_id:int}": "operator",
    "DELETE /api/v1/alerts/silences/{silence_id:int}": "operator",
    "GET /api/v1/views": "viewer",
    "POST /api/v1/views": "viewer",
    "GET /api/v1/views/{view_id:int}": "viewer",
    "PUT /api/v1/views/{view_id:int}": "viewer",
    "DELETE /api/v1/views/{view_id:int}": "viewer",
    "GET /api/v1/logs/{server_id:int}": "viewer",
    "GET /api/v1/logs/{server_id:int}/sources": "viewer",
    "GET /api/v1/metrics/policies": "viewer",
    "PUT /api/v1/metrics/policies": "admin",
    "GET /api/v1/logs/policies": "viewer",
    "PUT /api/v1/logs/policies": "admin",
    "GET /api/v1/audit": "admin",
    "GET /api/v1/audit/verify": "admin",
    "POST /api/v1/commands/{server_id:int}": "operator",
    "POST /api/v1/commands": "operator",
    "GET /api/v1/commands": "viewer",
    "GET /api/v1/commands/policies": "viewer",
    "GET /api/v1/commands/{command_id:int}": "viewer",
    "POST /api/v1/commands/{command_id:int}/cancel": "operator",
    "POST /api/v1/commands/groups/{group_id:int}/cancel": "operator",
    "GET /api/v1/processes/{server_id:int}": "viewer",
    "POST /api/v1/processes/{server_id:int}/{pid:int}/signal": "operator",
    "GET /api/v1/agent/wheel": "anyone",
    "GET /api/v1/docker/{server_id:int}/containers": "viewer",
    "GET /api/v1/docker/{server_id:int}/containers/{container_id:str}": "viewer",
    "GET /api/v1/docker/{server_id:int}/containers/{container_id:str}/logs": "viewer",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/start": "operator",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/stop": "operator",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/restart": "operator",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/pause": "operator",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/unpause": "operator",
    "POST /api/v1/docker/{server_id:int}/containers/{container_id:str}/kill": "operator",
    "GET /api/v1/agent/wheel/{filename:str}": "anyone",
    "WEBSOCKET /api/v1/ws/metrics/{server_id:int}": "viewer",
    "WEBSOCKET /api/v1/ws/fleet": "viewer",
    "WEBSOCKET /api/v1/ws/alerts": "viewer",
    "WEBSOCKET /api/v1/ws/logs/{server_id:int}": "viewer",
    "WEBSOCKET /api/v1/ws/commands/{command_id:int}": "viewer",
    "WEBSOCKET /api/v1/agents/ws": "agent",
    "WEBSOCKET /api/v1/ws/docker/{server_id:int}/containers/{container_id:str}/logs": "viewer",
    "GET /health": "anyone",
    "GET /ready": "anyone",
    "GET /metrics": "anyone",
    "GET /schema": "anyone",
    "GET /schema/openapi.json": "anyone",
    "GET /schema/{path:str}": "anyone",
}
SOCKETS = [route.split()[1] for route, access in ACCESS.items() if route.startswith("WEBSOCKET") and access != "agent"]
# An id that nothing has: what is let in finds nothing and does no harm.
FILLED = {
    f"{{{name}:int}}"
    for name in (
        "user_id",
        "server_id",
        "key_id",
        "alert_id",
        "threshold_id",
        "channel_id",
        "silence_id",
        "command_id",
        "group_id",
        "pid",
        "view_id",
    )
}


def fill(path: str) -> str:
    for part in FILLED:
        path = path.replace(part, "2000000000")
    path = path.replace("{session_id:uuid}", "00000000-0000-4000-8000-000000000000")
    return (
        path.replace("{filename:str}", "none.whl")
        .replace("{path:str}", "none.json")
        .replace("{container_id:str}", "none")
    )


def routes_of(app: Litestar) -> dict[str, str]:
    found: dict[str, str] = {}
    for route in app.routes:
        for handler in route_handlers_of(route):
            access = declared_access(handler)
            assert access is not None
            by_role = access.caller in ("person", "person_socket")
            named = access.minimum if by_role else "agent" if access.caller == "agent_socket" else "anyone"
            for method in getattr(handler, "http_methods", {"WEBSOCKET"}):
                found[f"{method} {route.path}"] = named
    return found


@pytest.fixture(scope="module")
async def whole_app(new_settings):
    settings = await new_settings()
    async with open_database(settings) as database:
        yield create_app(settings, database)


@pytest.fixture(scope="module")
async def whole_port(whole_app, serve) -> int:
    return await serve(whole_app)


@pytest.fixture
async def callers(whole_app, whole_port, new_person) -> dict[str, str | None]:
    """An access token of each role, and what is none."""
    tokens: dict[str, str | None] = {"anonymous": None, "agent": generate_key()}
    for role in ROLES:
        tokens[role] = (await new_person(role, into=whole_app)).access_token
    return tokens


def may(caller: str, access: str) -> bool:
    if access == "anyone":
        return True
    return caller in ROLES and access in ROLES and ROLES.index(caller) >= ROLES.index(access)  # type: ignore[arg-type]


async def test_the_routes_are_those_of_the_table_and_declare_what_it_says(whole_app, whole_port) -> None:
    found = {route: access for route, access in routes_of(whole_app).items() if not route.startswith("OPTIONS ")}
    assert found == ACCESS
    options = {access for route, access in routes_of(whole_app).items() if route.startswith("OPTIONS ")}
    assert options == {"anyone"}


async def test_every_caller_gets_to_what_the_table_says_and_to_nothing_else(whole_port, callers) -> None:
    wrong: list[str] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{whole_port}") as client:
        for caller, token in callers.items():
            headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
            for route, access in ACCESS.items():
                method, path = route.split(" ", 1)
                if method == "WEBSOCKET":
                    continue
                # Whoever is let in fails on this body, and changes nothing.
                answer = await client.request(method, fill(path), headers=headers, content=b"{")
                status = answer.status_code
                expected = (
                    status not in (401, 403) if may(caller, access) else status == (403 if caller in ROLES else 401)
                )
                if not expected or status >= 500:
                    wrong.append(f"{caller}: {route} answered {status}")
    assert wrong == []


async def first_answer(port: int, path: str, first: Any) -> int | None:
    """The close code; None when the socket was let in."""
    async with websockets.connect(f"ws://127.0.0.1:{port}{fill(path)}") as socket:
        await socket.send(json.dumps(first))
        try:
            async with asyncio.timeout(5):
                await socket.recv()
        except websockets.ConnectionClosed:
            return socket.close_code
        return None


@pytest.mark.parametrize("path", SOCKETS)
async def test_people_get_into_their_sockets_and_nobody_else(whole_port, callers, path) -> None:
    codes = {
        caller: await first_answer(whole_port, path, {"type": "auth", "access_token": token or ""})
        for caller, token in callers.items()
    }
    assert {caller for caller, code in codes.items() if code == 4401} == {"anonymous", "agent"}
    assert {code for caller, code in codes.items() if caller in ROLES} <= {None, 4404}
    assert await first_answer(whole_port, path, {"type": "auth", "api_key": callers["agent"]}) == 4401


async def test_people_do_not_get_into_the_agents_socket(whole_port, callers) -> None:
    for token in callers.values():
        first = {"type": "auth", "api_key": token or "", "stream": "s", "layouts": {1: {"host": ["cpu_percent"]}}}
        assert await first_answer(whole_port, "/api/v1/agents/ws", first) == 4401


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
@pytest.mark.parametrize("path", [*SOCKETS, "/api/v1/agents/ws"])
async def test_pages_of_other_origins_get_into_no_socket(whole_port, path, origin) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{whole_port}{fill(path)}", additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403


@get("/forgotten")
async def forgotten() -> str:
    return "secret"


@websocket("/forgotten-socket")
async def forgotten_socket(socket: Socket) -> None:
    await socket.accept()


@websocket("/wrong-kind", opt=allow("viewer"))
async def wrong_kind(socket: Socket) -> None:
    await socket.accept()


@post("/wrong-kind-too", opt=allow_person_socket("viewer"))
async def wrong_kind_too() -> None:
    return None


@get("/unguarded", opt=allow_anyone())
async def unguarded() -> None:
    return None


@pytest.mark.parametrize("handler", [forgotten, forgotten_socket, wrong_kind, wrong_kind_too])
def test_a_route_without_a_fitting_declaration_stops_the_start(handler) -> None:
    app = Litestar([handler], guards=[require_access], openapi_config=None)
    path = next(iter(handler.paths))
    with pytest.raises(RuntimeError, match=path):
        verify_routes(app)


def test_routes_without_the_guard_stop_the_start() -> None:
    with pytest.raises(RuntimeError, match="/unguarded"):
        verify_routes(Litestar([unguarded], openapi_config=None))


def test_openapi_routes_without_a_declaration_stop_the_start() -> None:
    with pytest.raises(RuntimeError, match="/schema"):
        verify_routes(Litestar([], guards=[require_access]))


async def test_a_forgotten_route_is_refused_all_the_same(accounts, client_of) -> None:
    app = Litestar([forgotten], guards=[require_access], openapi_config=None, exception_handlers=exception_handlers)
    app.state[STATE_KEY] = accounts
    async with client_of(app) as client:
        answer = await client.get("http://backend/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text
