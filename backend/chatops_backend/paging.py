"""Cursors of lists: where the next page starts, opaque to the caller. Used by the routes that list things.

A cursor carries the sort key of the page's last item, so that pages neither skip nor repeat when rows come and go.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from litestar.params import PathParameter, QueryParameter

from chatops_backend.problems import ProblemError
from chatops_protocol.resources import Page

T = TypeVar("T")
K = TypeVar("K")

DEFAULT_LIMIT = 100
MAXIMUM_LIMIT = 1000

# PostgreSQL's widest integer; what is beyond cannot be looked up.
Id = Annotated[int, PathParameter(ge=0, le=2**63 - 1)]
IdFilter = Annotated[int | None, QueryParameter(ge=0, le=2**63 - 1)]
Limit = Annotated[int, QueryParameter(ge=1, le=MAXIMUM_LIMIT, description="How many items at most")]
Cursor = Annotated[str | None, QueryParameter(max_length=8192, description="`next_cursor` of the page before")]


class IdKey(msgspec.Struct, frozen=True, array_like=True):
    """The sort key of lists in the order of their ids."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


def page(items: Sequence[T], limit: int, key: Callable[[T], msgspec.Struct]) -> Page[T]:
    """A page of `limit` items; `items` holds one more when there is a following page."""
    shown = list(items[:limit])
    return Page(shown, _encode(key(shown[-1])) if len(items) > limit else None)


def read_cursor(cursor: str | None, key_type: type[K]) -> K | None:
    """The sort key to continue after; None without a cursor. Raises `ProblemError` 400 for one that is not ours."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=key_type)
    except ValueError:
        raise ProblemError(
            400, "The cursor is not valid", "Leave `cursor` out to start again, or pass `next_cursor` as it came."
        ) from None


def read_id_cursor(cursor: str | None) -> int:
    key = read_cursor(cursor, IdKey)
    return key.id if key is not None else 0


def _encode(key: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")
