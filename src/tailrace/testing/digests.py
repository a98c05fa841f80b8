"""Whether two tables hold the same, whoever wrote them: one number for all rows, whatever their order and the columns' names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tailrace.decide.digest import digest, target_entries
from tailrace.model.schema import Column

_BITS = 128
ORDERED = ("_tr_op", "_tr_pos")  # what every mode has, and every engine must give alike


@dataclass(frozen=True, slots=True)
class TableDigest:
    """`sum`: of the digests of all rows, so equal rows count as often as they are there."""

    rows: int
    sum: str


def table_digest(columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> TableDigest:
    """Of rows as `Target.rows` gives them: attributes with their types, to the last digit, and the order key."""
    rows = total = 0
    for batch in batches:
        names = [*(column.name for column in columns), *ORDERED]
        for values in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            entries = target_entries(columns, values[: len(columns)])
            meta = [(name, "S", value) for name, value in zip(ORDERED, values[len(columns) :], strict=True)]
            total += int.from_bytes(digest([*entries, *meta]), "big")
            rows += 1
    return TableDigest(rows, f"{total % (1 << _BITS):032x}")
