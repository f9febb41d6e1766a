"""What the import makes of files: every good line once, every bad one named, whatever is in them."""

import csv
import io
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatops_cli.transfer.files import UnusableFileError, read_csv, read_lines
from chatops_cli.transfer.progress_file import Checkpoint
from chatops_cli.transfer.readings import LINE, Faults, as_custom, guards_taken_off, readings
from chatops_cli.transfer.spool import Spool
from chatops_protocol.catalog import BY_NAME, CUSTOM

SERVERS = {"web": 1, "db": 2}
DISK = BY_NAME["disk"]
MOMENT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def csv_readings(path, measurement=DISK) -> tuple[pl.DataFrame, Faults]:
    faults, parts = Faults(), []
    for piece, _ in read_csv(path, faults):
        frame = as_custom(piece) if measurement is CUSTOM else piece
        parts.append(readings(guards_taken_off(frame, measurement), measurement, SERVERS, faults))
    return pl.concat(parts), faults


def line_readings(path, measurement) -> tuple[pl.DataFrame, Faults]:
    faults = Faults()
    parts = [
        readings(piece, measurement, SERVERS, faults) for piece, _ in read_lines(path, measurement, "host", faults)
    ]
    return pl.concat(parts), faults


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24T08:00:00Z",
        "2026-11-24T08:00:00.000000Z",
        "2026-11-24T09:00:00+01:00",
        "2026-11-24 08:00:00",
        "2026-11-24T08:00:00",
        "2026-11-24 09:00:00+01:00",
        "1795507200",
        "1795507200.0",
        "1795507200000",
        "1795507200000000",
        "1795507200000000000",
    ],
)
def test_times_are_read_as_people_and_programs_write_them(tmp_path, written) -> None:
    path = tmp_path / "file.csv"
    path.write_text(f"time,server,device,busy_percent\n{written},web,sda,5\n")
    rows, faults = csv_readings(path)
    assert (rows["time"].to_list(), faults.total) == ([MOMENT], 0)


def test_bad_lines_are_counted_by_reason_and_named_by_their_number(tmp_path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(
        "time,server,device,busy_percent,reads_per_second\n"
        "2026-11-24T08:00:00Z,web,sda,5,\n"
        "yesterday,web,sda,5,\n"
        '2026-11-24T08:00:00Z,web,"a\nb",6,\n'
        "2026-11-24T08:00:00Z,mail,sda,5,\n"
        "2026-11-24T08:00:00Z,web,sda,much,\n"
        "2026-11-24T08:00:00Z,web,sda,,\n"
        "\n"
        "2026-11-24T08:00:00Z,web,sda,5\n"
        "2026-11-24T08:00:00Z,2,sda,nan,7\n"
        "2026-11-24T08:00:00Z,web,sda,1e200,\n"
    )
    rows, faults = csv_readings(path)
    assert rows.select("server_id", "device", "busy_percent", "reads_per_second").rows() == [
        (1, "sda", 5.0, None),
        (1, "a\nb", 6.0, None),
        (2, "sda", None, 7.0),
    ]
    assert dict(faults.lines) == {
        "not 5 columns": [10],
        "no time, or not one that can be read": [3],
        "a server that is not known": [6],
        "busy_percent is not a number": [7],
        "no value": [8],
        "busy_percent is out of range": [12],
    }
    assert "1 line: not 5 columns (10)" in faults.words()


def test_columns_of_any_name_become_values_of_ones_own(tmp_path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("time;server;queue;temperature\n2026-11-24T08:00:00Z;db;3;\n2026-11-24T08:01:00Z;db;4;21.5\n")
    rows, faults = csv_readings(path, CUSTOM)
    assert sorted(rows.select("name", "labels", "value").rows()) == [
        ("queue", "{}", 3.0),
        ("queue", "{}", 4.0),
        ("temperature", "{}", 21.5),
    ]
    assert faults.total == 0


@pytest.mark.parametrize("text", ["", "time\n", "time,time\n1,2\n", "\0\n"])
def test_what_is_no_csv_is_said(tmp_path, text) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(UnusableFileError, match="first line"):
        csv_readings(path)


@QUICK
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.sampled_from(["web", "db"]),
            st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8),
            st.one_of(st.none(), st.floats(-1e100, 1e100)),
        ),
        max_size=20,
    )
)
@example([(0, "web", "'=1", 1.0), (1, "web", "\r\n,\"'", -0.0)])
def test_what_csv_writes_is_read_back(tmp_path, rows) -> None:
    path = tmp_path / "file.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["time", "server", "device", "busy_percent"])
    for second, server, device, value in rows:
        guarded = f"'{device}" if device[:1] in tuple("=+-@\t\r'") else device
        writer.writerow(
            [(MOMENT + timedelta(seconds=second)).isoformat(), server, guarded, "" if value is None else value]
        )
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found, faults = csv_readings(path)
    expected = [
        (MOMENT + timedelta(seconds=second), SERVERS[server], device, value)
        for second, server, device, value in rows
        if value is not None
    ]
    assert found.select("time", "server_id", "device", "busy_percent").rows() == expected
    assert faults.total == len(rows) - len(expected)


@QUICK
@given(st.binary(max_size=400))
@example(b'time,server,device,busy_percent\n"')
@example(b'time,server,device,busy_percent\n1,web,sda,1\n\xff\xfe,\0,"a"b,1\n1,web,sdb,1\n')
def test_no_file_breaks_the_reader_of_csv(tmp_path, content) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"time,server,device,busy_percent\n" + content)
    rows, faults = csv_readings(path)
    assert rows.height + faults.total <= content.count(b"\n") + content.count(b"\r") + 1


KEY = st.text(st.sampled_from("abz_-=, \\é"), min_size=1, max_size=6).filter(lambda text: not text.endswith("\\"))


def escaped(text: str, characters: str = ",= ") -> str:
    return "".join(f"\\{letter}" if letter in characters else letter for letter in text)


@QUICK
@given(
    points=st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,6}", fullmatch=True),
            st.dictionaries(
                st.from_regex(r"[a-z]{1,5}", fullmatch=True), KEY.filter(lambda key: "\\" not in key), max_size=3
            ),
            st.dictionaries(
                st.from_regex(r"[a-z]{1,5}", fullmatch=True),
                st.floats(-1e100, 1e100, allow_subnormal=False),
                min_size=1,
                max_size=3,
            ),
            st.integers(0, 10**6),
        ),
        max_size=8,
    )
)
def test_each_number_of_line_protocol_becomes_a_value_with_the_tags_as_labels(tmp_path, points) -> None:
    path = tmp_path / "file.line"
    with path.open("w", encoding="utf-8") as file:
        for name, tags, fields, second in points:
            tags = {tag: value for tag, value in tags.items() if tag != "host"}
            told = "".join(f",{tag}={escaped(value)}" for tag, value in tags.items())
            values = ",".join(f"{field}={value!r}" for field, value in fields.items())
            nanoseconds = int((MOMENT + timedelta(seconds=second)).timestamp()) * 10**9
            file.write(f"{name},host=web{told} {values} {nanoseconds}\n")
    found, faults = line_readings(path, CUSTOM)
    assert faults.total == 0
    expected = [
        (
            MOMENT + timedelta(seconds=second),
            1,
            f"{name}.{field}",
            {k: v for k, v in tags.items() if k != "host"},
            value,
        )
        for name, tags, fields, second in points
        for field, value in fields.items()
    ]
    rows = [(*row[:3], msgspec.json.decode(row[3]), row[4]) for row in found.rows()]
    assert sorted(rows, key=by_text) == sorted(expected, key=by_text)


def by_text(row: tuple) -> str:
    return f"{row[0].timestamp()} {row[2]} {sorted(row[3].items())} {row[4]!r}"


@QUICK
@given(st.binary(max_size=200))
@example(b'm,host=web v=1 1\nm v\n\0 v=1\nm,host=web v="x" 1\n')
@example(b"m" + b"x" * 70_000 + b" v=1\n")
def test_no_file_breaks_the_reader_of_line_protocol(tmp_path, content) -> None:
    path = tmp_path / "file.line"
    path.write_bytes(content)
    for measurement in (CUSTOM, DISK):
        line_readings(path, measurement)


def test_fields_and_tags_of_line_protocol_go_into_a_measurement(tmp_path) -> None:
    path = tmp_path / "file.line"
    path.write_text(
        "# from elsewhere\n"
        'disk,host=web,device=sda busy_percent=5,reads_per_second=7i,comment="x",other=1 1795507200000000000\n'
        "disk,host=web,device=sda other=1 1795507200000000000\n"
        "disk,host=web,device=sda busy_percent= 1795507200000000000\n"
        "disk,device=sda busy_percent=5 1795507200000000000\n"
    )
    rows, faults = line_readings(path, DISK)
    assert rows.select("time", "server_id", "device", "busy_percent", "reads_per_second").rows() == [
        (MOMENT, 1, "sda", 5.0, 7.0)
    ]
    assert [(reason.partition(":")[0], lines) for reason, lines in faults.lines.items()] == [
        ("none of its fields is one of disk", [3]),
        ("not line protocol", [4]),
        ("a server that is not known", [5]),
    ]


def test_the_spool_gives_back_every_day_once_and_leaves_nothing() -> None:
    times = [MOMENT + timedelta(hours=hours) for hours in (30, 0, 50, 1)]
    with Spool() as spool:
        for moment in times:
            spool.add(pl.DataFrame({"time": [moment], LINE: [1]}))
        days = [(day, frame["time"].to_list()) for day, frame in spool.days()]
        folder = spool._folder
        assert folder.exists()
    assert days == [
        (MOMENT.date(), [times[1], times[3]]),
        (times[0].date(), [times[0]]),
        (times[2].date(), [times[2]]),
    ]
    assert not folder.exists()


def test_an_import_goes_on_where_it_was_only_with_the_same_file_and_options(tmp_path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("one")
    first = Checkpoint(file, "http://a", ["disk"], tmp_path)
    assert first.done is None
    first.reached(MOMENT.date())
    assert Checkpoint(file, "http://a", ["disk"], tmp_path).done == MOMENT.date()
    assert Checkpoint(file, "http://b", ["disk"], tmp_path).done is None
    assert Checkpoint(file, "http://a", ["host"], tmp_path).done is None
    file.write_text("other")
    assert Checkpoint(file, "http://a", ["disk"], tmp_path).done is None
    first.forget()
    first.forget()
    assert first.done is None
