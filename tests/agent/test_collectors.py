"""Every collector against the catalogue and against this very machine, and what happens when one fails."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_agent.collection import Collection, standard_collection
from chatops_agent.collectors.cpu import CpuCollector
from chatops_agent.collectors.disk import DiskCollector, Kind, kind_of
from chatops_agent.collectors.filesystem import FilesystemCollector, select_mounts, usage
from chatops_agent.collectors.host import HostCollector
from chatops_agent.collectors.interface import Row, row, significant
from chatops_agent.collectors.network import NetworkCollector, find_loopback
from chatops_agent.collectors.pressure import Pressure
from chatops_agent.collectors.temperature import Temperature
from chatops_agent.counters import Counters
from chatops_protocol.catalog import BY_NAME, CPU, DISK, FILESYSTEM, HOST, NETWORK, PROCESS


class Mount(NamedTuple):
    device: str
    mountpoint: str
    fstype: str


def named(measurement: str, values: Row) -> dict[str, Any]:
    return dict(zip(BY_NAME[measurement].columns, values, strict=True))


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    """The second collection on this machine, half a second and some work after the first."""
    counters = Counters()
    collection = standard_collection(counters, 0.5, 0.5)
    collection.collect()
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        math.sqrt(2)
    collected = collection.collect()
    assert counters.collector_errors == 0
    return {name: [named(name, values) for values in of_one] for name, of_one in collected.items()}


def test_every_measurement_of_this_machine_is_there_with_the_catalogues_columns(rows: dict[str, Any]) -> None:
    assert set(rows) == {m.name for m in (HOST, CPU, FILESYSTEM, DISK, NETWORK, PROCESS)}
    assert len(rows["host"]) == 1
    assert len(rows["cpu"]) == psutil.cpu_count()
    assert {row["interface"] for row in rows["network"]} == set(psutil.net_io_counters(pernic=True))
    assert any(row["mountpoint"] == "/" for row in rows["filesystem"])


def test_every_value_is_a_finite_number_or_unknown_and_every_percentage_a_percentage(rows: dict[str, Any]) -> None:
    for name, of_one in rows.items():
        for values in of_one:
            for field in BY_NAME[name].fields:
                value = values[field.name]
                assert value is None or (isinstance(value, float) and math.isfinite(value)), (name, field.name)
                if value is not None:
                    assert value >= 0 or field.unit == "celsius", (name, field.name)
                if (
                    value is not None
                    and field.unit == "percent"
                    and name != "process"
                    and field.name != "agent_cpu_percent"
                ):
                    assert value <= 100, (name, field.name)
            for label in BY_NAME[name].label_names:
                assert values[label], (name, label)
                assert isinstance(values[label], str)


def test_the_host_row_knows_what_linux_tells(rows: dict[str, Any]) -> None:
    host = rows["host"][0]
    may_be_unknown = {
        "temperature_celsius",
        "swap_used_percent",
        *(f for f in host if f.startswith(("pressure_", "disk_"))),
    }
    assert {name for name, value in host.items() if value is None} <= may_be_unknown
    assert host["memory_total_bytes"] == psutil.virtual_memory().total
    assert host["memory_used_bytes"] + host["memory_available_bytes"] == host["memory_total_bytes"]
    assert host["cpu_percent"] > 0
    assert abs(host["uptime_seconds"] - float(Path("/proc/uptime").read_text().split()[0])) < 60
    assert abs(host["process_count"] - len(psutil.pids())) < 200
    assert host["agent_cpu_percent"] > 1, "this process was busy, as far as others let it"


def test_the_hosts_cpu_is_the_average_of_its_cores(rows: dict[str, Any]) -> None:
    for of_host, of_core in (("cpu_percent", "cpu_percent"), ("cpu_system_percent", "system_percent")):
        cores = [core[of_core] for core in rows["cpu"]]
        assert rows["host"][0][of_host] == pytest.approx(sum(cores) / len(cores), abs=3)


def test_the_hosts_network_leaves_loopback_out(rows: dict[str, Any]) -> None:
    loopback = find_loopback([row["interface"] for row in rows["network"]])
    assert loopback["lo"]
    outside = [r["receive_bytes_per_second"] for r in rows["network"] if not loopback[r["interface"]]]
    assert rows["host"][0]["network_receive_bytes_per_second"] == pytest.approx(sum(outside), rel=1e-4)


def test_the_first_collection_has_no_rates_and_no_zeros_in_their_place(counters: Counters) -> None:
    first = standard_collection(counters, 5, 30).collect()
    for name in ("cpu", "disk", "network"):
        for values in first[name]:
            assert all(values[field] is None for field in range(len(BY_NAME[name].labels), len(values))), name
    host = named("host", first["host"][0])
    assert host["cpu_percent"] is None
    assert host["disk_read_bytes_per_second"] is None
    assert host["memory_used_bytes"] > 0


def test_processes_come_in_the_first_two_collections_and_then_at_their_own_interval(counters: Counters) -> None:
    collection = standard_collection(counters, 5, 30)
    assert ["process" in collection.collect() for _ in range(14)] == [n in (0, 1, 6, 12) for n in range(14)]


def test_a_cpu_whose_counters_were_reset_gives_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    times = psutil.cpu_times(percpu=True)
    readings = [times, [core._replace(user=core.user + 5, idle=core.idle + 5) for core in times], times]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: readings.pop(0))
    cpu = CpuCollector()
    cpu.collect(0)
    assert [core[1] for core in cpu.collect(10)] == [50.0] * len(times)
    assert cpu.host_readings()["cpu_percent"] == 50.0
    assert [core[1] for core in cpu.collect(20)] == [None] * len(times)
    assert cpu.host_readings()["cpu_percent"] is None


def test_a_disk_or_network_counter_that_was_reset_gives_a_gap_and_not_a_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = psutil.net_io_counters(pernic=True)["lo"]
    values = [1_000_000, 1_005_000, 10, 5_010]
    monkeypatch.setattr(
        psutil, "net_io_counters", lambda pernic, nowrap: {"eth0": counters._replace(bytes_recv=values.pop(0))}
    )
    network = NetworkCollector()
    network._loopback = {"eth0": False}
    received = [network.collect(at)[0][1] for at in (0, 5, 10, 15)]
    assert received == [None, 1000.0, None, 1000.0]
    assert network.host_readings()["network_receive_bytes_per_second"] == 1000.0


def test_a_collector_that_raises_is_counted_logged_once_and_costs_the_others_nothing(
    counters: Counters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collection = standard_collection(counters, 5, 5)
    collection.collect()

    def broken(**_: bool) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(psutil, "disk_io_counters", broken)
    collected = [collection.collect() for _ in range(3)]
    assert all("disk" not in rows and "cpu" in rows and "network" in rows for rows in collected)
    hosts = [named("host", rows["host"][0]) for rows in collected]
    assert [host["disk_read_bytes_per_second"] for host in hosts] == [None] * 3, "not those of the reading before"
    assert [host["agent_collector_errors"] for host in hosts] == [1, 2, 3]
    assert len(caplog.records) == 1
    assert "cannot read disk: OSError" in caplog.text


def test_a_part_of_the_host_row_that_raises_leaves_its_fields_unknown(
    counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    host = HostCollector(counters, CpuCollector(), DiskCollector(), NetworkCollector())

    def broken(now: float) -> dict[str, float | None]:
        raise RuntimeError("no memory today")

    host.parts["memory"] = broken
    for failures in (1, 2):
        values = named("host", host.collect(float(failures))[0])
        assert values["memory_used_bytes"] is None
        assert values["memory_total_bytes"] is None
        assert values["load_1m"] is not None
        assert counters.collector_errors == failures
    assert len(caplog.records) == 1


def test_a_row_refuses_a_field_the_catalogue_does_not_have() -> None:
    with pytest.raises(ValueError, match="cpu has no field cpu_percnt"):
        row(CPU, {"core": "0"}, {"cpu_percnt": 1.0})


def test_a_row_holds_no_number_that_is_none_and_no_text_that_is_no_utf8() -> None:
    values = row(
        FILESYSTEM, {"mountpoint": "/caf\udce9\0", "device": "d", "filesystem_type": "f"}, {"total_bytes": math.nan}
    )
    assert values[:4] == ["/caf��", "d", "f", None]


def test_a_row_keeps_whole_numbers_as_they_are_and_sixteen_bits_of_others() -> None:
    kept = named(
        "host",
        row(
            HOST,
            {},
            {
                "memory_used_bytes": 33_554_431_007.0,
                "process_count": 123_457.0,
                "uptime_seconds": 5_184_000.437,
                "cpu_percent": 100 / 3,
                "load_1m": 0.75,
                "network_receive_bytes_per_second": 123_456_789.123,
            },
        ),
    )
    assert (kept["memory_used_bytes"], kept["process_count"]) == (33_554_431_007.0, 123_457.0)
    assert kept["uptime_seconds"] == 5_184_000.0
    assert kept["cpu_percent"] == 34_133 / 1024
    assert kept["load_1m"] == 0.75
    assert kept["network_receive_bytes_per_second"] == pytest.approx(123_456_789, rel=1e-5)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_of_sixteen_bits_is_close_and_stays_itself(value: float) -> None:
    kept = significant(value)
    assert kept == value or abs(kept - value) <= 2**-16 * abs(value) or abs(value) < 1e-300
    assert significant(kept) == kept
    assert significant(-value) == -kept


def test_a_file_system_shows_once_and_images_and_bind_mounted_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    mounts = [
        Mount("/dev/sda1", str(deep), "ext4"),
        Mount("/dev/sda1", str(tmp_path / "a"), "ext4"),
        Mount("/dev/loop1", str(tmp_path), "squashfs"),
        Mount("/dev/sdb1", str(tmp_path / "hosts"), "ext4"),
        Mount("/dev/sdc1", "/", "xfs"),
    ]
    assert [m.mountpoint for m in select_mounts(mounts, list)] == [str(tmp_path / "a"), "/"]


def test_the_overlay_root_of_a_container_is_kept() -> None:
    every = [Mount("overlay", "/", "overlay"), Mount("proc", "/proc", "proc")]
    assert select_mounts([], lambda: every) == [every[0]]


def test_usage_is_what_df_says() -> None:
    stat = os.statvfs_result((4096, 4096, 1000, 400, 300, 100, 60, 50, 0, 255))
    assert usage(stat) == {
        "total_bytes": 4_096_000,
        "used_bytes": 600 * 4096,
        "free_bytes": 300 * 4096,
        "used_percent": pytest.approx(100 * 600 / 900),
        "inodes_total": 100,
        "inodes_used_percent": 40,
    }
    without_inodes = os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 0, 255))
    assert usage(without_inodes)["inodes_used_percent"] is None


def test_a_mount_that_cannot_be_asked_is_a_row_of_unknowns(counters: Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "statvfs", refuse)
    rows = FilesystemCollector(counters).collect(0)
    assert rows
    assert all(value is None for values in rows for value in values[3:])
    assert counters.collector_errors == len(rows)


def test_only_whole_devices_are_disks_and_only_hardware_counts_for_the_host(tmp_path: Path) -> None:
    for name in ("sda/device", "nvme0n1/device", "dm-0", "md0", "cciss!c0d0/device"):
        (tmp_path / name).mkdir(parents=True)
    kinds = {
        name: kind_of(name, tmp_path)
        for name in ("sda", "sda1", "nvme0n1", "nvme0n1p2", "dm-0", "md0", "loop3", "ram0", "zram0", "cciss/c0d0")
    }
    assert {name for name, kind in kinds.items() if kind.shown} == {"sda", "nvme0n1", "dm-0", "md0", "cciss/c0d0"}
    assert {name for name, kind in kinds.items() if kind.physical} == {"sda", "nvme0n1", "cciss/c0d0"}
    assert kind_of("sda", tmp_path / "none") == Kind(shown=True, physical=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("some avg10=1.25 avg60=0.5 avg300=0.1 total=99\nfull avg10=0.75 avg60=0 avg300=0 total=1\n", (1.25, 0.75)),
        ("some avg10=1.25 avg60=0.5 avg300=0.1 total=99\n", (1.25, None)),
        (None, (None, None)),
    ],
)
def test_pressure_is_the_10_s_average_or_unknown(
    content: str | None, expected: tuple[float | None, float | None], tmp_path: Path
) -> None:
    if content is not None:
        for resource in ("cpu", "memory", "io"):
            (tmp_path / resource).write_text(content)
    readings = Pressure(tmp_path).read()
    assert (readings["pressure_io_some_percent"], readings["pressure_io_full_percent"]) == expected
    assert "pressure_cpu_full_percent" not in readings


def sensor(path: Path, name: str, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ("name" if "hwmon" in path.parts else "type")).write_text(name + "\n")
    path.write_text(value + "\n")


def test_the_temperature_is_the_hottest_of_the_processor_and_otherwise_of_the_machine(tmp_path: Path) -> None:
    assert Temperature(tmp_path).read(0) == {"temperature_celsius": None}
    sensor(tmp_path / "hwmon/hwmon0/temp1_input", "nvme", "70000")
    sensor(tmp_path / "thermal/thermal_zone0/temp", "acpitz", "90000")
    assert Temperature(tmp_path).read(0) == {"temperature_celsius": 70.0}
    sensor(tmp_path / "hwmon/hwmon1/temp1_input", "coretemp", "51000")
    sensor(tmp_path / "hwmon/hwmon1/temp2_input", "coretemp", "48500")
    sensor(tmp_path / "hwmon/hwmon1/temp3_input", "coretemp", "255000")
    sensor(tmp_path / "hwmon/hwmon1/temp4_input", "coretemp", "")
    assert Temperature(tmp_path).read(0) == {"temperature_celsius": 51.0}


def test_sensors_that_appear_later_are_found_later(tmp_path: Path) -> None:
    temperature = Temperature(tmp_path)
    assert temperature.read(0) == {"temperature_celsius": None}
    sensor(tmp_path / "thermal/thermal_zone0/temp", "x86_pkg_temp", "40000")
    assert temperature.read(5) == {"temperature_celsius": None}
    assert temperature.read(700) == {"temperature_celsius": 40.0}


def test_the_layout_is_the_catalogues(counters: Counters) -> None:
    collection: Collection = standard_collection(counters, 5, 30)
    assert collection.layout == {m.name: list(m.columns) for m in (CPU, DISK, NETWORK, FILESYSTEM, PROCESS, HOST)}


def test_a_slow_collector_can_be_named(counters: Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    collection = standard_collection(counters, 5, 30)
    original: Callable[..., Any] = psutil.net_io_counters

    def look(**kwargs: bool) -> Any:
        seen.append(collection.running)
        return original(**kwargs)

    monkeypatch.setattr(psutil, "net_io_counters", look)
    collection.collect()
    assert seen == ["network"]
    assert collection.running is None
