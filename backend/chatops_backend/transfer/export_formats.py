"""Turns pages of rows into the bytes of a CSV, Arrow or Parquet file, as they come.

What fails in the middle raises, so that the connection breaks: a file that ends early would look whole.
"""

import asyncio
import io
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from chatops_backend.transfer.arrow_framing import split_stream
from chatops_backend.transfer.export_rows import Selection
from chatops_protocol.cell_guard import FORMULA_START

if TYPE_CHECKING:
    import polars as pl

    Pages: TypeAlias = AsyncIterator[pl.DataFrame]

Format = Literal["csv", "arrow", "parquet"]
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
# Bytes of a value, about; of a file whose length is not known before its end.
VALUE_BYTES: dict[Format, float] = {"csv": 15.0, "arrow": 8.2, "parquet": 5.0}
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
READ_BYTES = 64 * 1024


def encode(pages: "Pages", selection: Selection, form: Format) -> AsyncGenerator[bytes, None]:
    return {"csv": _csv, "arrow": _arrow, "parquet": _parquet}[form](pages, selection)


async def _csv(pages: "Pages", selection: Selection) -> AsyncGenerator[bytes, None]:
    yield ",".join(selection.columns).encode() + b"\n"
    async for page in pages:
        yield await asyncio.to_thread(_csv_rows, page, selection.measurement.label_names)


def _csv_rows(page: "pl.DataFrame", labels: tuple[str, ...]) -> bytes:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it, as does what starts with one."""
    import polars as pl

    guarded = [
        pl.when(pl.col(name).str.contains(FORMULA_START)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in labels
    ]
    text = page.with_columns(*guarded, pl.col("time").dt.strftime(TIME_FORMAT))
    return text.write_csv(include_header=False).encode()


async def _arrow(pages: "Pages", selection: Selection) -> AsyncGenerator[bytes, None]:
    """One stream: the schema of the first page's stream, the batches of all, one end."""
    import polars as pl

    schema, _, end = await asyncio.to_thread(_arrow_parts, pl.DataFrame(schema=selection.schema()))
    yield schema
    async for page in pages:
        _, batches, _ = await asyncio.to_thread(_arrow_parts, page)
        yield batches
    yield end


def _arrow_parts(page: "pl.DataFrame") -> tuple[bytes, bytes, bytes]:
    import polars as pl

    stream = io.BytesIO()
    # The oldest layout: readers other than polars do not all know string views.
    page.write_ipc_stream(stream, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return split_stream(stream.getvalue())


async def _parquet(pages: "Pages", selection: Selection) -> AsyncGenerator[bytes, None]:
    """A thread writes the file into a pipe, and asks for each page as it needs it."""
    loop, ended = asyncio.get_running_loop(), threading.Event()

    def ask() -> "pl.DataFrame | None":
        if ended.is_set():
            raise BrokenPipeError
        return asyncio.run_coroutine_threadsafe(_following(pages), loop).result()

    # Threads of its own: a receiver that stalls would keep the shared ones from everybody.
    threads = ThreadPoolExecutor(2, thread_name_prefix="parquet")
    reading, writing = os.pipe()
    written = loop.run_in_executor(threads, _write_parquet, writing, selection, ask)
    under_way: asyncio.Future[bytes] | None = None
    try:
        while True:
            under_way = loop.run_in_executor(threads, os.read, reading, READ_BYTES)
            data = await asyncio.shield(under_way)
            if not data:
                break
            yield data
    finally:
        # Its next page or write fails now, if the writer has not ended. A read that waits gets what was being written.
        ended.set()
        if under_way is not None:
            await asyncio.wait([under_way])
        os.close(reading)
        await asyncio.wait([written])
        threads.shutdown(wait=False)
    await written


async def _following(pages: "Pages") -> "pl.DataFrame | None":
    return await anext(pages, None)


def _write_parquet(writing: int, selection: Selection, ask: "Callable[[], pl.DataFrame | None]") -> None:
    import polars as pl
    from polars.io.plugins import register_io_source

    schema = selection.schema()
    faults: list[Exception] = []

    def source(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> "Iterator[pl.DataFrame]":
        try:
            while (page := ask()) is not None:
                yield page
        except Exception as error:
            faults.append(error)
            raise

    try:
        with open(writing, "wb", buffering=0) as file:
            register_io_source(source, schema=schema).sink_parquet(file, maintain_order=True)
    except pl.exceptions.PolarsError:
        # As it was, and not as polars words it.
        if faults:
            raise faults[0] from None
        raise
