"""What each kind of incident does to a host's activity. Called by `host_activity`, before sums are made. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime

import polars as pl

from chatops_cli.demo.activity import Activity, fill_mounts, flat, limit_to_machine, ordinary
from chatops_cli.demo.fleet import Host
from chatops_cli.demo.incidents import Incident, Kind
from chatops_cli.demo.noise import smooth

# Share of the file system that is gained a day; matches what the incidents' titles say.
FILLS_A_DAY = {"/var": 0.021, "/var/lib/postgresql": 0.014}
# What is in use in the end: short of what the starting rules warn of.
FULL_AT_END = 0.76
LEAK_PERIOD_S = 20 * 3600.0


def host_activity(
    host: Host, incidents: Sequence[Incident], seed: int, start: datetime, end: datetime, interval_s: float
) -> Activity:
    """All that `host` did from `start` up to `end`, a reading each `interval_s`."""
    activity = ordinary(host, seed, start, end, interval_s)
    for incident in incidents:
        if incident.server == host.name:
            _EFFECTS[incident.kind](activity, incident)
    limit_to_machine(activity)
    fill_mounts(activity)
    return activity


def _disk_fills(activity: Activity, incident: Incident) -> None:
    program = next(one for one in activity.host.role.programs if one.name == incident.program)
    mount = next(one for one in activity.host.role.mounts if one.mountpoint == program.keeps)
    lasting = activity.within(incident)
    activity.full_at_end[mount.mountpoint] = FULL_AT_END
    # As much on average as the title says, and more by day: it logs what is asked of the host.
    rate = FILLS_A_DAY[mount.mountpoint] * mount.total_bytes / 86_400.0
    asked = activity.demand / max(0.05, activity.demand.sum() / activity.count)
    shape = (0.6 + 0.4 * asked) * (1 + 0.08 * smooth(activity.count, activity.key("fills"), 4))
    wrote = activity.programs[program.name]
    wrote["writes"] = wrote["writes"] + lasting * rate * shape
    wrote["cores"] = wrote["cores"] + lasting * 0.05 * shape


def _memory_leak(activity: Activity, incident: Incident) -> None:
    assert incident.program is not None
    lasting = activity.within(incident)
    leaking = activity.programs[incident.program]
    ran_s = (activity.times - incident.starts_at).dt.total_milliseconds().cast(pl.Float64) / 1000.0
    ends_at = incident.ends_at or activity.times[-1]
    period_s = min(LEAK_PERIOD_S, (ends_at - incident.starts_at).total_seconds() / 3)
    grown = ((ran_s % period_s) / period_s).pow(1.3)
    limit = next(
        p.container.limit_bytes for p in activity.host.role.programs if p.name == incident.program and p.container
    )
    target = 0.985 * limit
    leaking["memory"] = leaking["memory"] * (1 - lasting * grown) + lasting * grown * target
    # It collects garbage in vain.
    leaking["cores"] = leaking["cores"] + lasting * 0.5 * grown.pow(4.0)
    killed = (ran_s // period_s).clip(0.0, None)
    most = (ends_at - incident.starts_at).total_seconds() // period_s
    leaking["restarts"] = killed.clip(0.0, most)


def _noisy_neighbour(activity: Activity, incident: Incident) -> None:
    lasting = activity.within(incident)
    for name, program in activity.programs.items():
        if name == incident.program:
            program["cores"] = program["cores"] + lasting * 1.4 * activity.host.role.cores
            program["memory"] = program["memory"] + lasting * 2.5e9
        else:
            program["cores"] = program["cores"] * (1 - 0.25 * lasting)
            program["writes"] = program["writes"] * (1 - 0.5 * lasting)


def _network_saturated(activity: Activity, incident: Incident) -> None:
    assert incident.program is not None
    lasting = activity.within(incident)
    flooded = activity.programs[incident.program]
    flooded["receives"] = flooded["receives"] + lasting * 124e6 * (
        1 + 0.02 * smooth(activity.count, activity.key("flood"), 2)
    )
    flooded["cores"] = flooded["cores"] + lasting * 0.55
    activity.dropped = activity.dropped + lasting * (900 + 250 * smooth(activity.count, activity.key("drops"), 2)).clip(
        50.0, None
    )


def _host_down(activity: Activity, incident: Incident) -> None:
    assert incident.ends_at is not None
    activity.up = activity.within(incident) == 0.0
    back_at = incident.ends_at.timestamp()
    after_s = activity.seconds - back_at
    back = (after_s >= 0).cast(pl.Float64)
    activity.booted = activity.booted * (1 - back) + back * (back_at - 71.35)
    # Caches are cold for an hour or so.
    cold = back * (-(after_s.clip(0.0, None)) / 2400.0).exp()
    for program in activity.programs.values():
        program["reads"] = program["reads"] * (1 + 6 * cold)
        program["memory"] = program["memory"] * (1 - 0.55 * cold)


def _slow_disk(activity: Activity, incident: Incident) -> None:
    lasting = activity.within(incident)
    activity.waiting = activity.waiting + lasting * 0.6 * activity.host.role.cores * (0.6 + 0.4 * activity.demand)
    activity.slow = flat(activity.count, 1.0) + lasting * 400.0
    for program in activity.programs.values():
        for name in ("reads", "writes"):
            program[name] = program[name] * (1 - 0.85 * lasting)
        program["cores"] = program["cores"] * (1 - 0.6 * lasting)


_EFFECTS: dict[Kind, Callable[[Activity, Incident], None]] = {
    "disk fills": _disk_fills,
    "memory leak": _memory_leak,
    "noisy neighbour": _noisy_neighbour,
    "network saturated": _network_saturated,
    "host down": _host_down,
    "slow disk": _slow_disk,
}
