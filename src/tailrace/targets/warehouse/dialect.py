"""How a server spells things. The base class holds what PostgreSQL and Redshift have in common. Text only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pyarrow as pa

from tailrace.model.numbers import DIGITS_MAX, canonical_number
from tailrace.model.schema import Column, ColumnType, range_of
from tailrace.targets.numbers import canonical_sql
from tailrace.targets.planning import META_TYPES
from tailrace.targets.target import Limits, TableSpec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Kinds of column types that lose nothing in a type of the server's; kinds of lists begin with "list".
_FAMILIES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("string", "number_text"): ("character varying", "varchar", "text"),
    ("int64",): ("bigint",),
    ("decimal",): ("numeric", "decimal"),
    ("binary",): ("bytea", "binary varying", "varbyte", "varbinary"),
    ("bool",): ("boolean",),
    ("json", "list"): ("super",),
    ("json",): ("json",),
    ("list",): ("ARRAY",),
    (): (
        "smallint", "integer", "real", "double precision", "character", "bpchar", "date", "jsonb",
        "timestamp without time zone", "timestamp with time zone", "timestamp", "timestamptz",
    ),
}  # fmt: skip


class Dialect:
    """Names, literals, types. Every name and every value reaches a statement through these methods."""

    limits: ClassVar[Limits]
    name_bytes: ClassVar[int]
    statement_bytes: ClassVar[int]
    columns_max: ClassVar[int] = 1600
    columns_at_once: ClassVar[int]  # added in one transaction
    for_wide_items: ClassVar[str]  # what to do where an item has more attributes than fit
    boolean: ClassVar[str] = "BOOLEAN"
    place: ClassVar[str]  # the type of an order key, compared byte by byte
    moment: ClassVar[str] = "TIMESTAMP"
    text: ClassVar[str]  # of any length that occurs
    word: ClassVar[str]  # of a few letters

    def fold(self, name: str) -> str:
        """Names with one result are the same to the server."""
        return name

    def spell(self, name: str) -> str:
        """The name as the server can write it: not too long, without what it cannot hold."""
        shown = name.replace("\0", "\u2400") or "_"
        return shown.encode("utf-8", "replace")[: self.name_bytes].decode("utf-8", "ignore")

    def quote(self, *names: str) -> str:
        """A possibly qualified identifier."""
        for name in names:
            if not name or "\0" in name or len(name.encode()) > self.name_bytes:
                raise ValueError(f"{name!r:.100} cannot be an identifier here")
        return ".".join('"' + name.replace('"', '""') + '"' for name in names)

    def literal(self, value: str | int | bool | None) -> str:
        """A text, a number, a truth value or NULL."""
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        return str(value) if isinstance(value, int) else self.text_literal(value)

    def text_literal(self, value: str) -> str:
        raise NotImplementedError

    def binary_literal(self, value: bytes) -> str:
        raise NotImplementedError

    def moment_literal(self, ms: int) -> str:
        """A moment in Unix milliseconds as a TIMESTAMP in UTC."""
        return f"TIMESTAMP '{(_EPOCH + timedelta(milliseconds=ms)).strftime('%Y-%m-%d %H:%M:%S.%f')}'"

    def value_literal(self, column: Column, value: str | bytes) -> str:
        """The value of a key attribute, to be compared with its column."""
        if isinstance(value, bytes):
            return self.binary_literal(value)
        if column.tag != "N":
            return self.text_literal(value)
        number = canonical_number(value)
        if column.type.kind == "number_text":
            return self.text_literal(number)
        return f"CAST('{number}' AS DECIMAL(38, {column.type.scale}))"

    def can_hold(self, column: Column, value: str | bytes) -> bool:
        """Whether a key attribute's value can stand in its column. Another one is not there, and no literal may say it."""
        if isinstance(value, bytes) or column.type.kind == "number_text":
            return True
        if column.tag != "N":
            return self.limits.nul or "\0" not in value
        needs = range_of([canonical_number(value)])
        return needs.scale <= column.type.scale and needs.whole_digits + column.type.scale <= DIGITS_MAX

    def among(self, columns: Sequence[Column], keys: Sequence[Sequence[str | bytes]]) -> Iterator[str]:
        """The conditions that one of these keys stands in these columns, as few as the length of a statement allows."""
        names = [self.quote(column.name) for column in columns]
        same = (
            [
                self.same(name, self.value_literal(column, part), is_text=column.tag == "S")
                for name, column, part in zip(names, columns, key, strict=True)
            ]
            for key in keys
        )
        return map(" OR ".join, self._portions(f"({' AND '.join(parts)})" for parts in same))

    def _portions(self, parts: Iterable[str]) -> Iterator[list[str]]:
        """For half of a statement each, and as long as they are in a literal: UNLOAD takes its query as one."""
        portion: list[str] = []
        size = 0
        for part in parts:
            length = len(self.text_literal(part).encode()) + len(" OR ")
            if portion and size + length > self.statement_bytes // 2:
                yield portion
                portion, size = [], 0
            portion.append(part)
            size += length
        if portion:
            yield portion

    def meta_type(self, name: str) -> str:
        """The type of one of the columns that we add."""
        if name.endswith("_pos"):
            return self.place
        kind = META_TYPES[name]
        if pa.types.is_boolean(kind):
            return self.boolean
        return "BIGINT" if pa.types.is_integer(kind) else self.moment if pa.types.is_timestamp(kind) else self.word

    def fitting(self, column: ColumnType) -> ColumnType:
        """The type, or a wider one where the server has no such type."""
        return column

    def roomy(self, column: Column, longest: int, part_of_key: int | None) -> ColumnType:
        """The type with room for texts of so many bytes. `part_of_key`: 0 for HASH, 1 for RANGE, None for another attribute."""
        return column.type

    def grow(self, table: str, column: str, new: ColumnType) -> str | None:
        """The statement, outside a transaction, that makes room in a text column; None: nothing is to be made."""
        return None

    def column_type(self, column: ColumnType) -> str:
        """The type of a column of an attribute."""
        raise NotImplementedError

    def shown(self, expression: str, column: ColumnType) -> str:
        """A stored value as it is read back."""
        return expression

    def stage_type(self, column: ColumnType) -> str:
        """The type in a staging table, where it is another one."""
        return self.column_type(column)

    def stage_column(self, values: pa.ChunkedArray, column: ColumnType) -> pa.ChunkedArray:
        """The values as they are staged."""
        return values

    def from_stage(self, expression: str, column: ColumnType) -> str:
        """A staged value as it goes into the target table."""
        return expression

    def same(self, one: str, other: str, *, is_text: bool) -> str:
        """Both are one value, of a key attribute or of a key's text."""
        return f"{one} = {other}"

    def telling(self, expression: str, *, is_text: bool) -> list[str]:
        """What tells different values apart where rows are grouped by them."""
        return [expression]

    def key_part(self, expression: str, column: Column) -> str:
        """One injective text for a key attribute's value, the same before and after its column was widened."""
        if column.tag == "N":
            return self.number_text(expression, column.type)
        return self.hex(expression) if column.tag == "B" else expression

    def hex(self, expression: str) -> str:
        raise NotImplementedError

    def number_text(self, expression: str, column: ColumnType) -> str:
        """The canonical text of a number."""
        if column.kind == "decimal":
            return canonical_sql(expression, column.scale, self.text)
        return expression if column.kind == "number_text" else f"CAST({expression} AS {self.text})"

    def lock(self, tables: Sequence[str]) -> str:
        """Other loaders wait from here to the end of the transaction."""
        raise NotImplementedError

    def create_options(self, spec: TableSpec, columns: Sequence[Column]) -> str:
        """What stands behind the name or the columns of a new target table that has at least these. Raises UserFault."""
        return ""

    def index(self, table: str, keys: Sequence[Column]) -> list[str]:
        """Statements that make rows of a new target table quick to find."""
        return []

    def widen(self, table: str, column: str, old: ColumnType, new: ColumnType) -> list[str] | None:
        """Statements that give a column a wider type and keep every value as it must be spelled. None: the table is made anew."""
        return [] if self.column_type(old) == self.column_type(new) else None

    def widened(self, expression: str, old: ColumnType, new: ColumnType) -> str:
        """The expression that turns a value of a number's type into one of the wider type."""
        if new.kind == "number_text" and old.kind == "decimal":
            expression = canonical_sql(expression, old.scale, self.text)
        return f"CAST({expression} AS {self.column_type(new)})"

    def holds(self, actual: str, column: ColumnType) -> bool:
        """Whether a column whose type the server spells so keeps every value as it is. Of an unknown spelling: yes."""
        name, _, arguments = actual.partition("(")
        family = next((kinds for kinds, names in _FAMILIES.items() if name in names), None)
        if family != ("decimal",):
            return family is None or column.kind.partition("_")[0] in family or column.kind in family
        if column.kind not in ("decimal", "int64"):
            return False
        if not arguments:  # of any size, or not told
            return True
        precision, scale = map(int, arguments.rstrip(")").split(","))
        whole = 19 if column.kind == "int64" else 38 - column.scale
        return scale >= column.scale and precision - scale >= whole

    def columns_of(self, schema: str, tables: Sequence[str]) -> str:
        """The statement that gives table, column and its type, of these tables and views, in order."""
        raise NotImplementedError

    def tables_like(self, schema: str, prefix: str) -> str:
        """The statement that gives the names of tables that begin so."""
        raise NotImplementedError
