"""Turns ever-growing counters into rates; the only place that does.

Collectors call `start` once per reading of their counters and then ask per counter. Whatever could make a spike (a
first reading, a counter that fell because it was reset or wrapped, a clock that stands still) gives None: a gap.
"""

from collections.abc import Hashable

# Two readings closer than this say more about the counter's granularity than about the rate.
SHORTEST_S = 0.05


class Rates:
    """Counters of one collector. A counter that is missing from one reading starts anew at the next."""

    def __init__(self) -> None:
        self._previous: dict[Hashable, float] = {}
        self._current: dict[Hashable, float] = {}
        self._at: float | None = None
        self.elapsed: float | None = None  # seconds since the reading before; None: no rates this time

    def start(self, at: float) -> None:
        """Begin a reading taken at `at` (seconds of a clock that never steps)."""
        if self._at is not None and 0 <= at - self._at < SHORTEST_S:
            self.elapsed = None
            return  # the reading before stays the base line, so that no growth is lost
        self._previous, self._current = self._current, {}
        self.elapsed = at - self._at if self._at is not None and at > self._at else None
        self._at = at

    def delta(self, key: Hashable, value: float | None, *, may_fall: bool = False) -> float | None:
        """Growth of a counter since the reading before. `may_fall`: its source is known to step back; that is 0."""
        if value is None:
            return None
        if self.elapsed is None:
            self._current.setdefault(key, value)
            return None
        before = self._previous.get(key)
        self._current[key] = value
        if before is None:
            return None
        if value < before:
            return 0.0 if may_fall else None
        return value - before

    def per_second(self, key: Hashable, value: float | None) -> float | None:
        growth = self.delta(key, value)
        return None if growth is None or self.elapsed is None else growth / self.elapsed

    def begin_at_zero(self, key: Hashable) -> None:
        """The counter is known to have been created after the reading before, so all of it is growth."""
        if self.elapsed is not None:
            self._previous.setdefault(key, 0.0)


def share(part: float | None, whole: float | None) -> float | None:
    """`part` in percent of `whole`, within 0 and 100; None when either is unknown or the whole is nothing."""
    if part is None or whole is None or whole <= 0:
        return None
    return min(100.0, max(0.0, 100.0 * part / whole))


def total(values: "list[float | None]") -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
