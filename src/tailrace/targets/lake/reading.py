"""Tables of files for people who ask: a DuckDB in memory that may read these files and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from tailrace.errors import UsageInvalid
from tailrace.targets.duckdb.dialect import quote
from tailrace.targets.duckdb.file import Session, perform_plainly


@dataclass(frozen=True, slots=True)
class FilesOf:
    """A table as its files. `columns`: the field id, name and type of each; what a file does not hold is NULL."""

    name: str
    paths: tuple[str, ...]
    columns: tuple[tuple[int, str, pa.DataType], ...]


@contextmanager
def opened(tables: Sequence[FilesOf], prepare: Callable[[duckdb.DuckDBPyConnection], None]) -> Iterator[Session]:
    """A database with a view for each table. `prepare`: teach it to read files elsewhere than on a local disk."""
    with duckdb.connect() as connection:
        prepare(connection)
        for table in tables:
            connection.execute(f"CREATE VIEW {quote(table.name)} AS {_select(table)}")
        paths = [path for table in tables for path in table.paths]
        connection.execute(f"SET allowed_paths = [{', '.join(map(_text, paths))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield Session(connection, perform_plainly)


def asked(session: Session, sql: str) -> pa.Table:
    """The answer to one statement of a person. Raises UsageInvalid."""
    try:
        statements = session.connection.extract_statements(sql)
        if len(statements) != 1:
            raise UsageInvalid("Give one SQL statement", hint='tailrace query "SELECT count(*) FROM orders"')
        if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise UsageInvalid("The query failed: it does not only read", hint="Give a SELECT.")
        return session.answer(sql)
    except duckdb.Error as error:
        raise UsageInvalid(
            f"The query failed: {error}", hint="Correct the SQL; it may only read, and only tables of this target."
        ) from error


def _select(table: FilesOf) -> str:
    if not table.paths:
        nulls = ", ".join(f"CAST(NULL AS {sql_type(type_)}) AS {quote(name)}" for _, name, type_ in table.columns)
        return f"SELECT {nulls} WHERE false"
    schema = ", ".join(
        f"{id_}: {{name: {_text(name)}, type: {_text(sql_type(type_))}, default_value: NULL}}"
        for id_, name, type_ in table.columns
    )
    return f"SELECT * FROM read_parquet([{', '.join(map(_text, table.paths))}], schema = MAP {{{schema}}})"


def is_known(type_: pa.DataType) -> bool:
    """Whether a column of this type can be shown."""
    return pa.types.is_decimal128(type_) or type_ in _TYPES or (pa.types.is_list(type_) and is_known(type_.value_type))


def sql_type(type_: pa.DataType) -> str:
    """DuckDB's name of a type."""
    if pa.types.is_list(type_):
        return sql_type(type_.value_type) + "[]"
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision},{type_.scale})"
    return _TYPES[type_]


_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
