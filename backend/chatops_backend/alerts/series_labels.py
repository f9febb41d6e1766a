"""The labels of one series as alerts carry them: what the database holds as JSON is an object, not its text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from chatops_protocol.catalog import Measurement


def named_labels(measurement: Measurement, texts: Sequence[str]) -> dict[str, Any]:
    """`texts`: one for each of the measurement's labels, in their order."""
    return {
        label.name: msgspec.json.decode(text) if label.type == "jsonb" else text
        for label, text in zip(measurement.labels, texts, strict=True)
    }


def flat_labels(labels: dict[str, Any]) -> dict[str, str]:
    """For receivers to whom a label is a text: an object's own labels stand beside the others."""
    flat = {name: str(value) for name, value in labels.items() if not isinstance(value, dict)}
    for name, value in labels.items():
        if isinstance(value, dict):
            flat |= {inner if inner not in flat else f"{name}_{inner}": str(text) for inner, text in value.items()}
    return flat
