"""UNLOAD to S3: the rows of a query as Parquet, in two files where there are two rows, and their manifest."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tailrace.local.redshift.lexer import not_here
from tailrace.local.redshift.sql import Unload

PutObject: TypeAlias = Callable[[str, str, bytes], Awaitable[int]]
"""Bucket, key and content to the HTTP status."""

_READERS: Final[dict[str, tuple[pa.DataType, Callable[[str], Any]]]] = {
    "bool": (pa.bool_(), lambda text: text == "t"),
    "int2": (pa.int16(), int),
    "int4": (pa.int32(), int),
    "int8": (pa.int64(), int),
    "float4": (pa.float32(), float),
    "float8": (pa.float64(), float),
    "varchar": (pa.string(), str),
    "char": (pa.string(), str),
    "bpchar": (pa.string(), str),
    "super": (pa.string(), str),
    "varbyte": (pa.binary(), lambda text: bytes.fromhex(text.removeprefix("\\x"))),
    "timestamp": (pa.timestamp("us"), datetime.fromisoformat),
}


def arrow_of(kind: str, modifier: int, values: Sequence[bytes | None]) -> pa.Array:
    """A column of PostgreSQL's texts; `modifier` holds the scale of a numeric, where there is one. Raises RedshiftError."""
    texts = [None if value is None else bytes(value).decode() for value in values]
    if kind == "numeric":
        scale = (modifier - 4) & 0x7FF if modifier >= 4 else max((_scale(t) for t in texts if t is not None), default=0)
        return pa.array([None if text is None else Decimal(text) for text in texts], pa.decimal128(38, scale))
    if kind not in _READERS:
        raise not_here(f"UNLOAD of {kind.upper()}")
    type_, read = _READERS[kind]
    return pa.array([None if text is None else read(text) for text in texts], type_)


def _scale(text: str) -> int:
    return len(text.partition(".")[2])


def files_of(unload: Unload, columns: Sequence[pa.Array], names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """URL and content; nothing at all of a query without rows."""
    rows = pa.Table.from_arrays(list(columns), names=list(names))
    half = (rows.num_rows + 1) // 2
    entries = []
    for number, part in enumerate((rows.slice(0, half), rows.slice(half))):
        if part.num_rows:
            sink = io.BytesIO()
            pq.write_table(part, sink)
            url = f"{unload.url}{number:04}_part_00.parquet"
            entries.append({"url": url, "meta": {"content_length": sink.tell()}})
            yield url, sink.getvalue()
    if unload.manifest and entries:
        yield f"{unload.url}manifest", json.dumps({"entries": entries}).encode()
