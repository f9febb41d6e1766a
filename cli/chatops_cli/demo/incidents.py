"""What befalls the demo fleet, when, and how one would find out: the truth that people and analyses look for. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from chatops_cli.demo.fleet import Host

Kind = Literal["disk fills", "memory leak", "noisy neighbour", "network saturated", "host down", "slow disk"]
DAY = 86_400.0
LONGEST = timedelta(days=30)


class Incident(Struct, frozen=True, kw_only=True):
    """`ends_at` None: it goes on. `program` (a container's or a process's name) is the cause, where there is one;
    `metric` is where it shows."""

    kind: Kind
    server: str
    starts_at: datetime
    ends_at: datetime | None
    title: str
    program: str | None
    metric: str

    @property
    def line(self) -> str:
        """For people."""
        until = f"{self.ends_at:%Y-%m-%d %H:%M}" if self.ends_at is not None else "now"
        return f"{self.kind}, {self.starts_at:%Y-%m-%d %H:%M} to {until} UTC: {self.title} [{self.metric}]"


class _Planned(Struct, frozen=True):
    """`begins`: the share of the range that is past then. `lasts_s` None: to the end, and on."""

    kind: Kind
    server: str
    begins: float
    lasts_s: float | None
    title: str
    program: str | None
    metric: str


_PLAN: tuple[_Planned, ...] = (
    _Planned(
        "disk fills",
        "demo-web-1",
        0.07,
        None,
        "/var gains 2.5 % a day; the container access-log keeps all that it writes",
        "access-log",
        "filesystem.used_percent",
    ),
    _Planned(
        "disk fills",
        "demo-db-1",
        0.05,
        None,
        "/var/lib/postgresql gains 1.6 % a day; the container audit-trail keeps all that it writes",
        "audit-trail",
        "filesystem.used_percent",
    ),
    _Planned(
        "memory leak",
        "demo-web-2",
        0.45,
        6 * DAY,
        "the container checkout-api grows until it is killed and starts anew, again and again",
        "checkout-api",
        "container.memory_used_percent",
    ),
    _Planned(
        "noisy neighbour",
        "demo-batch-1",
        0.73,
        5 * 3600.0,
        "the container nightly-report takes all cores; etl-worker starves beside it",
        "nightly-report",
        "host.cpu_percent",
    ),
    _Planned(
        "network saturated",
        "demo-web-3",
        0.83,
        2.5 * 3600.0,
        "eth0 receives all that 1 Gbit/s carries, and packets are dropped",
        "nginx",
        "network.receive_bytes_per_second",
    ),
    _Planned(
        "host down",
        "demo-db-2",
        0.36,
        2.25 * 3600.0,
        "no readings, then a start with cold caches",
        None,
        "host.uptime_seconds",
    ),
    _Planned(
        "slow disk",
        "demo-ci-1",
        0.9,
        4 * 3600.0,
        "vda is busy all the time and moves little; everything waits for it",
        None,
        "host.cpu_iowait_percent",
    ),
)


def plan_incidents(hosts: Sequence[Host], start: datetime, end: datetime) -> list[Incident]:
    """Those of `hosts` between two moments, oldest first; in a short range none lasts longer than fits."""
    names = {host.name for host in hosts}
    length = end - start
    incidents = []
    for planned in _PLAN:
        if planned.server not in names:
            continue
        # What goes on until the end, as a disk that fills, cannot go on for longer than it has room.
        until_end = (1 - planned.begins) * min(length, LONGEST)
        begins = end - until_end if planned.lasts_s is None else start + planned.begins * length
        begins = begins.replace(second=0, microsecond=0)
        begins -= timedelta(minutes=begins.minute % 10)
        ends = None
        if planned.lasts_s is not None:
            longest = 0.2 * length.total_seconds() if planned.lasts_s >= DAY else 0.1 * length.total_seconds()
            ends = begins + timedelta(minutes=min(planned.lasts_s, longest) // 60)
        incidents.append(
            Incident(
                kind=planned.kind,
                server=planned.server,
                starts_at=begins,
                ends_at=ends,
                title=planned.title,
                program=planned.program,
                metric=planned.metric,
            )
        )
    return sorted(incidents, key=lambda incident: incident.starts_at)
