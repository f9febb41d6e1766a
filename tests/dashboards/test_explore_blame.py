"""“Explain this” on a disk leads to the container that writes."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from chatops_dashboards.pages.explore.explain import BLAMED, explanation
from chatops_dashboards.pages.explore.query import SeriesChoice
from chatops_dashboards.session import Session
from tests.backend.transfer.importing import body_of
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_pages import HOSTILE
from tests.reporting import GIB
from tests.stack import Backend

pytestmark = pytest.mark.anyio

WRITES = "disk_write_bytes_per_second"


@dataclass(frozen=True)
class Filled:
    server_id: int
    start: datetime
    end: datetime


@pytest.fixture(scope="module")
async def filled(backend: Backend) -> Filled:
    """Ten minutes in which a container with a hostile name writes 2 MB/s and /data fills, after ten without."""
    # Hours ago: roll-ups get the newest values of an import only with the next refresh.
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
    server_id, _ = backend.add_server(f"filled {time.time_ns()}")
    times = [end - timedelta(seconds=1200 - 20 * n) for n in range(60)]
    rates = [2e6 if n >= 30 else 0.0 for n in range(60)]
    written = [max(0.0, 20.0 * (n - 30)) * 2e6 for n in range(60)]
    own = pl.DataFrame({"time": times}).with_columns(server_id=pl.lit(server_id, pl.Int32))
    mount = {"mountpoint": pl.lit("/data"), "device": pl.lit("/dev/vdb"), "filesystem_type": pl.lit("ext4")}
    used = {"used_percent": pl.lit(40.0), "used_bytes": pl.Series([40 * GIB + more for more in written])}
    rows = {
        "host": own.with_columns(pl.Series(WRITES, [rate + 5e6 for rate in rates])),
        "filesystem": own.with_columns(**mount, **used, total_bytes=pl.lit(100.0 * GIB)),
        "container": pl.concat(
            own.with_columns(
                container_id=pl.lit(number), name=pl.lit(name), image=pl.lit("image"), **{WRITES: pl.Series(values)}
            )
            for number, name, values in (("aa11", HOSTILE, rates), ("bb22", "database", [5e6] * 60))
        ),
    }
    # Imported, not reported: then `finish` says when roll-ups that were refreshed before hold them.
    for measurement, frame in rows.items():
        path = f"/metrics/import?measurement={measurement}"
        stored = backend.call("POST", path, content=body_of(frame)).raise_for_status().json()
        assert stored["stored"] == len(frame), stored
    backend.call("POST", "/metrics/import/finish").raise_for_status()
    async with asyncio.timeout(60):
        while backend.call("GET", "/metrics/import").raise_for_status().json()["pending_days"]:
            await asyncio.sleep(0.1)
    return Filled(server_id, end - timedelta(minutes=10), end)


@pytest.mark.parametrize("field", ["used_percent", "used_bytes"])
async def test_a_file_system_leads_to_the_container_that_fills_it(session: Session, filled: Filled, field: str) -> None:
    labels = (("mountpoint", "/data"), ("device", "/dev/vdb"), ("filesystem_type", "ext4"))
    target = SeriesChoice(f"filesystem.{field}", filled.server_id, labels)
    text = text_of(await explanation(session, target, filled.start, filled.end, {}, UTC))
    assert "Who caused it?/data gains 161 GiB a day" in text
    assert "writes to all disks of the host; which file system is not recorded" in text
    assert f"{HOSTILE} writes 161 GiB a day, nothing before." in text


async def test_what_is_written_leads_to_the_container_that_writes(session: Session, filled: Filled) -> None:
    target = SeriesChoice(f"host.{WRITES}", filled.server_id, ())
    text = text_of(await explanation(session, target, filled.start, filled.end, {}, UTC))
    assert "Who caused it?It rose from 5 MB/s to 7 MB/s (+2 MB/s).Processes: Agents record" in text
    assert f"{HOSTILE} · image2.0 MB/s100 %" in text


async def test_blame_takes_all_that_it_is_offered_for(session: Session, filled: Filled) -> None:
    for metric in BLAMED:
        found = await session.client.analysis.blame(filled.server_id, metric, filled.start, filled.end)
        assert found.metric == metric
