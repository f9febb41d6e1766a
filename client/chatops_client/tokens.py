"""The pair of tokens a client holds. Never printed: both are left out of its representation."""

import math
from dataclasses import dataclass, field

from chatops_protocol.resources import TokenPair

# An access token is renewed this long before it ends, so that a slow request does not outlive it.
RENEW_BEFORE_S = 30.0
NO_RENEWAL = "the access token has run out or its session has ended, and it came without a refresh token; log in again"


@dataclass(frozen=True)
class Tokens:
    """`expires_at` is on the clock the client was given (monotonic seconds). Without a refresh token there is no
    renewal: when the access token has run out, calls are refused with 401."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float

    @classmethod
    def from_pair(cls, pair: TokenPair, now: float) -> "Tokens":
        return cls(pair.access_token, pair.refresh_token, now + pair.expires_in)

    @classmethod
    def without_renewal(cls, access_token: str) -> "Tokens":
        """Somebody else's log-in lent its access token; when it ends is for the backend to say."""
        return cls(access_token, None, math.inf)

    def due(self, now: float) -> bool:
        """Whether the access token should be renewed before it is used again."""
        return now >= self.expires_at - RENEW_BEFORE_S
