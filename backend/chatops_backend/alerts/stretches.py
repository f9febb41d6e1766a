"""Which stretches of the minutes a replay has to read, given the hours in which anything can happen. Pure."""

from collections.abc import Iterable

HOUR_S = 3_600
# A statement costs as much as reading the minutes of this many quiet hours.
_JOIN_S = 72 * HOUR_S
# The embedded database does one thing at a time: agents' frames wait for a statement at most a few tenths of a second.
MOST_ROWS = 200_000

Stretch = tuple[int, int]


def stretches(loud: Iterable[int], margin_s: int, start: int, end: int) -> list[Stretch]:
    """Cover each hour of `loud` (its start), and `margin_s` before and after it: every window that holds one of its
    minutes is complete then. Clipped to the range, in order, without overlap; near ones are joined."""
    covered: list[Stretch] = []
    for hour in sorted(loud):
        first, last = max(start, hour - margin_s), min(end, hour + HOUR_S + margin_s)
        if first >= last:
            continue
        if covered and first <= covered[-1][1] + _JOIN_S:
            covered[-1] = (covered[-1][0], max(last, covered[-1][1]))
        else:
            covered.append((first, last))
    return covered


def pieces(covered: Iterable[Stretch], rows_per_hour: float) -> list[Stretch]:
    """The stretches in pieces of `MOST_ROWS` expected rows, of an hour at least."""
    longest_s = max(1, int(MOST_ROWS / max(1.0, rows_per_hour))) * HOUR_S
    return [(begin, min(begin + longest_s, last)) for first, last in covered for begin in range(first, last, longest_s)]
