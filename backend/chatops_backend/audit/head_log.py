"""Writes the audit log's head into the backend's own log, at its start and once a day.

Logs are often kept elsewhere; there the head shows what was in the audit log then (`chatops audit verify --expect`).
"""

import asyncio
import logging

import asyncpg

from chatops_backend.audit.verification import read_head
from chatops_backend.database.interface import Database, DatabaseUnavailableError

log = logging.getLogger(__name__)

EVERY_S = 86_400.0
AGAIN_S = 60.0


class HeadLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                head = await read_head(self._database)
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("the head of the audit log was not read: %s", error)
                await asyncio.sleep(AGAIN_S)
            else:
                log.info("the audit log has %d entries, head %d:%s", head.entries, head.entries, head.hash)
                await asyncio.sleep(EVERY_S)
