"""Our columns as an Iceberg schema, and what lies in files under its field ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import compute_statistics_plan, parquet_path_to_id_mapping, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DecimalType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestampType,
)

from tailrace.targets.lake.columns import spell

FIELD_ID: Final = b"PARQUET:field_id"
_PLAIN = re.compile(r"(?!col_[0-9])[A-Za-z_][A-Za-z0-9_]*")
_SIMPLE: Final[Mapping[pa.DataType, IcebergType]] = {
    pa.string(): StringType(),
    pa.int64(): LongType(),
    pa.bool_(): BooleanType(),
    pa.binary(): BinaryType(),
    pa.timestamp("us"): TimestampType(),
}


def spelled(name: str) -> str:
    """A column's name as a schema takes it: ``x.element`` is the path of what lies in a list ``x``."""
    name = spell(name)
    return name.removesuffix(".element") + "_element" if name.endswith(".element") else name


def iceberg_type(type_: pa.DataType, element_id: int) -> IcebergType:
    """The Iceberg type of one of our Arrow types. `element_id` is for a list's members."""
    if pa.types.is_list(type_):
        return ListType(element_id, iceberg_type(type_.value_type, 0), element_required=False)
    return DecimalType(38, type_.scale) if pa.types.is_decimal(type_) else _SIMPLE[type_]


def new_fields(fields: Sequence[pa.Field], last_id: int) -> Iterator[NestedField]:
    """Optional fields with the next ids."""
    for field in fields:
        nested = pa.types.is_list(field.type)
        yield NestedField(last_id + 1, field.name, iceberg_type(field.type, last_id + 2), required=False)
        last_id += 2 if nested else 1


def ids_of(fields: Sequence[NestedField]) -> int:
    """The greatest id."""
    return max(f.field_type.element_id if isinstance(f.field_type, ListType) else f.field_id for f in fields)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A field that got another id because Iceberg cannot widen it: where its values lie in older files, and as what."""

    id: int
    type: pa.DataType


class Fields:
    """A schema's columns: `arrow` under their names, `written` as they stand in files.

    In a file a field is found by its id alone. Its name there is its own where it is a plain word, else ``col_ID``.
    """

    def __init__(self, schema: Schema, properties: Mapping[str, str]) -> None:
        self.schema = schema
        self.by_name = {field.name: field for field in schema.fields}
        self.arrow = pa.schema([pa.field(field.name, _arrow(field)) for field in schema.fields])
        self.written = pa.schema(
            [_written(field, column.type) for field, column in zip(schema.fields, self.arrow, strict=True)]
        )
        files = [field.model_copy(update={"name": _file_name(field)}) for field in schema.fields]
        self._paths = parquet_path_to_id_mapping(Schema(*files))
        self._statistics = compute_statistics_plan(schema, dict(properties))

    @property
    def statistics(self) -> dict[str, Any]:
        """What pyiceberg needs to make statistics out of a file's footer."""
        return {"stats_columns": self._statistics, "parquet_column_mapping": self._paths}

    def bounds(self, file: DataFile, names: Sequence[str]) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
        """The least and greatest value of each of these columns in a file; None where one is not known."""
        lower, upper = [], []
        for name in names:
            field = self.by_name[name]
            assert isinstance(field.field_type, PrimitiveType)
            low = (file.lower_bounds or {}).get(field.field_id)
            high = (file.upper_bounds or {}).get(field.field_id)
            if low is None or high is None:
                return None
            lower.append(from_bytes(field.field_type, low))
            upper.append(from_bytes(field.field_type, high))
        return tuple(lower), tuple(upper)


def _arrow(field: NestedField) -> pa.DataType:
    return _plain_arrow(field.field_type)


def _plain_arrow(type_: IcebergType) -> pa.DataType:
    if isinstance(type_, ListType):
        return pa.list_(_plain_arrow(type_.element_type))
    if isinstance(type_, DecimalType):
        return pa.decimal128(type_.precision, type_.scale)
    for arrow, iceberg in _SIMPLE.items():
        if type_ == iceberg:
            return arrow
    return schema_to_pyarrow(Schema(NestedField(1, "x", type_, required=False))).field(0).type


def _written(field: NestedField, type_: pa.DataType) -> pa.Field:
    if isinstance(field.field_type, ListType):
        element = pa.field("element", type_.value_type, metadata={FIELD_ID: str(field.field_type.element_id).encode()})
        type_ = pa.list_(element)
    return pa.field(_file_name(field), type_, metadata={FIELD_ID: str(field.field_id).encode()})


def _file_name(field: NestedField) -> str:
    return field.name if _PLAIN.fullmatch(field.name) else f"col_{field.field_id}"
