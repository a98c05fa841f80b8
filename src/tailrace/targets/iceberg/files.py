"""Data files: read by field id, written with statistics that let readers and our own loads skip them."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import data_file_statistics_from_parquet_metadata
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from tailrace.codec import widen
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg.fields import FIELD_ID, Fields, Replaced
from tailrace.targets.taking import whole_file

SAMPLE_ROWS: Final = 2_000
GROUP_ROWS: Final = 122_880  # of a row group: what DuckDB reads as one piece


DATA_NAME: Final = re.compile(r"[0-9a-f]{32}(-[0-9]{5}-[0-9a-f]{8})?-[0-9]{5}\.parquet")  # of a file that we wrote


class FileWithoutIds(Exception):
    """A Parquet file without field ids, so that nobody knows which column is which."""


class Files:
    """Reads and writes the data files of one table. Remembers what it wrote, so that it can be taken back."""

    def __init__(self, io: FileIO, fields: Fields, folder: str, prefix: str, perform: Perform) -> None:
        self._io = io
        self._fields = fields
        self._folder = folder
        self._prefix = prefix
        self._perform = perform
        self._numbers = itertools.count()
        self.made: list[str] = []

    def read(self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced]) -> pa.Table:
        """These columns of a file, in this order and in the types that the table has now. What a file has not is NULL."""
        return self._perform(f"read {path}", lambda: self._read(path, names, replaced))

    def _read(self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced]) -> pa.Table:
        with self._io.new_input(path).open() as source:
            file = pq.ParquetFile(source, pre_buffer=True)
            return self._columns(file, _fields_in(file, path), names, replaced)

    def search(
        self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced], values: pa.Array
    ) -> tuple[pa.Table, pa.ChunkedArray] | None:
        """The same, and which rows have one of these values in the first column. None: no row has; nothing else was read then."""
        return self._perform(f"read {path}", lambda: self._search(path, names, replaced, values))  # type: ignore[no-any-return]

    def _search(
        self, path: str, names: Sequence[str], replaced: Mapping[str, Replaced], values: pa.Array
    ) -> tuple[pa.Table, pa.ChunkedArray] | None:
        with self._io.new_input(path).open() as source:
            file = pq.ParquetFile(source, pre_buffer=True)
            held = _fields_in(file, path)
            first = self._columns(file, held, names[:1], replaced)
            found = pc.is_in(first.column(0), value_set=values)
            if not pc.any(found).as_py():
                return None
            rest = self._columns(file, held, names[1:], replaced)
        return rest.add_column(0, first.schema.field(0), first.column(0)), found

    def _columns(
        self, file: pq.ParquetFile, held: Mapping[int, str], names: Sequence[str], replaced: Mapping[str, Replaced]
    ) -> pa.Table:
        ids = {name: replaced[name].id if name in replaced else self._fields.by_name[name].field_id for name in names}
        rows = whole_file(file, [held[id_] for id_ in ids.values() if id_ in held])
        count = file.metadata.num_rows
        columns = []
        for name, id_ in ids.items():
            type_ = self._fields.arrow.field(name).type
            if id_ not in held:
                columns.append(pa.nulls(count, type_))
                continue
            column = rows[held[id_]]
            if name in replaced:
                column = widen(column.cast(replaced[name].type), type_)
            columns.append(column if column.type == type_ else column.cast(type_))
        return pa.table(columns, schema=pa.schema([self._fields.arrow.field(name) for name in names]))

    def write(self, rows: pa.Table, place: str, partition: Record, spec_id: int) -> DataFile:
        """One file of whole rows. `place`: the partition's folder, or ""."""
        path = "/".join(
            part for part in (self._folder, place, f"{self._prefix}-{next(self._numbers):05}.parquet") if part
        )
        self.made.append(path)
        return self._perform(f"write {path}", lambda: self._write(rows, path, partition, spec_id))  # type: ignore[no-any-return]

    def _write(self, rows: pa.Table, path: str, partition: Record, spec_id: int) -> DataFile:
        table = pa.Table.from_arrays(
            [column.cast(field.type) for column, field in zip(rows.columns, self._fields.written, strict=True)],
            schema=self._fields.written,
        )
        output = self._io.new_output(path)
        with output.create() as sink:
            with pq.ParquetWriter(
                sink,
                self._fields.written,
                compression="zstd",
                use_dictionary=_repeating(table),
                store_schema=False,
            ) as writer:
                writer.write_table(table, row_group_size=GROUP_ROWS)
            size = sink.tell()
        statistics = data_file_statistics_from_parquet_metadata(writer.writer.metadata, **self._fields.statistics)
        file = DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=path,
            file_format=FileFormat.PARQUET,
            partition=partition,
            file_size_in_bytes=size,
            sort_order_id=None,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )
        file.spec_id = spec_id
        return file


def check_ids(io: FileIO, path: str) -> None:
    """Whether a file says which column is which. Raises FileWithoutIds."""
    with io.new_input(path).open() as source:
        _fields_in(pq.ParquetFile(source), path)


def _fields_in(file: pq.ParquetFile, path: str) -> dict[int, str]:
    """Names of columns by field id."""
    held = {int(f.metadata[FIELD_ID]): f.name for f in file.schema_arrow if FIELD_ID in (f.metadata or {})}
    if not held:
        raise FileWithoutIds(path)
    return held


def _repeating(table: pa.Table) -> list[str]:
    """Columns for which a dictionary is worth its time, judged by their first values."""
    names = []
    for column, name in zip(table.columns, table.column_names, strict=True):
        if pa.types.is_nested(column.type) or pa.types.is_boolean(column.type):
            continue
        head = column.slice(0, SAMPLE_ROWS)
        if 2 * pc.count_distinct(head).as_py() <= len(head) or len(head) < SAMPLE_ROWS:
            names.append(name)
    return names


def remove(io: FileIO, paths: Sequence[str], perform: Perform) -> None:
    """Delete files, as far as that is possible: what is left over is an orphan, and harms nobody."""
    for path in paths:
        with suppress(Exception):
            perform(f"delete {path}", functools.partial(io.delete, path))
