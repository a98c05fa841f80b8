"""DuckDB's SQL: how names are quoted, what our column types are called, how a stored number is spelled. Text only."""

from __future__ import annotations

from typing import Final

from tailrace.model.numbers import PLAIN_EXPONENT_MIN
from tailrace.model.schema import ColumnType

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
        return f"list_transform({expression}, lambda x: {_canonical('x', old.scale)})"
    return _canonical(expression, old.scale)


def number_text(expression: str, column: ColumnType) -> str:
    """The canonical text of a number, the same before and after its column was widened."""
    return _canonical(expression, column.scale) if column.kind == "decimal" else f"CAST({expression} AS VARCHAR)"


def _member(column: ColumnType) -> ColumnType:
    return ColumnType(column.kind.removeprefix("list_"), column.scale)  # type: ignore[arg-type]


def _canonical(value: str, scale: int) -> str:
    """What `canonical_number` gives for a DECIMAL(38, scale): no zeros at the end, ``dE-x`` below 1E-7."""
    text = f"CAST({value} AS VARCHAR)"
    if scale == 0:
        return text
    plain = f"rtrim(rtrim({text}, '0'), '.')"
    if scale <= -PLAIN_EXPONENT_MIN:
        return plain
    fraction = f"rtrim(split_part({text}, '.', 2), '0')"
    digits = f"ltrim({fraction}, '0')"
    exponent = f"(length({fraction}) - length({digits}) + 1)"
    more = f"CASE WHEN length({digits}) > 1 THEN '.' || {digits}[2:] ELSE '' END"
    sign = f"CASE WHEN {value} < 0 THEN '-' ELSE '' END"
    small = f"{sign} || {digits}[1] || {more} || 'E-' || {exponent}"
    tiny = f"abs({value}) < CAST('0.{'0' * (-PLAIN_EXPONENT_MIN - 1)}1' AS DECIMAL(38,{scale}))"
    return f"CASE WHEN {value} = 0 THEN '0' WHEN {tiny} THEN {small} ELSE {plain} END"
