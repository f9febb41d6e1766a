"""What a demo host did over a range of time: its programs, its disks, its network, with incidents applied. Pure.

Everything is built from the programs up, so that what a host shows is what its processes and containers account for.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from chatops_cli.demo.fleet import Host, Mount, Program, Span
from chatops_cli.demo.incidents import Incident
from chatops_cli.demo.noise import key_of, normal, rhythm, smooth, uniform

QUANTITIES = ("cores", "memory", "reads", "writes", "receives", "sends")
DISK_BYTES_PER_SECOND = 180e6
NETWORK_BYTES_PER_SECOND = 118e6
PROCESS_SPREAD = 0.18


@dataclass
class Activity:
    """Parallel series, one number for each of `times`. `programs` has one table of `QUANTITIES` and `restarts` each;
    `waiting` counts cores that are idle for a disk; `slow` multiplies what a disk is busy with; `dropped` counts
    packets a second; `used` is the share in use of each mount, `full_at_end` what it is to be in the end where that is
    not as ordinary; `booted` is in Unix seconds."""

    host: Host
    seed: int
    interval_s: float
    times: pl.Series
    demand: pl.Series
    programs: dict[str, dict[str, pl.Series]]
    waiting: pl.Series
    slow: pl.Series
    dropped: pl.Series
    booted: pl.Series
    up: pl.Series
    used: dict[str, pl.Series] = field(default_factory=dict)
    full_at_end: dict[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> pl.Series:
        return self.times.dt.epoch("us").cast(pl.Float64) / 1e6

    def key(self, *parts: object) -> int:
        return key_of(self.seed, self.host.name, *parts)

    def total(self, quantity: str) -> pl.Series:
        return sum((program[quantity] for program in self.programs.values()), flat(self.count))

    def within(self, incident: Incident) -> pl.Series:
        """1 while the incident lasts, else 0."""
        end = incident.ends_at or datetime.max.replace(tzinfo=incident.starts_at.tzinfo)
        return ((self.times >= incident.starts_at) & (self.times < end)).cast(pl.Float64)


def flat(count: int, value: float = 0.0) -> pl.Series:
    return pl.Series([value]).new_from_index(0, count)


def ordinary(host: Host, seed: int, start: datetime, end: datetime, interval_s: float) -> Activity:
    """The host without any incident. Readings are taken at its own second of the minute, a little late."""
    key = key_of(seed, host.name)
    every = timedelta(seconds=interval_s)
    grid = pl.datetime_range(
        start + timedelta(seconds=5 + key % 45), end, every, time_unit="us", closed="left", eager=True
    )
    count = len(grid)
    late = (uniform(count, key_of(key, "late")) * 5000).cast(pl.Int64).cast(pl.Duration("us"))
    times = grid + late
    strength = 0.75 + 0.35 * (key % 100) / 100
    demand = (rhythm(host.role.rhythm, times) * strength * (1 + 0.1 * smooth(count, key_of(key, "demand"), 24))).clip(
        0.0, 1.15
    )
    programs = {program.name: _ordinary_program(program, demand, key) for program in host.role.programs}
    booted = start.timestamp() - (3 + key % 200) * 86_400.0 - (key % 86_400) - 0.42
    return Activity(
        host=host,
        seed=seed,
        interval_s=interval_s,
        times=times,
        demand=demand,
        programs=programs,
        waiting=flat(count),
        slow=flat(count, 1.0),
        dropped=flat(count),
        booted=flat(count, booted),
        up=pl.Series([True]).new_from_index(0, count),
    )


def _ordinary_program(program: Program, demand: pl.Series, key: int) -> dict[str, pl.Series]:
    count = len(demand)
    spans: dict[str, Span] = {name: getattr(program, name) for name in QUANTITIES}
    found: dict[str, pl.Series] = {}
    for name, (idle, busy) in spans.items():
        if busy == 0.0:
            found[name] = flat(count)
            continue
        memory = 60.0 if name == "memory" else 2.0
        spread = 0.03 if name == "memory" else PROCESS_SPREAD
        shake = 1 + spread * smooth(count, key_of(key, program.name, name), memory)
        found[name] = ((idle + (busy - idle) * demand) * shake).clip(0.0, None)
    found["restarts"] = flat(count)
    return found


def limit_to_machine(activity: Activity) -> None:
    """No more cores than there are, no more bytes than disk and network carry: all programs get less alike."""
    role = activity.host.role
    for quantities, most in (
        (("cores",), 0.985 * role.cores),
        (("reads", "writes"), DISK_BYTES_PER_SECOND),
        (("receives",), NETWORK_BYTES_PER_SECOND),
        (("sends",), NETWORK_BYTES_PER_SECOND),
        (("memory",), 0.955 * role.memory_bytes),
    ):
        wanted = sum((activity.total(name) for name in quantities), flat(activity.count))
        share = (most / wanted).clip(0.0, 1.0).fill_nan(1.0)
        for program in activity.programs.values():
            for name in quantities:
                program[name] = program[name] * share


def fill_mounts(activity: Activity) -> None:
    """The share in use of each mount: so full at the end, emptied now and then, and what programs keep on it."""
    for mount in activity.host.role.mounts:
        kept = flat(activity.count)
        for program in activity.host.role.programs:
            if program.keeps == mount.mountpoint:
                written = activity.programs[program.name]["writes"] * activity.interval_s
                kept = kept + written.cum_sum() / mount.total_bytes
        share = _ordinary_fill(activity, mount) + kept
        if mount.mountpoint in activity.full_at_end:
            share = share + (activity.full_at_end[mount.mountpoint] - float(share[-1]))
        activity.used[mount.mountpoint] = share.clip(0.01, 0.995)


def _ordinary_fill(activity: Activity, mount: Mount) -> pl.Series:
    seconds = activity.seconds
    days_before_end: pl.Series = (seconds - float(seconds[-1])) / 86_400.0
    phase: pl.Series = (seconds % mount.emptied_s) / mount.emptied_s
    # Files that come and go within hours.
    unsteady = 0.005 * smooth(activity.count, activity.key("fill", mount.mountpoint), 36)
    return mount.full + mount.daily * days_before_end + mount.swing * (phase - 0.5) + unsteady


def shaken(activity: Activity, name: str, spread: float) -> pl.Series:
    """Around 1."""
    return (1 + spread * normal(activity.count, activity.key(name))).clip(0.2, None)
