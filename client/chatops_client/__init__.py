"""Python client of the ChatOps REST API and live WebSockets: resources as structs, metrics as polars frames."""

from chatops_client.analysis_frames import analysis_to_frame
from chatops_client.async_client import AsyncClient
from chatops_client.client import Client
from chatops_client.errors import (
    ApiError,
    BackendUnreachableError,
    CommandRefusedError,
    NotAllowedError,
    NotFoundError,
    NotLoggedInError,
)
from chatops_client.frames import series_to_frame
from chatops_client.live_thread import LiveIterator
from chatops_client.settings import ClientSettings, SettingsError
from chatops_client.tokens import Tokens
from chatops_client.wire import Latest

__all__ = [
    "ApiError",
    "AsyncClient",
    "BackendUnreachableError",
    "Client",
    "ClientSettings",
    "CommandRefusedError",
    "Latest",
    "LiveIterator",
    "NotAllowedError",
    "NotFoundError",
    "NotLoggedInError",
    "SettingsError",
    "Tokens",
    "analysis_to_frame",
    "series_to_frame",
]
