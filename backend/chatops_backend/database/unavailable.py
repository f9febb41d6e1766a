"""Tells a lost connection from a statement that is wrong."""

import asyncpg

_CONNECTION_ERRORS = (
    OSError,  # and with it TimeoutError
    EOFError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


def means_connection_lost(error: BaseException) -> bool:
    """True when trying again on a new connection makes sense."""
    # A value that cannot be encoded is an `InterfaceError` too, and a `ValueError`.
    return isinstance(error, _CONNECTION_ERRORS) and not isinstance(error, ValueError)
