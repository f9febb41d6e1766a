"""HTML attributes with a dash in their names, which Python cannot spell."""

from typing import Any


def dashed(**values: Any) -> dict[str, Any]:
    """``dashed(aria_label="x")`` is ``{"aria-label": "x"}``; use with ``**``."""
    return {name.replace("_", "-"): value for name, value in values.items()}
