"""DuckDB's SQL: how names are quoted, what our column types are called, how a stored number is spelled. Text only."""

from __future__ import annotations

from typing import Final

from tailrace.model.schema import ColumnType
from tailrace.targets.numbers import canonical_sql

NUL_SHOWN_AS: Final = "\u2400"  # DuckDB's parser ends at a NUL, so a name shows this sign instead

_TYPES: Final = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "number_text": "VARCHAR",
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "json": "JSON",
}


def quote(*names: str) -> str:
    """A possibly qualified identifier. The only way in which a name reaches a statement."""
    for name in names:
        if not name or "\0" in name:
            raise ValueError(f"{name!r:.100} cannot be an identifier in DuckDB")
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def sql_type(column: ColumnType) -> str:
    """The DuckDB type of a column."""
    if column.kind.startswith("list_"):
        return sql_type(_member(column)) + "[]"
    if column.kind == "decimal":
        return f"DECIMAL(38,{column.scale})"
    return _TYPES[column.kind]


def is_plain_cast(old: ColumnType, new: ColumnType) -> bool:
    """Whether ALTER COLUMN TYPE keeps every value as it must be spelled."""
    return "decimal" not in old.kind or "decimal" in new.kind


def widened(expression: str, old: ColumnType, new: ColumnType) -> str:
    """The expression that turns a value of type `old` into one of the wider type `new`, numbers as canonical text."""
    if is_plain_cast(old, new):
        return f"CAST({expression} AS {sql_type(new)})"
    if old.kind.startswith("list_"):
        return f"list_transform({expression}, lambda x: {canonical_sql('x', old.scale, 'VARCHAR')})"
    return canonical_sql(expression, old.scale, "VARCHAR")


def number_text(expression: str, column: ColumnType) -> str:
    """The canonical text of a number, the same before and after its column was widened."""
    if column.kind == "decimal":
        return canonical_sql(expression, column.scale, "VARCHAR")
    return f"CAST({expression} AS VARCHAR)"


def _member(column: ColumnType) -> ColumnType:
    return ColumnType(column.kind.removeprefix("list_"), column.scale)  # type: ignore[arg-type]
