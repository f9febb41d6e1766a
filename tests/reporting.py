"""Report readings as a host's agent would, so that tests of what people see have something to see."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import connect

from chatops_protocol.agent_messages import (
    Authenticate,
    FramesStored,
    Samples,
    decode_to_agent_msgpack,
    encode_msgpack,
)

LAYOUT = {
    "host": [
        "cpu_percent",
        "memory_used_percent",
        "memory_used_bytes",
        "memory_total_bytes",
        "uptime_seconds",
        "cpu_user_percent",
        "cpu_system_percent",
        "load_1m",
        "load_5m",
        "load_15m",
        "disk_read_bytes_per_second",
        "disk_write_bytes_per_second",
        "network_receive_bytes_per_second",
        "network_transmit_bytes_per_second",
    ],
    "cpu": ["core", "cpu_percent"],
    "filesystem": ["mountpoint", "device", "filesystem_type", "used_percent", "used_bytes", "total_bytes"],
    "network": ["interface", "receive_bytes_per_second", "transmit_bytes_per_second"],
    "process": ["name", "user", "cpu_percent", "memory_resident_bytes"],
    "container": ["container_id", "name", "image", "cpu_percent", "memory_used_bytes", "restart_count"],
}
GIB = 2.0**30


def readings(cpu: float, *, process: str = "nginx", mountpoint: str = "/") -> dict[str, list[Any]]:
    """One collection of a small host."""
    return {
        "host": [
            [
                *(cpu, 50.0, 4 * GIB, 8 * GIB, 86400.0, cpu * 0.7, cpu * 0.3, cpu / 25, cpu / 30, cpu / 35),
                *(cpu * 1e4, cpu * 5e4, 1_500_000.0, 20_000.0),
            ]
        ],
        "cpu": [["0", cpu], ["1", cpu]],
        "filesystem": [[mountpoint, "/dev/vda1", "ext4", 40.0, 40 * GIB, 100 * GIB]],
        "network": [["eth0", 1_500_000.0, 20_000.0]],
        "process": [[process, "root", 12.0, 300e6]],
    }


class Reporter:
    """An open agent's socket."""

    def __init__(self, agents_url: str, api_key: str, layout: Mapping[str, list[str]] = LAYOUT) -> None:
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(agents_url, proxy=None))
        hello = Authenticate(api_key, "test", {1: dict(layout)}, agent_version="0.1.0", platform="Test Linux")
        self._socket.send(encode_msgpack(hello))
        welcome = decode_to_agent_msgpack(self._socket.recv(timeout=10))
        self._sequence = welcome.last_sequence

    def report(self, moments: Sequence[tuple[float, dict[str, list[Any]]]]) -> None:
        """Send collections at their Unix times and wait until all are committed."""
        for moment, rows in moments:
            self._sequence += 1
            self._socket.send(encode_msgpack(Samples(self._sequence, moment, 1, rows)))
        while True:
            answer = decode_to_agent_msgpack(self._socket.recv(timeout=10))
            assert isinstance(answer, FramesStored), answer
            if answer.sequence >= self._sequence:
                return

    def close(self) -> None:
        self._open.close()
