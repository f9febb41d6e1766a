"""How long readings and their roll-ups are kept: `GET` and `PUT /metrics/policies`."""

from typing import Annotated

from msgspec import Meta, Struct

Days = Annotated[int, Meta(ge=7, le=3650)]


class MetricPolicies(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many days raw readings, roll-ups of a minute and roll-ups of an hour are kept, each no longer than the
    next. Roll-ups of a day are kept for ever."""

    raw_days: Days
    minutes_days: Days
    hours_days: Annotated[int, Meta(ge=7, le=36_500)]
