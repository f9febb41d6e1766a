"""Import, custom values and export of both clients: `client.transfer` (`Transfer`), `async_client.transfer`
(`AsyncTransfer`). docs/transfer.md says what is stored of what is sent."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Literal, Protocol, TypedDict, TypeVar, Unpack

import httpx
import polars as pl

from chatops_client.wire import Call, query_params
from chatops_protocol.resources import Tier
from chatops_protocol.transfer_resources import ESTIMATE_HEADER, CustomValue, ImportProgress, ImportResult

T = TypeVar("T")

# One request is one transaction, and live readings wait for it: well below what the backend takes.
PIECE_BYTES = 4 * 1024 * 1024
# A large piece takes the embedded database some seconds, and others may be before it.
IMPORT_TIMEOUT_S = 120.0
# Between two parts of an export: another export of the same person may be before it.
EXPORT_TIMEOUT_S = 300.0
WHOLE_DAYS, WHOLE_HOURS, WHOLE_MINUTES = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class ExportOptions(TypedDict, total=False):
    """What to export; see `docs/transfer.md`. Either `measurement` or `metrics` of one, and `server_ids` or `tag`.
    `end` is now when left out, `tier` raw readings."""

    measurement: str
    metrics: Sequence[str]
    server_ids: Sequence[int]
    tag: str
    end: datetime
    tier: Tier


class Sender(Protocol):
    def request(self, call: Call[T]) -> T: ...
    def stream(self, call: Call[bytes]) -> AbstractContextManager[httpx.Response]: ...


class AsyncSender(Protocol):
    async def request(self, call: Call[T]) -> T: ...


class Transfer:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def import_rows(self, measurement: str, frame: pl.DataFrame) -> ImportResult:
        """Store `frame` (columns time, server_id, labels, fields; 16 MB at most) by one request. What is stored
        already is left out. Of rows older than raw rows are kept, all of one minute and series must come together:
        `pieces_of` cuts a large frame so. Needs the role operator."""
        return self._client.request(_import(measurement, frame))

    def finish_import(self) -> ImportProgress:
        """Say that no more follows: the roll-ups are brought up to date, in the background."""
        return self._client.request(_FINISH)

    def import_progress(self) -> ImportProgress:
        """How much the roll-ups do not hold yet; zero days when they hold all."""
        return self._client.request(_PROGRESS)

    def push_custom(self, server_id: int, values: Sequence[CustomValue]) -> ImportResult:
        """Store values of the measurement ``custom``, now or at their times. Needs the role operator."""
        return self._client.request(_push(server_id, values))

    def export(
        self,
        to: BinaryIO,
        form: Literal["csv", "parquet", "arrow"],
        start: datetime,
        progress: Callable[[int, int], None] = lambda _done, _estimate: None,
        **options: Unpack[ExportOptions],
    ) -> int:
        """Write a file of rows to `to` as it comes, and return its size. `progress` is told how many bytes came, of how
        many about. Raises `BackendUnreachableError` when the file breaks off."""
        asked: dict[str, Any] = {"format": form, "start": start, **options}
        asked["metric"], asked["server_id"] = list(asked.pop("metrics", ())), list(asked.pop("server_ids", ()))
        call = Call("GET", "/metrics/export", bytes, query_params(asked), accept="*/*", timeout_s=EXPORT_TIMEOUT_S)
        done = 0
        with self._client.stream(call) as response:
            estimate = int(response.headers.get(ESTIMATE_HEADER, 0))
            for part in response.iter_raw():
                to.write(part)
                done += len(part)
                progress(done, max(done, estimate))
        return done


class AsyncTransfer:
    """As `Transfer`, without the export."""

    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def import_rows(self, measurement: str, frame: pl.DataFrame) -> ImportResult:
        return await self._client.request(_import(measurement, frame))

    async def finish_import(self) -> ImportProgress:
        return await self._client.request(_FINISH)

    async def import_progress(self) -> ImportProgress:
        return await self._client.request(_PROGRESS)

    async def push_custom(self, server_id: int, values: Sequence[CustomValue]) -> ImportResult:
        return await self._client.request(_push(server_id, values))


def pieces_of(frame: pl.DataFrame, labels: Sequence[str], most_bytes: int = PIECE_BYTES) -> Iterator[pl.DataFrame]:
    """The rows in pieces that each fit into a request: whole days of a series, and only where one is too large itself,
    whole hours or minutes. Oldest days first."""
    series = ["server_id", *labels]
    yield from _cut(frame.sort("time"), series, [WHOLE_DAYS, WHOLE_HOURS, WHOLE_MINUTES], most_bytes)


def _cut(frame: pl.DataFrame, series: list[str], widths: list[timedelta], most_bytes: int) -> Iterator[pl.DataFrame]:
    key = [pl.col("time").dt.truncate(widths[0]).alias("\0bucket"), *series]
    waiting: list[pl.DataFrame] = []
    size = 0.0
    for _, group in frame.group_by(key, maintain_order=True):
        group_size = group.estimated_size()
        if waiting and size + group_size > most_bytes:
            yield pl.concat(waiting)
            waiting, size = [], 0.0
        if group_size > most_bytes and len(widths) > 1:
            yield from _cut(group, series, widths[1:], most_bytes)
        else:
            waiting.append(group)
            size += group_size
    if waiting:
        yield pl.concat(waiting)


_FINISH = Call("POST", "/metrics/import/finish", ImportProgress)
_PROGRESS = Call("GET", "/metrics/import", ImportProgress)


def _import(measurement: str, frame: pl.DataFrame) -> Call[ImportResult]:
    body = io.BytesIO()
    frame.write_ipc_stream(body, compression="uncompressed")
    return Call(
        "POST",
        "/metrics/import",
        ImportResult,
        query_params({"measurement": measurement}),
        body=body.getvalue(),
        timeout_s=IMPORT_TIMEOUT_S,
        repeatable=True,
    )


def _push(server_id: int, values: Sequence[CustomValue]) -> Call[ImportResult]:
    return Call("POST", "/metrics/custom", ImportResult, query_params({"server_id": server_id}), body=list(values))
