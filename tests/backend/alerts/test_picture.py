"""The chart of a notification: a PNG that other programs read, with the curve, its gaps and the bound in it."""

import secrets
import struct
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from chatops_backend.alerts.message import Notice, ToldChange
from chatops_backend.alerts.picture import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, draw, short_number
from chatops_backend.alerts.pictures import AlertPictures
from chatops_backend.metrics.reader import MetricReader
from tests.backend.alerts.alerting import START, Alerting

pytestmark = pytest.mark.anyio

LINE, BOUND, ENVELOPE, WINDOW = 5, 6, 4, 3


def pixels(png: bytes) -> list[bytes]:
    """The palette's number of each pixel, row by row; checks the file on the way."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        name, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length]) == (zlib.crc32(name + data),)
        chunks[name] = data
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, depth, colours, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (width, height, depth, colours) == (WIDTH, HEIGHT, 8, 3)
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = [raw[n : n + width + 1] for n in range(0, len(raw), width + 1)]
    assert {row[0] for row in rows} == {0}
    assert max(max(row[1:]) for row in rows) < len(chunks[b"PLTE"]) // 3
    return [row[1:] for row in rows]


def curve(values: list[float | None], bounds: tuple[float, ...] = (), window_s: float = 10) -> Curve:
    times = [float(n) for n in range(len(values))]
    return Curve(times, values, values, values, bounds, 0.0, float(len(values) - 1), window_s)


def drawn(subject: Curve) -> list[bytes]:
    png = draw(subject)
    assert png is not None
    assert len(png) < 10_000
    return pixels(png)


def rows_with(colour: int, picture: list[bytes], left: int = LEFT, right: int = RIGHT) -> list[int]:
    return [number for number, row in enumerate(picture) if colour in row[left:right]]


def test_a_rising_curve_rises_and_crosses_its_bound() -> None:
    picture = drawn(curve([float(n) for n in range(101)], (80.0,)))
    middle = (LEFT + RIGHT) // 2
    first, last = rows_with(LINE, picture, LEFT, middle), rows_with(LINE, picture, middle, RIGHT)
    assert min(first) > min(last)
    (bound,) = rows_with(BOUND, picture)
    assert min(last) < bound < min(first)
    assert TOP <= bound <= BOTTOM


def test_a_gap_stays_a_gap() -> None:
    picture = drawn(curve([50.0] * 40 + [None] * 20 + [50.0] * 41))
    columns = [x for x in range(LEFT + 1, RIGHT) if any(row[x] == LINE for row in picture)]
    hole = [b - a for a, b in pairwise(columns) if b - a > 1]
    assert len(hole) == 1
    assert hole[0] > (RIGHT - LEFT) * 0.17


def test_the_envelope_and_the_window_that_decided_are_shown() -> None:
    times = [float(n) for n in range(101)]
    picture = drawn(Curve(times, [50.0] * 101, [20.0] * 101, [90.0] * 101, (), 0.0, 100.0, 25.0))
    assert len(rows_with(ENVELOPE, picture)) > (BOTTOM - TOP) / 2
    shaded = [x for x in range(LEFT, RIGHT) if any(row[x] == WINDOW for row in picture)]
    assert min(shaded) == pytest.approx(LEFT + (RIGHT - LEFT) * 0.75, abs=2)


@pytest.mark.parametrize(
    "values", [[0.0], [0.0, 0.0], [1e300, -1e300], [5e-324, 0.0], [-7.0, -7.0], [None, 3.0], [1e12] * 500]
)
def test_any_values_can_be_drawn(values: list[float | None]) -> None:
    subject = curve(values)
    drawn(Curve(subject.times, values, values, values, (0.5, 1e15), 0.0, max(1.0, subject.end), 1e9))


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(curve([])) is None
    assert draw(curve([None, None])) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (93.25, "93.25"),
        (-5, "-5"),
        (12_345, "12.3k"),
        (5e6, "5M"),
        (1.5e9, "1.5G"),
        (2e12, "2T"),
        (0.0042, "4.20m"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


def change(**values: object) -> ToldChange:
    told = {
        "alert_id": 1,
        "threshold_id": 1,
        "rule": "disk",
        "kind": "threshold",
        "metric": "filesystem.used_percent",
        "aggregate": "avg",
        "comparison": "gt",
        "labels": {"mountpoint": "/"},
        "transition": "fired",
        "level": "warning",
        "value": 91.0,
        "bound": 80.0,
        "window_s": 300,
        "started_at": START,
        "at": START,
        "runbook_url": "",
    }
    return ToldChange(**(told | values))  # type: ignore[arg-type]


async def test_the_picture_is_of_the_series_that_fired(alerting: Alerting) -> None:
    server = await alerting.server()
    now = datetime.now(UTC)
    for mount, used in (("/", 90.0), ("/home", 10.0)):
        for minute in range(60):
            await alerting.database.execute(
                "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent)"
                " VALUES ($1, $2, $3, 'disk', 'ext4', $4)",
                now - timedelta(minutes=minute),
                server,
                mount,
                used,
            )
    pictures = AlertPictures(MetricReader(alerting.database))
    notice = Notice(
        server_id=server,
        server_name=f"server {secrets.token_hex(2)}",
        changes=[change(metric=None, kind="offline", labels={}), change(at=now.timestamp())],
    )
    png = await pictures(notice)
    assert png is not None
    picture = pixels(png)
    # Steady above its bound, as "/" was; "/home" would be below it.
    (bound,) = rows_with(BOUND, picture)
    assert max(rows_with(LINE, picture)) < bound
    offline = Notice(server_id=server, server_name="x", changes=notice.changes[:1])
    assert await pictures(offline) is None
