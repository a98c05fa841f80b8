"""PostgreSQL as a target: its dialect and its client. The only part of the product that knows psycopg."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ClassVar, Final, TypeAlias

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import errors, pq
from psycopg.types.string import TextLoader

from tailrace.clock import Clock
from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError, TargetContended, UsageInvalid, UserFault
from tailrace.model.schema import Column, ColumnType
from tailrace.targets.numbers import canonical_sql
from tailrace.targets.planning import BATCH_ROWS
from tailrace.targets.target import Limits
from tailrace.targets.warehouse.connection import OneSession, StatementFailed, shown
from tailrace.targets.warehouse.dialect import Dialect
from tailrace.targets.warehouse.target import WarehouseTarget

CONNECT_SECONDS: Final = 15
_CONFLICTS: Final = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.QueryCanceled,
)
_IN_THE_WAY: Final = (errors.FeatureNotSupported, errors.DependentObjectsStillExist)
_TOO_LARGE: Final = (errors.ProgramLimitExceeded, errors.TooManyColumns)
_FOR_AN_INDEX: Final = "Drop the index that was added, or make it anew on md5(column): an index takes no long values."
_Session: TypeAlias = psycopg.Connection[tuple[Any, ...]]
_HOPELESS: Final = ("28", "3D", "42501")  # wrong password, no such database, no privilege
_REFUSED: Final = re.compile(
    r"password|pg_hba\.conf|does not exist|no such (database|user)|not permitted to log in|permission denied for"
)
"""The same where libpq tells no state, which it never does of a connection that it could not open."""
_TABLES: Final = "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
_KINDS: Final = "('r', 'p', 'v', 'm', 'f')"  # tables, views and whatever else is read by its name like one


class PostgresDialect(Dialect):
    """PostgreSQL 15 or later."""

    limits: ClassVar[Limits] = Limits(nul=False)
    name_bytes: ClassVar[int] = 63
    statement_bytes: ClassVar[int] = 16 << 20
    columns_at_once: ClassVar[int] = 500
    for_wide_items: ClassVar[str] = (
        "An item has more attributes than a row has room for (docs/targets/postgres.md, Limits): load this table into another"
        " kind of target, such as DuckDB."
    )
    text: ClassVar[str] = "TEXT"
    word: ClassVar[str] = "TEXT"
    place: ClassVar[str] = 'TEXT COLLATE "C"'
    _types: ClassVar[dict[str, str]] = {
        "string": "TEXT",
        "int64": "BIGINT",
        "number_text": "TEXT",
        "binary": "BYTEA",
        "bool": "BOOLEAN",
        "json": "JSON",  # not JSONB, which orders names anew and cannot hold \u0000
    }

    def text_literal(self, value: str) -> str:
        if "\0" in value:
            raise ValueError("a NUL cannot be part of a text in PostgreSQL")
        return "'" + value.replace("'", "''") + "'"

    def binary_literal(self, value: bytes) -> str:
        return f"CAST('\\x{value.hex()}' AS BYTEA)"

    def column_type(self, column: ColumnType) -> str:
        if column.kind.startswith("list_"):
            return self.column_type(_member(column)) + "[]"
        return f"NUMERIC(38, {column.scale})" if column.kind == "decimal" else self._types[column.kind]

    def shown(self, expression: str, column: ColumnType) -> str:
        return f"CAST({expression} AS TEXT)" if column.kind == "json" else expression

    def among(self, columns: Sequence[Column], keys: Sequence[Sequence[str | bytes]]) -> Iterator[str]:
        """As VALUES, which are joined: many ORs are planned in the square of their number."""
        names = ", ".join(self.quote(column.name) for column in columns)
        rows = (f"({', '.join(map(self.value_literal, columns, key))})" for key in keys)
        for portion in self._portions(rows):
            yield f"({names}) IN (VALUES {', '.join(portion)})"

    def hex(self, expression: str) -> str:
        return f"upper(encode({expression}, 'hex'))"

    def lock(self, tables: Sequence[str]) -> str:
        return f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE"

    def index(self, table: str, keys: Sequence[Column]) -> list[str]:
        """On one part of the key: both may be too long for an index."""
        return [f"CREATE INDEX ON {table} ({self.quote(keys[0].name)})"]

    def widen(self, table: str, column: str, old: ColumnType, new: ColumnType) -> list[str]:
        if (old.kind, new.kind) == ("list_decimal", "list_number_text"):
            return self._widened_list(table, column, old, new)
        name = self.quote(column)
        using = self.widened(name, old, new)
        return [f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {self.column_type(new)} USING {using}"]

    def _widened_list(self, table: str, column: str, old: ColumnType, new: ColumnType) -> list[str]:
        """USING takes no subquery, and members can be reached only by one: so over a column of its own."""
        name, aside = self.quote(column), self.quote("_tr_widened")
        nothing = f"CAST('{{}}' AS {self.column_type(new)})"
        member = canonical_sql("m", old.scale, self.text)
        members = f"(SELECT array_agg({member} ORDER BY o) FROM unnest({name}) WITH ORDINALITY u(m, o))"
        return [
            f"ALTER TABLE {table} ADD COLUMN {aside} {self.column_type(new)}",
            f"UPDATE {table} SET {aside} = CASE WHEN {name} IS NOT NULL THEN coalesce({members}, {nothing}) END",
            f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {self.column_type(new)} USING {aside}",
            f"ALTER TABLE {table} DROP COLUMN {aside}",
        ]

    def columns_of(self, schema: str, tables: Sequence[str]) -> str:
        """Of the catalogue itself: its information schema takes several times as long, and each load asks it."""
        wanted = ", ".join(self.text_literal(table) for table in tables)
        return (
            "SELECT c.relname, a.attname, CASE WHEN t.typcategory = 'A' THEN 'ARRAY' WHEN t.typname = 'numeric'"
            " THEN format_type(t.oid, a.atttypmod) ELSE format_type(t.oid, NULL) END"
            f" FROM {_TABLES} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
            " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
            f" WHERE n.nspname = {self.text_literal(schema)} AND c.relname IN ({wanted}) AND c.relkind IN {_KINDS}"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        )

    def tables_like(self, schema: str, prefix: str) -> str:
        return (
            f"SELECT c.relname FROM {_TABLES} WHERE n.nspname = {self.text_literal(schema)}"
            f" AND c.relname LIKE {self.text_literal(prefix + '%')} AND c.relkind IN {_KINDS}"
        )


class PostgresConnection(OneSession):
    """Keeps `Connection` by psycopg: connected while somebody is inside `opened`, one at a time.

    `settings` are libpq's (host, port, user, password, dbname, sslmode …); what is absent comes from its environment.
    """

    def __init__(self, settings: dict[str, Any], schema: str, timeout_seconds: float = 600.0) -> None:
        super().__init__()
        self._settings = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "tailrace",
            **settings,
            "client_encoding": "UTF8",  # as COPY's rows are, whatever the environment, the role or the database says
        }
        self._schema = schema
        self._timeout_ms = int(timeout_seconds * 1000)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._session() as connection:
            return connection.execute(sql).fetchall()

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        with self._session() as connection:
            return [self._execute(connection, statement, at).fetchall() for at, statement in enumerate(statements)]

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._session() as connection, connection.cursor("tailrace") as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(BATCH_ROWS):
                columns = [
                    pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        with self._session() as connection:
            for at, statement in enumerate(statements):
                self._execute(connection, statement, at)

    def alone(self, statement: str) -> None:
        self.transaction([statement])

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        with self._session() as connection:
            for at, statement in enumerate(create):
                self._execute(connection, statement, at)
            copy = f"COPY {table} FROM STDIN (FORMAT csv)"
            with connection.cursor() as cursor, cursor.copy(copy) as out:
                for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
                    out.write(_csv(batch))

    def query(self, sql: str) -> pa.Table:
        with self._session() as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            try:
                cursor = connection.execute(sql, prepare=True)  # which takes one statement only
                if cursor.description is None:
                    raise UsageInvalid("The query gives no rows", hint='tailrace query "SELECT count(*) FROM orders"')
                return shown([column.name for column in cursor.description], cursor.fetchall())
            except psycopg.Error as error:
                if connection.info.status != pq.ConnStatus.OK:
                    raise
                raise UsageInvalid(
                    f"The query failed: {_first_line(error)}", hint="Correct the SQL; it may only read."
                ) from error
            finally:
                connection.rollback()

    # ---- sessions

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """One transaction: committed at the end, unless something fails."""
        with self.opened():
            connection = self._connection = self._connection or self._connect()
            try:
                yield connection
            except BaseException as error:
                self._end(connection)
                if isinstance(error, psycopg.Error):
                    raise _translated(error) from error
                raise
            try:
                connection.commit()
            except psycopg.Error as error:
                self._close()
                if isinstance(error, _CONFLICTS):
                    raise TargetContended(f"PostgreSQL undid the transaction: {_first_line(error)}") from error
                raise OutcomeUnknown(
                    f"COMMIT failed: {_first_line(error)}",
                    hint="The next load looks at the ledger first and goes on from it.",
                ) from error

    def _execute(self, connection: _Session, statement: str, at: int) -> psycopg.Cursor[tuple[Any, ...]]:
        try:
            return connection.execute(statement)
        except psycopg.Error as error:
            translated = _translated(error)
            if isinstance(translated, StatementFailed):
                translated.at = at
            raise translated from error

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        options = (
            f"-c statement_timeout={self._timeout_ms} -c standard_conforming_strings=on -c TimeZone=UTC"
            " -c default_transaction_isolation=repeatable\\ read -c client_min_messages=error"
        )
        try:
            connection = psycopg.connect(**self._settings, options=options)
            _check_encoding(connection)
            for json in ("json", "jsonb"):
                connection.adapters.register_loader(json, TextLoader)  # as it stands, not as Python makes it
            connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", [self._schema])
            connection.commit()
        except psycopg.Error as error:
            text = _first_line(error)
            if any((error.sqlstate or "").startswith(state) for state in _HOPELESS) or _REFUSED.search(str(error)):
                raise UserFault(
                    f"PostgreSQL refused the connection: {text}",
                    hint="Check user, password and database, and that the server's pg_hba.conf lets them in from here.",
                ) from error
            raise ServiceUnavailable(
                f"PostgreSQL cannot be reached: {text}", hint="Nothing was applied; it is tried again."
            ) from error
        return connection

    def _end(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        """Undo what was done, or let go of a connection that is no more."""
        try:
            connection.rollback()
        except psycopg.Error:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def postgres_target(name: str, settings: dict[str, Any], schema: str, clock: Clock) -> WarehouseTarget:
    """A target in one schema of a PostgreSQL database."""
    return WarehouseTarget(name, "postgres", schema, PostgresConnection(settings, schema), PostgresDialect(), clock)


def _translated(error: psycopg.Error) -> TailraceError | StatementFailed:
    """psycopg's errors in our words. The transaction is over, and it was not committed."""
    text = _first_line(error)
    if isinstance(error, _CONFLICTS):
        return TargetContended(f"PostgreSQL undid the transaction: {text}", hint="It is repeated.")
    if error.sqlstate == "42501":
        return UserFault(
            f"PostgreSQL refused it: {text}", hint="Grant the role CREATE and USAGE on the schema, and its tables."
        )
    if error.sqlstate is None or error.sqlstate[:2] in ("08", "53", "57", "58"):
        return ServiceUnavailable(
            f"PostgreSQL could not finish: {text}", hint="Nothing was applied; it is tried again."
        )
    if isinstance(error, _IN_THE_WAY) and error.diag.message_detail:  # which has values of rows for other errors
        text = f"{text} ({' '.join(error.diag.message_detail.split())[:500]})"
        return StatementFailed(text, hint="Drop it, let the load go through, and make it again.")
    if isinstance(error, _TOO_LARGE):
        return StatementFailed(text, hint=_FOR_AN_INDEX if "index" in text else PostgresDialect.for_wide_items)
    return StatementFailed(text)


def _check_encoding(connection: _Session) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise UserFault(
            f"The PostgreSQL database is encoded in {encoding}, which cannot hold every text",
            hint="Name one that was made by CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _member(column: ColumnType) -> ColumnType:
    return ColumnType(column.kind.removeprefix("list_"), column.scale)  # type: ignore[arg-type]


# ---- rows out and in


def _csv(batch: pa.RecordBatch) -> bytes:
    """As PostgreSQL's COPY reads it: NULL is nothing, an empty text is quoted."""
    out = io.BytesIO()
    texts = [_texts(column) for column in batch.columns]
    table = pa.Table.from_arrays(texts, names=[str(n) for n in range(len(texts))])
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pyarrow.csv.write_csv(table, out, options)
    return out.getvalue()


def _texts(column: pa.Array) -> pa.Array:
    """PostgreSQL's spelling of each value."""
    type_ = column.type
    if pa.types.is_string(type_):
        return column
    if pa.types.is_binary(type_):
        return pa.array([None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()], pa.string())
    if pa.types.is_list(type_):
        return pa.array([None if value is None else _array_text(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_boolean(type_):
        return pc.if_else(column, "t", "f")
    return column.cast(pa.string())


def _array_text(values: Sequence[Any]) -> str:
    return "{" + ",".join(_member_text(value) for value in values) + "}"


def _member_text(value: Any) -> str:
    text = f"\\x{value.hex()}" if isinstance(value, bytes) else format(value, "f" if isinstance(value, Decimal) else "")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
