"""The metric catalogue: every measurement, label and field, named once.

The agent's collectors, the hypertables, the roll-ups, the query planner, the alert rules and the charts follow this
module; a test holds it against the migrated database. A metric's public name is ``measurement.field``.
"""

from typing import Literal

from msgspec import Struct

Unit = Literal["percent", "bytes", "bytes_per_second", "per_second", "seconds", "celsius", "count", "load", "value"]
LabelType = Literal["text", "jsonb"]


class Label(Struct, frozen=True):
    """A column that tells the series of one measurement and server apart."""

    name: str
    description: str
    type: LabelType = "text"


class Field(Struct, frozen=True):
    """A numeric column: double precision, NULL when it could not be read."""

    name: str
    unit: Unit
    description: str


class Measurement(Struct, frozen=True):
    """A hypertable ``metrics.<name>``: one row per (time, server, labels), one column per field."""

    name: str
    description: str
    labels: tuple[Label, ...]
    fields: tuple[Field, ...]

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def columns(self) -> tuple[str, ...]:
        """Labels, then fields: the order in which an agent's row carries its values."""
        return self.label_names + self.field_names

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


HOST = Measurement(
    "host",
    "The whole machine, and the agent's view of itself",
    (),
    (
        Field("cpu_percent", "percent", "Busy share of all cores"),
        Field("cpu_user_percent", "percent", "Share of all cores in user code"),
        Field("cpu_system_percent", "percent", "Share of all cores in the kernel"),
        Field("cpu_iowait_percent", "percent", "Share of all cores idle while input or output is pending"),
        Field("cpu_steal_percent", "percent", "Share of all cores the hypervisor gave to others"),
        Field("load_1m", "load", "Runnable and uninterruptible tasks, 1 minute average"),
        Field("load_5m", "load", "Runnable and uninterruptible tasks, 5 minute average"),
        Field("load_15m", "load", "Runnable and uninterruptible tasks, 15 minute average"),
        Field("memory_total_bytes", "bytes", "Physical memory"),
        Field("memory_used_bytes", "bytes", "Physical memory that is not available to new programs"),
        Field("memory_available_bytes", "bytes", "Physical memory that new programs can have without swapping"),
        Field("memory_cached_bytes", "bytes", "Page cache and buffers"),
        Field("memory_used_percent", "percent", "Used share of physical memory"),
        Field("swap_total_bytes", "bytes", "Swap space"),
        Field("swap_used_bytes", "bytes", "Swap space in use"),
        Field("swap_used_percent", "percent", "Used share of swap space"),
        Field("disk_read_bytes_per_second", "bytes_per_second", "Read from all physical disks"),
        Field("disk_write_bytes_per_second", "bytes_per_second", "Written to all physical disks"),
        Field("network_receive_bytes_per_second", "bytes_per_second", "Received on all interfaces but loopback"),
        Field("network_transmit_bytes_per_second", "bytes_per_second", "Sent on all interfaces but loopback"),
        Field("pressure_cpu_some_percent", "percent", "Time in which some task waited for a core, 10 s average"),
        Field("pressure_memory_some_percent", "percent", "Time in which some task waited for memory, 10 s average"),
        Field("pressure_memory_full_percent", "percent", "Time in which all tasks waited for memory, 10 s average"),
        Field("pressure_io_some_percent", "percent", "Time in which some task waited for a disk, 10 s average"),
        Field("pressure_io_full_percent", "percent", "Time in which all tasks waited for a disk, 10 s average"),
        Field("temperature_celsius", "celsius", "Hottest sensor of the processor, or of the machine"),
        Field("uptime_seconds", "seconds", "Time since boot"),
        Field("process_count", "count", "Processes"),
        Field("agent_cpu_percent", "percent", "One core's share used by the agent"),
        Field("agent_memory_bytes", "bytes", "Resident memory of the agent"),
        Field("agent_spool_frames", "count", "Frames on disk that are not acknowledged yet"),
        Field("agent_spool_bytes", "bytes", "Size of the frames that are not acknowledged yet"),
        Field("agent_dropped_frames", "count", "Frames dropped because the spool was full, since the agent started"),
        Field("agent_collector_errors", "count", "Collector failures since the agent started"),
        Field("agent_reconnects", "count", "Connections opened since the agent started"),
    ),
)

CPU = Measurement(
    "cpu",
    "One core",
    (Label("core", "Number of the core, from 0"),),
    (
        Field("cpu_percent", "percent", "Busy share of the core"),
        Field("user_percent", "percent", "Share in user code"),
        Field("system_percent", "percent", "Share in the kernel"),
        Field("iowait_percent", "percent", "Share idle while input or output is pending"),
    ),
)

FILESYSTEM = Measurement(
    "filesystem",
    "One mounted file system",
    (
        Label("mountpoint", "Where it is mounted"),
        Label("device", "What is mounted"),
        Label("filesystem_type", "ext4, xfs, btrfs, …"),
    ),
    (
        Field("total_bytes", "bytes", "Size"),
        Field("used_bytes", "bytes", "In use"),
        Field("free_bytes", "bytes", "Free to ordinary users"),
        Field("used_percent", "percent", "Used share of what ordinary users can use"),
        Field("inodes_total", "count", "Inodes"),
        Field("inodes_used_percent", "percent", "Used share of the inodes"),
    ),
)

DISK = Measurement(
    "disk",
    "One block device",
    (Label("device", "Kernel name of the device"),),
    (
        Field("read_bytes_per_second", "bytes_per_second", "Read"),
        Field("write_bytes_per_second", "bytes_per_second", "Written"),
        Field("reads_per_second", "per_second", "Completed reads"),
        Field("writes_per_second", "per_second", "Completed writes"),
        Field("busy_percent", "percent", "Time with at least one request in flight"),
    ),
)

NETWORK = Measurement(
    "network",
    "One network interface",
    (Label("interface", "Name of the interface"),),
    (
        Field("receive_bytes_per_second", "bytes_per_second", "Received"),
        Field("transmit_bytes_per_second", "bytes_per_second", "Sent"),
        Field("receive_packets_per_second", "per_second", "Packets received"),
        Field("transmit_packets_per_second", "per_second", "Packets sent"),
        Field("receive_errors_per_second", "per_second", "Receive errors"),
        Field("transmit_errors_per_second", "per_second", "Transmit errors"),
        Field("receive_drops_per_second", "per_second", "Incoming packets dropped"),
        Field("transmit_drops_per_second", "per_second", "Outgoing packets dropped"),
    ),
)

CONTAINER = Measurement(
    "container",
    "One container of the host's container engine",
    (
        Label("container_id", "Short identifier"),
        Label("name", "Name given at creation"),
        Label("image", "Image it was made from"),
    ),
    (
        Field("cpu_percent", "percent", "Share of one core"),
        Field("memory_used_bytes", "bytes", "Memory in use, page cache left out"),
        Field("memory_limit_bytes", "bytes", "Memory it may use"),
        Field("memory_used_percent", "percent", "Used share of the limit"),
        Field("network_receive_bytes_per_second", "bytes_per_second", "Received"),
        Field("network_transmit_bytes_per_second", "bytes_per_second", "Sent"),
        Field("disk_read_bytes_per_second", "bytes_per_second", "Read from disks"),
        Field("disk_write_bytes_per_second", "bytes_per_second", "Written to disks"),
        Field("process_count", "count", "Processes and threads"),
        Field("restart_count", "count", "Restarts by the engine"),
    ),
)

PROCESS = Measurement(
    "process",
    "The processes of one name and user together; the top by CPU and by memory are kept",
    (Label("name", "Name of the program"), Label("user", "Owner")),
    (
        Field("cpu_percent", "percent", "Share of one core"),
        Field("memory_resident_bytes", "bytes", "Resident memory, shared pages counted in each process"),
        Field("memory_percent", "percent", "Resident share of physical memory"),
        Field("process_count", "count", "Processes"),
        Field("thread_count", "count", "Threads"),
    ),
)

CUSTOM = Measurement(
    "custom",
    "What users push themselves",
    (Label("name", "Name of the value"), Label("labels", "Labels of the value, an object of strings", "jsonb")),
    (Field("value", "value", "The value"),),
)

MEASUREMENTS: tuple[Measurement, ...] = (HOST, CPU, FILESYSTEM, DISK, NETWORK, CONTAINER, PROCESS, CUSTOM)
BY_NAME: dict[str, Measurement] = {measurement.name: measurement for measurement in MEASUREMENTS}

# What an agent may send; `custom` is pushed by users over the REST API.
AGENT_MEASUREMENTS: tuple[Measurement, ...] = tuple(m for m in MEASUREMENTS if m is not CUSTOM)


def find_metric(metric: str) -> tuple[Measurement, Field] | None:
    """Return the measurement and field that ``measurement.field`` names, or None."""
    measurement_name, _, field_name = metric.partition(".")
    measurement = BY_NAME.get(measurement_name)
    field = measurement.field(field_name) if measurement else None
    return (measurement, field) if measurement and field else None


def metric_names() -> list[str]:
    """Every public metric name, in catalogue order."""
    return [f"{m.name}.{f.name}" for m in MEASUREMENTS for f in m.fields]
