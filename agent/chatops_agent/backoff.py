"""How long to wait before connecting again. Full jitter, so that a fleet does not come back in one second."""

from collections.abc import Callable

CAP_S = 60.0
# Before the first connection the agents of a fleet are not in step: be quick.
FIRST_S = 1.0
# After a lost one they are: a backend that restarts loses all at once. 8 s keeps any second under 15 % of a fleet's
# attempts, and three tries at that width bring it back within 15 s of a restart that takes 3 s.
LOST_S = 8.0
LOST_TRIES = 3


class Backoff:
    """`uniform(a, b)` draws a random number, as `random.Random.uniform` does."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._tries = 0
        self._was_connected = False

    def connected(self) -> None:
        """A connection lasted long enough to call it good."""
        self._was_connected = True
        self._tries = 0

    @property
    def width_s(self) -> float:
        """The next wait lies between 0 and this."""
        if self._was_connected:
            return float(min(CAP_S, LOST_S * 2 ** min(16, max(0, self._tries + 1 - LOST_TRIES))))
        return float(min(CAP_S, FIRST_S * 2 ** min(16, self._tries)))

    def next_s(self) -> float:
        """The wait before the next attempt."""
        wait = self._uniform(0.0, self.width_s)
        self._tries += 1
        return wait

    def refused_s(self) -> float:
        """The wait when trying sooner cannot help (wrong key, replaced by another agent)."""
        return self._uniform(CAP_S / 2, CAP_S)
