"""Whoever may see some servers only reaches no other by any route or socket, however it is asked for.

Every route of the table in `test_access_matrix` is one of four kinds here; a new one that is none of them fails.
"""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import polars as pl
import pytest
import websockets

from chatops_backend.accounts.access import SERVER
from chatops_backend.accounts.service import STATE_KEY
from chatops_backend.accounts.visibility import VisibleServers
from chatops_backend.app import create_app
from chatops_backend.commands.policies import list_policies
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from tests.backend.accounts.test_access_matrix import ACCESS
from tests.backend.audit.test_every_change_is_recorded import RECIPES, RULE, SILENCE, World, everything
from tests.backend.transfer.importing import body_of

pytestmark = pytest.mark.anyio

# Kind 1: an id in the path leads to a server. Which method of `World` makes one of a server that nobody else has.
PARAMETERS = {
    "server_id": "server",
    "alert_id": "alert",
    "threshold_id": "rule",
    "silence_id": "silence",
    "command_id": "command",
    "group_id": "group",
}
NOT_OF_A_SERVER = {"user_id", "key_id", "channel_id", "session_id", "view_id", "filename", "path"}
# Kind 2: what the answer must not name.
LISTS = {
    "GET /api/v1/servers",
    "GET /api/v1/alerts",
    "GET /api/v1/alerts/thresholds",
    "GET /api/v1/alerts/silences",
    "GET /api/v1/commands",
}
# Kind 3: servers are named in the query or the body, or known by their agents alone; each has a test of its own below,
# the policies of connected agents in tests/backend/commands/test_policies.py.
TESTED_BELOW = {
    "GET /api/v1/commands/policies",
    "GET /api/v1/metrics/query",
    "POST /api/v1/metrics/import",
    "POST /api/v1/metrics/custom",
    "GET /api/v1/metrics/export",
    "GET /api/v1/analysis/forecast",
    "GET /api/v1/analysis/anomalies",
    "GET /api/v1/analysis/correlate",
    "GET /api/v1/analysis/compare",
    "GET /api/v1/analysis/blame",
    "POST /api/v1/commands",
    "POST /api/v1/alerts/thresholds",
    "POST /api/v1/alerts/thresholds/backtest",
    "POST /api/v1/alerts/thresholds/suggest",
    "POST /api/v1/alerts/silences",
    "WEBSOCKET /api/v1/ws/fleet",
    "WEBSOCKET /api/v1/ws/alerts",
}


def parameters_of(route: str) -> set[str]:
    return set(re.findall(r"{(\w+):", route))


def of_no_server(route: str) -> bool:
    """Kind 4: administrators only, public, or about accounts, channels and what holds for the whole installation."""
    path = route.split()[1].removeprefix("/api/v1")
    return ACCESS[route] in ("anyone", "admin", "agent") or path.startswith(
        (
            "/auth/",
            "/views",
            "/alerts/channels",
            "/metrics/catalog",
            "/metrics/policies",
            "/logs/policies",
            "/metrics/import",
        )
    )


BY_ID = [
    route for route in ACCESS if parameters_of(route) & PARAMETERS.keys() and ACCESS[route] in ("viewer", "operator")
]


def test_every_route_is_of_one_of_the_kinds() -> None:
    # What stands beside a server's id is that server's.
    others = {name for route in ACCESS if SERVER not in parameters_of(route) for name in parameters_of(route)}
    assert others <= PARAMETERS.keys() | NOT_OF_A_SERVER
    unknown = [route for route in ACCESS if route not in {*BY_ID, *LISTS, *TESTED_BELOW} and not of_no_server(route)]
    assert unknown == []


@dataclass
class Limited:
    """An operator who sees `own`, by its tag, and not `hidden`, whose tags and name hold `word`."""

    world: World
    api: httpx.AsyncClient
    person: Any
    own: int
    hidden: int
    word: str
    tag: str


@pytest.fixture(scope="module")
async def limits_app(new_settings):
    settings = await new_settings()
    async with open_database(settings) as database:
        yield create_app(settings, database)


@pytest.fixture(scope="module")
async def limits_port(limits_app, serve) -> int:
    return await serve(limits_app)


@pytest.fixture
async def limited(limits_app, limits_port, new_person) -> Limited:
    database: Database = limits_app.state[STATE_KEY].database
    admin, person = await new_person("admin", into=limits_app), await new_person("operator", into=limits_app)
    word, tag = f"hidden-{secrets.token_hex(4)}", f"team-{secrets.token_hex(4)}"
    insert = "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id"
    own = await database.fetchval(insert, f"own-{word[7:]}", [tag, "shared"])
    hidden = await database.fetchval(insert, word, [word, "shared"])
    change = {"all_servers": False, "server_tags": [tag]}
    assert (await admin.api.patch(f"/users/{person.id}", json=change)).status_code == 200
    return Limited(World(database, admin), person.api, person, own, hidden, word, tag)


async def rule(limited: Limited, **watched: Any) -> int:
    body = RULE | {"all_servers": False, "name": f"rule-{secrets.token_hex(5)}"} | watched
    answer = await limited.world.person.api.post("/alerts/thresholds", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize("route", [route for route in BY_ID if not route.startswith("WEBSOCKET")])
async def test_an_id_that_leads_to_another_server_is_one_that_does_not_exist(limited, route) -> None:
    method, path = route.split()
    path = path.removeprefix("/api/v1")
    [parameter] = parameters_of(route) & PARAMETERS.keys()
    recipe = RECIPES.get(f"{method} {path}")
    body = await recipe.body(limited.world) if recipe is not None else None
    sent = {} if body is None else {"json": body}

    async def status_of(made: int, person: httpx.AsyncClient) -> int:
        filled = path.replace(f"{{{parameter}:int}}", str(made)).replace("{pid:int}", "1")
        filled = re.sub(r"{\w+:str}", "0123456789ab", filled)
        return (await person.request(method, filled, **sent)).status_code

    made = await getattr(limited.world, PARAMETERS[parameter])()
    if parameter == "threshold_id":
        made = await rule(limited, server_ids=[limited.hidden])
    before = await everything(limited.world.database)
    assert await status_of(made, limited.api) == 404
    assert await everything(limited.world.database) == before
    # So the 404 is for what may not be seen, not for what is not there.
    assert await status_of(made, limited.world.person.api) != 404


@pytest.mark.parametrize("route", sorted(LISTS))
async def test_lists_hold_what_may_be_seen_and_nothing_else(limited, route) -> None:
    world, api = limited.world, limited.world.person.api
    for server_id, word in ((limited.own, "mine"), (limited.hidden, limited.word)):
        made = await rule(limited, server_ids=[server_id], name=f"{word} {secrets.token_hex(4)}")
        await world.database.execute(
            "INSERT INTO chatops.alerts (threshold_id, server_id, state, level, window_s, started_at) "
            "VALUES ($1, $2, 'firing', 'warning', 300, now())",
            made,
            server_id,
        )
        await api.post("/alerts/silences", json=SILENCE | {"server_id": server_id, "comment": word})
        await api.post("/commands", json={"server_ids": [server_id], "argv": ["echo", word]})
    path = route.split()[1].removeprefix("/api/v1")
    mine = (await limited.api.get(path, params={"limit": 1000})).text
    assert limited.word not in mine
    assert ("own-" if path == "/servers" else "mine") in mine
    everybodys = (await api.get(path, params={"limit": 1000})).text
    assert limited.word in everybodys
    # Filters do not get round it.
    ever = {"start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    for query in ({"server_id": limited.hidden}, {"search": limited.word}, {"tag": limited.word}, ever):
        assert limited.word not in (await limited.api.get(path, params=query)).text


async def test_analyses_are_of_visible_servers_only(limited) -> None:
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "metric": "host.cpu_percent"}
    await limited.world.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        "SELECT moment, server, 50 + 20 * sin(extract(epoch FROM moment) / 9000) FROM unnest($1::integer[]) AS server, "
        "generate_series('2026-01-01T00:00Z'::timestamptz, '2026-01-01T23:59Z', '20 min') AS moment",
        [limited.own, limited.hidden],
    )
    several, single = ("forecast", "anomalies", "compare"), ("correlate", "blame")
    for name in (*several, *single):
        sent = span if name != "forecast" else {"metric": span["metric"], "end": span["end"]}
        path = f"/analysis/{name}"
        assert (await limited.api.get(path, params=sent | {"server_id": limited.hidden})).status_code == 404, name
        answer = await limited.api.get(path, params=sent | {"server_id": limited.own})
        assert answer.status_code == 200, answer.text
        # So the 404 is for what may not be seen, not for what is not there.
        everybodys = await limited.world.person.api.get(path, params=sent | {"server_id": limited.hidden})
        assert everybodys.status_code == 200, name
    for name in several:
        sent = span if name != "forecast" else {"metric": span["metric"], "end": span["end"]}
        both = await limited.api.get(f"/analysis/{name}", params=sent | {"server_id": [limited.own, limited.hidden]})
        assert both.status_code == 404
        tagged = await limited.api.get(f"/analysis/{name}", params=sent | {"tag": "shared"})
        assert {one["server_id"] for one in tagged.json()["series"]} == {limited.own}
        hidden = await limited.api.get(f"/analysis/{name}", params=sent | {"tag": limited.word})
        unknown = await limited.api.get(f"/analysis/{name}", params=sent | {"tag": "none-has-it"})
        assert hidden.status_code == unknown.status_code == 400
    asked = span | {"server_id": limited.own}
    others = await limited.api.get("/analysis/correlate", params=asked | {"other_server_id": limited.hidden})
    assert others.status_code == 404
    others = await limited.api.get("/analysis/correlate", params=asked | {"other_tag": "shared"})
    assert others.json()["series"] == []
    others = await limited.world.person.api.get("/analysis/correlate", params=asked | {"other_tag": "shared"})
    assert limited.hidden in {one["server_id"] for one in others.json()["series"]}


async def test_rows_are_imported_of_visible_servers_only(limited) -> None:
    rows = pl.DataFrame({"server_id": [limited.own, limited.hidden, 2_000_000_000], "busy_percent": [1.0, 2.0, 3.0]})
    body = body_of(rows.with_columns(time=datetime.now(UTC) - timedelta(hours=1), device=pl.lit("sda")))
    answer = await limited.api.post("/metrics/import", params={"measurement": "disk"}, content=body)
    assert answer.json()["stored"] == 1
    assert answer.json()["refused"] == [{"reason": "unknown_server", "count": 2}]
    found = await limited.world.database.fetch("SELECT server_id FROM metrics.disk")
    assert limited.hidden not in {row["server_id"] for row in found}


async def test_values_are_pushed_to_visible_servers_only(limited) -> None:
    for server_id, status in ((limited.own, 200), (limited.hidden, 404), (2_000_000_000, 404)):
        answer = await limited.api.post(
            "/metrics/custom", params={"server_id": server_id}, json=[{"name": "queue", "value": 1}]
        )
        assert answer.status_code == status
    found = await limited.world.database.fetch("SELECT server_id FROM metrics.custom")
    assert {row["server_id"] for row in found} & {limited.own, limited.hidden} == {limited.own}


async def test_rows_are_exported_of_visible_servers_only(limited) -> None:
    query = {"measurement": "host", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await limited.world.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        "SELECT '2026-01-01T12:00Z', unnest($1::integer[]), 50 ON CONFLICT DO NOTHING",
        [limited.own, limited.hidden],
    )
    for server_ids in ([limited.hidden], [limited.own, limited.hidden]):
        answer = await limited.api.get("/metrics/export", params=query | {"server_id": server_ids})
        assert answer.status_code == 404
    answer = await limited.api.get("/metrics/export", params=query | {"tag": limited.word})
    assert (answer.status_code, answer.json()["title"]) == (400, "No servers")
    found = (await limited.api.get("/metrics/export", params=query | {"tag": "shared"})).text
    assert {line.split(",")[1] for line in found.splitlines()[1:]} == {str(limited.own)}


async def test_pages_of_a_list_are_full_though_others_servers_lie_between(limited) -> None:
    for _ in range(3):
        await limited.world.server()
    await limited.world.database.execute(
        "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2)", f"own too {limited.word[7:]}", [limited.tag]
    )
    first = (await limited.api.get("/servers", params={"limit": 1})).json()
    second = (await limited.api.get("/servers", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [len(first["items"]), len(second["items"])] == [1, 1]
    assert second["next_cursor"] is None


async def test_metrics_are_read_of_visible_servers_only(limited) -> None:
    query = {"metric": "host.cpu_percent", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await limited.world.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        "SELECT '2026-01-01T12:00Z', unnest($1::integer[]), 50 ON CONFLICT DO NOTHING",
        [limited.own, limited.hidden],
    )
    for server_ids in ([limited.hidden], [limited.own, limited.hidden]):
        answer = await limited.api.get("/metrics/query", params=query | {"server_id": server_ids})
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"There is no server {limited.hidden}; it may have been deleted."
    found = (await limited.api.get("/metrics/query", params=query | {"tag": "shared"})).json()
    assert {series["server_id"] for series in found["series"]} == {limited.own}
    found = (await limited.api.get("/metrics/query", params=query | {"tag": limited.word})).json()
    assert found["series"] == []


async def test_commands_go_to_visible_servers_only(limited) -> None:
    def run(**chosen: Any) -> Any:
        return limited.api.post("/commands", json={"argv": ["true"], **chosen})

    before = await everything(limited.world.database)
    assert (await run(server_ids=[limited.hidden])).status_code == 404
    assert (await run(server_ids=[limited.own, limited.hidden])).status_code == 404
    assert (await run(tag=limited.word)).status_code == 400
    assert await everything(limited.world.database) == before
    answer = await run(tag="shared")
    assert [command["server_id"] for command in answer.json()["commands"]] == [limited.own]

    both = {"server_ids": [limited.own, limited.hidden], "argv": ["true"]}
    group = (await limited.world.person.api.post("/commands", json=both)).json()
    answer = await limited.api.post(f"/commands/groups/{group['id']}/cancel")
    assert [command["server_id"] for command in answer.json()["commands"]] == [limited.own]
    cancelled = await limited.world.database.fetch(
        "SELECT server_id FROM chatops.commands WHERE group_id = $1 AND cancel_requested_at IS NOT NULL", group["id"]
    )
    assert [row["server_id"] for row in cancelled] == [limited.own]


async def test_what_hosts_allow_is_shown_of_visible_servers_only() -> None:
    agents = [SimpleNamespace(server_id=number, command_policy="shell") for number in (1, 2)]
    channel = SimpleNamespace(everyone=lambda: agents)
    for asked, shown in ((None, [1]), (1, [1]), (2, [])):
        found = await list_policies.fn(channel, VisibleServers(frozenset({1})), asked)
        assert [policy.server_id for policy in found.policies] == shown


async def test_rules_are_written_for_visible_servers_only(limited) -> None:
    def body(**watched: Any) -> dict[str, Any]:
        return RULE | {"all_servers": False, "name": f"rule-{secrets.token_hex(5)}"} | watched

    before = await everything(limited.world.database)
    for status, watched in (
        (400, {"server_ids": [limited.hidden]}),
        (400, {"server_ids": [limited.own, limited.hidden]}),
        (403, {"all_servers": True}),
        (403, {"tag": limited.tag}),
    ):
        assert (await limited.api.post("/alerts/thresholds", json=body(**watched))).status_code == status
    assert await everything(limited.world.database) == before
    made = await limited.api.post("/alerts/thresholds", json=body(server_ids=[limited.own]))
    assert made.status_code == 201
    path = f"/alerts/thresholds/{made.json()['id']}"
    assert (await limited.api.put(path, json=body(all_servers=True))).status_code == 403
    assert (await limited.api.delete(path)).status_code == 204

    # One that watches others too may be looked at, with its own part of the servers, and not be changed.
    both = await rule(limited, server_ids=[limited.own, limited.hidden])
    path = f"/alerts/thresholds/{both}"
    assert (await limited.api.get(path)).json()["threshold"]["server_ids"] == [limited.own]
    for made in (both, await rule(limited, all_servers=True), await rule(limited, tag=limited.tag)):
        path = f"/alerts/thresholds/{made}"
        assert (await limited.api.get(path)).status_code == 200
        assert (await limited.api.put(path, json=body(server_ids=[limited.own]))).status_code == 403
        assert (await limited.api.delete(path)).status_code == 403


async def test_replays_read_visible_servers_only(limited) -> None:
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    given = RULE | {"name": "tried", "warning": 10.0, "window_s": 60}
    await limited.world.database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        "SELECT moment, server, 50 FROM unnest($1::integer[]) AS server, "
        "generate_series('2026-01-01T10:00Z'::timestamptz, '2026-01-01T10:10Z', '10 s') AS moment",
        [limited.own, limited.hidden],
    )
    stored = await rule(limited, all_servers=True, warning=10.0, window_s=60)
    for what in ({"threshold": given}, {"threshold_id": stored}):
        answer = await limited.api.post("/alerts/thresholds/backtest", json=span | what)
        assert answer.status_code == 200, answer.text
        assert answer.json()["per_server"].keys() == {str(limited.own)}
    hidden = {"threshold": given | {"all_servers": False, "server_ids": [limited.hidden]}}
    assert (await limited.api.post("/alerts/thresholds/backtest", json=span | hidden)).status_code == 400
    hidden |= {"incidents": [], **span}
    assert (await limited.api.post("/alerts/thresholds/suggest", json=hidden)).status_code == 400


async def test_silences_are_made_of_visible_servers_only(limited) -> None:
    made = await rule(limited, all_servers=True)
    for status, covered in (
        (400, {"server_id": limited.hidden}),
        (403, {"tag": limited.tag}),
        (403, {"threshold_id": made}),
        (201, {"server_id": limited.own}),
        (201, {"server_id": limited.own, "threshold_id": made}),
    ):
        assert (await limited.api.post("/alerts/silences", json=SILENCE | covered)).status_code == status
    everybodys = await limited.world.person.api.post("/alerts/silences", json=SILENCE | {"tag": "shared"})
    path = f"/alerts/silences/{everybodys.json()['id']}"
    assert (await limited.api.put(path, json=SILENCE | {"server_id": limited.own})).status_code == 403
    assert (await limited.api.delete(path)).status_code == 403


async def test_tags_decide_who_sees_a_server_so_who_is_limited_does_not_change_them(limited) -> None:
    path = f"/servers/{limited.own}"
    assert (await limited.api.patch(path, json={"tags": [limited.tag, "more"]})).status_code == 403
    assert (await limited.api.patch(path, json={"description": "ours"})).json()["description"] == "ours"


async def first_message(port: int, person: Any, path: str) -> Any:
    """What the socket says first; the close code when it says nothing."""
    async with websockets.connect(f"ws://127.0.0.1:{port}/api/v1/ws/{path}") as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": person.access_token}))
        async with asyncio.timeout(5):
            try:
                return json.loads(await socket.recv())
            except websockets.ConnectionClosed:
                return socket.close_code


async def test_sockets_show_visible_servers_only(limited, limits_port) -> None:
    for server_id in (limited.own, limited.hidden):
        await limited.world.database.execute(
            "INSERT INTO chatops.alerts (threshold_id, server_id, state, level, window_s, started_at) "
            "VALUES ($1, $2, 'firing', 'warning', 300, now())",
            await rule(limited, all_servers=True),
            server_id,
        )
    fleet = await first_message(limits_port, limited.person, "fleet")
    assert [entry["server_id"] for entry in fleet["servers"]] == [limited.own]
    alerts = await first_message(limits_port, limited.person, "alerts")
    assert {alert["server_id"] for alert in alerts["alerts"]} == {limited.own}


@pytest.mark.parametrize("route", [route for route in BY_ID if route.startswith("WEBSOCKET")])
async def test_sockets_of_another_server_are_those_of_none(limited, limits_port, route) -> None:
    [parameter] = parameters_of(route) & PARAMETERS.keys()
    made = await getattr(limited.world, PARAMETERS[parameter])()
    path = route.split("/ws/")[1].replace(f"{{{parameter}:int}}", str(made))
    assert await first_message(limits_port, limited.person, path) == 4404


@pytest.mark.parametrize("change", ["limited otherwise", "another tag", "server deleted"])
async def test_sockets_end_within_five_seconds_of_another_choice_of_servers(limited, limits_port, change) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{limits_port}/api/v1/ws/fleet") as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": limited.person.access_token}))
        assert [entry["server_id"] for entry in json.loads(await socket.recv())["servers"]] == [limited.own]
        if change == "limited otherwise":
            body = {"server_tags": [], "server_ids": [limited.hidden]}
            await limited.world.person.api.patch(f"/users/{limited.person.id}", json=body)
        elif change == "another tag":
            await limited.world.database.execute("UPDATE chatops.servers SET tags = '{}' WHERE id = $1", limited.own)
        else:
            await limited.world.person.api.delete(f"/servers/{limited.own}")
        async with asyncio.timeout(5):
            await socket.wait_closed()
        assert socket.close_code == 1012
    assert await first_message(limits_port, limited.person, f"metrics/{limited.own}") == 4404


async def test_an_empty_choice_is_no_server_and_administrators_see_all(limited) -> None:
    body: dict[str, Any] = {"server_tags": [], "server_ids": []}
    await limited.world.person.api.patch(f"/users/{limited.person.id}", json=body)
    assert (await limited.api.get("/servers")).json()["items"] == []
    assert (await limited.api.get(f"/servers/{limited.own}")).status_code == 404
    await limited.world.person.api.patch(f"/users/{limited.person.id}", json={"role": "admin"})
    assert (await limited.api.get(f"/servers/{limited.hidden}")).status_code == 200
    await limited.world.person.api.patch(f"/users/{limited.person.id}", json={"all_servers": True, "role": "admin"})
    me = (await limited.api.get("/auth/me")).json()
    assert (me["all_servers"], me["server_ids"], me["server_tags"]) == (True, [], [])


@pytest.mark.parametrize(
    "change",
    [{"server_ids": [2_000_000_000]}, {"server_ids": [-1]}, {"server_ids": ["x"]}, {"server_tags": ["with space"]}],
)
async def test_a_choice_of_servers_that_are_none_is_a_400(limited, change) -> None:
    answer = await limited.world.person.api.patch(f"/users/{limited.person.id}", json=change)
    assert answer.status_code == 400
    new = {"username": f"new-{limited.tag}", "password": "a long enough one", "role": "viewer"} | change
    assert (await limited.world.person.api.post("/users", json=new)).status_code == 400
