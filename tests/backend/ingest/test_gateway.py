"""The agents' socket of a running backend: who is let in, what is answered, what is stored."""

import asyncio
import contextlib
import itertools
import math
import time
from datetime import UTC, datetime, timedelta

import pytest
from websockets.exceptions import ConnectionClosed

from chatops_protocol.agent_messages import MAX_FRAME_BYTES, RowsRefused
from tests.backend.ingest.agent_socket import (
    authenticate,
    encode_json,
    encode_msgpack,
    metric_value,
    new_stream,
    opened,
    samples,
    stored_values,
    welcomed,
)

pytestmark = pytest.mark.anyio

ENCODINGS = pytest.mark.parametrize("encode", [encode_msgpack, encode_json], ids=["msgpack", "json"])


def refused(agent) -> list[tuple[int, str, str, int]]:
    return [(answer.sequence, answer.measurement, answer.reason, answer.count) for answer in agent.refused]


@ENCODINGS
async def test_frames_are_stored_and_acknowledged(backend, new_server, encode) -> None:
    server_id, key = new_server()
    async with opened(backend, encode) as agent:
        await agent.send(authenticate(key, new_stream()))
        welcome = await agent.welcomed()
        assert (welcome.server_id, welcome.last_sequence, welcome.ignored) == (server_id, 0, {})
        assert abs(welcome.server_time - time.time()) < 60
        await agent.send(samples(1, rows={"host": [[12.5, None]], "cpu": [["0", 1], ["1", 2.5]]}))
        await agent.send(samples(2, 13.5))
        await agent.stored(2)
    assert stored_values(backend, server_id) == [12.5, 13.5]
    assert stored_values(backend, server_id, "cpu.cpu_percent", core="1") == [2.5]
    latest = backend.call("GET", f"/metrics/{server_id}/latest").json()
    assert latest["host"]["cpu_percent"] == 13.5
    assert latest["host"]["load_1m"] is None
    assert [(row["core"], row["cpu_percent"]) for row in latest["cpu"]] == [("0", 1.0), ("1", 2.5)]


async def test_what_the_agent_offers_and_nobody_knows_is_named_in_the_welcome(backend, new_server) -> None:
    server_id, key = new_server()
    layouts = {1: {"host": ["moon_phase", "cpu_percent"], "gpu": ["core"]}}
    async with opened(backend) as agent:
        await agent.send(authenticate(key, new_stream(), layouts=layouts))
        assert (await agent.welcomed()).ignored == {"host": ["moon_phase"], "gpu": ["core"]}
        await agent.send(samples(1, rows={"host": [["full", 5.0]], "gpu": [["0"]]}))
        await agent.stored(1)
        assert refused(agent) == [(1, "gpu", "unknown_measurement", 1)]
    assert stored_values(backend, server_id) == [5.0]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (encode_msgpack(samples(1, 1.0)), 4401),
        (encode_json(samples(1, 1.0)), 4401),
        (b"", 4400),
        ("", 4400),
        ("hello", 4400),
        ("null", 4400),
        ("{}", 4400),
        (b"\x80", 4400),
        (b"\x81\xa4type\xa2\xff\xfe", 4400),
        ('{"type":"' + "\N{GRINNING FACE}" * 80 + '"}', 4400),
        ('{"type":"samples","rows":{"host":' + "[" * 100_000, 4400),
        (b"\x82\xa4type\xa7samples\xa1x" + b"\x91" * 100_000, 4400),
        (encode_msgpack(authenticate("", "s")), 4401),
        (encode_msgpack(authenticate("chatops_agent_\0", "s")), 4401),
        (encode_msgpack(authenticate("chatops_agent_" + "0" * 49, "s")), 4401),
        (encode_msgpack(authenticate("x", "")), 4400),
        (encode_msgpack(authenticate("x", "no spaces")), 4400),
        (encode_msgpack(authenticate("x", "s", layouts={})), 4400),
        (encode_msgpack(authenticate("x", "s", interval_s=0)), 4400),
        (encode_msgpack(authenticate("x", "s", interval_s=math.nan)), 4400),
        (encode_msgpack(authenticate("x", "s", platform="\0")), 4400),
        (encode_msgpack(authenticate("x", "s", platform="x" * 201)), 4400),
    ],
    ids=range(22),
)
async def test_any_other_first_message_closes_the_socket(backend, first, code) -> None:
    async with opened(backend) as agent:
        await agent.socket.send(first)
        assert await agent.close_code() == code
    assert "Traceback" not in backend.program.log.read_text()


async def test_a_good_key_with_a_layout_that_cannot_be_used_closes_the_socket(backend, new_server) -> None:
    _, key = new_server()
    async with opened(backend) as agent:
        await agent.send(authenticate(key, new_stream(), layouts={1: {"cpu": ["cpu_percent"]}}))
        assert await agent.close_code() == 4400
        assert agent.socket.close_reason == "cpu: labels missing: core"


async def test_a_socket_that_says_nothing_is_closed_after_five_seconds(backend) -> None:
    async with opened(backend) as agent:
        started = time.monotonic()
        assert await agent.close_code() == 4401
        assert time.monotonic() - started > 4


async def test_a_second_authentication_closes_the_socket(backend, new_server) -> None:
    _, key = new_server()
    async with welcomed(backend, key) as agent:
        await agent.send(authenticate(key, new_stream()))
        assert await agent.close_code() == 4400


async def test_the_welcome_says_where_to_resume_and_repeated_frames_are_stored_once(backend, new_server) -> None:
    server_id, key = new_server()
    stream = new_stream()
    frames = [samples(sequence, float(sequence)) for sequence in range(1, 6)]
    async with welcomed(backend, key, stream) as agent:
        for frame in frames[:3]:
            await agent.send(frame)
        await agent.stored(3)
    async with opened(backend, encode_json) as agent:
        await agent.send(authenticate(key, stream))
        assert (await agent.welcomed()).last_sequence == 3
        for frame in [*frames[:3], *frames, *frames]:
            await agent.send(frame)
        await agent.stored(5)
    assert stored_values(backend, server_id) == [1, 2, 3, 4, 5]
    async with opened(backend) as agent:
        await agent.send(authenticate(key, new_stream()))
        assert (await agent.welcomed()).last_sequence == 0


async def test_frames_of_two_streams_do_not_hide_each_other(backend, new_server) -> None:
    server_id, key = new_server()
    for value in (1.0, 2.0):
        async with welcomed(backend, key) as agent:
            await agent.send(samples(1, value))
            await agent.stored(1)
    assert stored_values(backend, server_id) == [1, 2]


async def test_a_spool_in_use_outlives_any_number_of_new_ones(backend, new_server) -> None:
    server_id, key = new_server()
    other_key = backend.call("POST", "/api-keys", json={"server_id": server_id, "name": "2"}).json()["key"]
    before = metric_value(backend, "chatops_ingest_streams_retired_total")
    async with welcomed(backend, key) as agent:
        await agent.send(samples(1, 1.0))
        await agent.stored(1)
        for _ in range(70):
            async with welcomed(backend, other_key):
                pass
        await agent.send(samples(2, 2.0))
        await agent.stored(2)
    assert stored_values(backend, server_id) == [1, 2]
    assert metric_value(backend, "chatops_ingest_streams_retired_total") - before == 7


async def test_sequences_may_have_gaps_up_to_the_largest_there_is(backend, new_server) -> None:
    server_id, key = new_server()
    stream, last = new_stream(), 2**63 - 1
    async with welcomed(backend, key, stream) as agent:
        for sequence in (1, 7, 1_000_000, last):
            await agent.send(samples(sequence, float(sequence)))
        await agent.stored(last)
    async with opened(backend) as agent:
        await agent.send(authenticate(key, stream))
        assert (await agent.welcomed()).last_sequence == last
    assert stored_values(backend, server_id) == [1.0, 7.0, 1_000_000.0, float(last)]


async def test_of_two_sockets_with_one_key_the_newest_wins(backend, new_server) -> None:
    server_id, key = new_server()
    stream = new_stream()
    async with welcomed(backend, key, stream) as older, welcomed(backend, key, stream) as newer:
        assert await older.close_code() == 4409
        await newer.send(samples(1, 1.0))
        await newer.stored(1)
        events = backend.call("GET", f"/servers/{server_id}/connections").raise_for_status().json()["items"]
        assert sorted(event["event"] for event in events)[:3] == ["connected", "connected", "disconnected"]
        assert [event["event"] for event in events].count("replaced") == 1
    assert stored_values(backend, server_id) == [1.0]


async def test_of_many_sockets_with_one_key_at_once_one_is_left(backend, new_server) -> None:
    server_id, key = new_server()
    stream = new_stream()

    async def connect_and_stay() -> int | None:
        async with opened(backend) as agent:
            await agent.send(authenticate(key, stream))
            with contextlib.suppress(ConnectionClosed):
                await agent.send(samples(1, 1.0))
            return await agent.close_code(60)

    tasks = [asyncio.create_task(connect_and_stay()) for _ in range(8)]
    async with asyncio.timeout(30):
        codes = [await ended for ended in itertools.islice(asyncio.as_completed(tasks), len(tasks) - 1)]
    assert set(codes) == {4409}
    (left,) = (task for task in tasks if not task.done())
    left.cancel()
    await asyncio.wait([left])
    async with welcomed(backend, key, stream) as agent:
        await agent.send(samples(1, 1.0))
        await agent.send(samples(2, 2.0))
        await agent.stored(2)
    assert stored_values(backend, server_id) == [1.0, 2.0]


@ENCODINGS
async def test_a_key_writes_for_its_own_server_whatever_the_messages_say(backend, new_server, encode) -> None:
    (own, key), (other, _) = new_server(), new_server()
    named = {"server_id": other, "server": other, "key_id": 1, "server_name": "other"}
    async with opened(backend, encode) as agent:
        await agent.send(authenticate(key, new_stream(), **named))
        assert (await agent.welcomed()).server_id == own
        for sequence in range(1, 6):
            await agent.send(samples(sequence, float(sequence), **named))
        await agent.send(samples(6, rows={"host": [[6.0, None]], "server_id": [[other]]}))
        await agent.stored(6)
    assert stored_values(backend, own) == [1, 2, 3, 4, 5, 6]
    assert stored_values(backend, other) == []
    assert backend.call("GET", f"/servers/{other}").json()["status"] == "never"


async def test_a_layout_cannot_name_the_columns_of_time_and_server(backend, new_server) -> None:
    (own, key), (other, _) = new_server(), new_server()
    layouts = {1: {"host": ["server_id", "time", "cpu_percent"]}}
    async with opened(backend) as agent:
        await agent.send(authenticate(key, new_stream(), layouts=layouts))
        assert (await agent.welcomed()).ignored == {"host": ["server_id", "time"]}
        await agent.send(samples(1, rows={"host": [[other, 0, 4.0]]}))
        await agent.stored(1)
    assert stored_values(backend, own) == [4.0]
    assert stored_values(backend, other) == []


async def test_one_server_does_not_see_another_ones_stream_of_the_same_name(backend, new_server) -> None:
    (first, first_key), (second, second_key) = new_server(), new_server()
    stream = new_stream()
    async with welcomed(backend, first_key, stream) as agent:
        await agent.send(samples(9, 9.0))
        await agent.stored(9)
    async with opened(backend) as agent:
        await agent.send(authenticate(second_key, stream))
        assert (await agent.welcomed()).last_sequence == 0
        await agent.send(samples(1, 1.0))
        await agent.stored(1)
    assert (stored_values(backend, first), stored_values(backend, second)) == ([9.0], [1.0])


async def test_a_deactivated_key_closes_its_socket_and_no_other(backend, new_server) -> None:
    server_id, key = new_server()
    _, other_key = new_server()
    async with welcomed(backend, key) as agent, welcomed(backend, other_key) as other:
        key_id = backend.call("GET", "/api-keys", params={"server_id": server_id}).json()["items"][0]["id"]
        backend.call("POST", f"/api-keys/{key_id}/deactivate").raise_for_status()
        assert await agent.close_code(5) == 4401
        await other.send(samples(1, 1.0))
        await other.stored(1)
    async with opened(backend) as agent:
        await agent.send(authenticate(key, new_stream()))
        assert await agent.close_code() == 4401


async def test_a_key_that_expires_closes_its_socket(backend, new_server) -> None:
    server_id, _ = new_server()
    expires = datetime.now(UTC) + timedelta(seconds=2)
    body = {"server_id": server_id, "name": "short", "expires_at": expires.isoformat()}
    key = backend.call("POST", "/api-keys", json=body).raise_for_status().json()["key"]
    async with welcomed(backend, key) as agent:
        assert await agent.close_code(10) == 4401
    assert datetime.now(UTC) >= expires


async def test_a_deleted_server_closes_the_socket(backend, new_server) -> None:
    server_id, key = new_server()
    async with welcomed(backend, key) as agent:
        await agent.send(samples(1, 1.0))
        await agent.stored(1)
        backend.call("DELETE", f"/servers/{server_id}").raise_for_status()
        assert await agent.close_code(5) == 4401


async def test_a_frame_over_one_mebibyte_closes_the_socket_and_the_backend_goes_on(backend, new_server) -> None:
    server_id, key = new_server()
    stream = new_stream()
    async with welcomed(backend, key, stream) as agent:
        await agent.socket.send(bytes(MAX_FRAME_BYTES + 1))
        assert await agent.close_code() == 1009
    async with welcomed(backend, key, stream) as agent:
        frame = encode_msgpack(samples(1, 1.0))
        await agent.send(samples(1, 1.0, filler="x" * (MAX_FRAME_BYTES - len(frame) - 12)))
        await agent.stored(1)
    assert stored_values(backend, server_id) == [1.0]


@ENCODINGS
async def test_times_out_of_range_are_refused_and_counted_while_the_mark_moves_on(backend, new_server, encode) -> None:
    server_id, key = new_server()
    stream, now = new_stream(), time.time()
    counted = {
        reason: metric_value(backend, f'chatops_ingest_refused_rows_total{{reason="{reason}"}}')
        for reason in ("too_old", "in_the_future")
    }
    late = metric_value(backend, "chatops_ingest_late_frames_total")
    async with welcomed(backend, key, stream, encode) as agent:
        times = [now - 8 * 86_400, now - 10 * 365 * 86_400, -1e300, 0, now + 400, now + 10 * 365 * 86_400, 1e300]
        for sequence, at in enumerate(times, 1):
            await agent.send(samples(sequence, 1.0, 2.0, time=at))
        await agent.stored(len(times))
        await agent.send(samples(8, 8.0, time=now + 200))
        await agent.send(samples(9, 9.0, time=now - 1800))
        await agent.stored(9)
        old, future = "too_old", "in_the_future"
        expected = [old, old, old, old, future, future, future]
        assert refused(agent) == [(n, "host", reason, 2) for n, reason in enumerate(expected, 1)]
    assert stored_values(backend, server_id) == [9.0, 8.0]
    for reason, times_seen in (("too_old", 8), ("in_the_future", 6)):
        line = f'chatops_ingest_refused_rows_total{{reason="{reason}"}}'
        assert metric_value(backend, line) == counted[reason] + times_seen
    assert metric_value(backend, "chatops_ingest_late_frames_total") == late + 1, "only what was taken counts"
    async with opened(backend) as agent:
        await agent.send(authenticate(key, stream))
        assert (await agent.welcomed()).last_sequence == 9


async def test_a_time_that_is_no_number_is_refused(backend, new_server) -> None:
    server_id, key = new_server()
    async with welcomed(backend, key) as agent:
        for sequence, at in enumerate((math.nan, math.inf, -math.inf), 1):
            await agent.send(samples(sequence, 1.0, time=at))
        await agent.stored(3)
        assert refused(agent) == [(n, "host", "not_finite", 1) for n in (1, 2, 3)]
    assert stored_values(backend, server_id) == []


async def test_unknown_measurements_and_layouts_are_refused_and_the_rest_is_stored(backend, new_server) -> None:
    server_id, key = new_server()
    async with welcomed(backend, key) as agent:
        await agent.send(samples(1, rows={"host": [[1.0, 1.0]], "gpu": [[1], [2]], "custom": [["a", {}, 1]]}))
        await agent.send(samples(2, 2.0, layout=2))
        await agent.send(samples(3, rows={}))
        await agent.send(samples(4, 4.0))
        await agent.stored(4)
        assert refused(agent) == [
            (1, "gpu", "unknown_measurement", 2),
            (1, "custom", "unknown_measurement", 1),
            (2, "host", "unknown_layout", 1),
        ]
    assert stored_values(backend, server_id) == [1.0, 4.0]


@ENCODINGS
async def test_one_bad_row_of_a_thousand_costs_one_row(backend, new_server, encode) -> None:
    server_id, key = new_server()
    rows: list[list[object]] = [[str(core), float(core)] for core in range(1000)]
    rows[500] = ["500", "not a number"]
    async with welcomed(backend, key, encode=encode) as agent:
        await agent.send(samples(1, rows={"cpu": rows}))
        await agent.stored(1)
        assert refused(agent) == [(1, "cpu", "wrong_type", 1)]
    stored = stored_values(backend, server_id, "cpu.cpu_percent")
    assert sorted(stored) == [float(core) for core in range(1000) if core != 500]


async def test_a_frame_that_cannot_be_read_costs_that_frame(backend, new_server) -> None:
    server_id, key = new_server()
    async with welcomed(backend, key) as agent:
        good = encode_msgpack(samples(2, rows={"cpu": [["name", 2.0]]}))
        await agent.socket.send(good.replace(b"name", b"na\xff\xfe"))
        await agent.socket.send(good[:-3])
        await agent.socket.send("[" * 50_000)
        await agent.socket.send(b"\x85\xa4type\xa7samples\xa4rows\x81\xa3cpu" + b"\x91" * 50_000)
        await agent.send(samples(1, rows={"host": 5}))
        await agent.send(samples(0, 1.0))
        await agent.send(samples(-1, 1.0))
        await agent.send(samples(3, 3.0))
        await agent.stored(3)
        assert [answer.reason for answer in agent.refused] == ["malformed"] * 7
        assert all(isinstance(answer, RowsRefused) and answer.sequence == 0 for answer in agent.refused)
    assert stored_values(backend, server_id) == [3.0]
    assert "Traceback" not in backend.program.log.read_text()


async def test_a_label_that_nobody_can_store_is_refused_and_every_other_text_is_stored(backend, new_server) -> None:
    server_id, key = new_server()
    names = ["'; DROP TABLE metrics.cpu; --", '"', "\\", "%s $1 :name", "Ω\u202e\ufeff", "\x01\x1f\x7f", ""]
    async with welcomed(backend, key) as agent:
        rows = [[name, float(n)] for n, name in enumerate(names)] + [["nul\0", 99.0]]
        await agent.send(samples(1, rows={"cpu": rows}))
        await agent.stored(1)
        assert refused(agent) == [(1, "cpu", "wrong_type", 1)]
    latest = backend.call("GET", f"/metrics/{server_id}/latest").json()["cpu"]
    assert sorted(row["core"] for row in latest) == sorted(names)


async def test_all_that_an_agent_says_of_itself_is_seen_on_its_server(backend, new_server) -> None:
    server_id, key = new_server()
    said = {"agent_version": "9.9.9", "platform": "Ω Linux", "interval_s": 17.0}
    async with welcomed(backend, key, **said):
        server = backend.call("GET", f"/servers/{server_id}").json()
        assert (server["agent_version"], server["platform"]) == ("9.9.9", "Ω Linux")
