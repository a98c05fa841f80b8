"""Redshift by its own driver, which answers sooner than the Data API. The only part that knows redshift_connector."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import pyarrow as pa
import redshift_connector
from redshift_connector.error import Error as DriverError
from redshift_connector.utils.type_utils import text_recv

from tailrace.errors import OutOfTime, ServiceUnavailable, TailraceError, UsageInvalid, UserFault
from tailrace.targets.redshift.answers import as_subquery, failure
from tailrace.targets.redshift.credentials import Credentials
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.connection import OneSession, StatementFailed, shown

PORT: Final = 5439  # where Redshift listens, unless it was told otherwise
CONNECT_SECONDS: Final = 30
GRACE_SECONDS: Final = 30  # an answer is waited for so much longer than a statement may take
LATE_SECONDS: Final = 1  # the same where a budget ends
VARBYTE: Final = 6551  # its number among Redshift's types
_Result: TypeAlias = tuple[list[str], list[tuple[Any, ...]]]
_BROKEN: Final = (DriverError, OSError, AttributeError, ValueError, IndexError)
"""What the driver raises once its connection is gone."""
_UNDONE: Final = "Its transaction was rolled back; the next tick does it again."
_HOPELESS: Final = ("28", "3D", "42")  # wrong password, no such database, no privilege


class ConnectorConnection(OneSession):
    """Keeps `Connection`: connected while somebody is inside `opened`, one at a time.

    `wait_seconds`: how long a statement may take; Redshift ends it then. Where a budget is spent, the transaction is undone.
    """

    def __init__(
        self,
        host: str,
        port: int,
        database: str,
        credentials: Credentials,
        staging: Staging,
        wait_seconds: float = 600.0,
    ) -> None:
        super().__init__()
        self._place: dict[str, Any] = {"host": host, "port": port, "database": database, "ssl": host != "127.0.0.1"}
        self._credentials = credentials
        self._staging = staging
        self._wait_seconds = wait_seconds

    # ---- reading

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._transaction([sql])[-1][1]

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        return [rows for _, rows in self._transaction(statements)]

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """By UNLOAD: the driver would hold the whole result as Python objects."""
        return self._staging.unloaded(sql, schema, self.rows)

    def query(self, sql: str) -> pa.Table:
        try:
            return shown(*self._transaction([as_subquery(sql)])[-1])
        except StatementFailed as error:
            raise UsageInvalid(f"The query failed: {error}", hint="Correct the SQL; it may only read.") from error

    # ---- writing

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        self._transaction(statements)

    def alone(self, statement: str) -> None:
        self._transaction([statement], alone=True)

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        """Lists arrive as JSON in VARBYTE; other columns as they are, so JSON is to come in bytes, too, where it may be long."""
        with self._staging.staged(table, rows, self._left) as copy:
            try:
                self._transaction([*create, copy])
            except OutOfTime:  # nothing reads the files any more
                self._staging.forget(table)
                raise

    def staged_before(self, table: str) -> None:
        self._staging.forget(table)

    # ---- sessions

    def _transaction(self, statements: Sequence[str], *, alone: bool = False) -> list[_Result]:
        """Names and rows that each statement gave. `alone`: each for itself, in no transaction."""
        with self.opened():
            connection = self._connection = self._connection or self._connect()
            results: list[_Result] = []
            connection.autocommit = alone
            try:
                with connection.cursor() as cursor:
                    for at, statement in enumerate(statements):
                        self._run(at, False, cursor.execute, statement)
                        results.append(([], []) if cursor.description is None else _result(cursor))
                if not alone:
                    self._run(len(statements), True, connection.commit)
            except OutOfTime:
                self._close()  # an answer may still come, and nobody waits for it
                raise
            except BaseException:
                self._end(connection)
                raise
            return results

    def _left(self) -> float:
        """Seconds that may still be waited for a statement."""
        return min(self._wait_seconds, self._wait_seconds if self._budget is None else self._budget.remaining())

    def _run(self, at: int, committing: bool, call: Callable[..., Any], *arguments: str) -> None:
        left = self._left()
        if left <= 0 and not committing:
            raise OutOfTime("No time is left for another statement", hint=_UNDONE)
        is_short = left < self._wait_seconds and not committing
        self._connection._usock.settimeout(left + LATE_SECONDS if is_short else self._wait_seconds + GRACE_SECONDS)
        try:
            call(*arguments)
        except _BROKEN as error:
            text, state = _told(error)
            if is_short and self._left() <= 0:
                raise OutOfTime("Redshift was still at work on it", hint=_UNDONE) from None
            translated = failure(text, at, committing=committing, lost=not state)
            raise translated from (error if isinstance(translated, TailraceError) else None)

    def _connect(self) -> Any:
        login = self._credentials.login()
        try:
            connection = redshift_connector.connect(
                **self._place,
                user=login.user,
                password=login.password,
                timeout=CONNECT_SECONDS,
                application_name="tailrace",
            )
            connection.redshift_types[VARBYTE] = (0, text_recv)  # hex; one version of the protocol makes a text of it
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout TO {int(self._wait_seconds * 1000)}")
            connection.autocommit = False
        except _BROKEN as error:
            self._credentials.refused(login)
            _close_left_open(error)
            text, state = _told(error)
            if state.startswith(_HOPELESS):
                hint = "Check user, password and database."
                raise UserFault(f"Redshift refused the connection: {text}", hint=hint) from None
            hint = "Nothing was applied; it is tried again."
            raise ServiceUnavailable(f"Redshift cannot be reached: {text}", hint=hint) from None
        return connection

    def _end(self, connection: Any) -> None:
        """Undo what was done, or let go of a connection that is no more."""
        try:
            connection.rollback()
        except _BROKEN:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_BROKEN):
                connection.close()
            connection._usock.close()


def _result(cursor: Any) -> _Result:
    names = [column[0].decode() if isinstance(column[0], bytes) else str(column[0]) for column in cursor.description]
    varbyte = [column[1] == VARBYTE for column in cursor.description]
    rows = [
        tuple(
            bytes.fromhex(value) if is_hex and isinstance(value, str) else value
            for value, is_hex in zip(row, varbyte, strict=True)
        )
        for row in cursor.fetchall()
    ]
    return names, rows


def _close_left_open(error: Exception) -> None:
    """The driver leaves its socket open where the server refuses it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        left = getattr(frame.f_locals.get("self"), "_usock", None)
        if left is not None:
            left.close()


def _told(error: Exception) -> tuple[str, str]:
    """What it says, and its SQLSTATE; none where Redshift said nothing and the connection is no more."""
    told = error.args[0] if error.args else ""
    if isinstance(told, dict):
        return f"ERROR: {told.get('M', '')} {told.get('D', '')}".strip(), str(told.get("C", "XX000"))
    return str(error) or type(error).__name__, ""
