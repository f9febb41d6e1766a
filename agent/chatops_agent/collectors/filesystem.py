"""`filesystem`: what is mounted and holds data; no pseudo, image or duplicate mounts."""

import os
from typing import Any

import psutil

from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.counters import Counters
from chatops_agent.rates import share
from chatops_protocol.catalog import FILESYSTEM

# Read-only images are always full by nature, and say nothing about the host.
IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"})


class FilesystemCollector:
    measurement = FILESYSTEM

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self, now: float) -> list[Row]:
        mounts = select_mounts(psutil.disk_partitions(all=False), lambda: psutil.disk_partitions(all=True))
        return [
            row(
                FILESYSTEM,
                {"mountpoint": mount.mountpoint, "device": mount.device, "filesystem_type": mount.fstype},
                self._usage(mount.mountpoint),
            )
            for mount in mounts
        ]

    def _usage(self, mountpoint: str) -> Readings:
        try:
            return usage(os.statvfs(mountpoint))
        except OSError as error:
            self._counters.collector_failed(f"file system {mountpoint}", error)
            return {}


def select_mounts(physical: list[Any], every: Any) -> list[Any]:
    """One mount per device: the shortest path is where it lives, the others are bind mounts or subvolumes.

    `every()` lists all mounts; a container's root is an overlay that only shows up there.
    """
    chosen: dict[str, Any] = {}
    for mount in physical:
        if mount.fstype in IMAGES or not os.path.isdir(mount.mountpoint):  # noqa: PTH112 – may be bytes that are no UTF-8
            continue
        known = chosen.get(mount.device)
        if known is None or len(mount.mountpoint) < len(known.mountpoint):
            chosen[mount.device] = mount
    mounts = list(chosen.values())
    if not any(mount.mountpoint == "/" for mount in mounts):
        # The last one mounted over "/" is the one in use.
        mounts = [mount for mount in every() if mount.mountpoint == "/"][-1:] + mounts
    return mounts


def usage(stat: os.statvfs_result) -> Readings:
    """Sizes in bytes. Like `df`: the percentage leaves out what only root may use."""
    used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    free = stat.f_bavail * stat.f_frsize
    inodes = stat.f_files or None  # btrfs and others have no fixed number
    return {
        "total_bytes": stat.f_blocks * stat.f_frsize,
        "used_bytes": used,
        "free_bytes": free,
        "used_percent": share(used, used + free),
        "inodes_total": inodes,
        "inodes_used_percent": share(stat.f_files - stat.f_ffree, inodes),
    }
