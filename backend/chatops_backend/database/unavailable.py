"""Which exceptions mean that the connection is gone, as opposed to a statement that is wrong."""

import asyncpg

CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    OSError,  # and with it TimeoutError
    EOFError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.TooManyConnectionsError,
)
