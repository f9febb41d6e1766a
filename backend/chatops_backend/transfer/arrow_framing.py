"""Looks into an Arrow stream: at an import's before polars decodes it, and at an export's to join several. Decodes no
values itself.

A stream says how long its buffers are, and the reader allocates what it says: a lie of a few bytes would take the whole
process down, and so would a compressed buffer of a gigabyte of zeros. So: no compression, no dictionaries, and every
buffer within the message's body. The layout is that of Arrow's ``Message.fbs``, read as flatbuffers are.
"""

import struct
from collections.abc import Iterator

from chatops_backend.problems import ProblemError

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _RECORD_BATCH = 1, 3
# Places of fields in the tables Message and RecordBatch.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_LENGTH, _NODES, _BUFFERS, _COMPRESSION = 0, 1, 2, 3


class _MalformedError(Exception):
    pass


def count_rows(stream: bytes) -> int:
    """Rows of all record batches. Raises `ProblemError` 400 for what is no plain Arrow stream."""
    try:
        return _count_rows(memoryview(stream))
    except (struct.error, _MalformedError) as error:
        reason = str(error) if isinstance(error, _MalformedError) else "it ends too early"
        raise ProblemError(
            400,
            "No Arrow stream",
            f"The body is not an Arrow IPC stream without compression and dictionaries: {reason}. "
            "From polars: `frame.write_ipc_stream(file, compression='uncompressed')`.",
        ) from None


def split_stream(stream: bytes) -> tuple[bytes, bytes, bytes]:
    """The schema, the batches, and the mark of the end, of a stream that this program wrote."""
    messages = list(_messages(memoryview(stream)))
    (_, _, schema_end), (_, _, end) = messages[0], messages[-1]
    return stream[:schema_end], stream[schema_end:end], stream[end:]


def _messages(stream: memoryview) -> Iterator[tuple["_Table", int, int]]:
    """Each message up to the mark of the end: its table, the length of its data, and where it ends."""
    place = 0
    while place < len(stream):
        (size,) = struct.unpack_from("<I", stream, place)
        if size != _CONTINUATION:
            raise _MalformedError(f"no message starts at byte {place}")
        (size,) = struct.unpack_from("<I", stream, place + 4)
        place += 8
        if size == 0:
            return
        if size > len(stream) - place:
            raise _MalformedError("a message is longer than the body")
        message = _Table.root(stream[place : place + size])
        place += size
        body_length = message.number(_BODY_LENGTH, "<q")
        if not 0 <= body_length <= len(stream) - place:
            raise _MalformedError("a message's data is longer than the body")
        place += body_length
        yield message, body_length, place


def _count_rows(stream: memoryview) -> int:
    rows, has_schema = 0, False
    for message, body_length, _ in _messages(stream):
        kind = message.number(_HEADER_TYPE, "<B")
        if kind == _SCHEMA and not has_schema:
            has_schema = True
        elif kind == _RECORD_BATCH and has_schema:
            rows += _rows_of(message.table(_HEADER), body_length)
        else:
            raise _MalformedError("it holds dictionaries or several schemas")
    if not has_schema:
        raise _MalformedError("it has no schema")
    return rows


def _rows_of(batch: "_Table", body_length: int) -> int:
    if batch.has(_COMPRESSION):
        raise _MalformedError("it is compressed")
    length = batch.number(_LENGTH, "<q")
    if length < 0 or any(rows != length or not 0 <= nulls <= length for rows, nulls in batch.pairs(_NODES)):
        raise _MalformedError("its columns are nested, or not of one length")
    for offset, size in batch.pairs(_BUFFERS):
        if offset < 0 or size < 0 or offset + size > body_length:
            raise _MalformedError("a column's data lies outside of its message")
    return length


class _Table:
    """A flatbuffer table: where it starts, and where its fields are according to the vtable before it."""

    def __init__(self, data: memoryview, place: int) -> None:
        self._data = data
        self._place = place
        (back,) = struct.unpack_from("<i", data, place)
        self._fields = place - back
        if self._fields < 0:
            raise _MalformedError("its metadata points outside of itself")
        (self._size,) = struct.unpack_from("<H", data, self._fields)

    @classmethod
    def root(cls, data: memoryview) -> "_Table":
        (place,) = struct.unpack_from("<I", data, 0)
        return cls(data, place)

    def _at(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, self._fields + entry)
        return self._place + offset if offset else None

    def has(self, field: int) -> bool:
        return self._at(field) is not None

    def number(self, field: int, form: str) -> int:
        place = self._at(field)
        return 0 if place is None else int(struct.unpack_from(form, self._data, place)[0])

    def _followed(self, field: int) -> int | None:
        place = self._at(field)
        return None if place is None else place + int(struct.unpack_from("<I", self._data, place)[0])

    def table(self, field: int) -> "_Table":
        place = self._followed(field)
        if place is None:
            raise _MalformedError("a message has no header")
        return _Table(self._data, place)

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit numbers."""
        place = self._followed(field)
        if place is None:
            return []
        (count,) = struct.unpack_from("<I", self._data, place)
        if count * 16 > len(self._data) - place:
            raise _MalformedError("its metadata points outside of itself")
        return list(struct.iter_unpack("<qq", self._data[place + 4 : place + 4 + 16 * count]))
