"""“Explain this” on a disk leads to the container that writes."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from chatops_dashboards.pages.explore.explain import BLAMED, explanation
from chatops_dashboards.pages.explore.query import SeriesChoice
from chatops_dashboards.session import Session
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_pages import HOSTILE
from tests.reporting import GIB, LAYOUT, Reporter
from tests.stack import Backend

pytestmark = pytest.mark.anyio

WRITES = "disk_write_bytes_per_second"
DISKS = {
    "host": [WRITES],
    "filesystem": LAYOUT["filesystem"],
    "container": ["container_id", "name", "image", WRITES],
}


@dataclass(frozen=True)
class Filled:
    server_id: int
    start: datetime
    end: datetime


@pytest.fixture(scope="module")
async def filled(backend: Backend) -> Filled:
    """Ten minutes in which a container with a hostile name writes 2 MB/s and /data fills, after ten without."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    server_id, key = backend.add_server(f"filled {time.time_ns()}")
    moments = []
    for n in range(60):
        written = max(0.0, 20.0 * (n - 30)) * 2e6
        rate = 2e6 if n >= 30 else 0.0
        rows = {
            "host": [[rate + 5e6]],
            "filesystem": [["/data", "/dev/vdb", "ext4", 40.0, 40 * GIB + written, 100 * GIB]],
            "container": [["aa11", HOSTILE, "image", rate], ["bb22", "database", "image", 5e6]],
        }
        moments.append((end.timestamp() - 1200 + 20 * n, rows))
    reporter = Reporter(backend.agents_url, key, DISKS)
    reporter.report(moments)
    reporter.close()
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
