"""Access tokens (signed, short-lived) and refresh tokens (opaque, stored as hashes). No I/O, no state.

An access token names a session; what its person may do is read from the database, never from the token.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from uuid import UUID

import jwt
import msgspec

ISSUER = "chatops"
AUDIENCE = "chatops-api"
TYPE = "at+jwt"
ALGORITHM = "HS256"
ACCESS_TOKEN_S = 900
# For backends whose clocks differ a little.
LEEWAY_S = 5
LONGEST_TOKEN = 4096
REFRESH_PREFIX = "chatops_refresh_"
MINIMUM_SECRET_BYTES = 32

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REFRESH_SHAPE = re.compile(REFRESH_PREFIX + r"[A-Za-z0-9_-]{43}")


class InvalidTokenError(Exception):
    """Not a token of ours, or not good any more."""


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    aud: str
    sub: str
    sid: UUID
    jti: str
    iat: int
    exp: int


class AccessTokens:
    """`clock` gives Unix seconds."""

    def __init__(self, secret: str, clock: Callable[[], float]) -> None:
        if len(secret.encode()) < MINIMUM_SECRET_BYTES:
            raise ValueError(f"the secret key is shorter than {MINIMUM_SECRET_BYTES} bytes")
        self._secret = secret
        self._clock = clock

    def issue(self, user_id: int, session_id: UUID) -> str:
        now = int(self._clock())
        claims = Claims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=str(user_id),
            sid=session_id,
            jti=secrets.token_urlsafe(16),
            iat=now,
            exp=now + ACCESS_TOKEN_S,
        )
        return jwt.encode(msgspec.to_builtins(claims), self._secret, algorithm=ALGORITHM, headers={"typ": TYPE})

    def verify(self, token: str) -> Claims:
        """Raise `InvalidTokenError` for anything that `issue` did not make, or made too long ago."""
        if len(token) > LONGEST_TOKEN or not _SHAPE.fullmatch(token):
            raise InvalidTokenError
        try:
            # The times are checked below, by the clock that was passed in.
            decoded = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            claims = msgspec.convert(decoded["payload"], Claims)
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise InvalidTokenError from error
        # Exactly our header: no key id, key address or critical extension is ever looked at.
        if decoded["header"] != {"alg": ALGORITHM, "typ": TYPE}:
            raise InvalidTokenError
        if not claims.iat - LEEWAY_S <= self._clock() < claims.exp + LEEWAY_S:
            raise InvalidTokenError
        if claims.exp - claims.iat > ACCESS_TOKEN_S:
            raise InvalidTokenError
        return claims


def new_refresh_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def hash_refresh_token(token: str) -> bytes:
    """What the database stores. 256 random bits need no slow hash. Raises `InvalidTokenError` for another shape."""
    if not _REFRESH_SHAPE.fullmatch(token):
        raise InvalidTokenError
    return hashlib.sha256(token.encode()).digest()
