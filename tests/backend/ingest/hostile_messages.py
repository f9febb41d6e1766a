"""A seeded corpus of messages that no agent sends: random bytes, damaged messages, good syntax with bad content."""

import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from benchmarks.simulated_agents import frame
from tests.backend.ingest.agent_socket import authenticate, encode_json, encode_msgpack, samples

Message = bytes | str
_CONTROL: tuple[dict[str, Any], ...] = (
    {"type": "order_started", "nonce": "a" * 32, "started_at": 1.0},
    {"type": "order_output", "nonce": "a" * 32, "sequence": 1, "stream": "stdout", "offset": 0, "data": b"x" * 50},
    {"type": "order_finished", "nonce": "a" * 32, "state": "ok", "exit_code": 0, "detail": "", "duration_s": 1.0},
    {"type": "answered", "answer": {"type": "processes_listed", "taken_at": 1.0, "total": 0, "processes": []}},
    {"type": "answer_failed", "reason": "failed", "detail": "x"},
)


def messages(random_source: random.Random, count: int) -> Iterator[Message]:
    """`count` messages, text and binary; the same ones for the same random source."""
    makers = (_random_bytes, _random_text, _truncated, _damaged, _spliced, _poisoned, _poisoned, _nested, _by_hand)
    for _ in range(count):
        yield random_source.choice(makers)(random_source)


def _good(source: random.Random) -> Any:
    return source.choice(
        (
            lambda: msgspec.to_builtins(frame(1, source.randrange(1, 2**40), time.time())),
            lambda: samples(source.randrange(1, 100), 1.0, 2.0),
            lambda: samples(source.randrange(1, 100), rows={"log": [[time.time(), "x.log", "error", "a line"]] * 3}),
            lambda: authenticate("chatops_agent_" + "x" * 49, "stream"),
            lambda: source.choice(_CONTROL) | {"id": source.randrange(1, 50)},
        )
    )()


def _encoded(source: random.Random, message: Any) -> Message:
    return source.choice((encode_msgpack, encode_json))(message)


def _changed(message: Message, change: Callable[[bytes], bytes]) -> Message:
    if isinstance(message, bytes):
        return change(message)
    return change(message.encode()).decode(errors="replace")


def _random_bytes(source: random.Random) -> Message:
    return source.randbytes(source.choice((0, 1, 2, 5, 50, 500, 5000)))


def _random_text(source: random.Random) -> Message:
    alphabet = '{}[]":,\\u0123456789eE.-+ truefalsn\0\x7f\u2028\N{GRINNING FACE}'
    return "".join(source.choices(alphabet, k=source.randrange(300)))


def _truncated(source: random.Random) -> Message:
    message = _encoded(source, _good(source))
    return message[: source.randrange(len(message))]


def _damaged(source: random.Random) -> Message:
    def change(data: bytes) -> bytes:
        damaged = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8, 64))):
            damaged[source.randrange(len(damaged))] = source.choice((source.randrange(256), 0, 0x80, 0xC1, 0xFF))
        return bytes(damaged)

    return _changed(_encoded(source, _good(source)), change)


def _spliced(source: random.Random) -> Message:
    """Parts of two messages, one of them perhaps many times over."""

    def change(data: bytes) -> bytes:
        other = encode_msgpack(_good(source))
        start, end = sorted(source.sample(range(len(other)), 2))
        place = source.randrange(len(data))
        return data[:place] + other[start:end] * source.choice((1, 1, 20)) + data[source.randrange(len(data)) :]

    return _changed(_encoded(source, _good(source)), change)


def _poisoned(source: random.Random) -> Message:
    """Good syntax, in which one to three values are something else."""
    message = _good(source)
    for _ in range(source.randrange(1, 4)):
        message = _replaced(source, message, 0)
    try:
        return _encoded(source, message)
    except (OverflowError, ValueError):
        return encode_msgpack(samples(1, math.nan))


def _replaced(source: random.Random, value: Any, depth: int) -> Any:
    if isinstance(value, dict) and value and source.random() < 0.9 - depth * 0.1:
        key = source.choice(list(value))
        if source.random() < 0.15:
            return {_hostile_key(source) if k is key else k: v for k, v in value.items()}
        return value | {key: _replaced(source, value[key], depth + 1)}
    if isinstance(value, list) and value and source.random() < 0.8:
        place = source.randrange(len(value))
        return [*value[:place], _replaced(source, value[place], depth + 1), *value[place + 1 :]]
    return _hostile_value(source)


def _hostile_key(source: random.Random) -> Any:
    return source.choice(("", "\0", "type", "server_id", "x" * 3000, "__class__", "cpu\0", "Ω"))


def _hostile_value(source: random.Random) -> Any:
    simple = (
        None,
        True,
        False,
        0,
        -1,
        2**63,
        2**64 - 1,
        -(2**63),
        1e308,
        -1e308,
        math.nan,
        math.inf,
        -math.inf,
        5e-324,
    )
    texts = ("", "\0", "a\0b", "x" * 5000, "auth", "samples", "'; --", "{}", "\ufeff", "\N{GRINNING FACE}" * 100, "1e5")
    shapes = ([], {}, [[]], [{}], {"a": []}, [None] * 500, [[None]] * 200, {str(n): n for n in range(200)}, b"\xff\xfe")
    return source.choice(source.choice((simple, texts, shapes)))


def _nested(source: random.Random) -> Message:
    depth = source.choice((10, 100, 500, 1000, 2000, 20_000))
    where = source.choice(
        ('{"type":"samples","sequence":1,"time":1,"layout":1,"rows":{"host":%s}}', "%s", '{"type":%s}')
    )
    if source.random() < 0.5:
        opening, closing = source.choice((("[", "]"), ('{"a":', "}")))
        return where.replace("%s", opening * depth + "1" + closing * source.choice((0, depth)))
    head = source.choice(
        (b"", b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\x01\xa6layout\x01\xa4rows\x81\xa4host")
    )
    return head + source.choice((b"\x91", b"\x81\xa1a", b"\x81")) * depth + b"\x01"


_BY_HAND: tuple[Message, ...] = (
    *("NaN", "Infinity", "-", "1e999", "0x1", "00", "\ufeff{}", "{" * 50, '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"'),
    '{"type":"samples","type":"auth"}',
    '{"type":"samples","sequence":' + "9" * 5000 + ',"time":1,"layout":1,"rows":{}}',
    '{"type":"samples","sequence":1,"time":1e999,"layout":1,"rows":{}}',
    '{"type":"samples","sequence":1,"time":NaN,"layout":1,"rows":{}}',
    '{"type":"samples","sequence":1,"time":1,"layout":' + "9" * 300 + ',"rows":{"host":[[1,1]]}}',
    '{"type":"samples","sequence":1.0,"time":1,"layout":1,"rows":{"host":[["\\ud800",1]]}}',
    '{"type":"samples","sequence":1,"time":1,"layout":1,"rows":{"\\udc00":[[1]]}}',
    '{"type":["samples"]}',
    '{"type":{"auth":1}}',
    b"\xc1",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff\xa1a",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xd6\xff\x00\x00\x00\x00",
    b"\x81\xc0\xc0",
    b"\x81\x90\x01",
    b"\x81\xa4type\xd9\x02\xff\xfe",
    b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\xcb\x7f\xf8\0\0\0\0\0\0\xa6layout\x01\xa4rows\x80",
    b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\x01\xa6layout\x01\xa4rows\x81\xa4host\xdd\xff\xff\xff\xff",
    b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\x01\xa6layout\x01\xa4rows\x81\xa3cpu\x91\x92\xa2\xff\xfe\x01",
    '{"type":"samples","sequence":1,"time":1,"layout":1,"rows":{"log":[[1e999,"x",null,"\\ud800"],[1,2,3,4],{}]}}',
    '{"type":"samples","sequence":1,"time":1,"layout":1,"rows":{"log":{"time":[1]}}}',
    b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\x01\xa6layout\x01\xa4rows\x81\xa3log\xdd\xff\xff\xff\xff",
    b"\x85\xa4type\xa7samples\xa8sequence\x01\xa4time\x01\xa6layout\x01\xa4rows\x81\xa3log\x91\x94\x01\xa2\xff\xfe\xc0\xa1x",
)


def _by_hand(source: random.Random) -> Message:
    return source.choice(_BY_HAND)
