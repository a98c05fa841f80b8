"""Redshift's types, and what holds them in PostgreSQL.

VARCHAR counts bytes here and characters there, so it is a domain of its own for each length; SUPER is a domain over jsonb,
VARBYTE one over bytea.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.local.redshift.lexer import RedshiftError, Token, end_of_group, not_here, quoted, syntax_error

VARCHAR_BYTES: Final = 65_535
VARBYTE_BYTES: Final = 16_777_216
SUPER_STRING_BYTES: Final = 65_535
DEFAULT_LENGTHS: Final = {"varchar": 256, "varbyte": 64_000, "char": 1}
MAX_LENGTHS: Final = {"varchar": VARCHAR_BYTES, "varbyte": VARBYTE_BYTES, "char": 4096}

_PLAIN: Final = {
    "SMALLINT": "smallint", "INT2": "smallint", "INTEGER": "integer", "INT": "integer", "INT4": "integer",
    "BIGINT": "bigint", "INT8": "bigint", "REAL": "real", "FLOAT4": "real", "FLOAT8": "double precision",
    "FLOAT": "double precision", "BOOLEAN": "boolean", "BOOL": "boolean", "DATE": "date", "TIME": "time",
    "TIMETZ": "timetz", "TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamptz", "SUPER": "super",
}  # fmt: skip
_SIZED: Final = {
    "VARCHAR": "varchar", "NVARCHAR": "varchar", "CHAR": "char", "CHARACTER": "char", "NCHAR": "char",
    "VARBYTE": "varbyte", "VARBINARY": "varbyte", "DECIMAL": "numeric", "NUMERIC": "numeric",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlType:
    """`name` of PostgreSQL's, or ``varchar``, ``varbyte``, ``super``; `arguments`: a length, or precision and scale."""

    name: str
    arguments: tuple[int, ...] = ()

    @property
    def is_domain(self) -> bool:
        return self.name in ("varchar", "varbyte")

    def __str__(self) -> str:
        return self.name + (f"({','.join(map(str, self.arguments))})" if self.arguments else "")

    def column(self) -> str:
        """Of a column in PostgreSQL."""
        return quoted(str(self)) if self.is_domain else str(self)

    def domain(self) -> str:
        """The statement that creates its domain in PostgreSQL."""
        base = "text" if self.name == "varchar" else "bytea"
        name = f"pg_catalog.{self.column()}"
        return f"CREATE DOMAIN {name} AS {base} CHECK (octet_length(VALUE) <= {self.arguments[0]})"


def type_at(tokens: Sequence[Token], at: int) -> tuple[SqlType, int]:
    """The type that begins there, and where it ends. Raises RedshiftError for one that Redshift does not have."""
    if at >= len(tokens) or tokens[at].kind != "word":
        raise syntax_error(tokens[at].text if at < len(tokens) else "end of input")
    word, end = tokens[at].value, at + 1
    following = tokens[end].value if end < len(tokens) else ""
    if word == "DOUBLE" and following == "PRECISION":
        return SqlType("double precision"), end + 1
    if (word, following) == ("CHARACTER", "VARYING"):
        word, end = "VARCHAR", end + 1
    elif (word, following) == ("BINARY", "VARYING"):
        word, end = "VARBYTE", end + 1
    if word == "TEXT":
        return SqlType("varchar", (DEFAULT_LENGTHS["varchar"],)), end
    if word in _PLAIN:
        return _with_zone(tokens, SqlType(_PLAIN[word]), end)
    if word not in _SIZED:
        raise RedshiftError(f'type "{tokens[at].text.lower()}" does not exist', sqlstate="42704")
    arguments: tuple[int, ...] = ()
    if end < len(tokens) and tokens[end].text == "(":
        close = end_of_group(tokens, end)
        arguments = tuple(_number(token) for token in tokens[end + 1 : close - 1] if token.text != ",")
        end = close
    return _sized(_SIZED[word], arguments), end


def _with_zone(tokens: Sequence[Token], plain: SqlType, end: int) -> tuple[SqlType, int]:
    if plain.name in ("timestamp", "time") and end + 3 <= len(tokens):
        words = [token.value for token in tokens[end : end + 3]]
        if words == ["WITHOUT", "TIME", "ZONE"]:
            return plain, end + 3
        if words == ["WITH", "TIME", "ZONE"]:
            return SqlType(plain.name + "tz"), end + 3
    return plain, end


def _number(token: Token) -> int:
    if token.kind == "word" and token.value == "MAX":
        return VARCHAR_BYTES
    if token.kind != "number" or not token.text.isdigit():
        raise syntax_error(token.text)
    return int(token.text)


def _sized(name: str, arguments: tuple[int, ...]) -> SqlType:
    if name == "numeric":
        precision, scale, *more = (*arguments, 0, 0) if len(arguments) < 2 else arguments
        precision = precision if arguments else 18
        if more and len(arguments) > 2:
            raise syntax_error(",")
        if not 1 <= precision <= 38:
            raise RedshiftError(f"NUMERIC precision {precision} must be between 1 and 38", sqlstate="22023")
        if not 0 <= scale <= min(precision, 37):
            raise RedshiftError(f"NUMERIC scale {scale} must be between 0 and {min(precision, 37)}", sqlstate="22023")
        return SqlType("numeric", (precision, scale))
    (length,) = arguments or (DEFAULT_LENGTHS[name],)
    if length < 1:
        raise RedshiftError(f"length for type {name} must be at least 1", sqlstate="22023")
    if length > MAX_LENGTHS[name]:
        raise RedshiftError(f"length for type {name} cannot exceed {MAX_LENGTHS[name]}", sqlstate="22023")
    return SqlType(name, (length,))


def cast_type(found: SqlType, *, of_null: bool) -> str:
    """What a cast to it is in PostgreSQL. Casts of text to SUPER and VARBYTE mean something else there."""
    if found.name in ("super", "varbyte"):
        if not of_null:
            raise not_here(f"a cast to {found.name.upper()} of anything but NULL (use JSON_PARSE, FROM_HEX)")
        return "jsonb" if found.name == "super" else "bytea"
    return str(found)
