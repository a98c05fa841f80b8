"""Arrow tables of decoded attributes: one schema for many batches, a target's columns out of it. Lossless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import pyarrow as pa

from tailrace.codec.types import META_FIELDS
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import TAGS, Column, ColumnKind, ColumnType, Seen, Tag, column_type

META_COUNT: Final = len(META_FIELDS)
META_TYPES: Final = (pa.string(), pa.int64(), pa.string(), pa.bool_())
TAG: Final = b"tag"  # metadata of a decoded field
ATTRIBUTE: Final = b"attribute"  # and of a column whose name may differ from its attribute's

_SIMPLE: Final[Mapping[ColumnKind, pa.DataType]] = {
    "string": pa.string(),
    "number_text": pa.string(),
    "json": pa.string(),
    "int64": pa.int64(),
    "binary": pa.binary(),
    "bool": pa.bool_(),
}


def arrow_type(column: ColumnType) -> pa.DataType:
    """The Arrow type of a column type; decimals have precision 38."""
    if column.kind.startswith("list_"):
        member = cast(ColumnKind, column.kind.removeprefix("list_"))
        return pa.list_(arrow_type(ColumnType(member, column.scale)))
    return pa.decimal128(38, column.scale) if column.kind == "decimal" else _SIMPLE[column.kind]


def decoded_schema(seen: Seen) -> pa.Schema:
    """The meta fields, then a field for each (attribute, tag), by name in UTF-8 order, then as in `TAGS`."""
    fields = [pa.field(name, type_) for name, type_ in zip(META_FIELDS, META_TYPES, strict=True)]
    for name, tag in sorted((c for c in seen if c[1] != "NULL"), key=lambda c: (c[0], TAGS.index(c[1]))):
        type_ = arrow_type(column_type(tag, seen[name, tag].numbers))
        fields.append(pa.field(name, type_, metadata={TAG: tag.encode()}))
    return pa.schema(fields)


def decoded_columns(schema: pa.Schema) -> list[tuple[str, Tag]]:
    """(attribute, tag) of each field behind the meta fields, in field order."""
    return [(f.name, cast(Tag, f.metadata[TAG].decode())) for f in list(schema)[META_COUNT:]]


def field_index(schema: pa.Schema, attribute: str, tag: Tag) -> int | None:
    """Where a decoded schema holds an attribute of a tag; None where it does not."""
    return _places(schema).get((attribute, tag))


def _places(schema: pa.Schema) -> dict[tuple[str, Tag], int]:
    return {column: index for index, column in enumerate(decoded_columns(schema), start=META_COUNT)}


def unify(batches: Iterable[pa.RecordBatch], seen: Seen, known: Seen | None = None) -> pa.Table:
    """Bring decoded batches to the one schema of everything that was seen. Rows keep their order.

    `known` is what the decoders were given: their numbers are at least that wide, so the schema's must be.
    """
    known = known or {}
    schema = decoded_schema({c: s.join(known[c]) if c in known else s for c, s in seen.items()})
    tables = [_conform(pa.Table.from_batches([batch]), schema) for batch in batches]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.equals(schema, check_metadata=True):
        return table
    place = _places(table.schema)
    arrays = table.columns[:META_COUNT]
    for column, field in zip(decoded_columns(schema), list(schema)[META_COUNT:], strict=True):
        arrays.append(_column(table, place.get(column), field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def project(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """A target's columns out of a decoded table, under its names and types; what is absent is NULL."""
    place = _places(table.schema)
    fields = [pa.field(column.name, arrow_type(column.type)) for column in columns]
    arrays = [
        _column(table, place.get((column.attribute, column.tag)), field.type)
        for column, field in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _column(table: pa.Table, index: int | None, type_: pa.DataType) -> pa.ChunkedArray | pa.Array:
    return pa.nulls(table.num_rows, type_) if index is None else widen(table.column(index), type_)


def widen(array: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """int64 → decimal → canonical text, also inside lists. Arrow refuses whatever would lose a digit."""
    if array.type == type_:
        return array
    in_list = pa.types.is_list(type_)
    member = type_.value_type if in_list else type_
    if pa.types.is_string(member):
        return pa.chunked_array([pa.array(map(_number_text, array.to_pylist()), type_)])
    if not pa.types.is_decimal(member):
        raise AssertionError(f"{array.type} does not widen to {type_}")
    whole = pa.decimal128(38, 0)  # from int64 Arrow takes this step only without a scale
    if (array.type.value_type if in_list else array.type) == pa.int64():
        array = array.cast(pa.list_(whole) if in_list else whole)
    return array.cast(type_)


def _number_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_number_text(member) for member in value]
    return canonical_number(str(value)) if isinstance(value, int | Decimal) else value
