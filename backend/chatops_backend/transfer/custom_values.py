"""Values that people push, as the frame that an import takes."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from chatops_backend.transfer.arrow_body import in_types_of
from chatops_protocol.catalog import CUSTOM
from chatops_protocol.transfer_resources import CustomValue

if TYPE_CHECKING:
    import polars as pl


def frame_of(server_id: int, values: Sequence[CustomValue], now: datetime) -> "pl.DataFrame":
    import polars as pl

    columns = {
        "time": pl.Series([value.time or now for value in values], dtype=pl.Datetime("us", "UTC")),
        "server_id": pl.Series([server_id] * len(values), dtype=pl.Int32),
        "name": [value.name for value in values],
        "labels": [msgspec.json.encode(value.labels).decode() for value in values],
        "value": pl.Series([value.value for value in values], dtype=pl.Float64),
    }
    return in_types_of(pl.DataFrame(columns), CUSTOM)
