"""What changed between two states of a thing, field by field, as text. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["added", "removed", "changed", "same"]
LONGEST = 2000


class Change(NamedTuple):
    """One field; the sides are empty where it was not there."""

    field: str
    kind: Kind
    before: str
    after: str


def difference(before: Any, after: Any) -> list[Change]:
    """Those that changed first, each part in the order of its names. What is no object is a field without a name."""
    old, new = _flat(before), _flat(after)
    changes = [_change(field, old, new) for field in sorted({*old, *new})]
    return sorted(changes, key=lambda change: change.kind == "same")


def _change(field: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    if field not in old:
        return Change(field, "added", "", _text(new[field]))
    if field not in new:
        return Change(field, "removed", _text(old[field]), "")
    same = old[field] == new[field]
    return Change(field, "same" if same else "changed", _text(old[field]), _text(new[field]))


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Objects within objects become ``outer.inner``."""
    if value is None and not name:
        return {}
    if not isinstance(value, Mapping) or (not value and name):
        return {name: value}
    found: dict[str, Any] = {}
    for key, part in value.items():
        found |= _flat(part, f"{name}.{key}" if name else str(key))
    return found


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
