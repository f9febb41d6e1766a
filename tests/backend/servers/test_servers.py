"""Servers: read by all, described by operators, named and removed by administrators; their status follows the marks."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000


@pytest.fixture
def name() -> str:
    return f"server {secrets.token_hex(6)}"


async def make(admin, name: str, **more) -> dict:
    answer = await admin.api.post("/servers", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_server_is_created_read_changed_and_deleted(admin, viewer, name) -> None:
    server = await make(admin, name, description="first\nsecond", tags=["web", "eu", "web"])
    assert server["tags"] == ["web", "eu"]
    assert (server["status"], server["last_seen"], server["agent_version"]) == ("never", None, None)
    assert (await viewer.api.get(f"/servers/{server['id']}")).json() == server
    changed = await admin.api.put(f"/servers/{server['id']}", json={"name": name + "x", "tags": []})
    assert changed.json() == server | {"name": name + "x", "tags": []}
    assert (await admin.api.delete(f"/servers/{server['id']}")).status_code == 204
    assert (await viewer.api.get(f"/servers/{server['id']}")).status_code == 404


async def test_a_server_that_is_filled_by_import_says_how_far_apart_its_readings_are(admin, database, name) -> None:
    every_so_often = await make(admin, name, interval_s=300)
    usual = await make(admin, f"{name} usual")
    rows = await database.fetch(
        "SELECT interval_s FROM chatops.servers WHERE id = ANY($1) ORDER BY id", [every_so_often["id"], usual["id"]]
    )
    assert [row["interval_s"] for row in rows] == [300.0, 5.0]


async def test_a_name_is_taken_whatever_its_case(admin, name) -> None:
    await make(admin, name)
    other = await make(admin, name + "2")
    assert (await admin.api.post("/servers", json={"name": name.upper()})).status_code == 409
    answer = await admin.api.patch(f"/servers/{other['id']}", json={"name": name.upper()})
    assert (answer.status_code, answer.json()["title"]) == (409, "Name taken")


async def test_operators_describe_and_tag_but_do_not_rename_or_delete(admin, operator, viewer, name) -> None:
    server = await make(admin, name)
    address = f"/servers/{server['id']}"
    described = await operator.api.put(address, json={"name": name, "description": "mail", "tags": ["eu"]})
    assert (described.status_code, described.json()["description"]) == (200, "mail")
    assert (await operator.api.put(address, json={"name": name + "x"})).status_code == 403
    assert (await operator.api.delete(address)).status_code == 403
    assert (await operator.api.post("/servers", json={"name": name + "y"})).status_code == 403
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await viewer.api.request(method, address, json={"description": "x"})).status_code == 403
    assert (await viewer.api.get(address)).json()["description"] == "mail"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " x"},
        {"name": "x\n"},
        {"name": "x\0y"},
        {"name": "x" * 201},
        {"name": None},
        {"name": "good", "tags": None},
        {"name": "good", "tags": ["with space"]},
        {"name": "good", "tags": ["nul\0"]},
        {"name": "good", "tags": ["x"] * 33},
        {"name": "good", "description": "nul\0"},
        {"name": "good", "description": "x" * 2001},
        {"name": "good", "id": 7},
        {"name": "good", "status": "online"},
        {"name": "good", "interval_s": 0},
        {"name": "good", "interval_s": 86_400},
    ],
)
async def test_a_malformed_server_is_a_400(admin, body) -> None:
    answer = await admin.api.post("/servers", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("server_id", [0, MISSING, 2**63 - 1])
async def test_a_missing_server_is_a_404(admin, server_id) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/connections")):
        body = {"json": {"name": "new name"}} if method in ("PUT", "PATCH") else {}
        answer = await admin.api.request(method, f"/servers/{server_id}{path}", **body)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


async def mark(database, server_id: int, age_s: float, stream: str = "s") -> None:
    await database.execute(
        "INSERT INTO chatops.stream_marks VALUES ($1, $2, 1, now() - make_interval(secs => $3))"
        " ON CONFLICT (server_id, stream) DO UPDATE SET received_at = excluded.received_at",
        server_id,
        stream,
        age_s,
    )


async def test_the_status_follows_the_newest_frame_and_the_interval(admin, viewer, database, name) -> None:
    server_id = (await make(admin, name))["id"]

    async def status(interval_s: float, *ages_s: float) -> str:
        await database.execute("UPDATE chatops.servers SET interval_s = $2 WHERE id = $1", server_id, interval_s)
        for number, age_s in enumerate(ages_s):
            await mark(database, server_id, age_s, f"stream {number}")
        return (await viewer.api.get(f"/servers/{server_id}")).json()["status"]

    assert await status(5) == "never"
    assert await status(5, 0) == "online"
    assert await status(1, 14) == "online"
    assert await status(1, 16) == "offline"
    assert await status(60, 170) == "online"
    assert await status(60, 190) == "offline"
    assert await status(5, 1000, 2) == "online"
    assert await status(float("nan"), 10, 10) == "online"
    assert await status(1e300, 4000, 4000) == "offline"
    assert await status(-5, 14, 14) == "online"


async def test_the_list_filters_by_tags_status_and_text(admin, viewer, database, name) -> None:
    word = secrets.token_hex(6)
    tag = f"tag-{word}"
    first = await make(admin, f"Web {word}", tags=[tag, "eu"])
    second = await make(admin, name, description=f"says {word} 100%_\\", tags=[tag])
    await mark(database, second["id"], 0)

    async def found(**params) -> list[int]:
        answer = await viewer.api.get("/servers", params=params)
        assert answer.status_code == 200, answer.text
        return [server["id"] for server in answer.json()["items"]]

    both = [first["id"], second["id"]]
    assert await found(tag=tag) == both
    assert await found(tag=[tag, "eu"]) == [first["id"]]
    assert await found(tag=tag, status="online") == [second["id"]]
    assert await found(tag=tag, status="never") == [first["id"]]
    assert await found(tag=tag, status="offline") == []
    assert await found(search=word.upper()) == both
    assert await found(search=f"{word} 100%_\\") == [second["id"]]
    assert await found(search=f"{word}%") == []
    assert await found(tag="' OR true --") == []
    assert await found(tag=tag, search="'; DROP TABLE chatops.servers; --") == []
    page = (await viewer.api.get("/servers", params={"tag": tag, "limit": 1})).json()
    rest = (await viewer.api.get("/servers", params={"tag": tag, "cursor": page["next_cursor"]})).json()
    assert [server["id"] for server in page["items"] + rest["items"]] == both
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"status": "up"},
        {"limit": 0},
        {"limit": 1001},
        {"cursor": "x"},
        {"search": "nul\0"},
        {"search": "x" * 201},
        {"tag": ["x"] * 33},
    ],
)
async def test_a_malformed_filter_is_a_400(viewer, query) -> None:
    assert (await viewer.api.get("/servers", params=query)).status_code == 400


async def test_connections_come_newest_first_in_pages(admin, viewer, database, name) -> None:
    server_id = (await make(admin, name))["id"]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(7):
        await database.execute(
            "INSERT INTO chatops.connection_events (time, server_id, event, detail, address)"
            " VALUES ($1, $2, $3, $4, $5)",
            start + timedelta(seconds=number // 3),  # several in one moment
            server_id,
            "connected" if number % 2 else "disconnected",
            f"number {number}",
            "192.0.2.1",
        )
    seen, cursor = [], {}
    while True:
        page = (await viewer.api.get(f"/servers/{server_id}/connections", params={"limit": 2, **cursor})).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({event["detail"] for event in seen}) == len(seen) == 7
    assert [event["time"] for event in seen] == sorted((event["time"] for event in seen), reverse=True)
    assert (seen[0]["detail"], seen[0]["time"]) == ("number 6", "2026-01-01T00:00:02Z")
    answer = await viewer.api.get(f"/servers/{server_id}/connections", params={"cursor": "WzFd"})
    assert answer.status_code == 400
