"""API keys of agents: made, recognised, and known to be good or not. The ingest gateway and the key routes use it.

A key is a prefix, 256 random bits and a checksum, so that a typo or a cut is refused without asking the database, and a
secret scanner can tell a real key from a look-alike. Only the SHA-256 of a key is stored.
"""

import hashlib
import secrets
import zlib
from collections.abc import Callable, Iterable

from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import Struct

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries

PREFIX = "chatops_agent_"
STATE_KEY = "key_revocations"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_DIGITS = 43  # 62**43 > 2**256
_CHECKSUM_DIGITS = 6  # 62**6 > 2**32
_HINT_DIGITS = 4

Listener = Callable[[frozenset[int]], None]


class AgentIdentity(Struct, frozen=True):
    """Whom a key speaks for."""

    server_id: int
    key_id: int
    server_name: str


class KeyRevocations:
    """Tells this process's gateway at once which keys just ended; other processes ask `still_valid` now and then."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """`listener` gets ids of keys that are good no more. Call what is returned to unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def announce(self, key_ids: Iterable[int]) -> None:
        ended = frozenset(key_ids)
        if ended:
            for listener in list(self._listeners):
                listener(ended)


Revocations = NamedDependency[KeyRevocations]


def provide_key_revocations(state: State) -> KeyRevocations:
    """Litestar dependency `key_revocations`: what `app.py` put into the application's state."""
    revocations = state[STATE_KEY]
    assert isinstance(revocations, KeyRevocations)
    return revocations


def generate_key() -> str:
    secret = _base62(secrets.randbits(256), _SECRET_DIGITS)
    return PREFIX + secret + _checksum(secret)


def is_well_formed(key: str) -> bool:
    """Whether prefix, length, alphabet and checksum fit: true of every key that was ever made."""
    digits = key.removeprefix(PREFIX)
    if digits == key or len(digits) != _SECRET_DIGITS + _CHECKSUM_DIGITS or not set(digits) <= set(_DIGITS):
        return False
    return digits[_SECRET_DIGITS:] == _checksum(digits[:_SECRET_DIGITS])


def hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def hint_of(key: str) -> str:
    """The part of a key that may be shown again: enough to tell keys apart, 24 of 256 bits."""
    return key[: len(PREFIX) + _HINT_DIGITS]


async def identify_agent(database: Database, api_key: str) -> AgentIdentity | None:
    """The server an agent speaks for; None for a key that is not good. Notes that the key was used."""
    if not is_well_formed(api_key):
        return None
    row = await load_queries("servers").identify_agent(database, key_hash=hash_key(api_key))
    return AgentIdentity(row["server_id"], row["key_id"], row["server_name"]) if row is not None else None


async def still_valid(database: Database, key_ids: Iterable[int]) -> set[int]:
    """Those of the keys that are good now: not deactivated, expired or deleted, and their servers there. One query."""
    asked = list(key_ids)
    if not asked:
        return set()
    return {row["id"] async for row in load_queries("servers").find_valid_keys(database, key_ids=asked)}


def _checksum(secret: str) -> str:
    return _base62(zlib.crc32((PREFIX + secret).encode()), _CHECKSUM_DIGITS)


def _base62(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text = _DIGITS[digit] + text
    return text
