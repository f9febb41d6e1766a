"""Resources of import, custom values and export. Times are RFC 3339 in UTC."""

from typing import Annotated

from msgspec import Meta, Struct

from chatops_protocol.resources import Moment

# What one request may bring: the whole of it is one transaction, and live readings wait for that.
MAX_IMPORT_BYTES = 16 * 1024 * 1024
# Of an export's answer: how many bytes it will have, about.
ESTIMATE_HEADER = "ChatOps-Estimated-Bytes"


class ImportRefusal(Struct, frozen=True):
    """Rows that were not taken. `reason`: no_time, time_out_of_range, unknown_server, no_label, label_too_long,
    nul_in_label, value_out_of_range, no_value."""

    reason: str
    count: int


class ImportResult(Struct, frozen=True):
    """`rows` came, of which `stored` are new, `already_there` were stored before (or came twice), and the rest is
    refused."""

    rows: int
    stored: int
    already_there: int
    refused: list[ImportRefusal]


class ImportProgress(Struct, frozen=True):
    """`pending_days`: days of measurements whose roll-ups do not hold all that was imported yet. `failure`: why the
    last try did not succeed; it is tried again."""

    pending_days: int
    failure: str | None = None


class CustomValue(Struct, frozen=True, forbid_unknown_fields=True):
    """`time` is now when it is left out. `labels` tell the series of one name apart."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    value: Annotated[float, Meta(ge=-1e100, le=1e100)]
    labels: dict[Annotated[str, Meta(max_length=200)], Annotated[str, Meta(max_length=1000)]] = {}
    time: Moment | None = None
