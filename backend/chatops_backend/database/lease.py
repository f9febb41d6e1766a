"""Work that one backend at a time does: a row whose holder keeps moving its end ahead.

A session's advisory lock would need a connection of its own for as long as it is held; the embedded database has only
one, and a lock does not say since when its holder is stuck.
"""

import uuid

from chatops_backend.database.interface import Database

_TAKE = """
INSERT INTO chatops.leases (name, holder, until) VALUES ($1, $2, now() + make_interval(secs => $3::float8))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
 WHERE leases.holder = excluded.holder OR leases.until < now()
RETURNING true
"""
_GIVE_UP = "DELETE FROM chatops.leases WHERE name = $1 AND holder = $2"


class Lease:
    """`hold` before each piece of work: True while this process is the one. Times in seconds."""

    def __init__(self, database: Database, name: str, seconds: float) -> None:
        self._database = database
        self._name = name
        self._seconds = seconds
        self._holder = uuid.uuid4()

    async def hold(self) -> bool:
        return await self._database.fetchval(_TAKE, self._name, self._holder, self._seconds) is True

    async def give_up(self) -> None:
        """Let another take over at once."""
        await self._database.execute(_GIVE_UP, self._name, self._holder)
