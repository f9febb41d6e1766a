"""Log lines of a running backend: stored once with their frame, found again by range, level, source and words."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from chatops_backend.database.open import open_database
from chatops_protocol.log_lines import MAX_MESSAGE_LENGTH
from tests.backend.alerts.rules import rule
from tests.backend.ingest.agent_socket import encode_json, metric_value, new_stream, samples, stored_values, welcomed
from tests.backend.logs.log_sending import LAYOUT, listed, logging_agent, messages

pytestmark = pytest.mark.anyio

SQL = [
    "'; DROP TABLE chatops.logs; --",
    "' OR 1=1 --",
    '" OR ""="',
    "1); SELECT pg_sleep(10); --",
    "$1",
    ":server_id",
    "%s %(x)s {x}",
    "\\'; \\x00",
    "'||(SELECT password_hash FROM chatops.users LIMIT 1)||'",
    "a' <-> 'b':* & !'c",
    "/* comment */ UNION SELECT 1,2,3",
    "E'\\\\'",
    "´ ʼ ＇ ';",
]


async def test_lines_come_newest_first_with_what_they_say(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send([now - 2, "a.log", "info", "first"], [now - 1, "b.log", None, "second"])
    second, first = listed(backend, server_id)
    assert (first["message"], first["source"], first["level"]) == ("first", "a.log", "info")
    assert (second["message"], second["level"]) == ("second", None)
    assert datetime.fromisoformat(first["time"]) == datetime.fromtimestamp(now - 2, UTC)


async def test_sources_are_listed_with_the_most_lines_first(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send([now - 2, "a.log", None, "1"], *([now, "journal:ssh.service", None, "2"] for _ in range(5)))
    answer = backend.call("GET", f"/logs/{server_id}/sources").json()["sources"]
    assert answer[0] == {"source": "journal:ssh.service", "lines": 5}
    assert {found["source"] for found in answer} == {"a.log", "chatops", "journal:ssh.service"}
    since = {"start": datetime.fromtimestamp(now - 1, UTC).isoformat()}
    answer = backend.call("GET", f"/logs/{server_id}/sources", params=since).json()["sources"]
    assert "a.log" not in {found["source"] for found in answer}
    assert backend.call("GET", "/logs/2000000000/sources").status_code == 404


@pytest.mark.parametrize("encode", [encode_json, None], ids=["json", "msgpack"])
async def test_readings_and_lines_travel_in_one_frame(backend, new_server, encode) -> None:
    server_id, key = new_server()
    options = {"encode": encode} if encode is not None else {}
    async with welcomed(backend, key, layouts={1: LAYOUT}, **options) as agent:
        rows = {"host": [[17.5, None]], "log": [[time.time(), "x", "error", "both"]]}
        await agent.send(samples(1, rows=rows))
        await agent.stored(1)
    assert messages(backend, server_id) == ["both"]
    assert stored_values(backend, server_id) == [17.5]


async def test_a_frame_that_is_sent_again_is_not_stored_twice(backend, new_server) -> None:
    server_id, key = new_server()
    stream = new_stream()
    for _ in range(3):
        async with logging_agent(backend, key, stream=stream) as agent:
            await agent.send("once")
    assert messages(backend, server_id) == ["once"]


async def test_agents_of_before_and_bad_lines_stop_nothing(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send_rows(
            [[now, "x", "info", "good"], [now, "x", "loud", "bad"], [now - 40 * 86_400, "x", None, "old"]]
        )
        assert {(r.measurement, r.reason, r.count) for r in agent.agent.refused} == {
            ("log", "wrong_type", 1),
            ("log", "too_old", 1),
        }
    async with welcomed(backend, key) as agent:
        await agent.send(samples(1, 5.0))
        await agent.stored(1)
    assert messages(backend, server_id) == ["good"]


async def test_lines_of_a_long_backlog_are_taken_although_its_readings_are_too_old(backend, new_server) -> None:
    server_id, key = new_server()
    then = time.time() - 10 * 86_400
    async with logging_agent(backend, key) as agent:
        await agent.send_rows([[then, "x", None, "ten days ago"]], time=then)
    start = datetime.fromtimestamp(then - 60, UTC).isoformat()
    assert messages(backend, server_id, start=start) == ["ten days ago"]
    assert messages(backend, server_id) == []


async def test_a_level_means_that_and_worse(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    levels = ["debug", "info", "notice", "warning", "error", "critical", None]
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now - n, "x", level, str(level)] for n, level in enumerate(levels)))
    assert messages(backend, server_id, level="warning") == ["warning", "error", "critical"]
    assert messages(backend, server_id, level="critical") == ["critical"]
    assert len(messages(backend, server_id, level="debug")) == 6
    assert len(messages(backend, server_id)) == 7


async def test_source_and_range_take_lines_out_of_the_list(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now - 60 * n, f"{n % 2}.log", None, str(n)] for n in range(4)))
    assert messages(backend, server_id, source="1.log") == ["1", "3"]
    assert messages(backend, server_id, source="no.log") == []
    at = {n: datetime.fromtimestamp(now - 60 * n, UTC) for n in range(4)}
    middle = {"start": at[2].isoformat(), "end": at[1].isoformat()}
    assert messages(backend, server_id, **middle) == ["2"]
    later = (at[1] + timedelta(milliseconds=1)).isoformat()
    assert messages(backend, server_id, start=at[2].isoformat(), end=later) == ["1", "2"]


async def test_words_find_lines_of_this_server_alone(backend, new_server) -> None:
    (server_id, key), (other_id, other_key) = new_server(), new_server()
    async with logging_agent(backend, key) as agent, logging_agent(backend, other_key) as other:
        await agent.send("disk /dev/sda1 is full", "disk is fine", "Connection refused by 10.0.0.7")
        await other.send("disk /dev/sdb1 is full")
    assert messages(backend, server_id, search="disk full") == ["disk /dev/sda1 is full"]
    assert messages(backend, other_id, search="full") == ["disk /dev/sdb1 is full"]
    assert messages(backend, server_id, search="DISK") == ["disk is fine", "disk /dev/sda1 is full"]
    assert messages(backend, server_id, search="disk -full") == ["disk is fine"]
    assert messages(backend, server_id, search='"refused by"') == ["Connection refused by 10.0.0.7"]
    assert messages(backend, server_id, search="conn*") == ["Connection refused by 10.0.0.7"]
    assert messages(backend, server_id, search="10.0.0.7") == ["Connection refused by 10.0.0.7"]
    assert messages(backend, server_id, search="fine or refused")[0] == "Connection refused by 10.0.0.7"
    assert len(messages(backend, server_id, search=" ")) == 3


async def test_pages_of_lines_of_one_time_have_no_gaps_and_no_repeats(backend, new_server) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now, "x", None, str(n)] for n in range(25)))
        seen: list[str] = []
        cursor = None
        while True:
            query = {"limit": 4, "source": "x"} | ({"cursor": cursor} if cursor else {})
            page = backend.call("GET", f"/logs/{server_id}", params=query).json()
            seen += [line["message"] for line in page["items"]]
            # What comes meanwhile is newer, and on no page after the first.
            await agent.send([now, "x", None, "new"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert seen == [str(n) for n in reversed(range(25))]


@pytest.mark.parametrize(
    "hostile",
    [
        *SQL,
        "\x1b[2J\x1b]0;title\x07",
        "<script>alert(1)</script>",
        "x" * MAX_MESSAGE_LENGTH,
        "word " * 3_000,
        "a" * 3_000,
        "\ufffd\ufdd0\U0010ffff",
        "-" * 5_000,
        "\r\n second line? \u2028 third",
    ],
)
async def test_hostile_lines_are_stored_as_they_are_and_searched_without_harm(backend, new_server, hostile) -> None:
    server_id, key = new_server()
    async with logging_agent(backend, key) as agent:
        await agent.send([time.time(), hostile[:200] or "x", None, hostile], "after it")
        assert agent.agent.refused == []
    assert set(messages(backend, server_id)) == {hostile, "after it"}
    for parameter in ("search", "source", "level", "start", "end", "cursor", "limit"):
        answer = backend.call("GET", f"/logs/{server_id}", params={parameter: hostile[:400]})
        assert answer.status_code in (200, 400), answer.text
    assert metric_value(backend, "chatops_ingest_refused_frames_total") == 0


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"level": "loud"}, "level"),
        ({"search": "---"}, "letters or digits"),
        ({"search": "nul \0"}, "search"),
        ({"search": "x" * 501}, "search"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "before"),
        ({"end": "0001-01-01T00:00:00Z"}, "too far back"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"limit": "0"}, "limit"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(backend, new_server, query, says) -> None:
    server_id, _ = new_server()
    answer = backend.call("GET", f"/logs/{server_id}", params=query)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


async def test_a_server_that_is_not_there_has_no_lines(backend) -> None:
    assert backend.call("GET", "/logs/2000000000").status_code == 404
    assert httpx.get(f"{backend.url}/api/v1/logs/1", trust_env=False).status_code == 401


async def test_connections_and_losses_stand_between_the_lines(backend, new_server) -> None:
    server_id, key = new_server()
    async with logging_agent(backend, key) as agent:
        await agent.send("hello")
    for _ in range(100):
        told = listed(backend, server_id, source="chatops")
        if len(told) == 2:
            break
        time.sleep(0.05)
    lost, connected = told
    assert connected["message"].startswith("agent connected")
    assert connected["level"] == "info"
    assert lost["message"].startswith("agent disconnected")
    assert lost["level"] == "warning"
    assert messages(backend, server_id, source="chatops", search="disconnected") == [lost["message"]]


async def test_alerts_that_fire_and_end_are_told(database) -> None:
    server_id = await database.fetchval(
        "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", f"alerting-{secrets.token_hex(4)}"
    )
    definition = rule(name=f"Disk {secrets.token_hex(4)}")
    rule_id = await database.fetchval(
        "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, $2::jsonb) RETURNING id",
        definition["name"],
        msgspec.json.encode(definition).decode(),
    )
    alert_id = await database.fetchval(
        "INSERT INTO chatops.alerts (threshold_id, server_id, labels, state, level, window_s) "
        """VALUES ($1, $2, '{"mountpoint": "/"}', 'firing', 'critical', 60) RETURNING id""",
        rule_id,
        server_id,
    )
    for transition, actor in (("pending", None), ("fired", None), ("acknowledged", "ann"), ("resolved", None)):
        await database.execute(
            "INSERT INTO chatops.alert_events "
            "(time, alert_id, threshold_id, server_id, transition, level, value, window_s, actor, comment) "
            "VALUES (clock_timestamp(), $1, $2, $3, $4, 'critical', 97.5, 60, $5, $6)",
            alert_id,
            rule_id,
            server_id,
            transition,
            actor,
            "mine" if actor else "",
        )
    rows = await database.fetch(
        "SELECT level::text, message FROM chatops.logs WHERE server_id = $1 ORDER BY time, id", server_id
    )
    assert [row["level"] for row in rows] == ["critical", "notice", "notice"]
    fired, acknowledged, resolved = (row["message"] for row in rows)
    assert fired.startswith("alert fired: Disk ")
    assert '(critical) at 97.5 {"mountpoint": "/"}' in fired
    assert acknowledged.endswith("by ann: mine")
    assert resolved.startswith("alert resolved: Disk ")


async def test_the_administrator_says_how_long_lines_are_kept(new_settings, backend) -> None:
    assert backend.call("GET", "/logs/policies").json() == {"keep_days": 30, "compress_after_days": 7}
    answer = backend.call("PUT", "/logs/policies", json={"keep_days": 14, "compress_after_days": 3})
    assert answer.json() == {"keep_days": 14, "compress_after_days": 3}
    assert backend.call("GET", "/logs/policies").json() == {"keep_days": 14, "compress_after_days": 3}
    for wrong in ({"keep_days": 5, "compress_after_days": 5}, {"keep_days": 0}, {"keep_days": 1e9}, {}, {"keep": 3}):
        assert backend.call("PUT", "/logs/policies", json=wrong).status_code == 400
    backend.call("PUT", "/logs/policies", json={"keep_days": 30}).raise_for_status()


async def test_old_lines_are_compressed_found_and_dropped(new_settings) -> None:
    settings = await new_settings()
    async with open_database(settings) as database:
        await database.execute("INSERT INTO chatops.servers (name) VALUES ('old')")
        await database.execute(
            "INSERT INTO chatops.logs (time, server_id, source, level, message) "
            "SELECT now() - n * INTERVAL '1 day', 1, 'x', 'error', 'line ' || n FROM generate_series(0, 40) AS n"
        )
        jobs = await database.fetch(
            "SELECT job_id, proc_name FROM timescaledb_information.jobs "
            "WHERE hypertable_name = 'logs' ORDER BY proc_name"
        )
        assert [job["proc_name"] for job in jobs] == ["policy_compression", "policy_retention"]
        for job in jobs:
            await database.execute("CALL run_job($1::integer)", job["job_id"])
        compressed = await database.fetchval(
            "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'logs' AND is_compressed"
        )
        assert compressed >= 20
        found = await database.fetch(
            "SELECT message FROM chatops.logs WHERE server_id = 1 AND words @@ to_tsquery('simple', '''20'' | ''3''')"
        )
        assert {row["message"] for row in found} == {"line 20", "line 3"}
        assert await database.fetchval("SELECT count(*) FROM chatops.logs") in range(29, 33)
        # A late backlog is written into a chunk that is compressed.
        await database.execute(
            "INSERT INTO chatops.logs (time, server_id, source, message) "
            "VALUES (now() - INTERVAL '20 days', 1, 'x', 'late')"
        )
        assert await database.fetchval("SELECT count(*) FROM chatops.logs WHERE words @@ 'late'") == 1
