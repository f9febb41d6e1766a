"""What an agent would have read of a host's activity: one table per measurement, in the catalogue's columns. Pure.

Precision is that of the agent's own collectors: shares are quotients of counted clock ticks, rates are whole bytes by
the seconds that really passed, sizes are whole blocks and pages; then each is rounded as the agent rounds what it
sends, and no further.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from chatops_agent.collectors.interface import SIGNIFICANT_BITS
from chatops_cli.demo.activity import DISK_BYTES_PER_SECOND, Activity, flat, shaken
from chatops_cli.demo.fleet import GIB, MIB, Mount, Program
from chatops_cli.demo.noise import key_of, normal, smooth, uniform
from chatops_protocol.catalog import BY_NAME, Field

PAGE_BYTES = 4096
TICKS_PER_SECOND = 100
# Processes are read more seldom than all else, as agents do.
PROCESSES_EVERY = 3
RESERVED = {"ext4": 0.05}

Columns = Mapping[str, pl.Series | str]


def readings_of(activity: Activity) -> dict[str, pl.DataFrame]:
    """Columns ``time``, labels, fields; fields that the host has no source for are left out."""
    cores = _cores(activity)
    disks = _disk(activity)
    network = _network(activity)
    return {
        "host": _table(activity, "host", [_host(activity, cores, disks, network)]),
        "cpu": _table(activity, "cpu", [_core_rows(number, core) for number, core in enumerate(cores)]),
        "filesystem": _table(activity, "filesystem", [_filesystem(activity, m) for m in activity.host.role.mounts]),
        "disk": _table(activity, "disk", [{"device": activity.host.role.disk, **disks}]),
        "network": _table(activity, "network", [{"interface": "eth0", **network}]),
        "container": _table(
            activity, "container", [_container(activity, p) for p in activity.host.role.programs if p.container]
        ),
        "process": _table(
            activity, "process", [_process(activity, p) for p in activity.host.role.programs], PROCESSES_EVERY
        ),
    }


def _table(activity: Activity, measurement: str, series: Sequence[Columns], every: int = 1) -> pl.DataFrame:
    """The rows of some series while the host was up, one after the other in time."""
    catalogued = BY_NAME[measurement]
    frames = [
        pl.DataFrame({"time": activity.times, "up": activity.up})
        .with_columns(
            *((pl.lit(column) if isinstance(column, str) else column).alias(name) for name, column in columns.items())
        )
        .gather_every(every)
        .filter("up")
        .drop("up")
        for columns in series
    ]
    if not frames:
        return pl.DataFrame(
            schema={"time": pl.Datetime("us", "UTC")} | dict.fromkeys(catalogued.label_names, pl.String)
        )
    labels = [pl.col(name) for name in catalogued.label_names]
    fields = [_as_sent(field) for field in catalogued.fields if field.name in frames[0].columns]
    return pl.concat(frames).select("time", *labels, *fields).sort("time", maintain_order=True)


def _as_sent(field: Field) -> pl.Expr:
    """What `chatops_agent.collectors.interface.row` makes of it."""
    value = pl.col(field.name)
    if field.unit == "seconds":
        return value.round()
    exponent = value.abs().log(2.0).floor() + 1.0
    step = pl.lit(2.0).pow(exponent - SIGNIFICANT_BITS)
    return pl.when(value == value.round()).then(value).otherwise((value / step).round() * step).alias(field.name)


def _elapsed(activity: Activity) -> pl.Series:
    """Seconds between readings as the clock told them: never quite the interval."""
    return activity.interval_s + uniform(activity.count, activity.key("elapsed")) * 0.004 - 0.002


def _rate(activity: Activity, wanted: pl.Series, step: int = 1) -> pl.Series:
    """A counter that grows by whole `step`s."""
    elapsed = _elapsed(activity)
    return (wanted * elapsed / step).round() * step / elapsed


def _pages(wanted: pl.Series) -> pl.Series:
    return (wanted / PAGE_BYTES).round() * PAGE_BYTES


def _cores(activity: Activity) -> list[dict[str, pl.Series]]:
    """Clock ticks of each core: all, user, system, iowait. What the programs used, spread unevenly."""
    cores = activity.host.role.cores
    busy = activity.total("cores") / cores + 0.006
    waiting = activity.waiting / cores + _disk_share(activity) * 0.04
    found = []
    for core in range(cores):
        ticks = (
            activity.interval_s * TICKS_PER_SECOND + (normal(activity.count, activity.key("t", core))).round()
        ).round()
        uneven = 1 + (0.12 * smooth(activity.count, activity.key("core", core), 3)) * (1 - busy)
        used = ((busy * uneven).clip(0.0, 1.0) * ticks).round()
        user = (used * (0.78 + 0.02 * normal(activity.count, activity.key("user", core))).clip(0.0, 1.0)).round()
        idle = ticks - used
        found.append(
            {
                "all": ticks,
                "used": used,
                "user": user,
                "system": used - user,
                "iowait": ((waiting * shaken(activity, f"wait {core}", 0.1)).clip(0.0, 1.0) * ticks)
                .round()
                .zip_with(waiting * ticks < idle, (idle * 0.9).round()),
            }
        )
    return found


def _core_rows(number: int, core: dict[str, pl.Series]) -> Columns:
    return {
        "core": str(number),
        "cpu_percent": 100 * core["used"] / core["all"],
        "user_percent": 100 * core["user"] / core["all"],
        "system_percent": 100 * core["system"] / core["all"],
        "iowait_percent": 100 * core["iowait"] / core["all"],
    }


def _disk_share(activity: Activity) -> pl.Series:
    """How much of the time the disk is busy, from 0 to 1."""
    moved = activity.total("reads") + activity.total("writes")
    return (moved / DISK_BYTES_PER_SECOND * activity.slow).clip(0.0, 1.0)


def _disk(activity: Activity) -> dict[str, pl.Series]:
    reads = _rate(activity, activity.total("reads"), 4096)
    writes = _rate(activity, activity.total("writes") + 6_000 * shaken(activity, "sync", 0.2), 4096)
    busy_ms = (_disk_share(activity) * 1000 * activity.interval_s).round()
    return {
        "read_bytes_per_second": reads,
        "write_bytes_per_second": writes,
        "reads_per_second": _rate(activity, reads / 22_000),
        "writes_per_second": _rate(activity, writes / 14_000 + 0.6),
        "busy_percent": (busy_ms / _elapsed(activity) / 10).clip(0.0, 100.0),
    }


def _network(activity: Activity) -> dict[str, pl.Series]:
    receives = _rate(activity, activity.total("receives") + 900 * shaken(activity, "arp", 0.1))
    sends = _rate(activity, activity.total("sends") + 1_400 * shaken(activity, "agent", 0.05))
    return {
        "receive_bytes_per_second": receives,
        "transmit_bytes_per_second": sends,
        "receive_packets_per_second": _rate(activity, receives / 820),
        "transmit_packets_per_second": _rate(activity, sends / 790),
        "receive_errors_per_second": flat(activity.count),
        "transmit_errors_per_second": flat(activity.count),
        "receive_drops_per_second": _rate(activity, activity.dropped),
        "transmit_drops_per_second": flat(activity.count),
    }


def _filesystem(activity: Activity, mount: Mount) -> Columns:
    share = activity.used[mount.mountpoint]
    reserved = RESERVED.get(mount.filesystem_type, 0.0) * mount.total_bytes // PAGE_BYTES * PAGE_BYTES
    used = _pages(share * mount.total_bytes)
    free = (mount.total_bytes - used - reserved).clip(0.0, None)
    inodes = mount.total_bytes // 16_384
    inodes_used = (share * 0.11 * inodes).round()
    return {
        "mountpoint": mount.mountpoint,
        "device": mount.device,
        "filesystem_type": mount.filesystem_type,
        "total_bytes": flat(activity.count, float(mount.total_bytes)),
        "used_bytes": used,
        "free_bytes": free,
        "used_percent": 100 * used / (used + free),
        "inodes_total": flat(activity.count, float(inodes)),
        "inodes_used_percent": 100 * inodes_used / inodes,
    }


def _container(activity: Activity, program: Program) -> Columns:
    assert program.container is not None
    limit = float(program.container.limit_bytes)
    used = _pages(activity.programs[program.name]["memory"]).clip(0.0, limit)
    did = activity.programs[program.name]
    return {
        "container_id": f"{key_of(activity.host.name, program.name) * 0x1F3D5B79:012x}"[-12:],
        "name": program.container.name,
        "image": program.container.image,
        "cpu_percent": 100 * did["cores"],
        "memory_used_bytes": used,
        "memory_limit_bytes": flat(activity.count, limit),
        "memory_used_percent": 100 * used / limit,
        "network_receive_bytes_per_second": _rate(activity, did["receives"]),
        "network_transmit_bytes_per_second": _rate(activity, did["sends"]),
        "disk_read_bytes_per_second": _rate(activity, did["reads"], 4096),
        "disk_write_bytes_per_second": _rate(activity, did["writes"], 4096),
        "process_count": flat(activity.count, float(program.threads)),
        "restart_count": did["restarts"],
    }


def _process(activity: Activity, program: Program) -> Columns:
    did = activity.programs[program.name]
    resident = _pages(did["memory"])
    elapsed = _elapsed(activity) * PROCESSES_EVERY
    return {
        "name": program.process,
        "user": program.user,
        "cpu_percent": 100 * (did["cores"] * elapsed * TICKS_PER_SECOND).round() / TICKS_PER_SECOND / elapsed,
        "memory_resident_bytes": resident,
        "memory_percent": 100 * resident / activity.host.role.memory_bytes,
        "process_count": flat(activity.count, float(program.processes)),
        "thread_count": flat(activity.count, float(program.threads)),
    }


def _host(
    activity: Activity, cores: list[dict[str, pl.Series]], disk: dict[str, pl.Series], network: dict[str, pl.Series]
) -> Columns:
    role = activity.host.role
    ticks = {name: sum((core[name] for core in cores), flat(activity.count)) for name in cores[0]}
    busy = ticks["used"] / ticks["all"]
    waiting = ticks["iowait"] / ticks["all"]
    queue = (activity.total("cores") * (1 + 0.6 * busy.pow(6.0)) + activity.waiting + waiting * role.cores) * shaken(
        activity, "queue", 0.12
    )
    total = float(role.memory_bytes - 180 * MIB)
    # The kernel and what is too small for a row of its own.
    used = _pages((0.03 * total + activity.total("memory")).clip(0.0, 0.985 * total))
    scarce = ((used / total - 0.9) / 0.085).clip(0.0, 1.0)
    swap = float(2 * GIB)
    swapped = _pages(swap * 0.6 * scarce)
    found: dict[str, pl.Series | str] = {
        "cpu_percent": 100 * busy,
        "cpu_user_percent": 100 * ticks["user"] / ticks["all"],
        "cpu_system_percent": 100 * ticks["system"] / ticks["all"],
        "cpu_iowait_percent": 100 * waiting,
        "cpu_steal_percent": flat(activity.count),
        "load_1m": queue.round(2),
        "load_5m": queue.ewm_mean(alpha=0.6, adjust=False).round(2),
        "load_15m": queue.ewm_mean(alpha=0.3, adjust=False).round(2),
        "memory_total_bytes": flat(activity.count, total),
        "memory_used_bytes": used,
        "memory_available_bytes": total - used,
        "memory_cached_bytes": _pages(
            (total - used) * (0.8 + 0.02 * smooth(activity.count, activity.key("cache"), 50))
        ),
        "memory_used_percent": 100 * used / total,
        "swap_total_bytes": flat(activity.count, swap),
        "swap_used_bytes": swapped,
        "swap_used_percent": 100 * swapped / swap,
        "disk_read_bytes_per_second": disk["read_bytes_per_second"],
        "disk_write_bytes_per_second": disk["write_bytes_per_second"],
        "network_receive_bytes_per_second": network["receive_bytes_per_second"],
        "network_transmit_bytes_per_second": network["transmit_bytes_per_second"],
        "pressure_cpu_some_percent": _pressure(activity, "cpu", ((busy - 0.45) / 0.55).clip(0.0, 1.0).pow(2.0) * 0.7),
        "pressure_memory_some_percent": _pressure(activity, "memory", scarce * 0.35),
        "pressure_memory_full_percent": _pressure(activity, "memory full", scarce * 0.2),
        "pressure_io_some_percent": _pressure(activity, "io", (waiting * 1.3).clip(0.0, 0.97)),
        "pressure_io_full_percent": _pressure(activity, "io full", (waiting * 0.9).clip(0.0, 0.9)),
        "uptime_seconds": activity.seconds - activity.booted,
        "process_count": (120 + 30 * activity.demand + 2 * smooth(activity.count, activity.key("pids"), 5)).round(),
        "agent_cpu_percent": 0.45 * shaken(activity, "agent cpu", 0.06),
        "agent_memory_bytes": _pages(46 * MIB + 0.4 * MIB * smooth(activity.count, activity.key("agent memory"), 200)),
        "agent_spool_frames": flat(activity.count),
        "agent_spool_bytes": flat(activity.count),
        "agent_dropped_frames": flat(activity.count),
        "agent_collector_errors": flat(activity.count),
        "agent_reconnects": flat(activity.count, 1.0),
    }
    if role.sensors:
        found["temperature_celsius"] = (
            38 + 30 * busy + 0.8 * smooth(activity.count, activity.key("sensor"), 6)
        ).round()
    return found


def _pressure(activity: Activity, name: str, share: pl.Series) -> pl.Series:
    """The kernel tells it with two decimals, and nothing at all most of the time."""
    return (100 * share * shaken(activity, f"pressure {name}", 0.15)).clip(0.0, 100.0).round(2)
