"""Answers of ``/analysis`` as polars frames. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from chatops_client.resource_frames import labels_text
from chatops_protocol.analysis_resources import Anomalies, Blame, Comparison, Correlations, Forecast

# What names a row, and its values.
Row = tuple[dict[str, Any], tuple[Any, ...]]

TIME = pl.Datetime("us", "UTC")
TEXT, FLOAT, INT = pl.String(), pl.Float64(), pl.Int64()

_FORECAST: dict[str, pl.DataType] = {
    "outcome": TEXT,
    "explanation": TEXT,
    "current": FLOAT,
    "slope_per_day": FLOAT,
    "slope_low_per_day": FLOAT,
    "slope_high_per_day": FLOAT,
    "reaches_at": TIME,
    "earliest_at": TIME,
    "latest_at": TIME,
    "points": INT,
}
_ANOMALIES: dict[str, pl.DataType] = {
    "time": TIME,
    "value": FLOAT,
    "expected": FLOAT,
    "low": FLOAT,
    "high": FLOAT,
    "score": FLOAT,
}
_CORRELATIONS: dict[str, pl.DataType] = {
    "metric": TEXT,
    "correlation": FLOAT,
    "lag_s": FLOAT,
    "strength": FLOAT,
    "points": INT,
    "effective_points": FLOAT,
}
_COMPARISON: dict[str, pl.DataType] = {
    "outcome": TEXT,
    "explanation": TEXT,
    "median": FLOAT,
    "median_before": FLOAT,
    "shift": FLOAT,
    "delta": FLOAT,
    "effect": TEXT,
    "outside": pl.Boolean(),
    "points": INT,
    "points_before": INT,
}
_BLAME: dict[str, pl.DataType] = {
    "rise": FLOAT,
    "share": FLOAT,
    "window": FLOAT,
    "before": FLOAT,
    "at_most": pl.Boolean(),
    "listed": FLOAT,
    "listed_before": FLOAT,
}


def analysis_to_frame(answer: Forecast | Anomalies | Correlations | Comparison | Blame) -> pl.DataFrame:
    """One row per series of a forecast, a comparison and correlations, in their order; per series and bucket of
    anomalies; per culprit of blame, with ``kind`` process or container, and one called unexplained. Labels are text
    columns of their names, before the values; of correlations one column ``labels``. Units are those of the answer."""
    if isinstance(answer, Blame):
        return _blame(answer)
    if isinstance(answer, Anomalies):
        buckets = [(one, values) for one in answer.series for values in zip(*_values(one, _ANOMALIES), strict=True)]
        return _frame(
            [({"server_id": one.server_id} | _labels(one.labels), values) for one, values in buckets], _ANOMALIES
        )
    if isinstance(answer, Correlations):
        return _frame(
            [
                ({"server_id": one.server_id, "labels": labels_text(one.labels)}, _values(one, _CORRELATIONS))
                for one in answer.series
            ],
            _CORRELATIONS,
        )
    fields = _FORECAST if isinstance(answer, Forecast) else _COMPARISON
    rows = [({"server_id": one.server_id} | _labels(one.labels), _values(one, fields)) for one in answer.series]
    return _frame(rows, fields)


def _blame(answer: Blame) -> pl.DataFrame:
    rows: list[Row] = []
    for kind, shares in (("process", answer.processes), ("container", answer.containers)):
        keys: dict[str, Any] = {"server_id": answer.server_id, "kind": kind}
        rows += [(keys | _labels(one.labels), _values(one, _BLAME)) for one in shares.culprits]
        if shares.unexplained is not None:
            left = dict.fromkeys(_BLAME) | {"rise": shares.unexplained, "share": shares.unexplained_share}
            rows.append((keys | {"name": "unexplained"}, tuple(left.values())))
    return _frame(rows, _BLAME)


def _frame(rows: list[Row], fields: dict[str, pl.DataType]) -> pl.DataFrame:
    names = list(dict.fromkeys(name for keys, _ in rows for name in keys)) or ["server_id"]
    schema: dict[str, pl.DataType] = {name: INT if name == "server_id" else TEXT for name in names}
    data = [(*(keys.get(name) for name in names), *values) for keys, values in rows]
    return pl.DataFrame(data, schema=schema | fields, orient="row")


def _values(one: Struct, fields: dict[str, pl.DataType]) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in fields)


def _labels(labels: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in labels.items()
    }
