"""Time and level of log lines, as far as they say so."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_agent.following.formats import parse

NOW = datetime(2026, 11, 24, 10, 15, 0, tzinfo=UTC).timestamp()
AT = datetime(2026, 11, 24, 10, 14, 43, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def _host_in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("line", "at", "level"),
    [
        ("<11>1 2026-11-24T10:14:43.250Z web-1 app 42 - - it broke", AT + 0.25, "error"),
        ("<165>1 2026-11-24T12:14:43+02:00 web-1 app - - - it works", AT, "notice"),
        ("<34>Nov 24 10:14:43 web-1 su: failed", AT, "critical"),
        ("Nov 24 10:14:43 web-1 sshd[7]: Accepted publickey", AT, None),
        ("2026-11-24T10:14:43.123456+00:00 web-1 kernel: warning: it is hot", AT + 0.123456, "warning"),
        ("2026-11-24 10:14:43,500 ERROR app.views: it broke", AT + 0.5, "error"),
        ("2026-11-24 10:14:43.5 UTC [17] FATAL:  too many connections", AT + 0.5, "critical"),
        ("2026/11/24 10:14:43 [crit] 17#17: *1 open() failed", AT, "critical"),
        ("[2026-11-24 10:14:43 +0000] [17] [INFO] Booting worker", AT, "info"),
        ("[Tue Nov 24 10:14:43] [core:notice] ready", None, "notice"),
        ('10.0.0.1 - ann [24/Nov/2026:12:14:43 +0200] "GET / HTTP/1.1" 503 17 "-" "curl"', AT, "error"),
        ('10.0.0.1 - - [24/Nov/2026:10:14:43 +0000] "GET /x HTTP/1.1" 404 17', AT, "warning"),
        ('10.0.0.1 - - [24/Nov/2026:10:14:43 +0000] "GET / HTTP/1.1" 200 17', AT, "info"),
        ("E1124 10:14:43.250000    17 pod.go:12] it broke", AT + 0.25, "error"),
        ('{"time": "2026-11-24T10:14:43Z", "level": "WARN", "msg": "x"}', AT, "warning"),
        ('{"ts": 1795515283.5, "severity": "fatal"}', AT + 0.5, "critical"),
        ('{"time": 1795515283250, "level": 50, "msg": "pino"}', AT + 0.25, "error"),
        ('{"@timestamp": "2026-11-24T10:14:43.000Z", "log": {"level": "debug"}}', AT, "debug"),
        ('{"t": {"$date": "2026-11-24T10:14:43.000+00:00"}, "s": "W", "msg": "mongo"}', AT, "warning"),
        ('time="2026-11-24T10:14:43Z" level=warning msg="logfmt"', AT, "warning"),
        ("ts=2026-11-24T10:14:43Z lvl=eror msg=no", AT, "error"),
        ("\x1b[32mINFO\x1b[0m:     Started server process", None, "info"),
        ("WARNING:root:look out", None, "warning"),
        ("there is no error here", None, None),
        ("just words", None, None),
        ("", None, None),
    ],
)
def test_lines_of_usual_programs_are_understood(line: str, at: float | None, level: str | None) -> None:
    parsed = parse(line, NOW)
    assert parsed.level == level
    assert parsed.time == (pytest.approx(at) if at is not None else None)


def test_a_time_without_zone_is_the_hosts_own(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert parse("2026-11-24 11:14:43 INFO x", NOW).time == AT
    assert parse("Nov 24 11:14:43 web-1 x", NOW).time == AT


def test_a_year_that_is_not_said_is_the_last_one_that_fits() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()
    assert parse("Dec 31 23:59:59 web-1 x", new_year).time == new_year - 6


@pytest.mark.parametrize(
    "line",
    [
        "1999-01-01 00:00:00 ERROR long ago",
        "2026-11-24 11:14:43 ERROR in an hour",
        "2026-13-40 99:99:99 ERROR no day",
        "0000-00-00 00:00:00 ERROR no day",
        '{"time": 1e300, "level": "error"}',
        '{"time": 12, "level": "error"}',
    ],
)
def test_a_time_that_cannot_be_is_left_out_and_the_level_is_not(line: str) -> None:
    assert parse(line, NOW) == (None, "error")


@given(st.text(max_size=300) | st.text("<>[]{}\"':0123456789-T ./=levl,", max_size=300))
def test_no_line_is_too_strange(line: str) -> None:
    parsed = parse(line, NOW)
    assert parsed.time is None or abs(parsed.time - NOW) <= 31 * 86_400


def test_no_line_takes_long() -> None:
    started = time.perf_counter()
    for unit in ("[", "[a", "<1>", "1 ", "a b [", '{"a":', "2026-", "x: ", "level=", "\x1b[", " " * 3 + "-"):
        parse(unit * 4000, NOW)
    assert time.perf_counter() - started < 1
