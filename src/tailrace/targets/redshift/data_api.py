"""Redshift by its Data API: no network of ours, no driver, no password.

A batch is one transaction. Statements go on where their caller ends, so each has a name, its caller's or one made of its
text, by which the next caller finds it under way and waits for it rather than begin it again. A request whose answer was
lost is repeated with the same token, and never carried out twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tailrace.aws import translate
from tailrace.clock import Budget, Clock
from tailrace.errors import (
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    ServiceUnavailable,
    TailraceError,
    Throttled,
    Transient,
    UsageInvalid,
    UserFault,
)
from tailrace.targets.redshift.answers import as_subquery, failure
from tailrace.targets.redshift.staging import Staging
from tailrace.targets.warehouse.connection import StatementFailed, shown

STATEMENT_BYTES: Final = 100 * 1024
BATCH_STATEMENTS: Final = 40
LONG_POLL_SECONDS: Final = 2  # so soon a wait notices that it is to end
POLL_SECONDS: Final = (0.05, 2.0)  # first and longest pause where an answer does not wait for the end
TRIES: Final = 5  # of a request, each of which botocore repeats on its own
OF_ONE: Final = ("DescribeStatement", "GetStatementResult")  # of a statement that was taken, and is kept for a day
ACTIVE: Final = ("SUBMITTED", "PICKED", "STARTED")  # one after the other
_NEVER: Final = threading.Event()


@dataclass(frozen=True, slots=True)
class Warehouse:
    """To just one of `workgroup` and `cluster`; as the caller's own role, as `db_user`, or by the secret `secret_arn`."""

    database: str
    workgroup: str | None = None
    cluster: str | None = None
    db_user: str | None = None
    secret_arn: str | None = None

    def place(self) -> dict[str, str]:
        names = {
            "WorkgroupName": self.workgroup,
            "ClusterIdentifier": self.cluster,
            "Database": self.database,
        }
        return {name: value for name, value in names.items() if value is not None}

    def parameters(self) -> dict[str, str]:
        names = {"DbUser": self.db_user, "SecretArn": self.secret_arn}
        return self.place() | {name: value for name, value in names.items() if value is not None}


class DataApiConnection:
    """Keeps `Connection`. `data`: a boto3 client of ``redshift-data``. Safe to share between threads.

    `wait_seconds`: how long a statement is waited for at most. One that runs longer goes on, and OutOfTime says so.
    """

    def __init__(
        self, data: Any, warehouse: Warehouse, staging: Staging, clock: Clock, wait_seconds: float = 600.0
    ) -> None:
        self._data = data
        self._warehouse = warehouse
        self._staging = staging
        self._clock = clock
        self._wait_seconds = wait_seconds
        taken = data.meta.service_model.operation_model("DescribeStatement").input_shape.members
        self._long_polls = "WaitTimeSeconds" in taken
        self._of_thread = threading.local()

    @contextmanager
    def opened(self, budget: Budget | None = None) -> Iterator[None]:
        before = self._budget
        self._of_thread.budget = budget or before
        try:
            yield
        finally:
            self._of_thread.budget = before

    @property
    def _budget(self) -> Budget | None:
        found: Budget | None = getattr(self._of_thread, "budget", None)
        return found

    # ---- reading

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._result(self._finished([sql], writes=False))[1]

    def results(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        number = self._finished(statements, writes=False)["Id"]
        parts = [number] if len(statements) == 1 else [f"{number}:{n}" for n in range(1, len(statements) + 1)]
        return [self._result({"Id": part})[1] for part in parts]

    def batches(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """By UNLOAD: a result of the Data API ends at 500 MB, and a row of one at 64 KB."""
        return self._staging.unloaded(sql, schema, self.rows)

    def query(self, sql: str) -> pa.Table:
        """As a subquery, which cannot change anything; the Data API takes no second statement behind it."""
        try:
            names, rows = self._result(self._finished([as_subquery(sql)], writes=False))
        except StatementFailed as error:
            raise UsageInvalid(f"The query failed: {error}", hint="Correct the SQL; it may only read.") from error
        return shown(names, rows)

    # ---- writing

    def transaction(self, statements: Sequence[str], name: str = "") -> None:
        self._finished(statements, name)

    def alone(self, statement: str) -> None:
        self._finished([statement], writes=False)

    def stage(self, create: Sequence[str], table: str, rows: pa.Table, name: str = "") -> None:
        """Lists arrive as JSON in VARBYTE; other columns as they are, so JSON is to come in bytes, too, where it may be long."""
        with self._staging.staged(table, rows, self._left) as copy:
            self._finished([*create, copy], name)

    def staged_before(self, table: str) -> None:
        self._staging.forget(table)

    def under_way(self, prefix: str) -> list[str]:
        return [name for status in ACTIVE for name, _ in self._active(prefix, status)]

    # ---- a statement's life

    def _finished(self, statements: Sequence[str], name: str = "", *, writes: bool = True) -> dict[str, Any]:
        """What is said of it at its end. Raises what it ended with, and OutOfTime where it goes on.

        Where they write they are one transaction, which may be under way already.
        """
        if not statements:
            return {}
        _check(statements)
        until = self._clock.monotonic() + self._wait_seconds
        name = name or self._name(statements)
        number = self._under_way(name) if writes else None
        described = {"Id": number, "Status": "STARTED"} if number else self._submitted(statements, name, writes, until)
        if described.get("Status") != "FINISHED":
            described = self._ended(str(described["Id"]), until, writes=writes)
        if described["Status"] != "FINISHED":
            raise _failure(described)
        return described

    def _name(self, statements: Sequence[str]) -> str:
        text = json.dumps([self._warehouse.place(), list(statements)], sort_keys=True)
        return f"tailrace-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    def _under_way(self, name: str) -> str | None:
        """The same statements, begun by somebody whose time was up or who is no more."""
        return next((number for found, number in self._active(name, "ALL") if found == name), None)

    def _active(self, prefix: str, status: str) -> Iterator[tuple[str, str]]:
        """Name and id of what has not ended, of what has this status."""
        token: dict[str, Any] = {}
        while True:
            request = self._warehouse.place() | {"StatementName": prefix, "Status": status} | token
            listed = self._called("ListStatements", **request)
            for statement in listed["Statements"]:
                name = str(statement.get("StatementName", ""))
                if name.startswith(prefix) and statement["Status"] in ACTIVE:
                    yield name, str(statement["Id"])
            if not listed.get("NextToken"):
                return
            token = {"NextToken": listed["NextToken"]}

    def _left(self, until: float | None = None) -> float:
        """Seconds that may still be waited. Not more than none when the caller is to stop."""
        budget = self._budget
        left = self._wait_seconds if until is None else until - self._clock.monotonic()
        if budget is None:
            return left
        return 0.0 if budget.stop.is_set() else min(left, budget.remaining())

    def _submitted(self, statements: Sequence[str], name: str, writes: bool, until: float) -> dict[str, Any]:
        """Its id and how it stands. Repeated under one token, so that it is taken once whatever becomes of the answers."""
        is_batch = writes or len(statements) > 1
        texts: dict[str, Any] = {"Sqls": list(statements)} if is_batch else {"Sql": statements[0]}
        operation = "BatchExecuteStatement" if is_batch else "ExecuteStatement"
        request = texts | self._warehouse.parameters() | {"StatementName": name, "ClientToken": uuid.uuid4().hex}
        if self._left(until) <= 0:
            raise OutOfTime("No time is left for another statement", hint="The next tick goes on.", statement=name)
        request |= self._waits(self._left(until))
        unanswered, attempt = False, 0
        while True:
            try:
                return self._called(operation, tries=1, **request)
            except Transient as error:
                if isinstance(error, Throttled):
                    request.pop("WaitTimeSeconds", None)  # too many wait
                else:
                    unanswered = True
                attempt += 1
                if self._left(until) <= 0 or (unanswered and attempt >= TRIES):
                    if not (unanswered and writes):
                        raise
                    hint = "The next load looks at the ledger first and goes on from it."
                    raise OutcomeUnknown("Redshift gave no answer to a batch", hint=hint, statement=name) from error
            self._pause(attempt)

    def _waits(self, left: float) -> dict[str, int]:
        """So long the Data API keeps an answer back for an end, in whole seconds."""
        return {"WaitTimeSeconds": int(min(LONG_POLL_SECONDS, left))} if self._long_polls and left >= 1 else {}

    def _ended(self, number: str, until: float, *, writes: bool) -> dict[str, Any]:
        pause = POLL_SECONDS[0]
        while True:
            left = self._left(until)
            wait = self._waits(left)
            try:
                described = self._described(number, wait)
            except Transient as error:
                if not writes:
                    raise
                raise OutcomeUnknown(
                    f"Nobody knows how it ended: {error}",
                    hint="The next load looks at the ledger first.",
                    statement=number,
                ) from error
            if described["Status"] not in ACTIVE:
                return described
            if left <= 0:
                hint = "It goes on; the next tick waits for it."
                raise OutOfTime("Redshift is still at work on it", hint=hint, statement=number)
            if not wait:
                self._clock.wait(min(pause, left), self._stop)
                pause = min(pause * 2, POLL_SECONDS[1])

    def _described(self, number: str, wait: dict[str, int]) -> dict[str, Any]:
        try:
            return self._called("DescribeStatement", tries=1, Id=number, **wait)
        except Transient:  # too many wait, or an answer was lost: ask without waiting there
            self._pause(TRIES)
            return self._called("DescribeStatement", Id=number)

    def _result(self, described: dict[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = []
        if not described.get("HasResultSet", True):
            return [], rows
        token: dict[str, Any] = {}
        while True:
            page = self._called("GetStatementResult", Id=described["Id"], **token)
            columns = page["ColumnMetadata"]
            readers = [_reader(str(column.get("typeName", ""))) for column in columns]
            rows += (
                tuple(_value(field, reader) for field, reader in zip(record, readers, strict=True))
                for record in page["Records"]
            )
            if not page.get("NextToken"):
                return [str(column.get("label") or column.get("name")) for column in columns], rows
            token = {"NextToken": page["NextToken"]}

    # ---- calls

    def _called(self, operation: str, *, tries: int = TRIES, **request: Any) -> dict[str, Any]:
        """One call, repeated where that helps. Raises ours."""
        method = getattr(self._data, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
        for attempt in range(1, tries + 1):
            try:
                return dict(method(**request))
            except Exception as error:
                translated = translate(error, operation=operation)
                if isinstance(translated, NotFound) and operation in OF_ONE:
                    hint = "It is asked again; a load looks at the ledger first."
                    translated = ServiceUnavailable(f"Redshift knows no such statement any more: {error}", hint=hint)
                if not isinstance(translated, Transient) or attempt == tries or self._left() <= 0:
                    raise translated from error
                self._pause(attempt)
        raise AssertionError("unreachable")

    def _pause(self, attempt: int) -> None:
        self._clock.wait(min(POLL_SECONDS[0] * 2**attempt, POLL_SECONDS[1], max(0.0, self._left())), self._stop)

    @property
    def _stop(self) -> threading.Event:
        budget = self._budget
        return _NEVER if budget is None else budget.stop


def _check(statements: Sequence[str]) -> None:
    if len(statements) > BATCH_STATEMENTS:
        raise ValueError(f"{len(statements)} statements; the Data API takes {BATCH_STATEMENTS} in a transaction")
    for statement in statements:
        if len(statement.encode()) > STATEMENT_BYTES:
            raise UserFault(
                f"A statement for this table has {len(statement.encode())} bytes, and the Data API takes {STATEMENT_BYTES}",
                hint='Load it with shape = "super" under another `name`, or with driver = "connector", which takes 16 MB.',
            )


def _failure(described: dict[str, Any]) -> TailraceError | StatementFailed:
    """What became of a request that FAILED or was ABORTED."""
    parts = described.get("SubStatements", [])
    number, text = str(described["Id"]), str(described.get("Error") or described["Status"])
    committing = bool(parts) and all(part.get("Status") == "FINISHED" for part in parts)
    at = next((at for at, part in enumerate(parts) if part.get("Status") == "FAILED"), 0)
    lost = described["Status"] == "ABORTED"
    return failure(text, at, committing=committing, lost=lost, statement=number)


# ---- values


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _reader(kind: str) -> Callable[[Any], Any]:
    """Of a value of this type that came as text."""
    if kind in ("numeric", "decimal"):
        return Decimal
    if kind in ("timestamp", "timestamptz"):
        return _moment
    return bytes.fromhex if kind in ("varbyte", "binary varying") else str


def _value(field: dict[str, Any], reader: Callable[[Any], Any]) -> Any:
    if field.get("isNull"):
        return None
    ((kind, value),) = field.items()
    return reader(value) if kind == "stringValue" else value
