"""Decides whether a password may be tried: per account and address, per address, and per account.

Counted in memory, per backend process. A stranger who tries an account's password is stopped at his own address; once
many addresses together reach the account's limit, only addresses from which its owner logged in before may go on.
"""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

# More keys than an honest site has people; the oldest are forgotten.
REMEMBERED = 50_000


@dataclass(frozen=True)
class Limit:
    """At most `failures` failed attempts within `window_s` seconds."""

    failures: int
    window_s: float


PER_ACCOUNT_AND_ADDRESS = Limit(5, 300)
PER_ADDRESS = Limit(20, 300)
PER_ACCOUNT = Limit(100, 3600)


class TooManyAttemptsError(Exception):
    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many attempts; again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class LoginLimits:
    """`clock` gives seconds that never go back."""

    def __init__(
        self,
        clock: Callable[[], float],
        per_pair: Limit = PER_ACCOUNT_AND_ADDRESS,
        per_address: Limit = PER_ADDRESS,
        per_account: Limit = PER_ACCOUNT,
    ) -> None:
        self._pairs = _Attempts(clock, per_pair)
        self._addresses = _Attempts(clock, per_address)
        self._accounts = _Attempts(clock, per_account)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, username: str, address: str | None) -> "Attempt":
        """Count an attempt as failed until it succeeds, so that many at once are not more than many in turn.

        Raises `TooManyAttemptsError`, for names that exist and names that do not alike.
        """
        account, network = username.lower(), _network(address)
        pair = (account, network)
        counts: list[tuple[_Attempts, object]] = [(self._pairs, pair)]
        # Who has logged in from here before is not shut out by what others do. Nor do such attempts count there: those
        # that succeed would push failures of others out of what is remembered.
        if pair not in self._known:
            counts += [(self._addresses, network), (self._accounts, account)]
        longest = max(attempts.wait_s(key) for attempts, key in counts)
        if longest > 0:
            raise TooManyAttemptsError(longest)
        for attempts, key in counts:
            attempts.add(key)
        return Attempt(self, pair, counts)

    def _succeed(self, pair: tuple[str, str]) -> None:
        self._pairs.forget(pair)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class Attempt:
    def __init__(self, limits: LoginLimits, pair: tuple[str, str], counts: "list[tuple[_Attempts, object]]") -> None:
        self._limits = limits
        self._pair = pair
        self._counts = counts

    def succeeded(self) -> None:
        """Somebody logged in: forget the failures of this account from this address."""
        self.does_not_count()
        self._limits._succeed(self._pair)

    def does_not_count(self) -> None:
        """Nothing was looked at after all, or one proof of two was right: then the failures before it may have been
        guesses at the other, and stay."""
        for attempts, key in self._counts:
            attempts.remove_newest(key)


class _Attempts:
    """Times of attempts by key, oldest first."""

    def __init__(self, clock: Callable[[], float], limit: Limit) -> None:
        self._clock = clock
        self._limit = limit
        self._times: OrderedDict[object, deque[float]] = OrderedDict()

    def wait_s(self, key: object) -> float:
        """How long until another attempt is allowed; 0: now."""
        times = self._times.get(key)
        if times is None:
            return 0
        now = self._clock()
        while times and times[0] <= now - self._limit.window_s:
            times.popleft()
        if not times:
            del self._times[key]
        if len(times) < self._limit.failures:
            return 0
        return times[-self._limit.failures] + self._limit.window_s - now

    def add(self, key: object) -> None:
        self._times.setdefault(key, deque(maxlen=self._limit.failures)).append(self._clock())
        self._times.move_to_end(key)
        if len(self._times) > REMEMBERED:
            self._times.popitem(last=False)

    def remove_newest(self, key: object) -> None:
        if times := self._times.get(key):
            times.pop()

    def forget(self, key: object) -> None:
        self._times.pop(key, None)


def _network(address: str | None) -> str:
    """One subscriber's addresses as one: a /64 for IPv6, where an address costs nothing."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
