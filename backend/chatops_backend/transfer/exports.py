"""Joins reading and encoding to the body of an answer. One export at a time for each person: it holds some pages."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator

from prometheus_client import Counter

from chatops_backend.database.interface import Database
from chatops_backend.transfer.export_formats import Format, encode
from chatops_backend.transfer.export_rows import Selection, pages

bytes_exported = Counter("chatops_export_bytes_total", "Bytes of exports sent", ["format"])
exports_ended = Counter("chatops_exports_total", "Exports that ended", ["outcome"])


class Exports:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))

    async def file(self, selection: Selection, form: Format, user_id: int) -> AsyncGenerator[bytes, None]:
        """The bytes of the file. What raises breaks the connection off, so that its receiver knows."""
        async with self._turns[user_id]:
            outcome = "broken_off"
            try:
                async with (
                    contextlib.aclosing(pages(self._database, selection)) as rows,
                    contextlib.aclosing(encode(rows, selection, form)) as parts,
                ):
                    async for part in parts:
                        yield part
                        bytes_exported.labels(form).inc(len(part))
                outcome = "whole"
            finally:
                exports_ended.labels(outcome).inc()
