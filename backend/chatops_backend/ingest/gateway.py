"""Lets agents in: first message, key, layouts, resume point. Keeps one connection per key, the newest."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import asyncpg
from litestar.exceptions import WebSocketDisconnect
from prometheus_client import Counter, Gauge

from chatops_backend.accounts.sockets import Socket
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.connection import TRY_AGAIN_LATER, UNDECODABLE, AgentConnection, ControlListener
from chatops_backend.ingest.rows import LayoutError, readers_for
from chatops_backend.ingest.writer import MAX_STREAMS, TooManyStreamsError, Writer
from chatops_backend.logs.incoming import LineReader
from chatops_backend.servers.agent_keys import AgentIdentity, KeyRevocations, identify_agent, still_valid
from chatops_protocol.agent_messages import (
    AUTHENTICATE_WITHIN_S,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_REPLACED,
    CLOSE_UNAUTHENTICATED,
    Authenticate,
    Welcome,
    decode_from_agent_json,
    decode_from_agent_msgpack,
)
from chatops_protocol.log_lines import LOG

log = logging.getLogger(__name__)

KEYS_CHECKED_EVERY_S = 2.0
MAX_REASON_BYTES = 123

connections = Gauge("chatops_agent_connections", "Agents connected")
handshakes_refused = Counter("chatops_agent_handshakes_refused_total", "Agents turned away", ["reason"])


class _RefusedError(Exception):
    def __init__(self, code: int, reason: str, label: str) -> None:
        super().__init__(reason)
        self.code, self.label = code, label
        # A close frame holds 123 bytes of reason, and the peer's own words may be in it.
        self.reason = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")


class Gateway:
    def __init__(
        self,
        database: Database,
        writer: Writer,
        revocations: KeyRevocations,
        clock: Callable[[], float] = time.time,
        control: ControlListener | None = None,
        command_key: bytes | None = None,
    ) -> None:
        """`control` hears of what is not readings; `command_key` is the public key that agents are told."""
        self._database = database
        self._writer = writer
        self._clock = clock
        self._control = control
        self._command_key = command_key
        self._queries = load_queries("ingest")
        self._by_key: dict[int, AgentConnection] = {}
        revocations.subscribe(self._close_revoked)

    async def serve(self, socket: Socket) -> None:
        """Serve one agent's socket from before its acceptance to its end."""
        await socket.accept()
        address = socket.client.host if socket.client else None
        try:
            connection, welcome, identity = await self._let_in(socket)
        except _RefusedError as refused:
            handshakes_refused.labels(refused.label).inc()
            with contextlib.suppress(Exception):  # the peer may be gone already
                await socket.close(refused.code, refused.reason)
            return
        except WebSocketDisconnect:
            return
        older = self._by_key.get(identity.key_id)
        self._by_key[identity.key_id] = connection
        connections.set(len(self._by_key))
        try:
            if older is not None:
                older.close(CLOSE_REPLACED, "another agent connected with the same key")
                await self._record(identity, "replaced", "another agent connected with the same key", address)
            await self._record(identity, "connected", "", address)
            await connection.send(welcome)
            if self._control is not None:
                self._control.opened(connection)
            await connection.run()
        except (WebSocketDisconnect, TimeoutError):
            connection.closed_because = "the agent does not answer"
        finally:
            if self._control is not None:
                self._control.closed(connection)
            if self._by_key.get(identity.key_id) is connection:
                del self._by_key[identity.key_id]
            connections.set(len(self._by_key))
            await self._record(identity, "disconnected", connection.closed_because or "connection lost", address)

    async def watch_keys(self) -> None:
        """Close the connections of keys that were deactivated, expired or deleted. Runs until cancelled."""
        while True:
            await asyncio.sleep(KEYS_CHECKED_EVERY_S)
            checked = dict(self._by_key)
            if not checked:
                continue
            try:
                valid = await still_valid(self._database, list(checked))
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("the keys of connected agents were not checked: %s", error)
                continue
            self._close_revoked(frozenset(checked) - valid)

    def _close_revoked(self, key_ids: frozenset[int]) -> None:
        for key_id in key_ids & self._by_key.keys():
            self._by_key[key_id].close(CLOSE_UNAUTHENTICATED, "the key is no longer valid")

    async def _let_in(self, socket: Socket) -> tuple[AgentConnection, Welcome, AgentIdentity]:
        try:
            event = await asyncio.wait_for(socket.receive(), AUTHENTICATE_WITHIN_S)
        except TimeoutError:
            raise _RefusedError(CLOSE_UNAUTHENTICATED, "no first message within 5 s", "timeout") from None
        if event["type"] != "websocket.receive":
            raise WebSocketDisconnect(detail="closed before the first message")
        data = event.get("bytes")
        binary = data is not None
        try:
            first = decode_from_agent_json(event.get("text") or "") if data is None else decode_from_agent_msgpack(data)
        except UNDECODABLE as error:
            raise _RefusedError(CLOSE_PROTOCOL_ERROR, str(error), "malformed") from None
        if not isinstance(first, Authenticate):
            raise _RefusedError(CLOSE_UNAUTHENTICATED, "the first message must authenticate", "malformed")
        try:
            identity = await identify_agent(self._database, first.api_key)
            if identity is None:
                raise _RefusedError(CLOSE_UNAUTHENTICATED, "the key is not valid", "key")
            checked = {
                number: readers_for({name: columns for name, columns in layout.items() if name != LOG})
                for number, layout in first.layouts.items()
            }
            line_readers = {
                number: LineReader(layout[LOG]) for number, layout in first.layouts.items() if LOG in layout
            }
            also_open = [c.stream for c in self._by_key.values() if c.server_id == identity.server_id]
            mark = await self._writer.open_stream(identity.server_id, first.stream, also_open)
            await self._queries.describe_agent(
                self._database,
                server_id=identity.server_id,
                agent_version=first.agent_version,
                platform=first.platform,
                interval_s=first.interval_s,
            )
        except LayoutError as error:
            raise _RefusedError(CLOSE_PROTOCOL_ERROR, str(error), "layout") from None
        except TooManyStreamsError:
            reason = f"this server has {MAX_STREAMS} spools open; give each host a server of its own"
            raise _RefusedError(TRY_AGAIN_LATER, reason, "streams") from None
        except DatabaseUnavailableError:
            raise _RefusedError(TRY_AGAIN_LATER, "the database is not available", "database") from None
        connection = AgentConnection(
            socket,
            binary=binary,
            server_id=identity.server_id,
            key_id=identity.key_id,
            stream=first.stream,
            readers={number: readers for number, (readers, _) in checked.items()},
            line_readers=line_readers,
            writer=self._writer,
            clock=self._clock,
            control=self._control,
            understands=frozenset(first.understands),
            command_policy=first.command_policy,
        )
        ignored: dict[str, list[str]] = {}
        for _, names in checked.values():
            ignored.update(names)
        for line_reader in line_readers.values():
            if line_reader.ignored:
                ignored[LOG] = line_reader.ignored
        welcome = Welcome(identity.server_id, mark, ignored, self._clock(), self._command_key)
        return connection, welcome, identity

    async def _record(self, identity: AgentIdentity, event: str, detail: str, address: str | None) -> None:
        try:
            await self._queries.record_connection_event(
                self._database, server_id=identity.server_id, event=event, detail=detail, address=address
            )
        except DatabaseUnavailableError:
            log.warning("the event %s of server %d is lost: no database", event, identity.server_id)
