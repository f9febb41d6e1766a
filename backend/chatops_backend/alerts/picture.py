"""Draws the small chart that goes with a notification, as a PNG of a few kilobytes. Pure: values in, bytes out.

By hand, since a drawing library would be the largest thing that is installed, for one line in 480 × 160 pixels.
"""

import struct
import zlib
from collections.abc import Sequence

from msgspec import Struct

WIDTH, HEIGHT = 480, 160
LEFT, RIGHT, TOP, BOTTOM = 56, WIDTH - 8, 8, HEIGHT - 22

# Of the palette; the colours are told apart by the colour-blind.
_WHITE, _GREY, _INK, _WINDOW, _ENVELOPE, _LINE, _BOUND = range(7)
_PALETTE = bytes.fromhex("ffffff c8ccd0 30343a fff3d6 c6dcf0 1f6fb2 c8321e".replace(" ", ""))
# Three columns of five pixels each, read from the top, a hexadecimal digit a row.
_GLYPHS = {
    "0": "75557",
    "1": "26227",
    "2": "71747",
    "3": "71717",
    "4": "55711",
    "5": "74717",
    "6": "74757",
    "7": "71122",
    "8": "75757",
    "9": "75717",
    ".": "00002",
    ":": "02020",
    "-": "00700",
    "k": "45655",
    "M": "57755",
    "G": "74557",
    "T": "72222",
    "m": "00775",
    "d": "11757",
    "U": "55557",
    "C": "74447",
}


class Curve(Struct, frozen=True):
    """Parallel lists; None is a gap. Times in Unix seconds. The picture spans `start` to `end`; `window_s` before `end`
    is what decided."""

    times: Sequence[float]
    avg: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]
    bounds: Sequence[float]
    start: float
    end: float
    window_s: float


def draw(curve: Curve) -> bytes | None:
    """A PNG; None when there is nothing to see."""
    known = [v for values in (curve.avg, curve.low, curve.high) for v in values if v is not None]
    if not known or curve.end <= curve.start:
        return None
    bottom, top = _range([*known, *curve.bounds])
    canvas = _Canvas()

    def x(moment: float) -> int:
        return LEFT + round((RIGHT - LEFT) * (moment - curve.start) / (curve.end - curve.start))

    def y(value: float) -> int:
        return BOTTOM - round((BOTTOM - TOP) * (value - bottom) / (top - bottom))

    canvas.box(x(max(curve.start, curve.end - curve.window_s)), TOP, RIGHT, BOTTOM, _WINDOW)
    for moment, low, high in zip(curve.times, curve.low, curve.high, strict=True):
        if low is not None and high is not None:
            canvas.box(x(moment), y(high), x(moment) + 1, y(low), _ENVELOPE)
    canvas.box(LEFT, BOTTOM, RIGHT, BOTTOM, _GREY)
    canvas.box(LEFT, TOP, LEFT, BOTTOM, _GREY)
    for bound in curve.bounds:
        for dash in range(LEFT, RIGHT, 8):
            canvas.box(dash, y(bound), dash + 4, y(bound), _BOUND)
    _draw_line(canvas, [(x(t), y(v)) if v is not None else None for t, v in zip(curve.times, curve.avg, strict=True)])
    canvas.text(2, TOP, short_number(top))
    canvas.text(2, BOTTOM - 9, short_number(bottom))
    for bound in curve.bounds[:1]:
        if TOP + 14 < y(bound) < BOTTOM - 14:
            canvas.text(2, y(bound) - 5, short_number(bound))
    days = (curve.end - curve.start) / 86_400
    canvas.text(LEFT, BOTTOM + 8, _clock(curve.start) if days <= 1 else f"-{days:.3g}d")
    canvas.text(RIGHT - 72, BOTTOM + 8, f"{_clock(curve.end)} UTC")
    return canvas.png()


def short_number(value: float) -> str:
    """At most six characters, with the multiples people use."""
    size = abs(value)
    for limit, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if sign == 'k' else limit):.3g}{sign}"
    if 0 < size < 0.01:
        return f"{value * 1e3:.2f}m"
    return f"{value:.4g}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - margin if low else 0.0, high + margin


def _clock(moment: float) -> str:
    minutes = int(moment // 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _draw_line(canvas: "_Canvas", points: Sequence[tuple[int, int] | None]) -> None:
    before: tuple[int, int] | None = None
    for point in points:
        if point is not None:
            canvas.line(before or point, point, _LINE)
        before = point


class _Canvas:
    def __init__(self) -> None:
        self._rows = [bytearray(WIDTH) for _ in range(HEIGHT)]

    def box(self, left: int, top: int, right: int, bottom: int, colour: int) -> None:
        left, right = max(0, left), min(WIDTH - 1, right)
        for row in range(max(0, top), min(HEIGHT - 1, bottom) + 1):
            self._rows[row][left : right + 1] = bytes([colour]) * max(0, right - left + 1)

    def line(self, start: tuple[int, int], end: tuple[int, int], colour: int) -> None:
        """Two pixels wide."""
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x = start[0] + round((end[0] - start[0]) * step / steps)
            y = start[1] + round((end[1] - start[1]) * step / steps)
            self.box(x, y, x + 1, y + 1, colour)

    def text(self, left: int, top: int, text: str) -> None:
        for place, letter in enumerate(text):
            for row, bits in enumerate(_GLYPHS.get(letter, "00000")):
                for column in range(3):
                    if int(bits, 16) >> (2 - column) & 1:
                        x, y = left + place * 8 + column * 2, top + row * 2
                        self.box(x, y, x + 1, y + 1, _INK)

    def png(self) -> bytes:
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self._rows), 9)
        parts = (("IHDR", header), ("PLTE", _PALETTE), ("IDAT", pixels), ("IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
