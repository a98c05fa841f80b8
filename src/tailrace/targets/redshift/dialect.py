"""Redshift's SQL: what it calls our types, how it reads a literal, what it cannot do in a transaction. Text only."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import ClassVar, Final

import pyarrow as pa

from tailrace.model.schema import Column, ColumnType
from tailrace.targets.target import Limits
from tailrace.targets.warehouse.dialect import Dialect

STRING_BYTES: Final = 65_535  # a VARCHAR has no more, and a text inside a SUPER neither
ITEM_BYTES: Final = 1 << 20  # more than an item of DynamoDB takes as JSON
SCALE_MAX: Final = 37  # of a DECIMAL
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class RedshiftDialect(Dialect):
    """As the Data API takes it: forty statements of 100 KB in a transaction."""

    limits: ClassVar[Limits] = Limits(nul=False, string_bytes=STRING_BYTES, in_json=True)
    name_bytes: ClassVar[int] = 127
    statement_bytes: ClassVar[int] = 100 * 1024
    columns_at_once: ClassVar[int] = 30
    text: ClassVar[str] = f"VARCHAR({STRING_BYTES})"
    word: ClassVar[str] = "VARCHAR(1)"
    place: ClassVar[str] = "VARCHAR(64)"
    _types: ClassVar[dict[str, str]] = {
        "string": f"VARCHAR({STRING_BYTES})",
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

    def column_type(self, column: ColumnType) -> str:
        if column.kind.startswith("list_"):
            return "SUPER"
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

    def create_options(self, keys: Sequence[Column]) -> str:
        """Rows of one partition lie on one slice, in order, where the types of the key allow it."""
        names = [self.quote(column.name) for column in keys if column.tag != "B"]
        if keys[0].tag == "B":
            return " DISTSTYLE EVEN"
        return f" DISTSTYLE KEY DISTKEY ({names[0]}) SORTKEY ({', '.join(names)})"

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
