"""The fleet's newest state, one entry per server, for ``/ws/fleet``.

Values come from committed frames, names and last contact from the database, read again every two seconds while
somebody watches: another backend may have added a server or heard from one.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.frame import Frame
from chatops_backend.live.board import Board
from chatops_backend.live.hub import as_objects
from chatops_protocol.live_messages import FleetEntry, FleetState, encode
from chatops_protocol.resources import ServerStatus

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


class FleetBoard(Board[FleetEntry]):
    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        super().__init__("the fleet was", _message, reread_every_s=REREAD_EVERY_S, at_most_every_s=AT_MOST_EVERY_S)
        self._database = database
        self._clock = clock
        self._queries = load_queries("live")
        self._intervals: dict[int, float] = {}

    def publish(self, frames: list[Frame]) -> None:
        """Take the values of committed frames; never waits."""
        now = self._clock()
        for frame in frames:
            entry = self._items.get(frame.server_id)
            if entry is not None:
                changes: dict[str, Any] = {"status": "online", "last_seen": now}
                age_s = now - frame.time.timestamp()
                # A backlog's readings are not what the server does now, which is unknown until it is drained.
                late = age_s > CURRENT_S
                if frame.rows:
                    changes["age_on_arrival_s"] = age_s
                for name, (reader, rows) in frame.rows.items():
                    if name == "host":
                        host = {} if late else as_objects(reader, rows)
                        changes |= {field: host.get(field) for field in _HOST_FIELDS}
                    elif name == "filesystem":
                        changes |= _NOTHING_FULLEST if late else _fullest(as_objects(reader, rows))
                self._put(frame.server_id, msgspec.structs.replace(entry, **changes))

    async def _reread(self) -> None:
        servers = {row["id"]: row async for row in self._queries.list_fleet(self._database)}
        # A server new to this board may have reported already: it starts with the newest stored values, as all do
        # after a restart.
        stored = await self._newest_values() if servers.keys() - self._items.keys() else {}
        if servers.keys() != self._items.keys():
            self._items = {key: entry for key, entry in self._items.items() if key in servers}
            self._start_over()
        for server_id, row in servers.items():
            known = self._items.get(server_id) or FleetEntry(
                server_id, row["name"], "never", row["tags"], **stored.get(server_id, {})
            )
            heard = max(filter(None, (row["last_seen"], known.last_seen)), default=None)
            self._intervals[server_id] = row["interval_s"]
            self._put(
                server_id,
                msgspec.structs.replace(
                    known,
                    name=row["name"],
                    tags=row["tags"],
                    last_seen=heard,
                    status=self._status(heard, row["interval_s"]),
                ),
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
        for entry in list(self._items.values()):
            status = self._status(entry.last_seen, self._intervals.get(entry.server_id, 5.0))
            self._put(entry.server_id, msgspec.structs.replace(entry, status=status))

    def _status(self, last_seen: float | None, interval_s: float) -> ServerStatus:
        if last_seen is None:
            return "never"
        return "online" if self._clock() - last_seen < min(3600.0, max(15.0, 3 * interval_s)) else "offline"


def _message(complete: bool, entries: list[FleetEntry]) -> bytes:
    return encode(FleetState(complete, entries))


def _fullest(filesystems: list[dict[str, Any]]) -> dict[str, Any]:
    known = [row for row in filesystems if row.get("used_percent") is not None]
    if not known:
        return {}
    fullest = max(known, key=lambda row: float(row["used_percent"]))
    return {"fullest_mountpoint": fullest["mountpoint"], "fullest_used_percent": fullest["used_percent"]}
