"""`chatops import` and `chatops export` on a running backend: what goes in comes out."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from chatops_cli import main
from chatops_client import Client
from chatops_client.transfer import Transfer
from tests.conftest import ADMIN_PASSWORD, NewSettings
from tests.stack import Backend, environment, running_backend

Run = Callable[..., Result]
NOW = datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running:
        yield running


@pytest.fixture(scope="module")
def client(backend: Backend) -> Iterator[Client]:
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as opened:
        yield opened


@pytest.fixture
def run(backend: Backend, tmp_path: Path) -> Run:
    settings = environment(backend.settings) | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    return lambda *arguments: CliRunner().invoke(main, list(map(str, arguments)), env=settings)


def exported(run: Run, file: Path, server: str, *more: str) -> Result:
    start = (NOW - timedelta(days=5)).isoformat()
    return run("export", file, "--server", server, "--start", start, "--end", NOW.isoformat(), *more)


@pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
def test_what_was_exported_and_imported_elsewhere_is_the_same(
    run: Run, client: Client, tmp_path: Path, form: str
) -> None:
    source, target = client.create_server(f"{form} source"), client.create_server(f"{form} target")
    times = pl.datetime_range(
        NOW - timedelta(days=2), NOW, "3h", time_unit="us", time_zone="UTC", closed="left", eager=True
    )
    frame = pl.DataFrame({"time": times}).join(pl.DataFrame({"device": ["sda", "=2+3", 'a "b",c']}), how="cross")
    frame = frame.with_columns(
        server_id=pl.lit(source.id),
        busy_percent=pl.int_range(pl.len()) / 7,
        reads_per_second=pl.when(pl.col("device") == "sda").then(pl.lit(-0.1)),
    )
    assert client.transfer.import_rows("disk", frame).stored == frame.height

    first, second = tmp_path / f"first.{form}", tmp_path / f"second.{form}"
    result = exported(run, first, source.name, "--measurement", "disk")
    assert result.exit_code == 0, result.output
    result = run("import", first, "--measurement", "disk", "--server", target.name)
    assert result.exit_code == 0, result.output
    assert f"{frame.height} readings stored, 0 were there already, 0" in result.output
    again = run("import", first, "--measurement", "disk", "--server", target.name, "--no-wait")
    assert f"0 readings stored, {frame.height} were there already" in again.output
    assert exported(run, second, target.name, "--measurement", "disk").exit_code == 0

    readers = {"csv": pl.read_csv, "parquet": pl.read_parquet, "arrow": pl.read_ipc_stream}
    one, two = (readers[form](file).drop("server_id").sort("time", "device") for file in (first, second))
    assert one.equals(two)
    assert one.height == frame.height
    assert not list(tmp_path.glob(".*part"))


def test_line_protocol_and_bad_lines(run: Run, client: Client, tmp_path: Path) -> None:
    server = client.create_server("influx")
    nanoseconds = int((NOW - timedelta(days=30)).timestamp()) * 10**9
    file = tmp_path / "old.line"
    file.write_text(
        f"queue,host=influx,of=mail length=3i {nanoseconds}\nqueue,host=nobody length=4i {nanoseconds}\nbad\n"
    )
    result = run("import", file, "--measurement", "custom")
    assert result.exit_code == 0, result.output
    assert "1 readings stored, 0 were there already, 2 lines not usable" in result.output
    assert "1 line: a server that is not known (2)" in result.stderr
    found = client.query("custom.value", NOW - timedelta(days=31), server_ids=[server.id])
    assert found.drop_nulls("avg").select("name", "labels", "avg").rows() == [("queue.length", '{"of":"mail"}', 3.0)]


def test_an_interrupted_import_says_where_it_was_and_goes_on_there(
    run: Run, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_server("interrupted")
    file = tmp_path / "values.csv"
    days = [NOW - timedelta(days=number) for number in (4, 3, 2)]
    file.write_text("time,queue\n" + "".join(f"{day.isoformat()},1\n" for day in days))
    send, sent = Transfer.import_rows, []

    def breaks(self: Transfer, measurement: str, frame: pl.DataFrame) -> object:
        if len(sent) == 1:
            raise KeyboardInterrupt
        sent.append(frame)
        return send(self, measurement, frame)

    monkeypatch.setattr(Transfer, "import_rows", breaks)
    arguments = ("import", file, "--measurement", "custom", "--server", "interrupted")
    result = run(*arguments)
    assert result.exit_code == 1
    assert f"all up to {days[0]:%Y-%m-%d} is stored" in result.stderr
    monkeypatch.setattr(Transfer, "import_rows", send)
    result = run(*arguments)
    assert "2 readings stored, 1 were there already" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("export", "x.csv", "--measurement", "disk", "--start", "1d"), 2, "--server or --tag"),
        (("export", "x.csv", "--server", "a", "--start", "1d"), 2, "--measurement or --metric"),
        (("export", "x.xls", "--measurement", "disk", "--server", "a", "--start", "1d"), 2, "--format"),
        (("export", "x.csv", "--measurement", "disk", "--server", "a", "--start", "soon"), 2, "neither a time"),
        (("export", "x.csv", "--measurement", "disk", "--server", "none", "--start", "1d"), 1, "no server none"),
        (("export", "/no/x.csv", "--measurement", "disk", "--tag", "a", "--start", "1d"), 1, "cannot be written"),
        (
            ("export", "x.csv", "--measurement", "disk", "--tag", "none", "--start", "1d"),
            1,
            "by a `tag` that some have",
        ),
        (("import", "none.csv", "--measurement", "disk"), 2, "does not exist"),
        (("import", "file.csv", "--measurement", "nothing"), 2, "nothing"),
        (("import", "file.txt", "--measurement", "disk"), 2, "--format"),
        (("import", "file.csv", "--measurement", "disk", "--rename", "a"), 2, "OLD=NEW"),
        (("import", "file.csv", "--measurement", "disk", "--server", "none"), 1, "no server none"),
        (("import", "file.csv", "--measurement", "disk"), 1, "no column device"),
        (("import", "file.csv", "--measurement", "host"), 1, "--skip-unknown-columns"),
        (("import", "file.csv", "--measurement", "custom"), 1, "nothing was stored"),
        (("import", "file.csv", "--measurement", "disk", "--format", "parquet"), 1, "no parquet file"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value)[:3],
)
def test_what_cannot_be_done_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file.csv", "file.txt"):
        (tmp_path / name).write_text("time,server,colour\n2026-11-24T08:00:00Z,nobody,1\n")
    result = run(*arguments)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert not (tmp_path / "x.csv").exists()


def test_a_file_that_is_there_is_replaced_only_when_it_is_said(run: Run, client: Client, tmp_path: Path) -> None:
    server = client.create_server("replaced")
    file = tmp_path / "there.csv"
    file.write_text("mine")
    assert exported(run, file, server.name, "--measurement", "disk").exit_code == 1
    assert file.read_text() == "mine"
    assert exported(run, file, str(server.id), "--metric", "disk.busy_percent", "--force").exit_code == 0
    assert file.read_text() == "time,server_id,device,busy_percent\n"
