"""Redshift's SQL: what it calls our types, how it reads a literal, what it cannot do in a transaction. Text only."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import ClassVar, Final

import pyarrow as pa

from tailrace.errors import UserFault
from tailrace.model.schema import Column, ColumnType
from tailrace.targets.planning import META_NAMES, key_columns
from tailrace.targets.target import Limits, TableSpec
from tailrace.targets.warehouse.dialect import Dialect

STRING_BYTES: Final = 65_535  # a VARCHAR has no more, and a text inside a SUPER neither
ITEM_BYTES: Final = 1 << 20  # more than an item of DynamoDB takes as JSON
TEXT_BYTES: Final = (256, 1024, 4096, 16_384, STRING_BYTES)  # widths of a column: queries reserve memory by them
KEY_BYTES: Final = (2048, 1024)  # what DynamoDB allows HASH and RANGE, so that they never grow
STYLES: Final = ("EVEN", "ALL", "AUTO")
SCALE_MAX: Final = 37  # of a DECIMAL
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class RedshiftDialect(Dialect):
    """As the Data API takes it: forty statements of 100 KB in a transaction."""

    limits: ClassVar[Limits] = Limits(nul=False, string_bytes=STRING_BYTES, in_json=True)
    name_bytes: ClassVar[int] = 127
    statement_bytes: ClassVar[int] = 100 * 1024
    columns_at_once: ClassVar[int] = 30
    for_wide_items: ClassVar[str] = (
        'Load this table with shape = "super" under another name: it needs a column for all attributes.'
    )
    text: ClassVar[str] = f"VARCHAR({STRING_BYTES})"
    word: ClassVar[str] = "VARCHAR(1)"
    place: ClassVar[str] = "VARCHAR(64)"
    _types: ClassVar[dict[str, str]] = {
        "int64": "BIGINT",
        "number_text": "VARCHAR(64)",
        "binary": f"VARBYTE({ITEM_BYTES})",
        "bool": "BOOLEAN",
        "json": "SUPER",
    }

    def fold(self, name: str) -> str:
        return name.translate(_LOWER)  # in quotation marks, too

    def text_literal(self, value: str) -> str:
        if "\0" in value:
            raise ValueError("a NUL cannot be part of a text in Redshift")
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"

    def binary_literal(self, value: bytes) -> str:
        return f"FROM_HEX('{value.hex()}')"

    # Spaces at the end of a VARCHAR do not count where values are compared, and count in its length.

    def same(self, one: str, other: str, *, is_text: bool) -> str:
        same = f"{one} = {other}"
        return f"{same} AND length({one}) = length({other})" if is_text else same

    def telling(self, expression: str, *, is_text: bool) -> list[str]:
        return [expression, f"length({expression})"] if is_text else [expression]

    def hex(self, expression: str) -> str:
        return f"upper(to_hex({expression}))"

    def spell(self, name: str) -> str:
        return self.fold(super().spell(name))

    def fitting(self, column: ColumnType) -> ColumnType:
        is_too_fine = column.kind == "decimal" and column.scale > SCALE_MAX
        return ColumnType("number_text") if is_too_fine else column

    def roomy(self, column: Column, longest: int, part_of_key: int | None) -> ColumnType:
        if column.type.kind != "string":
            return column.type
        widths = TEXT_BYTES if part_of_key is None else (KEY_BYTES[part_of_key], *TEXT_BYTES)
        return ColumnType("string", next((width for width in widths if width >= longest), STRING_BYTES))

    def grow(self, table: str, column: str, new: ColumnType) -> str | None:
        if new.kind != "string":
            return None
        return f"ALTER TABLE {table} ALTER COLUMN {self.quote(column)} TYPE {self.column_type(new)}"

    def column_type(self, column: ColumnType) -> str:
        if column.kind.startswith("list_"):
            return "SUPER"
        if column.kind == "string":
            return f"VARCHAR({column.scale or STRING_BYTES})"
        return f"DECIMAL(38, {column.scale})" if column.kind == "decimal" else self._types[column.kind]

    # ---- SUPER arrives and leaves as JSON in bytes: a text ends at 65,535 of them

    def stage_type(self, column: ColumnType) -> str:
        type_ = self.column_type(column)
        return f"VARBYTE({ITEM_BYTES})" if type_ == "SUPER" else type_

    def stage_column(self, values: pa.ChunkedArray, column: ColumnType) -> pa.ChunkedArray:
        return values.cast(pa.binary()) if column.kind == "json" else values

    def from_stage(self, expression: str, column: ColumnType) -> str:
        return f"JSON_PARSE({expression})" if self.column_type(column) == "SUPER" else expression

    def shown(self, expression: str, column: ColumnType) -> str:
        return f"JSON_SERIALIZE_TO_VARBYTE({expression})" if self.column_type(column) == "SUPER" else expression

    # ---- tables

    def lock(self, tables: Sequence[str]) -> str:
        return f"LOCK {', '.join(tables)}"

    def create_options(self, spec: TableSpec, columns: Sequence[Column]) -> str:
        """Where nothing is chosen, rows of one partition lie on one slice, in order, if the types of the key allow it."""
        keys, layout = key_columns(columns, spec.keys), spec.layout
        is_binary = keys[0].tag == "B"
        if layout.dist_key is None:
            dist = " DISTSTYLE EVEN" if is_binary else f" DISTSTYLE KEY DISTKEY ({self.quote(keys[0].name)})"
        elif layout.dist_key in STYLES:
            dist = f" DISTSTYLE {layout.dist_key}"
        else:
            dist = f" DISTSTYLE KEY DISTKEY ({self._chosen(spec, columns, 'dist_key', layout.dist_key)})"
        if layout.sort_key is None:
            names = [] if is_binary else [self.quote(column.name) for column in keys if column.tag != "B"]
        else:
            names = [self._chosen(spec, columns, "sort_key", name) for name in layout.sort_key]
        return dist + (f" SORTKEY ({', '.join(names)})" if names else "")

    def _chosen(self, spec: TableSpec, columns: Sequence[Column], setting: str, name: str) -> str:
        """The quoted column that a person named: by its attribute's name or its own."""
        if name in META_NAMES[spec.mode]:
            return self.quote(name)
        found = next((c for c in columns if c.attribute == name), None) or next(
            (c for c in columns if c.name == name), None
        )
        problem = "is no column of the table yet; load it once without, or name one that every item has"
        if found is not None:
            if self.column_type(found.type).startswith(("VARCHAR", "BIGINT", "DECIMAL", "BOOLEAN")):
                return self.quote(found.name)
            problem = f"is {self.column_type(found.type)}, which Redshift takes for no key"
        hint = "Name a column of texts, numbers or truth values; a table that exists keeps its keys."
        raise UserFault(
            f"{setting} of table {spec.name!r} names {name!r:.100}, which {problem}", hint=hint, table=spec.source
        )

    def columns_of(self, schema: str, tables: Sequence[str]) -> str:
        wanted = ", ".join(self.text_literal(table) for table in tables)
        return (
            "SELECT table_name, column_name, data_type FROM svv_redshift_columns"
            f" WHERE schema_name = {self.text_literal(schema)} AND table_name IN ({wanted})"
            " ORDER BY table_name, ordinal_position"
        )

    def tables_like(self, schema: str, prefix: str) -> str:
        return (
            "SELECT DISTINCT table_name FROM svv_redshift_columns"
            f" WHERE schema_name = {self.text_literal(schema)} AND table_name LIKE {self.text_literal(prefix + '%')}"
        )
