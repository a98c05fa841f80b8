"""One connection as Redshift gives it: statements in, rows as text out, its errors, and faults where they are planned."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql as composed

from tailrace.local.faults import Fault
from tailrace.local.redshift.catalog import CATALOG
from tailrace.local.redshift.copying import Column, GetObject, LoadFailed, csv_of, files_of_manifest
from tailrace.local.redshift.lexer import RedshiftError
from tailrace.local.redshift.postgres import PostgresServer
from tailrace.local.redshift.sql import Copy, Statement, Unload, read_statement
from tailrace.local.redshift.types import SqlType
from tailrace.local.redshift.unloading import PutObject, arrow_of, files_of

DATABASE: Final = "dev"
SPARE_MAX: Final = 16  # connections that wait for the next session
Strike: TypeAlias = Callable[[str], Fault | None]
"""Asked with the first word of each statement; the fault that meets it."""

# Strings as Redshift reads them, and its isolation SNAPSHOT.
_OPTIONS: Final = {
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "backslash_quote": "on",
    "default_transaction_isolation": "repeatable\\ read",
    "TimeZone": "UTC",
    "client_min_messages": "error",
}
_TYPES: Final = {
    16: "bool", 17: "varbyte", 18: "char", 19: "varchar", 20: "int8", 21: "int2", 23: "int4", 25: "varchar", 700: "float4",
    701: "float8", 705: "varchar", 1042: "bpchar", 1043: "varchar", 1082: "date", 1083: "time", 1114: "timestamp",
    1184: "timestamptz", 1266: "timetz", 1700: "numeric", 3802: "super",
}  # fmt: skip
_BLANKS: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


class ConnectionLost(RedshiftError):
    """Nobody knows what became of the statement."""

    def __init__(self) -> None:
        super().__init__("Connection to the database was lost", sqlstate="08006")


class Cancelled(RedshiftError):
    """Somebody has cancelled the statement."""

    def __init__(self) -> None:
        super().__init__("Query cancelled on user's request", sqlstate="57014")


@dataclass(frozen=True, slots=True)
class Result:
    """`columns`: names and types; None of a statement without rows. `count`: of rows returned, changed or copied, else -1."""

    columns: tuple[tuple[str, str], ...] | None
    rows: Sequence[Sequence[str | None]]
    count: int


class Databases:
    """The PostgreSQL server and a database in it for each warehouse and name. Started by the first connection."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None
        self._starting = asyncio.Lock()
        self._prepared: dict[str, Prepared] = {}
        self._spare = Spare()
        self._made = 0

    async def connect(
        self, warehouse: str, database: str, get_object: GetObject, put_object: PutObject, strike: Strike
    ) -> Session:
        """Raises RedshiftError for a database that is not there, UsageInvalid without PostgreSQL."""
        if database != DATABASE:
            raise RedshiftError(f'database "{database}" does not exist', sqlstate="3D000")
        async with self._starting:
            if self._server is None:
                server = PostgresServer()
                await asyncio.to_thread(server.start)
                try:
                    async with await _connect(server, "template1") as connection:
                        await connection.execute(CATALOG)
                except BaseException:
                    server.stop()
                    raise
                self._server = server
            if warehouse not in self._prepared:
                self._made += 1
                name = f"w{self._made}"
                async with await _connect(self._server, "postgres") as connection:
                    await connection.execute(f"CREATE DATABASE {name}")
                self._prepared[warehouse] = Prepared(await _connect(self._server, name), name)
            prepared = self._prepared[warehouse]
        connection = self._spare.take(prepared.name) or await _connect(self._server, prepared.name)
        return Session(connection, prepared, self._spare, get_object, put_object, strike)

    async def close(self) -> None:
        """Stop the server."""
        await self._spare.close()
        for prepared in self._prepared.values():
            with suppress(psycopg.Error):
                await prepared.connection.close()
        self._prepared.clear()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
            self._server = None


async def _connect(server: PostgresServer, database: str) -> psycopg.AsyncConnection[Any]:
    options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
    return await psycopg.AsyncConnection.connect(
        server.conninfo(database),
        client_encoding="UTF8",
        options=options,
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.AsyncRawCursor,
    )


class Prepared:
    """What must exist in a database before a statement runs: domains and the names that were shortened.

    On a connection of its own, so that it outlives the transaction that needs it.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], name: str) -> None:
        self.connection = connection
        self.name = name
        self.names: dict[str, str] = {}
        self._domains: set[SqlType] = set()
        self._lock = asyncio.Lock()

    async def prepare(self, statement: Statement) -> None:
        async with self._lock:
            for domain in statement.domains - self._domains:
                await self.connection.execute(domain.domain())
                self._domains.add(domain)
            for short, full in statement.names.items():
                if short not in self.names:
                    await self.connection.execute("INSERT INTO standin_names VALUES ($1, $2)", [short, full])
                    self.names[short] = full

    async def note_failure(self, failed: LoadFailed) -> None:
        columns = "table_name, file_name, line_number, column_name, column_type, error_code, error_message"
        async with self._lock:
            await self.connection.execute(
                f"INSERT INTO sys_load_error_detail ({columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)", failed.row
            )


class Spare:
    """Connections as good as new ones, to any of the databases. PostgreSQL takes milliseconds to make one know its catalog."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, psycopg.AsyncConnection[Any]]] = []  # with the database's name; the newest last

    def take(self, name: str) -> psycopg.AsyncConnection[Any] | None:
        for at, (found, connection) in enumerate(self._kept):
            if found == name:
                del self._kept[at]
                return connection
        return None

    async def keep(self, name: str, connection: psycopg.AsyncConnection[Any]) -> None:
        self._kept.append((name, connection))
        if len(self._kept) > SPARE_MAX:
            _, oldest = self._kept.pop(0)
            await oldest.close()

    async def close(self) -> None:
        while self._kept:
            with suppress(psycopg.Error):
                await self._kept.pop()[1].close()


class Session:
    """See the module."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        prepared: Prepared,
        spare: Spare,
        get_object: GetObject,
        put_object: PutObject,
        strike: Strike,
    ) -> None:
        self._connection = connection
        self._prepared = prepared
        self._spare = spare
        self._get_object = get_object
        self._put_object = put_object
        self._strike = strike
        self._cancelled = asyncio.Event()
        self.pid: Final = connection.info.backend_pid

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    async def execute(self, sql: str, parameters: Mapping[str, str] | None = None) -> Result:
        """One statement. Raises RedshiftError, after which an open transaction takes nothing but ROLLBACK."""
        try:
            statement = read_statement(sql, in_transaction=self.in_transaction)
            fault = self._strike(statement.verb) if statement.verb != "BEGIN" else None
            if fault is not None:
                await self._struck(fault)
            result = await self._run(statement, parameters or {})
        except psycopg.Error as error:
            raise self._translated(error) from error
        except RedshiftError as error:
            await self._abort()
            if isinstance(error, LoadFailed):
                await self._prepared.note_failure(error)
            raise
        if fault is not None and fault.kind == "reply_lost":
            await self.close()
            raise ConnectionLost
        return result

    async def _struck(self, fault: Fault) -> None:
        """What the fault does before its statement."""
        match fault.kind:
            case "connection_lost":
                await self.close()
                raise ConnectionLost
            case "statement_refused":
                raise RedshiftError("planned")
            case "serialization":
                raise _serialization("planned")
            case "statement_timeout":
                raise RedshiftError("canceling statement due to statement timeout", sqlstate="57014")
            case "statement_cancelled":
                raise Cancelled
            case "statement_slow":
                self._cancelled.clear()  # of a statement before this one
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._cancelled.wait(), fault.seconds)
                    raise Cancelled

    async def describe(self, sql: str) -> tuple[tuple[str, str], ...] | None:
        """Names and types of a statement's columns, without carrying it out; None where it gives no rows."""
        try:
            statement = read_statement(sql, in_transaction=self.in_transaction)
            if statement.verb not in ("SELECT", "WITH", "(") or statement.parameters:
                return None
            await self._prepared.prepare(statement)
            cursor = await self._connection.execute(f"SELECT * FROM ({statement.text}) q LIMIT 0")
        except psycopg.Error as error:
            raise self._translated(error) from error
        except RedshiftError:
            await self._abort()
            raise
        return self._result(cursor).columns

    async def cancel(self) -> None:
        """What it is doing ends with an error."""
        self._cancelled.set()
        await self._connection.cancel_safe()

    async def close(self) -> None:
        """An open transaction is rolled back."""
        await self._connection.close()

    async def release(self) -> None:
        """As `close`, but the connection may serve the next session."""
        if not (self._connection.closed or self.in_transaction or self._cancelled.is_set()):
            with suppress(psycopg.Error):
                await self._connection.execute("DISCARD ALL")
                await self._spare.keep(self._prepared.name, self._connection)
                return
        await self.close()

    # ---- inside

    async def _run(self, statement: Statement, parameters: Mapping[str, str]) -> Result:
        missing = [name for name in statement.parameters if name not in parameters]
        if missing:
            raise RedshiftError(f"Parameters list does not contain {', '.join(missing)}", sqlstate="42P02")
        await self._prepared.prepare(statement)
        if statement.copy is not None:
            return Result(None, (), await self._copy(statement.copy))
        if statement.unload is not None:
            return Result(None, (), await self._unload(statement.unload))
        if not statement.text:
            return Result(None, (), -1)
        values = [parameters[name] for name in statement.parameters]
        cursor = await self._connection.execute(statement.text, values or None)
        if statement.verb == "TRUNCATE" and self.in_transaction:
            await self._connection.execute("COMMIT")
        return self._result(cursor)

    async def _abort(self) -> None:
        """PostgreSQL did not see the statement that failed; its transaction is to be over all the same."""
        if not self._connection.closed and self.in_transaction:
            with suppress(psycopg.Error):
                await self._connection.execute("refused")

    def _result(self, cursor: psycopg.AsyncCursor[Any]) -> Result:
        found = cursor.pgresult
        if found is None or cursor.description is None:
            return Result(None, (), cursor.rowcount)
        names = [(found.fname(at) or b"").decode() for at in range(found.nfields)]
        types = [_TYPES.get(found.ftype(at), "varchar") for at in range(found.nfields)]
        rows = [
            [_text(found.get_value(row, at), kind) for at, kind in enumerate(types)] for row in range(found.ntuples)
        ]
        columns = [(self._prepared.names.get(name, name), kind) for name, kind in zip(names, types, strict=True)]
        return Result(tuple(columns), rows, len(rows))

    async def _copy(self, copy: Copy) -> int:
        found = await self._connection.execute(_COLUMNS, [copy.table])
        columns = [_column(row, self._prepared.names) for row in await found.fetchall()]
        into = composed.SQL(copy.table)
        if copy.columns is not None:
            by_name = {column.name: column for column in columns}
            names = [self._prepared.names.get(name, name) for name in map(_unquoted, copy.columns)]
            unknown = [name for name in names if name not in by_name]
            if unknown:
                raise RedshiftError(f'column "{unknown[0]}" of relation {copy.table} does not exist', sqlstate="42703")
            columns = [by_name[name] for name in names]
            into = composed.SQL(f"{copy.table} ({', '.join(copy.columns)})")
        files = await files_of_manifest(copy, self._get_object)
        cursor = self._connection.cursor()
        async with cursor.copy(composed.SQL("COPY {} FROM STDIN WITH (FORMAT csv)").format(into)) as stream:
            for url, data in files:
                chunks = csv_of(copy, columns, url, data)
                while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                    await stream.write(chunk)
        await self._connection.execute("SELECT set_config('tailrace.copied', $1, false)", [str(cursor.rowcount)])
        return cursor.rowcount

    async def _unload(self, unload: Unload) -> int:
        cursor = await self._connection.execute(unload.query)
        found = cursor.pgresult
        assert found is not None
        columns = [
            arrow_of(
                _TYPES.get(found.ftype(at), "varchar"),
                found.fmod(at),
                [found.get_value(row, at) for row in range(found.ntuples)],
            )
            for at in range(found.nfields)
        ]
        names = [(found.fname(at) or b"").decode() for at in range(found.nfields)]
        names = [self._prepared.names.get(name, name) for name in names]
        for url, data in files_of(unload, columns, names):
            bucket, _, key = url.removeprefix("s3://").partition("/")
            if not unload.overwrite and await self._get_object(bucket, key) is not None:
                raise RedshiftError("Specified unload destination on S3 is not empty", detail=url)
            if await self._put_object(bucket, key, data) != 200:
                raise RedshiftError("S3ServiceException:The bucket cannot be written", detail=url)
        return found.ntuples

    def _translated(self, error: psycopg.Error) -> RedshiftError:
        """As Redshift would say it."""
        diagnosis, state = error.diag, error.sqlstate
        message = diagnosis.message_primary or str(error).strip()
        if state is None or state.startswith(("08", "57P")):
            return ConnectionLost()
        if state == "40001":
            return _serialization(message)
        if state == "23502":
            return RedshiftError(f"Cannot insert a NULL value into column {diagnosis.column_name}", sqlstate=state)
        if state == "23514" and diagnosis.datatype_name:
            name = diagnosis.datatype_name.replace("varchar(", "character varying(")
            return RedshiftError(f"value too long for type {name}", sqlstate="22001")
        if state == "21000" and "MERGE" in message:
            return RedshiftError("Found multiple matches to update the same tuple.", sqlstate="21000")
        return RedshiftError(message, detail=diagnosis.message_detail or "", sqlstate=state)


# Types by format_type only: a domain made while a transaction is open is not in its snapshot of pg_type.
_COLUMNS: Final = """
SELECT attname::text, trim('"' FROM format_type(atttypid, atttypmod)) FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def _column(row: tuple[str, str], names: Mapping[str, str]) -> Column:
    name, text = row
    found = re.fullmatch(r"([a-z ]+?)(?:\(([0-9,]+)\))?", _SHORT.get(text, text))
    if found is None:
        raise RedshiftError(f'column "{name}" has the type {text}, which COPY does not know', sqlstate="0A000")
    kind = found.group(1).replace("character", "char")
    arguments = tuple(map(int, found.group(2).split(","))) if found.group(2) else ()
    return Column(names.get(name, name), SqlType(kind, arguments))


_SHORT: Final = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"')


def _serialization(why: str) -> RedshiftError:
    return RedshiftError("1023", detail=f"Serializable isolation violation on table - 100 ({why})", sqlstate="40001")


def _text(value: bytes | None, kind: str) -> str | None:
    if value is None:
        return None
    text = bytes(value).decode()
    if kind == "varbyte":
        return text.removeprefix("\\x")
    if kind == "super":
        return _BLANKS.sub(r"\1", text)
    return text
