"""Seeded noise and the rhythm of days and weeks, as polars series. Pure; there is no hidden state.

Numbers come from a counter through splitmix64, so that they are the same on every machine and with every version of
polars, whose own `hash` and samples are not.
"""

import math
import zlib
from collections.abc import Callable

import polars as pl

_STEP = 0x9E3779B97F4A7C15
# Another one, so that the numbers of two keys are not the same ones a few places apart.
_KEY_STEP = 0xD6E8FEB86659FD93
_PIECES = tuple(2**bits for bits in (0, 16, 32, 48))


def key_of(*parts: object) -> int:
    """One key for a series: the same parts, the same noise."""
    return zlib.crc32(" ".join(map(str, parts)).encode())


def uniform(count: int, key: int) -> pl.Series:
    """Numbers from 0 up to 1."""
    return (_mixed(count, key) // _whole(2**11)).cast(pl.Float64) / 2.0**53


def normal(count: int, key: int) -> pl.Series:
    """Mean 0, deviation 1, nothing beyond ±3.5: four pieces of each number added up."""
    mixed = _mixed(count, key)
    added = pl.Series([0], dtype=pl.UInt64).new_from_index(0, count)
    for piece in _PIECES:
        added = added + ((mixed // _whole(piece)) & _whole(0xFFFF))
    return (added.cast(pl.Float64) / 65536.0 - 2.0) / math.sqrt(4 / 12)


def smooth(count: int, key: int, memory: float) -> pl.Series:
    """Mean 0, deviation about 1; each number remembers those before it, about `memory` of them."""
    alpha = 1.0 / max(1.0, memory)
    # The first number remembers none, and would stand out by the factor of the whole.
    before = math.ceil(5 * memory)
    remembered = normal(before + count, key).ewm_mean(alpha=alpha, adjust=False)
    return remembered.slice(before) * math.sqrt((2.0 - alpha) / alpha)


def _mixed(count: int, key: int) -> pl.Series:
    """`count` numbers of 64 bits. Sums and products of `UInt64` wrap, as splitmix64 wants them to."""
    mixed = pl.int_range(1, count + 1, dtype=pl.UInt64, eager=True) * _whole(_STEP) + _whole(key * _KEY_STEP % 2**64)
    mixed = (mixed ^ (mixed // _whole(2**30))) * _whole(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed // _whole(2**27))) * _whole(0x94D049BB133111EB)
    return mixed ^ (mixed // _whole(2**31))


def _whole(value: int) -> pl.Series:
    return pl.Series([value], dtype=pl.UInt64)


def _hump(hour: pl.Expr, peak: float) -> pl.Expr:
    """1 at the hour `peak`, 0 twelve hours away, round in between."""
    return 0.5 + 0.5 * ((hour - peak) * (math.pi / 12)).cos()


def _office(hour: pl.Expr, weekend: pl.Expr) -> pl.Expr:
    busy = _hump(hour, 13.5).pow(2.0)
    return pl.when(weekend).then(0.12 + 0.1 * busy).otherwise(0.1 + 0.9 * busy)


def _shop(hour: pl.Expr, weekend: pl.Expr) -> pl.Expr:
    busy = 0.15 + 0.55 * _hump(hour, 13.0) + 0.3 * _hump(hour, 20.0).pow(4.0)
    return pl.when(weekend).then(0.75 * busy).otherwise(busy)


def _night(hour: pl.Expr, weekend: pl.Expr) -> pl.Expr:
    running = pl.when((hour >= 1.0) & (hour < 4.5)).then(1.0).otherwise(0.08)
    return pl.when(weekend).then(0.6 * running).otherwise(running)


def _steady(hour: pl.Expr, weekend: pl.Expr) -> pl.Expr:
    return 0.5 + 0.1 * _hump(hour, 15.0) - pl.when(weekend).then(0.05).otherwise(0.0)


RHYTHMS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "office": _office,
    "shop": _shop,
    "night": _night,
    "steady": _steady,
}


def rhythm(name: str, times: pl.Series) -> pl.Series:
    """How much is asked of a host at each of `times` (UTC), from 0 to 1."""
    seconds = pl.col("time").dt.epoch("s")
    hour = (seconds % 86_400) / 3600.0
    weekend = pl.col("time").dt.weekday() >= 6
    return times.alias("time").to_frame().select(demand=RHYTHMS[name](hour, weekend).clip(0.0, 1.0))["demand"]
