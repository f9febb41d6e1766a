"""The fleet's newest state, one entry per server, for ``/ws/fleet``.

Values come from committed frames, names and last contact from the database, read again every two seconds while
somebody watches: another backend may have added a server or heard from one.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import msgspec

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.frame import Frame
from chatops_backend.live.hub import as_objects
from chatops_protocol.live_messages import FleetEntry, FleetState, encode
from chatops_protocol.resources import ServerStatus

log = logging.getLogger(__name__)

REREAD_EVERY_S = 2.0
# What a person can follow; a fleet of thousands would otherwise be thousands of messages a second.
AT_MOST_EVERY_S = 0.5
# Readings older than this are not shown as the present, as in `newest_hosts`.
CURRENT_S = 120.0

_HOST_FIELDS = (
    "cpu_percent",
    "memory_used_percent",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
)
_NOTHING_FULLEST = {"fullest_mountpoint": None, "fullest_used_percent": None}


class FleetBoard:
    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._queries = load_queries("live")
        self._entries: dict[int, FleetEntry] = {}
        self._intervals: dict[int, float] = {}
        self._watchers: set[FleetWatcher] = set()

    async def watch(self, visible: VisibleServers = ALL_SERVERS) -> "FleetWatcher":
        """A watcher that starts with the complete state of the servers that its person sees."""
        await self._reread()
        watcher = FleetWatcher(self._entries, visible)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: "FleetWatcher") -> None:
        self._watchers.discard(watcher)

    def publish(self, frames: list[Frame]) -> None:
        """Take the values of committed frames; never waits."""
        now = self._clock()
        for frame in frames:
            entry = self._entries.get(frame.server_id)
            if entry is not None:
                changes: dict[str, Any] = {"status": "online", "last_seen": now}
                for name, (reader, rows) in frame.rows.items():
                    # A backlog's readings are not what the server does now, which is unknown until it is drained.
                    late = now - frame.time.timestamp() > CURRENT_S
                    if name == "host":
                        host = {} if late else as_objects(reader, rows)
                        changes |= {field: host.get(field) for field in _HOST_FIELDS}
                    elif name == "filesystem":
                        changes |= _NOTHING_FULLEST if late else _fullest(as_objects(reader, rows))
                self._put(msgspec.structs.replace(entry, **changes))

    async def run(self) -> None:
        """Keep names and states right while somebody watches. Runs until cancelled."""
        while True:
            await asyncio.sleep(REREAD_EVERY_S)
            if self._watchers:
                try:
                    await self._reread()
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("the fleet was not read: %s", error)
                    self._age()

    async def _reread(self) -> None:
        servers = {row["id"]: row async for row in self._queries.list_fleet(self._database)}
        # A server new to this board may have reported already: it starts with the newest stored values, as all do
        # after a restart.
        stored = await self._newest_values() if servers.keys() - self._entries.keys() else {}
        if servers.keys() != self._entries.keys():
            self._entries = {key: entry for key, entry in self._entries.items() if key in servers}
            for watcher in self._watchers:
                watcher.start_over(self._entries)
        for server_id, row in servers.items():
            known = self._entries.get(server_id) or FleetEntry(
                server_id, row["name"], "never", row["tags"], **stored.get(server_id, {})
            )
            heard = max(filter(None, (row["last_seen"], known.last_seen)), default=None)
            self._intervals[server_id] = row["interval_s"]
            self._put(
                msgspec.structs.replace(
                    known,
                    name=row["name"],
                    tags=row["tags"],
                    last_seen=heard,
                    status=self._status(heard, row["interval_s"]),
                )
            )

    async def _newest_values(self) -> dict[int, dict[str, Any]]:
        """The stored values of each server's entry, by server."""
        values: dict[int, dict[str, Any]] = defaultdict(dict)
        async for row in self._queries.newest_hosts(self._database):
            values[row["server_id"]] = {field: row[field] for field in _HOST_FIELDS}
        filesystems: dict[int, list[dict[str, Any]]] = defaultdict(list)
        async for row in self._queries.newest_filesystems(self._database):
            filesystems[row["server_id"]].append(dict(row))
        for server_id, rows in filesystems.items():
            values[server_id] |= _fullest(rows)
        return values

    def _age(self) -> None:
        for entry in list(self._entries.values()):
            status = self._status(entry.last_seen, self._intervals.get(entry.server_id, 5.0))
            self._put(msgspec.structs.replace(entry, status=status))

    def _status(self, last_seen: float | None, interval_s: float) -> ServerStatus:
        if last_seen is None:
            return "never"
        return "online" if self._clock() - last_seen < min(3600.0, max(15.0, 3 * interval_s)) else "offline"

    def _put(self, entry: FleetEntry) -> None:
        if self._entries.get(entry.server_id) != entry:
            self._entries[entry.server_id] = entry
            for watcher in self._watchers:
                watcher.offer(entry)


class FleetWatcher:
    """The entries that changed since its reader took the last message."""

    def __init__(self, entries: dict[int, FleetEntry], visible: VisibleServers) -> None:
        self._there = asyncio.Event()
        self._visible = visible
        self.start_over(entries)

    def start_over(self, entries: dict[int, FleetEntry]) -> None:
        self._pending = {key: entry for key, entry in entries.items() if self._visible.sees(key)}
        self._complete = True
        self._there.set()

    def offer(self, entry: FleetEntry) -> None:
        if self._visible.sees(entry.server_id):
            self._pending[entry.server_id] = entry
            self._there.set()

    async def messages(self) -> AsyncIterator[bytes]:
        while True:
            await self._there.wait()
            self._there.clear()
            state = FleetState(self._complete, list(self._pending.values()))
            self._pending, self._complete = {}, False
            yield encode(state)
            await asyncio.sleep(AT_MOST_EVERY_S)


def _fullest(filesystems: list[dict[str, Any]]) -> dict[str, Any]:
    known = [row for row in filesystems if row.get("used_percent") is not None]
    if not known:
        return {}
    fullest = max(known, key=lambda row: float(row["used_percent"]))
    return {"fullest_mountpoint": fullest["mountpoint"], "fullest_used_percent": fullest["used_percent"]}
