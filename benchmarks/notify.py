"""From the breach stored to the notification handed to its channel, at the evaluator's ten seconds.

Servers breach at moments spread over a few minutes; a webhook on loopback notes when it hears of each. The moment a
breach is stored is when the backend acknowledges its frame.
"""

import argparse
import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from websockets.asyncio.client import connect

from benchmarks.environment import databases, describe_machine, fresh_settings, percentile, table
from chatops_backend.settings import Settings
from chatops_protocol.agent_messages import Authenticate, FramesStored, Samples, decode_to_agent_msgpack, encode_msgpack
from tests.stack import Backend

LIMIT_S = 15.0
INTERVAL_S = 5.0


@contextlib.asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, dict[str, float]]]:
    """A receiver: its address, and when it first heard of each server."""
    heard: dict[str, float] = {}

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        for alert in json.loads(await reader.readexactly(length))["alerts"]:
            heard.setdefault(alert["labels"]["server"], time.time())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", heard


async def breach_once(url: str, key: str, breach_at: float, until: float) -> float:
    """Send quiet readings, from `breach_at` on loud ones; return when the first loud one was acknowledged."""
    async with connect(url, compression=None, proxy=None) as socket:
        layout = {1: {"host": ["cpu_percent"]}}
        await socket.send(encode_msgpack(Authenticate(key, "notify", layout, interval_s=INTERVAL_S)))
        await socket.recv()
        sequence, stored_at = 0, 0.0
        while time.time() < until:
            sequence += 1
            loud = time.time() >= breach_at
            await socket.send(encode_msgpack(Samples(sequence, time.time(), 1, {"host": [[99.0 if loud else 5.0]]})))
            while not isinstance(decode_to_agent_msgpack(await socket.recv(decode=False)), FramesStored):
                continue
            if loud and stored_at == 0.0:
                stored_at = time.time()
            await asyncio.sleep(INTERVAL_S)
        return stored_at


async def measure(settings: Settings, servers: int, seconds: float) -> list[float]:
    async with webhook() as (address, heard):
        backend = Backend(replace(settings, allow_private_targets=True))
        channel = backend.call("POST", "/alerts/channels", json={"name": "sink", "type": "webhook", "url": address})
        rule = {
            "name": "busy",
            "metric": "host.cpu_percent",
            "all_servers": True,
            "aggregate": "max",
            "window_s": 60,
            "critical": 90,
            "channel_ids": [channel.raise_for_status().json()["id"]],
        }
        backend.call("POST", "/alerts/thresholds", json=rule).raise_for_status()
        names = [f"host {number}" for number in range(servers)]
        keys = [backend.add_server(name)[1] for name in names]
        chance = random.Random(1)
        began = time.time()
        stored = await asyncio.gather(
            *(
                breach_once(backend.agents_url, key, began + chance.uniform(10, seconds), began + seconds + 30)
                for key in keys
            )
        )
        backend.stop()
    return [heard[name] - at for name, at in zip(names, stored, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=60, help="servers that breach (%(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="over how long (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    rows = []
    for name, url in databases():
        with fresh_settings(url) as settings:
            delays = asyncio.run(measure(settings, arguments.servers, arguments.seconds))
        middle, high = percentile(delays, 0.5), percentile(delays, 0.95)
        rows.append([name, str(len(delays)), f"{middle:.1f} s", f"{high:.1f} s", f"≤ {LIMIT_S:g} s"])
    print(table(["database", "breaches", "stored → handed over, p50", "p95", "limit"], rows))


if __name__ == "__main__":
    main()
