"""What the client sends of a frame, and what the backend stores of it."""

import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops_client import NotFoundError
from chatops_client.transfer import pieces_of

NOW = datetime.now(UTC).replace(microsecond=0)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3 * 86_400), st.integers(1, 3), st.sampled_from("ab")), max_size=200),
    most_bytes=st.integers(1, 4_000),
)
def test_pieces_hold_every_row_once_and_no_minute_of_a_series_is_in_two(rows, most_bytes) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        [
            (start + timedelta(seconds=second), server, device, float(n))
            for n, (second, server, device) in enumerate(rows)
        ],
        schema={
            "time": pl.Datetime("us", "UTC"),
            "server_id": pl.Int32,
            "device": pl.String,
            "busy_percent": pl.Float64,
        },
        orient="row",
    )
    pieces = list(pieces_of(frame, ["device"], most_bytes))
    assert sorted(value for piece in pieces for value in piece["busy_percent"]) == [float(n) for n in range(len(rows))]
    seen: set[tuple[datetime, int, str]] = set()
    for piece in pieces:
        minutes = set(piece.select(pl.col("time").dt.truncate("1m"), "server_id", "device").iter_rows())
        assert not minutes & seen
        seen |= minutes


def test_a_frame_is_imported_and_its_roll_ups_follow(client, backend) -> None:
    server = client.create_server("imported")
    frame = pl.DataFrame({"time": [NOW - timedelta(days=9), NOW - timedelta(days=2)]}).with_columns(
        server_id=pl.lit(server.id), device=pl.lit("sda"), busy_percent=40.0
    )
    assert client.transfer.import_rows("disk", frame).stored == 2
    assert client.transfer.import_rows("disk", frame).already_there == 2
    client.transfer.finish_import()
    deadline = time.monotonic() + 60
    while client.transfer.import_progress().pending_days:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = client.query("disk.busy_percent", NOW - timedelta(days=10), server_ids=[server.id], points=10_000)
    assert found["avg"].drop_nulls().to_list() == [40.0, 40.0]


def test_an_unknown_measurement_is_said(client) -> None:
    with pytest.raises(NotFoundError, match="host, cpu"):
        client.transfer.import_rows("nothing", pl.DataFrame({"time": [NOW]}))
