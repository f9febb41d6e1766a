"""Real receivers on loopback: an HTTP server and an SMTP server that keep what they were sent."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

DIES = 0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass
class HttpSink:
    """`answer` gets each request and returns the status, with headers if it likes; None: never answers; `DIES`: takes
    the request, and the connection ends without an answer."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    answer: Callable[[Request], int | tuple[int, dict[str, str]] | None] = lambda _: 200
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/s3cr3t-path?token=s3cr3t-token"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Request(head[0].split()[1], headers, body)
            self.requests.append(request)
            answer = self.answer(request)
            if answer is None:
                await asyncio.Event().wait()
                return
            if answer == DIES:
                self.taken.append(request)
                return
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            if 200 <= status < 300:
                self.taken.append(request)
            lines = [f"HTTP/1.1 {status} x", "Content-Length: 0", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in more.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            await writer.drain()
            self.arrived.set()


@dataclass
class SmtpSink:
    port: int = 0
    mails: list[Message] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"220 sink\r\n")
            while line := await reader.readline():
                verb = line.split()[0].upper()
                if verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(message_from_bytes(data[:-5].replace(b"\r\n..", b"\r\n.")))
                writer.write({b"QUIT": b"221 bye\r\n", b"EHLO": b"250 sink\r\n"}.get(verb, b"250 good\r\n"))
                await writer.drain()


@contextlib.asynccontextmanager
async def running(sink: Any) -> AsyncIterator[Any]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await sink.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
