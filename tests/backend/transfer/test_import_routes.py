"""What the import's routes take, refuse and say."""

import io
import struct
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatops_backend.problems import ProblemError
from chatops_backend.transfer.arrow_body import read_frame
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.transfer_resources import MAX_IMPORT_BYTES
from tests.backend.transfer.importing import HOUR, NOW, body_of, disk_rows

pytestmark = pytest.mark.anyio


def disk_import(api, body: bytes):
    return api.post("/metrics/import", params={"measurement": "disk"}, content=body)


async def test_rows_come_in_and_a_second_time_they_are_there_already(person, server_id, database, rollups) -> None:
    frame = disk_rows(server_id, NOW - HOUR, NOW, timedelta(minutes=1))
    first = await disk_import(person.api, body_of(frame))
    assert (first.status_code, first.json()) == (200, {"rows": 60, "stored": 60, "already_there": 0, "refused": []})
    again = await disk_import(person.api, body_of(pl.concat([frame, frame])))
    assert again.json() == {"rows": 120, "stored": 0, "already_there": 120, "refused": []}
    count = await database.fetchval("SELECT count(*) FROM metrics.disk WHERE server_id = $1", server_id)
    assert count == 60

    finished = await person.api.post("/metrics/import/finish")
    assert finished.status_code == 202
    assert finished.json()["pending_days"] in (1, 2)
    await rollups.refresh_all()
    assert (await person.api.get("/metrics/import")).json() == {"pending_days": 0, "failure": None}


async def test_each_bad_row_costs_itself_and_is_counted_by_its_reason(person, server_id) -> None:
    faults = {
        "no_time": {"time": None},
        "time_out_of_range": {"time": NOW + timedelta(days=1)},
        "unknown_server": {"server_id": 2_000_000_000},
        "no_label": {"device": None},
        "label_too_long": {"device": "x" * 1025},
        "nul_in_label": {"device": "sd\0a"},
        "value_out_of_range": {"busy_percent": float("inf")},
        "no_value": {"busy_percent": float("nan")},
    }
    good = {"time": NOW - HOUR, "server_id": server_id, "device": "sda", "busy_percent": 5.0}
    schema = {"time": pl.Datetime("us", "UTC"), "server_id": pl.Int64, "device": pl.String, "busy_percent": pl.Float64}
    frame = pl.DataFrame([good, *(good | fault for fault in faults.values())], schema=schema)
    answer = (await disk_import(person.api, body_of(frame))).json()
    assert answer["stored"] == 1
    assert answer["refused"] == [{"reason": reason, "count": 1} for reason in sorted(faults)]


async def test_labels_that_are_objects_are_the_same_however_they_are_written(person, server_id, database) -> None:
    frame = pl.DataFrame(
        {
            "time": [NOW - HOUR] * 4,
            "server_id": [server_id] * 4,
            "name": ["queue"] * 4,
            "labels": ['{"a":"1","b":"2"}', '{ "b": "2", "a": "1" }', "[]", '{"a": "\\u0000"}'],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )
    answer = await person.api.post("/metrics/import", params={"measurement": "custom"}, content=body_of(frame))
    assert answer.json() == {
        "rows": 4,
        "stored": 1,
        "already_there": 1,
        "refused": [{"reason": "no_label", "count": 2}],
    }
    assert await database.fetchval("SELECT value FROM metrics.custom WHERE server_id = $1", server_id) == 1.0
    none = await person.api.post("/metrics/import", params={"measurement": "custom"}, content=body_of(frame.clear()))
    assert none.json() == {"rows": 0, "stored": 0, "already_there": 0, "refused": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop("time"), "missing time"),
        (lambda frame: frame.drop("busy_percent"), "There is no value"),
        (lambda frame: frame.with_columns(colour=pl.lit("red")), "has colour besides"),
        (lambda frame: frame.with_columns(pl.col("time").cast(pl.String)), "The column time has the type"),
        (lambda frame: frame.with_columns(pl.col("busy_percent").cast(pl.String)), "send a number"),
        (lambda frame: frame.with_columns(pl.col("server_id").cast(pl.Float64)), "send an integer"),
        (lambda frame: frame.with_columns(device=pl.lit(1)), "send text"),
        (lambda frame: frame.with_columns(pl.col("device").cast(pl.Categorical)), "dictionaries"),
        (lambda frame: frame.with_columns(busy_percent=pl.concat_list("busy_percent", "busy_percent")), "nested"),
    ],
    ids=["no time", "no value", "unknown", "time", "value", "server", "label", "dictionary", "list"],
)
async def test_columns_that_do_not_fit_refuse_the_whole_and_are_named(person, server_id, change, said) -> None:
    frame = change(disk_rows(server_id, NOW - HOUR, NOW, timedelta(minutes=10)))
    answer = await disk_import(person.api, body_of(frame))
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


async def test_what_is_no_measurement_or_too_large_is_refused(person) -> None:
    unknown = await person.api.post("/metrics/import", params={"measurement": "nothing"}, content=b"")
    assert (unknown.status_code, "host, cpu" in unknown.json()["detail"]) == (404, True)
    assert (await disk_import(person.api, b"\0" * (MAX_IMPORT_BYTES + 1))).status_code == 413
    assert (await disk_import(person.api, b"")).status_code == 400


def test_a_compressed_stream_is_refused_before_it_is_unpacked() -> None:
    zeros, body = pl.DataFrame({"busy_percent": pl.zeros(100_000, eager=True)}), io.BytesIO()
    zeros.write_ipc_stream(body, compression="zstd")
    with pytest.raises(ProblemError, match="compressed"):
        read_frame(body.getvalue(), BY_NAME["disk"])


def test_a_stream_that_lies_about_the_length_of_its_data_is_refused() -> None:
    body = bytearray(body_of(disk_rows(1, NOW - HOUR, NOW, timedelta(minutes=1))))
    # The length of the first record batch's columns, wherever it stands, becomes a million millions.
    rows = struct.pack("<q", 60)
    assert bytes(body).count(rows) > 1
    with pytest.raises(ProblemError, match=r"not of one length|outside"):
        read_frame(bytes(body).replace(rows, struct.pack("<q", 10**12), 1), BY_NAME["disk"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_stream_is_refused_or_read_and_never_breaks_the_process(data) -> None:
    body = bytearray(body_of(disk_rows(1, NOW - HOUR, NOW, timedelta(minutes=5))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for damaged in (bytes(body), bytes(body[:cut])):
        try:
            frame = read_frame(damaged, BY_NAME["disk"])
        except ProblemError:
            continue
        assert set(frame.columns) <= {"time", "server_id", *BY_NAME["disk"].columns}
