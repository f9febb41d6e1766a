"""Alerts, log lines, newest readings and what they take on disk as polars frames. Pure. Times are UTC."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from chatops_client.frames import TIME
from chatops_client.wire import Latest
from chatops_protocol.alert_resources import Alert
from chatops_protocol.catalog import MEASUREMENTS
from chatops_protocol.log_lines import LogLine
from chatops_protocol.storage_resources import Storage

# Of which polars says that each is a class or an instance.
Columns = dict[str, type[pl.DataType] | pl.DataType]

ALERT_COLUMNS: Columns = {
    "id": pl.Int64,
    "threshold_id": pl.Int64,
    "threshold_name": pl.String,
    "server_id": pl.Int64,
    "server_name": pl.String,
    "metric": pl.String,
    "labels": pl.String,
    "state": pl.String,
    "level": pl.String,
    "value": pl.Float64,
    "bound": pl.Float64,
    "bound_high": pl.Float64,
    "started_at": TIME,
    "resolved_at": TIME,
    "acknowledged_at": TIME,
    "acknowledged_by": pl.String,
    "comment": pl.String,
    "silenced": pl.Boolean,
}
LOG_COLUMNS: Columns = {
    "time": TIME,
    "server_id": pl.Int64,
    "source": pl.String,
    "level": pl.String,
    "message": pl.String,
    "id": pl.Int64,
}
LATEST_COLUMNS: Columns = {
    "server_id": pl.Int64,
    "time": TIME,
    "metric": pl.String,
    "labels": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
}
STORAGE_COLUMNS: Columns = {
    "measurement": pl.String,
    "tier": pl.String,
    "size_bytes": pl.Int64,
    "chunks": pl.Int64,
    "compressed_chunks": pl.Int64,
    "compressed_rows": pl.Int64,
    "before_bytes": pl.Int64,
    "after_bytes": pl.Int64,
    "start": TIME,
    "end": TIME,
    "kept_days": pl.Float64,
}


def alerts_to_frame(alerts: Iterable[Alert]) -> pl.DataFrame:
    """One row per alert. `value` and `bound` are in the metric's unit; `bound_high` is set for rules with a lowest and
    a highest good value (`bound` is the lowest then). `labels` is ``name=value``, joined by commas. `started_at` is
    null while pending, `resolved_at` until it is over."""
    rows = []
    for alert in alerts:
        row = msgspec.structs.asdict(alert)
        low, high = alert.bound if isinstance(alert.bound, tuple) else (alert.bound, None)
        row |= {"bound": low, "bound_high": high, "labels": labels_text(alert.labels)}
        rows.append([row[name] for name in ALERT_COLUMNS])
    return pl.DataFrame(rows, schema=ALERT_COLUMNS, orient="row")


def lines_to_frame(server_id: int, lines: Iterable[LogLine]) -> pl.DataFrame:
    """One row per line. `level` is null where the line does not say."""
    rows = [(line.time, server_id, line.source, line.level, line.message, line.id) for line in lines]
    return pl.DataFrame(rows, schema=LOG_COLUMNS, orient="row")


def latest_to_frame(latest: Mapping[int, Latest]) -> pl.DataFrame:
    """One row per server, metric and series, in the order of the catalogue. `time` is the server's newest collection;
    `labels` is ``name=value``, joined by commas; `unit` is the catalogue's. A reading that could not be taken is null.
    """
    rows: list[tuple[Any, ...]] = []
    for server_id, newest in latest.items():
        for measurement in MEASUREMENTS:
            found = newest.measurements.get(measurement.name)
            series: Sequence[Mapping[str, Any]] = [found] if isinstance(found, dict) else found or []
            for one in series:
                labels = labels_text({name: one[name] for name in measurement.label_names if name in one})
                rows += [
                    (server_id, newest.time, f"{measurement.name}.{field.name}", labels, one[field.name], field.unit)
                    for field in measurement.fields
                    if field.name in one
                ]
    return pl.DataFrame(rows, schema=LATEST_COLUMNS, orient="row")


def storage_to_frame(storage: Storage) -> pl.DataFrame:
    """One row per measurement and tier: `TierStorage` says what the columns mean. `kept_days` is null for ever."""
    return pl.DataFrame([msgspec.structs.astuple(tier) for tier in storage.tiers], schema=STORAGE_COLUMNS, orient="row")


def labels_text(labels: Mapping[str, Any]) -> str:
    """``mountpoint=/,device=sda1``; empty for a metric without labels."""
    return ",".join(f"{name}={value}" for name, value in labels.items())
