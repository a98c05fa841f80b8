"""Rows of any size in Arrow, which takes rows, and reads lists, by way of one array a column: it holds 2 GiB of texts at most."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ARRAY_BYTES: Final = (1 << 31) - 1
FEW_ROWS: Final = 500  # fit an array: an item has 400 KB, and what takes two bytes there takes 16 in a list of numbers


def taken(rows: pa.Table, lines: pa.Array | pa.ChunkedArray) -> pa.Table:
    """`rows.take(lines)`, each line at most once, whatever the size of the rows. Of large ones the answer has several chunks."""
    if _fits(rows):
        return rows.take(lines)
    lines = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
    batches, firsts, count = rows.to_batches(), [], 0
    for batch in batches:
        firsts.append(count)
        count += batch.num_rows
    step = max(1, rows.num_rows * (ARRAY_BYTES // 2) // max(column.nbytes for column in rows.columns))
    pieces = [lines.slice(first, step) for first in range(0, len(lines), step)]
    parts = [part for piece in pieces for part in _gathered(batches, firsts, piece)]
    return pa.concat_tables([rows.slice(0, 0), *parts])


def combined(rows: pa.Table) -> pa.Table:
    """The rows in one chunk, out of which taking is quick, unless they are too large for that."""
    return rows.combine_chunks() if _fits(rows) else rows


def whole_file(file: pq.ParquetFile, names: Sequence[str]) -> pa.Table:
    """These columns of a file. Of lists Arrow reads at once what an array holds."""
    try:
        return file.read(columns=names, use_threads=False)
    except pa.ArrowNotImplementedError:
        batches = list(file.iter_batches(FEW_ROWS, columns=names, use_threads=False))
        return pa.Table.from_batches(batches)


def _fits(rows: pa.Table) -> bool:
    return all(column.nbytes <= ARRAY_BYTES for column in rows.columns)


def _gathered(batches: Sequence[pa.RecordBatch], firsts: Sequence[int], lines: pa.Array) -> Iterator[pa.Table]:
    """These lines of batches, the first of each being number `firsts`, in as many tables as it takes."""
    order = pc.sort_indices(lines)
    lines_up = lines.take(order)
    numbers = Numbers(lines_up)
    parts = []
    for batch, first in zip(batches, firsts, strict=True):
        at, end = bisect_left(numbers, first), bisect_left(numbers, first + batch.num_rows)
        if at < end:
            parts.append(batch.take(pc.subtract(lines_up.slice(at, end - at), pa.scalar(first, lines_up.type))))
    rows = pa.Table.from_batches(parts)
    if _fits(rows) or len(lines) == 1:
        yield rows.take(pc.sort_indices(order))
        return
    del rows, parts
    middle = len(lines) // 2
    for half in (lines.slice(0, middle), lines.slice(middle)):
        yield from _gathered(batches, firsts, half)


class Numbers(Sequence[int]):
    """An Arrow array as a sequence of Python numbers, made when they are looked at."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, at: Any) -> Any:
        return self._array[at].as_py()
