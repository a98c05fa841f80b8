"""How changes lie in files: columns and their types, partitions by hour, names. Values in, values out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tailrace.codec import META_FIELDS, arrow_type, widen
from tailrace.model.schema import Column
from tailrace.targets.lake.ledger import DataFile
from tailrace.targets.planning import META_NAMES, META_TYPES

ROW_GROUP_ROWS: Final = 122_880  # what DuckDB and most readers work on at once
PARTITIONS: Final = ("dt", "hr")
RESERVED: Final = (*PARTITIONS, *sorted({*META_TYPES, *META_FIELDS}))  # names that no attribute may take
NUL_SHOWN_AS: Final = "\u2400"  # what hands columns over in C ends a name at a NUL
_HOUR_US: Final = 3_600_000_000
MOMENT: Final = pa.timestamp("us", "UTC")


def spell(name: str) -> str:
    """A column name that every reader sees whole."""
    return name.replace("\0", NUL_SHOWN_AS)


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Attributes first, the key at their head, then ours."""
    attributes = [pa.field(column.name, arrow_type(column.type)) for column in columns]
    meta = [(name, META_TYPES[name]) for name in META_NAMES["changelog"]]
    return pa.schema(attributes + [pa.field(n, MOMENT if pa.types.is_timestamp(t) else t) for n, t in meta])


def rows_of(staged: pa.Table, columns: Sequence[Column], loaded_ms: int) -> pa.Table:
    """Staged changes (c0, c1, …, op, ts, pos, expired) as rows of the table."""
    loaded = pa.repeat(pa.scalar(loaded_ms * 1000, pa.int64()).cast(MOMENT), staged.num_rows)
    values = [staged.column(f"c{n}") for n in range(len(columns))]
    meta = [staged["op"], staged["ts"], staged["pos"], loaded, staged["expired"]]
    return pa.Table.from_arrays([*values, *meta], schema=schema(columns))


def partitions(rows: pa.Table, known_ms: int) -> list[tuple[str, pa.Table]]:
    """``dt=2026-11-22/hr=05`` and its rows, by the hour (UTC) of the change; of a base row, by when it was known."""
    hours = pc.divide(pc.fill_null(rows["_tr_ts"], known_ms * 1000), _HOUR_US)
    return [(_folder(hour), rows.filter(pc.equal(hours, hour))) for hour in sorted(pc.unique(hours).to_pylist())]


def _folder(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("dt=%Y-%m-%d/hr=%H")


def data_file(path: str, rows: pa.Table) -> DataFile:
    """What the ledger says of a file."""
    places = pc.min_max(rows["_tr_pos"]).as_py()
    return DataFile(path, rows.num_rows, places["min"], places["max"])


def file_bytes(rows: pa.Table) -> bytes:
    """A Parquet file of these rows. Equal rows are equal bytes, as long as it is one Arrow that writes them."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def widened(rows: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """The rows of an older file in today's columns and types."""
    wanted, held = schema(columns), set(rows.column_names)
    arrays = [
        widen(rows[field.name], field.type) if field.name in held else pa.nulls(rows.num_rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(arrays, schema=wanted)
