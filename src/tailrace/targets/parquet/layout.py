"""How changes lie in files: columns and their types, partitions by hour, names. Values in, values out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tailrace.codec import arrow_type, widen
from tailrace.model.schema import Column
from tailrace.targets.lake import columns
from tailrace.targets.lake.ledger import DataFile, LakeLedger
from tailrace.targets.planning import META_NAMES, META_TYPES

ROW_GROUP_ROWS: Final = 122_880  # what DuckDB and most readers work on at once
PARTITIONS: Final = ("dt", "hr")
RESERVED: Final = (*PARTITIONS, *columns.RESERVED)  # names that no attribute may take
DAY_MS: Final = 86_400_000
_HOUR_US: Final = 3_600_000_000
MOMENT: Final = pa.timestamp("us", "UTC")


def schema(attributes: Sequence[Column]) -> pa.Schema:
    """Attributes first, the key at their head, then ours."""
    own = [pa.field(column.name, arrow_type(column.type)) for column in attributes]
    meta = [(name, META_TYPES[name]) for name in META_NAMES["changelog"]]
    return pa.schema(own + [pa.field(n, MOMENT if pa.types.is_timestamp(t) else t) for n, t in meta])


def rows_of(staged: pa.Table, attributes: Sequence[Column], loaded_ms: int) -> pa.Table:
    """Staged changes (c0, c1, …, op, ts, pos, expired) as rows of the table."""
    loaded = pa.repeat(pa.scalar(loaded_ms * 1000, pa.int64()).cast(MOMENT), staged.num_rows)
    values = [staged.column(f"c{n}") for n in range(len(attributes))]
    meta = [staged["op"], staged["ts"], staged["pos"], loaded, staged["expired"]]
    return pa.Table.from_arrays([*values, *meta], schema=schema(attributes))


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


def widened(rows: pa.Table, attributes: Sequence[Column]) -> pa.Table:
    """The rows of an older file in today's columns and types."""
    wanted, held = schema(attributes), set(rows.column_names)
    arrays = [
        widen(rows[field.name], field.type) if field.name in held else pa.nulls(rows.num_rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(arrays, schema=wanted)


def snapshot_day(ledger: LakeLedger, now_ms: int) -> str | None:
    """The day (UTC) whose last state is to be kept: that of the newest load, once another day has begun."""
    newest_ms = max((row.applied_ms for entry in ledger.tail for row in entry.rows), default=None)
    if newest_ms is None or newest_ms // DAY_MS >= now_ms // DAY_MS:
        return None
    return datetime.fromtimestamp(newest_ms / 1000, UTC).strftime("%Y-%m-%d")
