"""Everybody keeps views of their own, up to a bound, and reaches nobody else's."""

import asyncio

import pytest

from chatops_backend.views import routes
from chatops_protocol.view_resources import MOST_QUERY_BYTES, MOST_VIEWS

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000
QUERY = {"metric": "host.cpu_percent", "range": "6h"}


@pytest.fixture(scope="module")
def views_app(build_app, database, settings):
    return build_app(database, settings, handlers=tuple(routes.route_handlers))


@pytest.fixture
async def ann(new_person, views_app):
    return await new_person("viewer", into=views_app)


@pytest.fixture
async def root(new_person, views_app):
    return await new_person("admin", into=views_app)


async def made(person, name="Busy hosts", query=QUERY) -> dict:
    answer = await person.api.post("/views", json={"name": name, "query": query})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_view_is_made_read_renamed_listed_and_deleted(ann) -> None:
    view = await made(ann)
    assert view | {"name": "Busy hosts", "query": QUERY} == view
    assert (await ann.api.get(f"/views/{view['id']}")).json() == view
    changed = await ann.api.put(f"/views/{view['id']}", json={"name": "Räume <b>", "query": {"tag": "a&b=c\n"}})
    assert changed.status_code == 200
    assert changed.json() | {"name": "Räume <b>", "query": {"tag": "a&b=c\n"}} == changed.json()
    assert (await ann.api.get("/views")).json() == {"items": [changed.json()], "next_cursor": None}
    assert (await ann.api.delete(f"/views/{view['id']}")).status_code == 204
    assert (await ann.api.get(f"/views/{view['id']}")).status_code == 404
    assert (await ann.api.get("/views")).json()["items"] == []


async def test_a_list_comes_in_pages(ann) -> None:
    ids = [(await made(ann, f"view {number}"))["id"] for number in range(3)]
    first = (await ann.api.get("/views", params={"limit": 2})).json()
    rest = (await ann.api.get("/views", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [view["id"] for view in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None


async def test_anothers_view_is_not_there_for_administrators_neither(ann, root) -> None:
    view = await made(ann)
    body = {"name": "mine now", "query": {}}
    answers = [
        await root.api.get(f"/views/{view['id']}"),
        await root.api.put(f"/views/{view['id']}", json=body),
        await root.api.delete(f"/views/{view['id']}"),
    ]
    missing = await root.api.get(f"/views/{MISSING}")
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert answers[0].json()["detail"] == missing.json()["detail"].replace(str(MISSING), str(view["id"]))
    assert (await root.api.get("/views")).json()["items"] == []
    assert (await ann.api.get(f"/views/{view['id']}")).json() == view


async def test_nobody_gets_there_without_a_session(views_app, client_of) -> None:
    async with client_of(views_app) as stranger:
        for method, path in [("GET", ""), ("POST", ""), ("GET", "/1"), ("PUT", "/1"), ("DELETE", "/1")]:
            answer = await stranger.request(method, f"/views{path}", json={"name": "x", "query": {}})
            assert answer.status_code == 401


async def test_what_is_not_there_is_said(ann) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await ann.api.request(method, f"/views/{MISSING}", json={"name": "x", "query": {}})
        assert answer.status_code == 404
    assert (await ann.api.get(f"/views/{2**63 - 1}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "", "query": {}},
        {"name": " x", "query": {}},
        {"name": "x\n", "query": {}},
        {"name": "x" * 201, "query": {}},
        {"name": "x", "query": []},
        {"name": "x", "query": {"Range": "6h"}},
        {"name": "x", "query": {"r" * 41: "6h"}},
        {"name": "x", "query": {"range": 6}},
        {"name": "x", "query": {"range": "a\0"}},
        {"name": "x", "query": {"range": "x" * 8001}},
        {"name": "x", "query": {f"p{number}": "" for number in range(41)}},
        {"name": "x", "query": {"a": "x" * 8000, "b": "x" * 8000, "c": "x" * 8000}},
        {"name": "x", "query": {}, "user_id": 1},
    ],
)
async def test_what_is_no_view_is_refused(ann, body) -> None:
    answer = await ann.api.post("/views", json=body)
    assert answer.status_code == 400, answer.text
    view = await made(ann)
    assert (await ann.api.put(f"/views/{view['id']}", json=body)).status_code == 400
    assert (await ann.api.get(f"/views/{view['id']}")).json() == view


async def test_the_largest_view_is_taken(ann) -> None:
    query = {"a": "x" * 8000, "b": "x" * 8000, "c": ""}
    query["c"] = "x" * (MOST_QUERY_BYTES - 16_000 - len('{"a":"","b":"","c":""}'))
    assert (await made(ann, query=query))["query"] == query
    query["c"] += "x"
    answer = await ann.api.post("/views", json={"name": "one more byte", "query": query})
    assert (answer.status_code, answer.json()["extra"][0]["key"]) == (400, "query")


async def test_a_name_is_taken_among_ones_own_whatever_its_case(ann, root) -> None:
    view, other = await made(ann), await made(ann, "Other")
    again = await ann.api.post("/views", json={"name": "BUSY hosts", "query": {}})
    assert (again.status_code, again.json()["title"]) == (409, "Name taken")
    renamed = await ann.api.put(f"/views/{other['id']}", json={"name": "busy HOSTS", "query": {}})
    assert (renamed.status_code, renamed.json()["title"]) == (409, "Name taken")
    assert (await ann.api.put(f"/views/{view['id']}", json={"name": "BUSY HOSTS", "query": {}})).status_code == 200
    await made(root)


async def test_nobody_has_more_views_than_the_bound_however_fast_they_ask(ann, database) -> None:
    await database.execute(
        "INSERT INTO chatops.saved_views (user_id, name, query) "
        "SELECT $1, 'view ' || number, '{}' FROM generate_series(1, $2::integer) AS number",
        ann.id,
        MOST_VIEWS - 1,
    )
    async with database.transaction() as held:
        await held.fetchval("SELECT id FROM chatops.users WHERE id = $1 FOR UPDATE", ann.id)
        bodies = [{"name": f"late {number}", "query": {}} for number in range(4)]
        asked = asyncio.gather(*(ann.api.post("/views", json=body) for body in bodies))
        # None gets past the person's row while it is held; without waiting for it, all would have counted by now.
        await asyncio.wait([asked], timeout=1)
    answers = await asked
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await database.fetchval("SELECT count(*) FROM chatops.saved_views WHERE user_id = $1", ann.id) == MOST_VIEWS


async def test_views_go_with_their_person(ann, root, database) -> None:
    view = await made(ann)
    assert (await root.api.delete(f"/users/{ann.id}")).status_code == 204
    assert await database.fetchval("SELECT count(*) FROM chatops.saved_views WHERE id = $1", view["id"]) == 0
