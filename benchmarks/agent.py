"""What the agent costs on a host: resident memory and CPU time of the real process at its default interval.

Beside it, in the same run on the same machine, a bare psutil loop with websockets imported. `make bench` runs it; it
prints and never judges.

    python -m benchmarks.agent [--seconds 180]
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

LIMIT_MB, LIMIT_PERCENT = 40.0, 0.3
INTERVAL_S = 5.0
# Start and first connection are paid once; what matters is what stays.
SETTLE_S = 12.0

PEER = """
import asyncio
import time
from chatops_protocol import agent_messages as m
from websockets.asyncio.server import serve

async def agent(socket):
    sequence = frames = size = 0
    async for message in socket:
        decoded = m.decode_from_agent_msgpack(message)
        if isinstance(decoded, m.Authenticate):
            answer = m.Welcome(server_id=1, last_sequence=sequence, ignored={}, server_time=time.time())
        else:
            frames, size, sequence = frames + 1, size + len(message), decoded.sequence
            print(frames, size, flush=True)
            answer = m.FramesStored(sequence=sequence)
        await socket.send(m.encode_msgpack(answer))

async def main():
    async with serve(agent, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""

BARE_LOOP = """
import time
import psutil
import websockets.asyncio.client

while True:
    psutil.cpu_times(percpu=True), psutil.virtual_memory(), psutil.swap_memory()
    psutil.disk_io_counters(perdisk=True), psutil.net_io_counters(pernic=True)
    [psutil.disk_usage(mount.mountpoint) for mount in psutil.disk_partitions()]
    time.sleep({interval})
"""


class Usage(NamedTuple):
    resident_mb: float
    proportional_mb: float
    unique_mb: float
    cpu_percent: float


class Sample(NamedTuple):
    at: float
    cpu_s: float


def sample(process: psutil.Process) -> Sample:
    times = process.cpu_times()
    return Sample(time.monotonic(), times.user + times.system)


def usage(process: psutil.Process, before: Sample) -> Usage:
    after, memory = sample(process), process.memory_full_info()
    megabytes = [value / 1e6 for value in (memory.rss, memory.pss, memory.uss)]
    return Usage(*megabytes, 100 * (after.cpu_s - before.cpu_s) / (after.at - before.at))


def measure(seconds: float, scratch: Path) -> tuple[Usage, Usage, str]:
    """Return the usage of the agent and of the bare loop, and the last line of the peer: frames and bytes received."""
    peer_log = scratch / "peer"
    with peer_log.open("w") as output:
        peer = subprocess.Popen([sys.executable, "-c", PEER], stdout=output)
    bare = subprocess.Popen([sys.executable, "-c", BARE_LOOP.format(interval=INTERVAL_S)])
    while not (port := peer_log.read_text().partition("\n")[0]):
        time.sleep(0.05)
    settings = {
        "CHATOPS_API_URL": f"http://127.0.0.1:{port}",
        "CHATOPS_API_KEY": "chatops_agent_benchmark",
        "CHATOPS_SPOOL_DIR": str(scratch / "spool"),
        "CHATOPS_INTERVAL": str(INTERVAL_S),
    }
    agent = subprocess.Popen([sys.executable, "-m", "chatops_agent"], env={**os.environ, **settings})
    try:
        time.sleep(SETTLE_S)
        watched = [psutil.Process(agent.pid), psutil.Process(bare.pid)]
        before = [sample(process) for process in watched]
        time.sleep(seconds)
        of_agent, of_bare = (usage(*pair) for pair in zip(watched, before, strict=True))
        return of_agent, of_bare, peer_log.read_text().splitlines()[-1]
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(15)
        for helper in (bare, peer):
            helper.kill()
            helper.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long to measure (180)")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as scratch:
        agent, bare, received = measure(seconds, Path(scratch))
    frames, size = (int(number) for number in received.split())
    print(
        f"agent footprint over {seconds:.0f} s at {INTERVAL_S:g} s interval: Python {platform.python_version()}, "
        f"{psutil.cpu_count()} cores, {len(psutil.pids())} processes"
    )
    print(f"{'':22}{'RSS MB':>9}{'PSS MB':>9}{'USS MB':>9}{'CPU % of a core':>17}")
    for name, of_one in (("agent", agent), ("bare psutil loop", bare)):
        print(
            f"{name:22}{of_one.resident_mb:9.1f}{of_one.proportional_mb:9.1f}{of_one.unique_mb:9.1f}{of_one.cpu_percent:17.3f}"
        )
    print(f"{'limit':22}{LIMIT_MB:9.1f}{'':18}{LIMIT_PERCENT:17.3f}")
    print(f"{frames} frames received, {size / max(1, frames):.0f} bytes each")


if __name__ == "__main__":
    main()
