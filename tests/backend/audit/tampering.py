"""What somebody who owns the database could do to the audit log, with its guards lifted; and a log that is broken."""

import contextlib
from collections.abc import AsyncIterator

from chatops_backend.database.interface import Database, Transaction


async def edited(database: Database, statement: str) -> None:
    """Change the log for good."""
    await database.execute(
        "GRANT ALL ON chatops.audit_log TO CURRENT_USER; ALTER TABLE chatops.audit_log DISABLE TRIGGER USER; "
        f"{statement}; ALTER TABLE chatops.audit_log ENABLE ALWAYS TRIGGER only_insert, "
        "ENABLE ALWAYS TRIGGER advance_head; REVOKE UPDATE, DELETE, TRUNCATE ON chatops.audit_log FROM CURRENT_USER"
    )


class _UndoneError(Exception):
    pass


@contextlib.asynccontextmanager
async def tampering(database: Database) -> AsyncIterator[Transaction]:
    """A transaction in which every statement on the log works, and which is undone."""
    try:
        async with database.transaction() as transaction:
            await transaction.execute("GRANT ALL ON chatops.audit_log TO CURRENT_USER")
            for table in ("chatops.audit_log", "chatops.audit_head"):
                await transaction.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield transaction
            raise _UndoneError  # noqa: TRY301 - ends the transaction
    except _UndoneError:
        pass


@contextlib.asynccontextmanager
async def broken_log(database: Database) -> AsyncIterator[None]:
    """A log that takes no entry."""
    await database.execute(
        "CREATE FUNCTION chatops.no_room() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER no_room BEFORE INSERT ON chatops.audit_log FOR EACH ROW EXECUTE FUNCTION chatops.no_room()"
    )
    try:
        yield
    finally:
        await database.execute("DROP TRIGGER no_room ON chatops.audit_log; DROP FUNCTION chatops.no_room()")
