"""Python client of the ChatOps REST API and live WebSockets: resources as structs, metrics as polars frames."""

from chatops_client.async_client import AsyncClient
from chatops_client.client import Client
from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.frames import series_to_frame
from chatops_client.tokens import Tokens
from chatops_client.wire import Latest

__all__ = [
    "ApiError",
    "AsyncClient",
    "BackendUnreachableError",
    "Client",
    "Latest",
    "Tokens",
    "series_to_frame",
]
