"""What was exported is what was stored, in every format; and whoever gets a part of it knows."""

import csv
import io
from datetime import timedelta

import httpx
import polars as pl
import pytest

from chatops_backend.transfer import export_rows
from chatops_backend.transfer.export_formats import encode
from chatops_backend.transfer.export_rows import Selection
from chatops_backend.transfer.exports import Exports
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.cell_guard import unguarded
from chatops_protocol.transfer_resources import ESTIMATE_HEADER
from tests.backend.transfer.importing import HOUR, MINUTE, NOW, body_of, disk_rows, new_server

pytestmark = pytest.mark.anyio

RANGE = {"measurement": "disk", "start": (NOW - HOUR).isoformat(), "end": NOW.isoformat()}
SORTED = ["server_id", "time", "device"]
READERS = {
    "arrow": lambda body: pl.read_ipc_stream(io.BytesIO(body)),
    "parquet": lambda body: pl.read_parquet(io.BytesIO(body)),
    "csv": lambda body: pl.read_csv(io.BytesIO(body), try_parse_dates=True),
}


async def stored(person, frame: pl.DataFrame) -> None:
    answer = await person.api.post("/metrics/import", params={"measurement": "disk"}, content=body_of(frame))
    assert answer.json()["stored"] == frame.height


@pytest.mark.parametrize("form", READERS)
async def test_an_export_holds_what_was_imported(person, database, form, monkeypatch) -> None:
    # Pages of fewer rows than there are devices at one moment, too.
    monkeypatch.setattr(export_rows.pages, "__defaults__", (24,))
    servers = [await new_server(database, f"{form} of {number}") for number in (1, 2)]
    parts = [disk_rows(server, NOW - HOUR, NOW, 2 * MINUTE, dev) for server in servers for dev in ("sda", "=1+1", "b")]
    frame = pl.concat(
        [*parts, *(disk_rows(servers[0], NOW - HOUR, NOW - HOUR + MINUTE, MINUTE, f"d{n}") for n in range(9))]
    )
    await stored(person, frame)
    answer = await person.api.get("/metrics/export", params=RANGE | {"server_id": servers, "format": form})
    assert answer.status_code == 200
    assert f"-{'raw'}-" in answer.headers["content-disposition"]
    assert answer.headers["content-disposition"].endswith(f'.{form}"')
    assert int(answer.headers[ESTIMATE_HEADER]) > 0
    read = READERS[form](answer.content)
    assert read.columns == ["time", "server_id", *BY_NAME["disk"].columns]
    read = read.with_columns(pl.col("device").map_elements(unguarded, pl.String), pl.col("server_id").cast(pl.Int32))
    assert read.select(frame.columns).sort(SORTED).equals(frame.sort(SORTED))


async def test_only_the_chosen_fields_are_exported_and_roll_ups_have_three_values_each(
    person, server_id, rollups
) -> None:
    await stored(person, disk_rows(server_id, NOW - HOUR, NOW, MINUTE / 4))
    asked = {name: RANGE[name] for name in ("start", "end")} | {"server_id": server_id, "format": "arrow"}
    metrics = ["disk.writes_per_second", "disk.busy_percent"]
    frame = READERS["arrow"]((await person.api.get("/metrics/export", params=asked | {"metric": metrics})).content)
    assert frame.columns == ["time", "server_id", "device", "writes_per_second", "busy_percent"]
    assert frame.height == 240
    answer = await person.api.get("/metrics/export", params=asked | {"metric": metrics[1], "tier": "1m"})
    minutes = READERS["arrow"](answer.content)
    values = ["busy_percent_avg", "busy_percent_min", "busy_percent_max", "samples"]
    assert minutes.columns == ["time", "server_id", "device", *values]
    assert minutes["samples"].sum() in range(232, 241)  # the minutes at both ends may be cut


@pytest.mark.parametrize("form", READERS)
async def test_an_export_without_rows_is_an_empty_file_with_its_columns(person, server_id, form) -> None:
    answer = await person.api.get("/metrics/export", params=RANGE | {"server_id": server_id, "format": form})
    read = READERS[form](answer.content)
    assert (read.height, read.columns) == (0, ["time", "server_id", *BY_NAME["disk"].columns])


async def test_text_that_a_spreadsheet_would_run_is_guarded_and_numbers_are_numbers(person, server_id) -> None:
    hostile = ["=cmd()", "+1", "-1", "@x", "\tx", "\rx", "'=quoted", "plain", 'a "b", c', "a\nb", ""]
    frame = pl.concat([disk_rows(server_id, NOW - MINUTE, NOW, MINUTE, device) for device in hostile])
    await stored(person, frame.with_columns(busy_percent=-1.5))
    answer = await person.api.get("/metrics/export", params=RANGE | {"server_id": server_id})
    cells = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert not [cell["device"] for cell in cells if cell["device"][:1] in tuple("=+-@\t\r")]
    assert sorted(unguarded(cell["device"]) for cell in cells) == sorted(hostile)
    assert {cell["busy_percent"] for cell in cells} == {"-1.5"}


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"measurement": "nothing"}, 404, "there are: host, cpu"),
        ({"metric": "disk.busy_percent"}, 400, "either `measurement` or"),
        ({"measurement": None, "metric": ["disk.busy_percent", "host.cpu_percent"]}, 400, "one measurement"),
        ({"measurement": None, "metric": "disk.nothing"}, 404, "Near it are"),
        ({"measurement": None}, 400, "either `measurement` or"),
        ({"server_id": None}, 400, "Name a server"),
        ({"server_id": 2_000_000_000}, 404, "There is no server"),
        ({"server_id": None, "tag": "none-has-it"}, 400, "Name a server"),
        ({"format": "xls"}, 400, "'xls'"),
        ({"tier": "5m"}, 400, "'5m'"),
        ({"end": RANGE["start"], "start": RANGE["end"]}, 400, "exchange"),
    ],
    ids=["measurement", "both", "two", "metric", "none", "no server", "server", "tag", "format", "tier", "reversed"],
)
async def test_what_cannot_be_exported_is_said(person, server_id, change, status, said) -> None:
    asked = {k: v for k, v in (RANGE | {"server_id": server_id} | change).items() if v is not None}
    answer = await person.api.get("/metrics/export", params=asked)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


class FailsLater:
    """The database, up to the fourth page."""

    def __init__(self, database) -> None:
        self._database = database
        self.pages = 0

    async def fetch(self, query, *args):
        self.pages += 1
        return await self._database.fetch(*((query, *args) if self.pages < 4 else ("SELECT 1 / 0",)))


@pytest.mark.parametrize("form", READERS)
async def test_an_export_that_fails_in_the_middle_breaks_off(
    make_app, serve, new_person, database, form, monkeypatch
) -> None:
    """A file that ended early would look whole."""
    monkeypatch.setattr(export_rows.pages, "__defaults__", (200,))
    failing = FailsLater(database)
    app = make_app(Exports(failing))
    person, server_id = await new_person("operator", into=app), await new_server(database, f"breaks off as {form}")
    await stored(person, disk_rows(server_id, NOW - HOUR, NOW, timedelta(seconds=5)))
    headers = {"Authorization": f"Bearer {person.access_token}"}
    async with httpx.AsyncClient(base_url=f"{await serve(app)}/api/v1", headers=headers, timeout=60) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/metrics/export", params=RANGE | {"server_id": server_id, "format": form})
    assert failing.pages == 4


async def test_an_export_that_nobody_reads_on_ends(person, database) -> None:
    server_id = await new_server(database, "left")
    await stored(person, disk_rows(server_id, NOW - HOUR, NOW, timedelta(seconds=5)))
    disk = BY_NAME["disk"]
    selection = Selection(disk, disk.field_names, "raw", [server_id], NOW - HOUR, NOW)
    for form in READERS:
        pages = export_rows.pages(database, selection, 200)
        parts = encode(pages, selection, form)
        assert await anext(parts)
        await parts.aclose()
        await pages.aclose()


async def test_values_that_people_push_are_stored_once_with_their_labels(person, server_id, database) -> None:
    moment = (NOW - HOUR).isoformat()
    values = [
        {"name": "queue", "value": 4, "labels": {"of": "mail"}, "time": moment},
        {"name": "queue", "value": 5, "labels": {"of": "mail"}, "time": moment},
        {"name": "queue", "value": 6},
    ]
    answer = await person.api.post("/metrics/custom", params={"server_id": server_id}, json=values)
    assert answer.json() == {"rows": 3, "stored": 2, "already_there": 1, "refused": []}
    rows = await database.fetch("SELECT * FROM metrics.custom WHERE server_id = $1 ORDER BY time", server_id)
    assert [(row["name"], row["labels"], row["value"]) for row in rows] == [
        ("queue", '{"of": "mail"}', 4.0),
        ("queue", "{}", 6.0),
    ]


@pytest.mark.parametrize("body", [[], [{"name": "", "value": 1}], [{"name": "a"}], [{"name": "a", "value": 1e101}], {}])
async def test_values_that_are_none_are_refused(person, server_id, body) -> None:
    answer = await person.api.post("/metrics/custom", params={"server_id": server_id}, json=body)
    assert answer.status_code == 400
