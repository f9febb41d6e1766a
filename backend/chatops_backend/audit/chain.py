"""What is hashed of an entry, and how. Pure; `trail` appends with it and `verification` checks with it.

The hash of an entry is SHA-256 over the hash before it and the entry's fields in the order of `Entry`, each as its
length in bytes (decimal), a colon and its bytes; a field without a value is a single ``-``. Texts are UTF-8, numbers
decimal, the time is microseconds since 1970, ids of sessions are written with hyphens. docs/operations.md says the same
for whoever wants to check a chain with another program.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import fields

# What the first entry continues.
BEGINNING = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Entry(Struct, frozen=True, kw_only=True):
    """Everything of an entry but its hashes, named and ordered as its columns. `before` and `after` are JSON texts."""

    id: int
    time: datetime
    actor_kind: str
    user_id: int | None
    username: str
    role: str | None
    session_id: UUID | None
    address: str | None
    action: str
    target_type: str
    target_id: str | None
    target_name: str | None
    server_id: int | None
    before: str | None
    after: str | None
    result: str
    detail: str
    intent_id: int | None


FIELDS = tuple(field.name for field in fields(Entry))


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    digest = hashlib.sha256(previous)
    for name in FIELDS:
        digest.update(_encoded(getattr(entry, name)))
    return digest.digest()


def _encoded(value: Any) -> bytes:
    if value is None:
        return b"-"
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _MICROSECOND
    data = str(value).encode()
    return b"%d:%b" % (len(data), data)
