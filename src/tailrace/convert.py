"""Files of DynamoDB JSON into one file of Parquet, Arrow, CSV or NDJSON. Memory stays flat however long they are.

Only at the end of the inputs is it known how wide a number column must be and which type takes a plain name. So the output
is written while the inputs are read for the first time, and where its columns change on the way it is dropped and written
in a second look, with everything known. An output stands under its own name only when it is whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.codec import META_FIELDS, Rejected, named
from tailrace.codec.tables import decoded_schema
from tailrace.errors import SegmentCorrupt
from tailrace.inputs import Input
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Column, Seen, join_seen
from tailrace.outputs import output_errors, part_of
from tailrace.reading import THREADS, OnRead, columns_of, read_pieces

Format: TypeAlias = Literal["parquet", "arrow", "csv", "ndjson"]

FORMATS: Final[dict[str, Format]] = {
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson",
}  # fmt: skip
DICTIONARIES: Final = ["_tr_op", "_tr_pos"]  # of other columns they cost time, and zstd alone makes smaller files
ROW_GROUP_BYTES: Final = 32 << 20  # of Arrow in one row group of Parquet
FORMULA_STARTS: Final = r"^[=+\-@\t\r]"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted. `looks`: how often the inputs were read, once or twice."""

    inputs: int
    rows: int
    rejected: int
    seen: Seen
    columns: tuple[Column, ...]
    looks: int


def convert(
    inputs: Sequence[Input],
    output: Path | BinaryIO,
    form: Format,
    *,
    threads: int = THREADS,
    on_read: Callable[[int, int], None] = lambda look, count: None,
    on_file: Callable[[int], None] = lambda look: None,
    on_rejected: Callable[[Input, Rejected], None] = lambda source, rejected: None,
) -> Conversion:
    """Decode `inputs`, in their order, into `output`: a path, replaced only when all is written, or a stream.

    To a stream nothing is written before all inputs were read whole. `on_read` hears of bytes read, by look (1 or 2), from
    any of the `threads`, and `on_file` of whole files. Raises SegmentCorrupt, ExportInvalid and RecordInvalid with the input
    in their facts, NotFound, and what `outputs.unwritable` gives; the output is then as it was.
    """
    draft: _Draft | None = None
    is_settled = isinstance(output, Path)
    seen: Seen = {}
    rows = rejected = 0
    try:
        with closing(read_pieces(inputs, lambda: seen, threads=threads, on_read=partial(on_read, 1))) as pieces:
            for piece in pieces:
                columns = columns_of(join_seen(seen, piece.seen))
                for batch in piece.batches:
                    draft = draft or (_Draft(output, form, columns) if is_settled else None)
                    if draft is not None and _layout(columns) == draft.layout:
                        draft.write(batch)
                    elif draft is not None:
                        draft.drop()
                        draft, is_settled = None, False
                for line in piece.rejected:
                    on_rejected(inputs[piece.number], line)
                if piece.is_last:
                    on_file(1)
                    rows, rejected = rows + piece.rows, rejected + len(piece.rejected)
                    seen = join_seen(seen, piece.seen)
        looks = 1 if draft is not None or rows == 0 else 2
        draft = draft or _Draft(output, form, columns_of(seen))
        if looks == 2:
            _second_look(inputs, draft, seen, rows, threads, partial(on_read, 2), partial(on_file, 2))
        draft.commit()
    finally:
        if draft is not None:
            draft.drop()
    return Conversion(len(inputs), rows, rejected, seen, columns_of(seen), looks)


def _second_look(
    inputs: Sequence[Input],
    draft: _Draft,
    known: Seen,
    rows: int,
    threads: int,
    on_read: OnRead,
    on_file: Callable[[], None],
) -> None:
    schema = decoded_schema(known)
    with closing(read_pieces(inputs, lambda: known, threads=threads, on_read=on_read)) as pieces:
        for piece in pieces:
            for batch in piece.batches:
                if not batch.schema.equals(schema):
                    raise _changed()
                draft.write(batch)
            if piece.is_last:
                on_file()
                rows -= piece.rows
    if rows:
        raise _changed()


def _changed() -> SegmentCorrupt:
    return SegmentCorrupt("An input was changed while it was read", hint="Wait until it is whole, and repeat.")


def _layout(columns: Iterable[Column]) -> list[Any]:
    return [(c.attribute, c.tag, c.name, c.type) for c in columns]


# ---- the output -------------------------------------------------------------------------------------------


class _Draft:
    """An output that is being written, under a temporary name beside its own."""

    def __init__(self, output: Path | BinaryIO, form: Format, columns: Sequence[Column]) -> None:
        self.layout = _layout(columns)
        self._columns = columns
        self._path = output if isinstance(output, Path) else None
        self._part = None if self._path is None else part_of(self._path)
        with output_errors(self._path):
            self._file: Any = output if self._part is None else self._part.open("wb")
            self._writer = _Writer()  # until there is one, so that `drop` works
            try:
                self._writer = _WRITERS[form](self._file, columns)
            except BaseException:
                self.drop()
                raise

    def write(self, batch: pa.RecordBatch) -> None:
        table = named(pa.Table.from_batches([batch]), self._columns)
        with output_errors(self._path):
            self._writer.write(table)

    def commit(self) -> None:
        with output_errors(self._path):
            self._writer.close()
            if self._path is None or self._part is None:
                self._file.flush()
            else:
                self._file.close()
                self._part.replace(self._path)
                self._part = None

    def drop(self) -> None:
        """Leave nothing behind; after `commit` there is nothing to leave."""
        if self._part is not None:
            self._writer.abandon()
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            self._part = None


class _Writer:
    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Never write again, not even when the writer goes out of existence."""


class _Parquet(_Writer):
    """Zstandard; row groups of about `ROW_GROUP_BYTES`."""

    def __init__(self, file: Any, columns: Sequence[Column]) -> None:
        from pyarrow import parquet

        schema = _schema(columns)
        self._writer = parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=DICTIONARIES)
        self._waiting: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        if sum(waiting.nbytes for waiting in self._waiting) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._waiting:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting.clear()


class _Arrow(_Writer):
    """Arrow's IPC file form, not compressed, so that it can be mapped into memory."""

    def __init__(self, file: Any, columns: Sequence[Column]) -> None:
        self._writer = pa.ipc.new_file(file, _schema(columns))

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


class _Csv(_Writer):
    """NULL is empty and an empty string ``""``; text that a spreadsheet would take for a formula gets a leading '."""

    def __init__(self, file: Any, columns: Sequence[Column]) -> None:
        from pyarrow import csv

        self._numbers = {c.name for c in columns if c.type.kind == "number_text"}
        names = pa.array([*META_FIELDS, *(c.name for c in columns)])
        self._names = _without_formulas(names).to_pylist()
        types = [_csv_type(field.type) for field in _schema(columns)]
        self._writer = csv.CSVWriter(file, pa.schema(list(zip(self._names, types, strict=True))))

    def write(self, table: pa.Table) -> None:
        columns = [self._cells(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
        self._writer.write_table(pa.table(columns, names=self._names))

    def close(self) -> None:
        self._writer.close()

    def _cells(self, name: str, column: pa.ChunkedArray) -> Any:
        if pa.types.is_string(column.type):
            return column if name in self._numbers else _without_formulas(column)
        if _csv_type(column.type) == column.type:
            return column
        text = _json if pa.types.is_list(column.type) else _base64
        return pa.array([None if value is None else text(value) for value in column.to_pylist()], pa.string())


def _csv_type(type_: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_list(type_) or pa.types.is_binary(type_) else type_


def _without_formulas(texts: Any) -> Any:
    is_formula = pc.match_substring_regex(texts, FORMULA_STARTS)
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)


class _Ndjson(_Writer):
    """One object a row, without what is NULL: numbers with all their digits, binaries as base64, M and L as they are."""

    def __init__(self, file: Any, columns: Sequence[Column]) -> None:
        self._file = file
        plain = [None] * len(META_FIELDS)
        self._kinds = [*plain, *(column.type.kind for column in columns)]

    def write(self, table: pa.Table) -> None:
        columns = [
            [None if value is None else f"{_json(name)}:{_text_of(kind, value)}" for value in column.to_pylist()]
            for name, kind, column in zip(table.column_names, self._kinds, table.columns, strict=True)
        ]
        lines = ("{" + ",".join(filter(None, row)) + "}\n" for row in zip(*columns, strict=True))
        self._file.write("".join(lines).encode())


def _text_of(kind: str | None, value: Any) -> str:
    if kind in ("json", "number_text"):
        return str(value)
    if kind == "list_number_text":
        return f"[{','.join(value)}]"
    return _json(value)


def _json(value: Any) -> str:
    """JSON of what Arrow holds; numbers in their canonical spelling."""
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, Decimal):
        return canonical_number(str(value))
    return json.dumps(_base64(value) if isinstance(value, bytes) else value, ensure_ascii=False)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _schema(columns: Sequence[Column]) -> pa.Schema:
    schema: pa.Schema = named(decoded_schema({}).empty_table(), columns).schema
    return schema


_WRITERS: Final[dict[Format, Callable[[Any, Sequence[Column]], _Writer]]] = {
    "parquet": _Parquet,
    "arrow": _Arrow,
    "csv": _Csv,
    "ndjson": _Ndjson,
}


# ---- what was seen ----------------------------------------------------------------------------------------


def describe(conversion: Conversion) -> list[dict[str, Any]]:
    """For each attribute, by name: its types with counts and columns, and whether they conflict.

    `fits` of numbers is the narrowest of int64, decimal and text that holds all of them.
    """
    columns = {(c.attribute, c.tag): c for c in conversion.columns}
    described = []
    for name, group in groupby(sorted(conversion.seen.items(), key=lambda item: item[0]), key=lambda item: item[0][0]):
        types: dict[str, dict[str, Any]] = {}
        for (_, tag), seen in group:
            types[tag] = {"count": seen.count}
            if (name, tag) in columns:
                types[tag]["column"] = columns[name, tag].name
            if seen.numbers is not None:
                numbers = seen.numbers
                types[tag]["fits"] = "int64" if numbers.int64 else "decimal" if numbers.fits_decimal else "text"
        described.append({"attribute": name, "types": types, "conflict": len(types.keys() - {"NULL"}) > 1})
    return described
