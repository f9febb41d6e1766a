"""What missing readings mean to a rule that fires on them and whose metric has labels. Pure; for evaluator and replay.

Nobody knows which series a server should have: processes, mounts and containers come and go. So a single series that is
missing is over, as with `ignore`, while the server has others. When it has none at all, the alert without labels fires
in their place, and theirs stay as they are until one is back.
"""

import math
from typing import Literal

import msgspec

from chatops_backend.alerts.state_machine import Bounds
from chatops_protocol.catalog import find_metric

# `whole`: the metric has no labels, or the rule does not fire on missing readings. Else one of the server's series, or
# the alert without labels that stands for all of them.
Part = Literal["whole", "single", "presence"]

# The value of the alert without labels while the server has a series.
PRESENT = 0.0


def judges_presence(bounds: Bounds, metric: str | None) -> bool:
    found = find_metric(metric or "")
    return bounds.no_data == "fire" and found is not None and bool(found[0].labels)


def bounds_of_part(bounds: Bounds, part: Part) -> Bounds:
    if part == "whole":
        return bounds
    if part == "single":
        return msgspec.structs.replace(bounds, no_data="ignore")
    return msgspec.structs.replace(
        bounds,
        comparison="gt",
        warning=None if bounds.warning is None else math.inf,
        critical=None if bounds.critical is None else math.inf,
        clear=None,
    )
