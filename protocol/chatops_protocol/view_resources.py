"""Saved views: the parameters of a page's address under a name that its person gave. JSON on the wire."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from chatops_protocol.resources import Name

MOST_VIEWS = 200
# Of `query` as JSON.
MOST_QUERY_BYTES = 16_384

# What stands in the address of a page: neither are names of ours checked here, nor values; the page reads both anew.
ParameterName = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$(?!\n)")]
ParameterText = Annotated[str, Meta(max_length=8000, pattern=r"^[^\x00]*$(?!\n)")]
ViewQuery = Annotated[dict[ParameterName, ParameterText], Meta(max_length=40)]


class WriteViewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Names are unique among a person's own, letter case aside."""

    name: Name
    query: ViewQuery


class SavedView(Struct, frozen=True):
    id: int
    name: str
    query: dict[str, str]
    created_at: datetime
    updated_at: datetime
