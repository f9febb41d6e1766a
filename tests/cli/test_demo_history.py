"""The demo's history: the same for the same seed, with the rhythm of days, within what machines can do, and with the
incidents where their labels say."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from chatops_agent.collectors.interface import row
from chatops_backend.analysis.theil_sen import theil_sen
from chatops_cli.demo.history import History, labels_of
from chatops_cli.demo.incidents import Incident
from chatops_cli.demo.noise import normal, smooth, uniform
from chatops_cli.demo.roles import fleet
from chatops_protocol.catalog import BY_NAME

END = datetime(2026, 11, 24, 14, 3, 20, tzinfo=UTC)
DAYS = 21
Tables = dict[str, dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def history() -> History:
    return History(fleet(8), END, DAYS, seed=1)


@pytest.fixture(scope="module")
def tables(history: History) -> Tables:
    """By host and measurement."""
    return {host.name: history.of_host(host) for host in history.hosts}


def _incident(history: History, server: str) -> Incident:
    return next(incident for incident in history.incidents if incident.server == server)


def _during(frame: pl.DataFrame, incident: Incident) -> pl.DataFrame:
    return frame.filter(pl.col("time").is_between(incident.starts_at, incident.ends_at or END, closed="left"))


def _before(frame: pl.DataFrame, incident: Incident) -> pl.DataFrame:
    return frame.filter(pl.col("time") < incident.starts_at)


def _mean(frame: pl.DataFrame, column: str) -> float:
    return float(frame.select(pl.col(column).mean()).item())


def test_the_same_seed_and_moment_make_the_same_rows_and_another_seed_makes_others(history: History) -> None:
    host = history.hosts[0]
    again = History(fleet(8), END, DAYS, seed=1).of_host(host)
    other = History(fleet(8), END, DAYS, seed=2).of_host(host)
    for measurement, frame in history.of_host(host).items():
        assert frame.equals(again[measurement]), measurement
    assert not history.of_host(host)["host"].equals(other["host"])


def _splitmix64(key: int, place: int) -> float:
    """The generator as its author wrote it, one number at a time."""
    mixed = (key * 0xD6E8FEB86659FD93 + place * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    return ((mixed ^ (mixed >> 31)) >> 11) / 2**53


def test_noise_is_that_of_splitmix64_so_every_version_makes_the_same() -> None:
    assert uniform(4, 7).to_list() == [_splitmix64(7, place) for place in range(1, 5)]


def test_noise_has_the_promised_mean_and_spread() -> None:
    for series in (normal(20_000, 3), smooth(20_000, 3, 8)):
        assert series.mean() == pytest.approx(0.0, abs=0.05)
        assert series.std() == pytest.approx(1.0, abs=0.06)
    starts = pl.Series([smooth(1, key, 36)[0] for key in range(400)])
    assert starts.std() == pytest.approx(1.0, abs=0.15)
    assert uniform(20_000, 3).mean() == pytest.approx(0.5, abs=0.01)


def test_columns_are_the_catalogues_and_labels_are_never_missing(tables: Tables) -> None:
    for name, measurements in tables.items():
        for measurement, frame in measurements.items():
            catalogued = BY_NAME[measurement]
            assert set(frame.columns) <= {"time", *catalogued.columns}, (name, measurement)
            assert frame.select("time", *catalogued.label_names).null_count().sum_horizontal().item() == 0


def test_no_row_comes_twice_and_all_lie_within_the_range(history: History, tables: Tables) -> None:
    for measurements in tables.values():
        for measurement, frame in measurements.items():
            keys = ["time", *BY_NAME[measurement].label_names]
            assert frame.select(keys).is_duplicated().sum() == 0, measurement
            if len(frame):
                assert frame.select(pl.col("time").min()).item() >= history.start
                assert frame.select(pl.col("time").max()).item() < history.end


def test_readings_keep_to_what_machines_can_do(tables: Tables) -> None:
    for name, measurements in tables.items():
        for measurement, frame in measurements.items():
            for field in BY_NAME[measurement].fields:
                if field.name not in frame.columns or not len(frame):
                    continue
                values = frame[field.name].drop_nulls()
                assert values.is_finite().all(), (name, measurement, field.name)
                assert (values >= 0).all(), (name, measurement, field.name)
                if field.unit == "percent" and measurement in ("host", "cpu", "filesystem", "disk"):
                    assert (values <= 100).all(), (name, measurement, field.name)
        host = measurements["host"]
        assert (host["memory_used_bytes"] <= host["memory_total_bytes"]).all()
        assert (host["swap_used_bytes"] <= host["swap_total_bytes"]).all()
        assert (host["cpu_percent"] + host["cpu_iowait_percent"] <= 100 + 0.01).all()
        assert (host["memory_used_bytes"] + host["memory_available_bytes"] == host["memory_total_bytes"]).all()
        files = measurements["filesystem"]
        assert (files["used_bytes"] + files["free_bytes"] <= files["total_bytes"]).all()
        container = measurements["container"]
        if len(container):
            assert (container["memory_used_bytes"] <= container["memory_limit_bytes"]).all()


def test_readings_are_as_exact_as_what_an_agent_sends(tables: Tables) -> None:
    for measurement in ("host", "cpu", "process"):
        catalogued = BY_NAME[measurement]
        frame = tables["demo-db-1"][measurement].tail(40)
        for values in frame.iter_rows(named=True):
            labels = {name: values[name] for name in catalogued.label_names}
            readings = {name: values[name] for name in catalogued.field_names if name in values}
            sent = dict(zip(catalogued.columns, row(catalogued, labels, readings), strict=True))
            assert {name: sent[name] for name in readings} == readings


def test_programs_account_for_what_their_host_shows(tables: Tables) -> None:
    web = tables["demo-web-1"]
    by_processes = web["process"].group_by("time").agg(pl.col("cpu_percent").sum(), pl.col("memory_percent").sum())
    joined = web["host"].join(by_processes, on="time", suffix="_of_processes")
    assert _mean(joined, "cpu_percent_of_processes") / 2 == pytest.approx(_mean(joined, "cpu_percent"), rel=0.1)
    assert (joined["memory_percent"] <= joined["memory_used_percent"]).all()


def test_afternoons_are_busier_than_nights_and_workdays_than_weekends(tables: Tables) -> None:
    host = tables["demo-web-3"]["host"]
    hour, day = pl.col("time").dt.hour(), pl.col("time").dt.weekday()
    day_time = _mean(host.filter(hour.is_between(12, 15)), "cpu_percent")
    night = _mean(host.filter(hour.is_between(1, 4)), "cpu_percent")
    assert day_time > 1.8 * night
    assert _mean(host.filter(day <= 5), "cpu_percent") > 1.15 * _mean(host.filter(day >= 6), "cpu_percent")


def test_batch_hosts_work_at_night(tables: Tables) -> None:
    host = tables["demo-batch-1"]["host"]
    hour = pl.col("time").dt.hour()
    assert _mean(host.filter(hour == 2), "cpu_percent") > 3 * _mean(host.filter(hour == 15), "cpu_percent")


@pytest.mark.parametrize(
    ("server", "mountpoint", "container", "a_day"),
    [("demo-web-1", "/var", "access-log", 2.5), ("demo-db-1", "/var/lib/postgresql", "audit-trail", 1.6)],
)
def test_a_disk_that_fills_does_so_as_fast_as_its_label_says_and_its_container_writes_it(
    history: History, tables: Tables, server: str, mountpoint: str, container: str, a_day: float
) -> None:
    incident = _incident(history, server)
    assert (incident.kind, incident.program) == ("disk fills", container)
    disk = _during(tables[server]["filesystem"].filter(pl.col("mountpoint") == mountpoint), incident)
    days = (END - incident.starts_at) / timedelta(days=1)
    gained = disk["used_percent"][-1] - disk["used_percent"][0]
    assert gained / days == pytest.approx(a_day, rel=0.15)
    assert 70 < disk["used_percent"][-1] < 84  # not yet what the starting rules warn of
    writes = tables[server]["container"].filter(pl.col("name") == container)
    during, before = (_mean(part(writes, incident), "disk_write_bytes_per_second") for part in (_during, _before))
    assert during > 8 * before
    written = during * days * 86_400
    assert written == pytest.approx(disk["used_bytes"][-1] - disk["used_bytes"][0], rel=0.2)


@pytest.mark.parametrize("day", [0, 2, 5])
def test_a_forecast_finds_the_disks_that_are_full_within_a_month_and_only_those(day: int) -> None:
    """Whatever the day of the week: slow and fast days must not hide the trend."""
    month = History(fleet(8), END + timedelta(days=day), 30, seed=1)
    full = set()
    for host in month.hosts:
        for mount, frame in month.of_host(host)["filesystem"].group_by("mountpoint"):
            days = frame.sort("time").group_by_dynamic("time", every="1d").agg(pl.col("used_percent").mean())
            slope = theil_sen(days["time"].dt.epoch("s") / 86_400, days["used_percent"])
            if slope.low > 0 and (100 - days["used_percent"][-1]) / slope.slope < 30:
                full.add((host.name, mount[0]))
    assert full == {("demo-web-1", "/var"), ("demo-db-1", "/var/lib/postgresql")}


def test_the_disk_of_backups_swings_and_does_not_fill(tables: Tables) -> None:
    disk = tables["demo-backup-1"]["filesystem"].filter(pl.col("mountpoint") == "/srv/backup")
    assert disk.select(pl.col("used_percent").max() - pl.col("used_percent").min()).item() > 8
    first, last = disk["used_percent"][: 2016 * 1], disk["used_percent"][-2016:]  # a week each
    assert last.mean() == pytest.approx(first.mean(), abs=1.0)


def test_a_leak_grows_to_the_limit_and_each_kill_is_a_restart(history: History, tables: Tables) -> None:
    incident = _incident(history, "demo-web-2")
    leaking = tables["demo-web-2"]["container"].filter(pl.col("name") == "checkout-api")
    during = _during(leaking, incident)
    assert during.select(pl.col("memory_used_percent").max()).item() > 90
    assert _before(leaking, incident).select(pl.col("memory_used_percent").max()).item() < 40
    restarts = leaking["restart_count"]
    assert restarts.is_sorted()
    assert restarts[-1] >= 2
    assert _during(tables["demo-web-2"]["host"], incident).select(pl.col("memory_used_percent").max()).item() > 90


def test_a_noisy_neighbour_takes_the_cores_from_the_others(history: History, tables: Tables) -> None:
    incident = _incident(history, "demo-batch-1")
    during = _during(tables["demo-batch-1"]["container"], incident)
    noisy = during.filter(pl.col("name") == "nightly-report")
    assert _mean(noisy, "cpu_percent") > 250
    assert _mean(_during(tables["demo-batch-1"]["host"], incident), "cpu_percent") > 95


def test_a_saturated_network_carries_no_more_than_it_can_and_drops(history: History, tables: Tables) -> None:
    incident = _incident(history, "demo-web-3")
    network = tables["demo-web-3"]["network"]
    during = _during(network, incident)
    assert 110e6 < _mean(during, "receive_bytes_per_second") <= 118.1e6
    assert _mean(during, "receive_drops_per_second") > 100
    assert _mean(_before(network, incident), "receive_drops_per_second") == 0


def test_a_host_that_is_down_sends_nothing_and_starts_anew(history: History, tables: Tables) -> None:
    incident = _incident(history, "demo-db-2")
    assert incident.ends_at is not None
    for measurement in ("host", "cpu", "filesystem", "container", "process"):
        frame = tables["demo-db-2"][measurement]
        assert _during(frame, incident).is_empty(), measurement
        assert not _before(frame, incident).is_empty(), measurement
    after = tables["demo-db-2"]["host"].filter(pl.col("time") >= incident.ends_at)
    assert after["uptime_seconds"][0] < 600
    assert after["uptime_seconds"].is_sorted()


def test_a_slow_disk_is_busy_moves_little_and_keeps_cores_waiting(history: History, tables: Tables) -> None:
    incident = _incident(history, "demo-ci-1")
    assert _mean(_during(tables["demo-ci-1"]["disk"], incident), "busy_percent") > 90
    assert _mean(_during(tables["demo-ci-1"]["host"], incident), "cpu_iowait_percent") > 25


def test_every_incident_is_marked_by_a_custom_value_for_as_long_as_it_lasts(history: History, tables: Tables) -> None:
    assert {incident.server for incident in history.incidents} == {
        "demo-web-1",
        "demo-db-1",
        "demo-web-2",
        "demo-batch-1",
        "demo-web-3",
        "demo-db-2",
        "demo-ci-1",
    }
    for incident in history.incidents:
        marks = tables[incident.server]["custom"]
        assert marks["name"].unique().to_list() == ["incident"]
        assert f'"kind":"{labels_of(incident)["kind"]}"' in marks["labels"][0]
        assert marks["time"][0] == incident.starts_at
        assert marks["time"][-1] < (incident.ends_at or END)


def test_a_short_history_has_its_incidents_too() -> None:
    short = History(fleet(2), END, 2, seed=1)
    assert [incident.server for incident in short.incidents] == ["demo-db-1", "demo-web-1"]
    assert all(short.start < incident.starts_at < short.end for incident in short.incidents)
    assert len(short.of_host(short.hosts[0])["host"]) == 576
    long = History(fleet(2), END, 90, seed=1)
    assert all(END - incident.starts_at < timedelta(days=29) for incident in long.incidents)
