"""Nothing in a request becomes SQL: every payload in every parameter, and labels that look like payloads."""

import json
from datetime import timedelta

import httpx
import pytest

from chatops_backend.database.interface import Database
from tests.backend.metrics.conftest import LAST_HOUR, TODAY, NewServer, assert_problem

pytestmark = pytest.mark.anyio

PAYLOADS = [
    "'", '"', "''", '""', "\\", "\\'", "`", ";", "--", "/*", "*/", "%", "_", "$1", "$$", "$1::text", ":name", "{}",
    "%s", "' OR '1'='1", "' OR 1=1--", '" OR ""="', "1 OR 1=1", "1; DROP TABLE metrics.host",
    "'; DROP TABLE metrics.host; --", "') OR true --", "')) OR true --",
    "' UNION SELECT username FROM chatops.users --",
    "1 UNION ALL SELECT 1,2,3,4,5",
    "host.cpu_percent FROM metrics.host --", "host.cpu_percent; SELECT 1", "host.\"cpu_percent\"", "host.cpu_percent)",
    "pg_sleep(5)", "'||pg_sleep(5)||'", "1 AND (SELECT pg_sleep(5)) IS NOT NULL", "ARRAY[1]", "'::regclass", "\x00",
    "a\x00b", "\n", "\r\n--\n", "\t", "\x7f", "ʼ OR 1=1", "＇ OR 1=1", "𝒳", "\u202e", "x" * 2_000, "../../etc/passwd",
    "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "null", "true", "[]", '{"$gt": ""}',
]  # fmt: skip


def hostile(payload: str) -> list[dict[str, str]]:
    filesystem = {"metric": "filesystem.used_percent"}
    return [
        {"metric": payload},
        {"metric": f"host.{payload}"},
        {**filesystem, "labels": json.dumps({"mountpoint": payload})},
        {**filesystem, "labels": json.dumps({payload: "/"})},
        {"metric": "custom.value", "labels": json.dumps({"labels": payload})},
        {"metric": "custom.value", "labels": json.dumps({"labels": json.dumps({payload: payload})})},
        {"labels": payload},
        {"tag": payload, "server_id": ""},
        {"aggregate": payload},
        {"aggregate": "avg", "group_by": payload},
        {"server_id": payload},
        {"start": payload},
        {"points": payload},
    ]


@pytest.mark.parametrize("payload", PAYLOADS, ids=[ascii(payload)[:40] for payload in PAYLOADS])
async def test_no_text_becomes_sql(api: httpx.AsyncClient, database: Database, server_id: int, payload: str) -> None:
    assert len(PAYLOADS) >= 50
    for changes in hostile(payload):
        params = {name: value for name, value in (LAST_HOUR | {"server_id": str(server_id)} | changes).items() if value}
        answer = await api.get("/metrics/query", params=params)
        assert answer.status_code in (200, 400, 404), (params, answer.text)
        # `null` stands for what is left out, `{}` for no filter.
        if answer.status_code == 200 and changes not in ({"labels": "{}"}, {"aggregate": "null"}):
            assert answer.json()["series"] == [], params
        if answer.status_code != 200:
            assert_problem(answer, answer.status_code)
            assert "syntax" not in answer.text


async def test_every_table_is_still_there(database: Database, server_id: int) -> None:
    assert await database.fetchval("SELECT count(*) FROM metrics.host WHERE server_id = $1", server_id) == 120


async def test_labels_with_any_text_are_found_by_it(
    api: httpx.AsyncClient, database: Database, new_server: NewServer
) -> None:
    texts = ['/it\'s "here"', "/100%", "/a_b", "/\\", "/ü/𝒳", "/$1", "/'; --"]
    server = await new_server()
    for place, text in enumerate(texts):
        await database.execute(
            "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
            "VALUES ($1, $2, $3, 'disk', 'ext4', $4)",
            TODAY - timedelta(seconds=90),
            server,
            text,
            float(place),
        )
    for place, text in enumerate(texts):
        params = LAST_HOUR | {"metric": "filesystem.used_percent", "labels": json.dumps({"mountpoint": text})}
        answer = (await api.get(f"/metrics/{server}/history", params=params)).raise_for_status().json()
        assert [(s["labels"]["mountpoint"], s["avg"]) for s in answer["series"]] == [(text, [float(place)])]
