"""`network`: every interface, and the sums over all but loopback."""

import psutil

from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.rates import Rates, total
from chatops_protocol.catalog import NETWORK

COUNTERS = {
    "receive_bytes_per_second": "bytes_recv",
    "transmit_bytes_per_second": "bytes_sent",
    "receive_packets_per_second": "packets_recv",
    "transmit_packets_per_second": "packets_sent",
    "receive_errors_per_second": "errin",
    "transmit_errors_per_second": "errout",
    "receive_drops_per_second": "dropin",
    "transmit_drops_per_second": "dropout",
}


class NetworkCollector:
    measurement = NETWORK

    def __init__(self) -> None:
        self._rates = Rates()
        self._loopback: dict[str, bool] = {}
        self._host: Readings = {}

    def collect(self, now: float) -> list[Row]:
        self._host = {}
        self._rates.start(now)
        interfaces = psutil.net_io_counters(pernic=True, nowrap=False)
        if interfaces.keys() != self._loopback.keys():  # asking the kernel for flags costs a system call per interface
            self._loopback = find_loopback(list(interfaces))
        readings = {name: self._readings(name, counters) for name, counters in interfaces.items()}
        outside = [values for name, values in readings.items() if not self._loopback[name]]
        self._host = {
            "network_receive_bytes_per_second": total([r["receive_bytes_per_second"] for r in outside]),
            "network_transmit_bytes_per_second": total([r["transmit_bytes_per_second"] for r in outside]),
        }
        return [row(NETWORK, {"interface": name}, values) for name, values in readings.items()]

    def host_readings(self) -> Readings:
        """Of the same reading as the last `collect`."""
        return self._host

    def _readings(self, name: str, counters: object) -> Readings:
        return {
            field: self._rates.per_second((name, counter), getattr(counters, counter))
            for field, counter in COUNTERS.items()
        }


def find_loopback(names: list[str]) -> dict[str, bool]:
    """Which interfaces loop back, by the kernel's flag; by the usual name where the flag cannot be read."""
    stats = psutil.net_if_stats()
    return {name: "loopback" in stats[name].flags if name in stats else name in ("lo", "lo0") for name in names}
