"""Arrow tables of decoded attributes: one schema for many batches, and the columns of a target out of it. Lossless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa

from tailrace.codec.types import META_FIELDS
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import TAGS, Column, ColumnType, Seen, Tag, column_type

META_COUNT = len(META_FIELDS)
META_TYPES = (pa.string(), pa.int64(), pa.string(), pa.bool_())


def arrow_type(column: ColumnType) -> pa.DataType:
    """The Arrow type of a column type; decimals have precision 38."""
    kind = column.kind
    if kind.startswith("list_"):
        return pa.list_(arrow_type(ColumnType(cast(Any, kind.removeprefix("list_")), column.scale)))
    if kind == "decimal":
        return pa.decimal128(38, column.scale)
    return {
        "string": pa.string(),
        "number_text": pa.string(),
        "json": pa.string(),
        "int64": pa.int64(),
        "binary": pa.binary(),
        "bool": pa.bool_(),
    }[kind]


def field_for(attribute: str, tag: Tag, type_: pa.DataType) -> pa.Field:
    """The field of one attribute and tag in a decoded batch."""
    return pa.field(attribute, type_, metadata={b"tag": tag.encode()})


def field_index(schema: pa.Schema, attribute: str, tag: Tag) -> int | None:
    """Where a decoded schema holds an attribute of a tag; None where it does not."""
    for index in schema.get_all_field_indices(attribute):
        if index >= META_COUNT and (schema.field(index).metadata or {}).get(b"tag") == tag.encode():
            return int(index)
    return None


def decoded_columns(schema: pa.Schema) -> list[tuple[str, Tag]]:
    """(attribute, tag) of each field behind the meta fields, in field order."""
    return [(f.name, cast(Tag, f.metadata[b"tag"].decode())) for f in list(schema)[META_COUNT:]]


def unify(batches: Iterable[pa.RecordBatch | pa.Table], seen: Seen) -> pa.Table:
    """Bring decoded batches to one schema: the meta fields and a field of final type for each (attribute, tag) in `seen`."""
    wanted = sorted((c for c in seen if c[1] != "NULL"), key=lambda c: (c[0].encode(), TAGS.index(c[1])))
    fields = [
        field_for(name, tag, arrow_type(column_type(tag, seen[name, tag].numbers))) for name, tag in wanted
    ]
    meta = [pa.field(name, type_) for name, type_ in zip(META_FIELDS, META_TYPES, strict=True)]
    schema = pa.schema(meta + fields)
    return pa.Table.from_batches(
        [piece for batch in batches for piece in _conform(batch, schema).to_batches()], schema=schema
    )


def _conform(batch: pa.RecordBatch | pa.Table, schema: pa.Schema) -> pa.Table:
    if isinstance(batch, pa.RecordBatch):
        batch = pa.Table.from_batches([batch])
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    place = {column: META_COUNT + i for i, column in enumerate(decoded_columns(batch.schema))}
    arrays = [batch.column(i) for i in range(META_COUNT)]
    for (name, tag), field in zip(decoded_columns(schema), list(schema)[META_COUNT:], strict=True):
        index = place.get((name, tag))
        arrays.append(
            pa.nulls(batch.num_rows, field.type)
            if index is None
            else cast_exact(batch.column(index), field.type)
        )
    return pa.Table.from_arrays(arrays, schema=schema)


def project(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """The columns of a target out of a decoded table, under the target's names and types; absent attributes are NULL."""
    place = {column: META_COUNT + i for i, column in enumerate(decoded_columns(table.schema))}
    arrays, fields = [], []
    for column in columns:
        type_ = arrow_type(column.type)
        index = place.get((column.attribute, column.tag))
        arrays.append(
            pa.nulls(table.num_rows, type_) if index is None else cast_exact(table.column(index), type_)
        )
        fields.append(pa.field(column.name, type_))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def cast_exact(array: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """int64 → decimal → canonical text, also inside lists; every other pair must be equal already."""
    if array.type == type_:
        return array
    if pa.types.is_string(type_) or (pa.types.is_list(type_) and pa.types.is_string(type_.value_type)):
        return pa.chunked_array([pa.array(map(_as_text, array.to_pylist()), type_)], type_)
    if pa.types.is_decimal(type_) and pa.types.is_decimal(array.type) and type_.scale < array.type.scale:
        raise AssertionError(f"{array.type} does not widen to {type_}")
    if pa.types.is_list(type_) or pa.types.is_int64(array.type):
        return pa.chunked_array([pa.array(map(_as_decimal, array.to_pylist()), type_)], type_)
    return array.cast(type_)


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(member) for member in value]
    return canonical_number(str(value)) if isinstance(value, int | Decimal) else value


def _as_decimal(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_decimal(member) for member in value]
    return Decimal(value) if isinstance(value, int) else value
