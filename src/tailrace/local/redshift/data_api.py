"""The Redshift Data API: statements are taken, carried out later, asked after, and their results kept for a day."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.local.emulator import Emulator, Owner, ServiceError
from tailrace.local.faults import Fault
from tailrace.local.redshift.lexer import RedshiftError, tokens_of
from tailrace.local.redshift.session import Cancelled, Databases, Result, Session
from tailrace.local.redshift.wire import Driver

STATEMENT_BYTES: Final = 100 * 1024
BATCH_STATEMENTS: Final = 40
RESULT_BYTES: Final = 500 * 1024 * 1024
ROW_BYTES: Final = 64 * 1024
ACTIVE_MAX: Final = 200
TOKEN_SECONDS: Final = 8 * 3600
KEPT_SECONDS: Final = 24 * 3600
PAGE_ROWS: Final = 1000
PAGE_BYTES: Final = 1024 * 1024
LIST_MAX: Final = 100
CANCEL_SECONDS: Final = 0.2
ACTIVE: Final = ("SUBMITTED", "PICKED", "STARTED")


@dataclass(slots=True)
class _Step:
    """One SQL statement of a request."""

    sql: str
    status: str = "SUBMITTED"
    error: str = ""
    result: Result | None = None
    nanoseconds: int = 0
    updated: float = 0.0


@dataclass(slots=True)
class _Execution:
    """One request, from when it was taken. Times are the movable clock's Unix seconds."""

    id: str
    owner: Owner
    request: Mapping[str, Any]  # as it came, without the token
    token: str
    steps: list[_Step]
    is_batch: bool
    name: str
    created: float
    updated: float
    session: _KeptSession | None
    status: str = "SUBMITTED"
    error: str = ""
    pid: int = 0
    query: int = 0
    cancelled: bool = False
    running: Session | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _KeptSession:
    """A connection that outlives its statements. `until`: when it ends, unless it is used before."""

    id: str
    owner: Owner
    where: Mapping[str, str]
    seconds: int
    until: float
    connection: Session | None = None
    busy: bool = False


class DataApi:
    """`now` gives the movable clock's Unix seconds; `strike` the fault that meets a statement of a warehouse."""

    def __init__(
        self, emulator: Emulator, now: Callable[[], float], strike: Callable[[str, str], Fault | None], seed: int
    ) -> None:
        self._emulator = emulator
        self._now = now
        self._strike = strike
        self._random = random.Random(seed)
        self._databases = Databases()
        self._executions: dict[str, _Execution] = {}  # the oldest first
        self._by_token: dict[tuple[str, Owner], _Execution] = {}
        self._going_on: set[str] = set()
        self._sessions: dict[str, _KeptSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, asyncio.Server] = {}
        self.calls: Final = {
            "ExecuteStatement": self._execute,
            "BatchExecuteStatement": self._execute_batch,
            "DescribeStatement": self._describe,
            "GetStatementResult": self._results,
            "ListStatements": self._list,
            "CancelStatement": self._cancel,
        }

    async def call(self, operation: str, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        """Raises ServiceError."""
        if operation not in self.calls:
            raise ServiceError("UnknownOperationException", operation)
        await self._forget_what_is_old()
        return await self.calls[operation](request, owner)

    async def close(self) -> None:
        """Whatever runs is cut off; PostgreSQL is stopped."""
        for listener in self._listeners.values():
            listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for kept in self._sessions.values():
            if kept.connection is not None:
                await kept.connection.close()
        await self._databases.close()

    async def listen(self, warehouse: str) -> int:
        """The port on 127.0.0.1 at which drivers find a warehouse of the default account."""
        if warehouse not in self._listeners:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                driver = Driver(lambda database: self._connect(warehouse, database, Owner()), reader, writer)
                self._start(driver.serve())

            self._listeners[warehouse] = await asyncio.start_server(serve, "127.0.0.1", 0)
        return int(self._listeners[warehouse].sockets[0].getsockname()[1])

    # ---- taking statements

    async def _execute(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        return await self._take(request, owner, [request.get("Sql")])

    async def _execute_batch(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        sqls = request.get("Sqls")
        if not isinstance(sqls, list) or not 1 <= len(sqls) <= BATCH_STATEMENTS:
            raise _invalid(f"Sqls holds 1 to {BATCH_STATEMENTS} statements")
        if request.get("ExecutionMode", "TRANSACTION") != "TRANSACTION":
            raise _invalid("the stand-in knows no ExecutionMode but TRANSACTION")
        return await self._take(request, owner, sqls, is_batch=True)

    async def _take(
        self, request: Mapping[str, Any], owner: Owner, sqls: Sequence[Any], *, is_batch: bool = False
    ) -> dict[str, Any]:
        plain = {name: value for name, value in request.items() if name not in ("ClientToken", "WaitTimeSeconds")}
        token = str(request.get("ClientToken") or uuid.UUID(int=self._random.getrandbits(128)))
        execution = self._of_token(token, owner)
        if execution is not None and execution.request != plain:
            raise _invalid("ClientToken was used for another request")
        if execution is None:
            _check(request, sqls)
            if len(self._going_on) >= ACTIVE_MAX:
                raise ServiceError("ActiveStatementsExceededException", f"Active statements exceed {ACTIVE_MAX}")
            now = self._now()
            steps = [_Step(sql, updated=now) for sql in sqls]
            session, name = self._session_of(request, owner), str(request.get("StatementName", ""))
            execution = _Execution(self._id(), owner, plain, token, steps, is_batch, name, now, now, session)
            execution.query = self._random.getrandbits(31)
            self._executions[execution.id] = self._by_token[token, owner] = execution
            self._going_on.add(execution.id)
            self._start(self._run(execution))
        await self._wait(execution, request)
        answer = {"Id": execution.id, "CreatedAt": execution.created, **_where(execution)}
        if "WaitTimeSeconds" in request:
            answer.update(Status=execution.status, HasResultSet=_has_rows(execution.steps))
        return answer

    def _session_of(self, request: Mapping[str, Any], owner: Owner) -> _KeptSession | None:
        """The one that the request names, or a new one where it wants one to be kept."""
        seconds, known = int(request.get("SessionKeepAliveSeconds", 0)), request.get("SessionId")
        if known is None and not seconds:
            return None
        if known is None:
            where = {name: request[name] for name in _PLACES if name in request}
            kept = _KeptSession(self._id(), owner, where, seconds, self._now() + seconds)
            self._sessions[kept.id] = kept
        else:
            found = self._sessions.get(known)
            if found is None or found.owner != owner:
                raise _invalid(f"Session {known} is not available")
            if found.busy:
                raise _invalid(f"Session {known} is busy with another statement")
            kept = found
            kept.seconds = seconds or kept.seconds
        kept.busy = True
        return kept

    def _of_token(self, token: str, owner: Owner) -> _Execution | None:
        execution = self._by_token.get((token, owner))
        return execution if execution is not None and self._now() < execution.created + TOKEN_SECONDS else None

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- carrying them out

    async def _run(self, execution: _Execution) -> None:
        try:
            await self._carry_out(execution)
            execution.status = "FINISHED"
        except RedshiftError as error:
            execution.status = "ABORTED" if _was_cancelled(execution, error) else "FAILED"
            execution.error = execution.error or str(error)
        except Exception as error:  # a defect or a missing PostgreSQL: whoever asks after the statement is to see it
            execution.status, execution.error = "FAILED", f"{type(error).__name__}: {error}"
        finally:
            self._going_on.discard(execution.id)
            for step in execution.steps:
                step.status = "ABORTED" if step.status in ACTIVE else step.status
            if execution.running is not None and execution.session is None:
                await execution.running.release()
            if execution.session is not None:
                execution.session.busy = False
                execution.session.until = self._now() + execution.session.seconds
            execution.running, execution.updated = None, self._now()
            execution.done.set()

    async def _carry_out(self, execution: _Execution) -> None:
        execution.status = "PICKED"
        session = await self._connected(execution)
        execution.running, execution.pid, execution.status = session, session.pid, "STARTED"
        if execution.is_batch:
            await session.execute("BEGIN")
        values = {entry["name"]: entry["value"] for entry in execution.request.get("Parameters", ())}
        for number, step in enumerate(execution.steps, 1):
            began = time.monotonic_ns()
            step.status = "STARTED"
            try:
                if execution.cancelled:
                    raise Cancelled
                if execution.is_batch and step.sql.split(None, 1)[0].upper().strip(";") in _TRANSACTIONS:
                    raise RedshiftError("a batch is one transaction and cannot begin or end one", sqlstate="25001")
                step.result = _checked(await session.execute(step.sql, values))
                if execution.is_batch and not session.in_transaction:  # TRUNCATE has ended it
                    await session.execute("BEGIN")
                step.status = "FINISHED"
            except RedshiftError as error:
                step.status = "ABORTED" if _was_cancelled(execution, error) else "FAILED"
                step.error = str(error)
                execution.error = f"Query #{number} failed with {error}" if execution.is_batch else str(error)
                raise
            finally:
                step.nanoseconds, step.updated = time.monotonic_ns() - began, self._now()
        if execution.is_batch:
            await session.execute("COMMIT")

    async def _connected(self, execution: _Execution) -> Session:
        kept = execution.session
        if kept is not None and kept.connection is not None:
            return kept.connection
        place = kept.where if kept is not None else execution.request
        name = str(place.get("WorkgroupName") or place.get("ClusterIdentifier"))
        session = await self._connect(name, str(place["Database"]), execution.owner)
        if kept is not None:
            kept.connection = session
        return session

    async def _connect(self, warehouse: str, database: str, owner: Owner) -> Session:
        return await self._databases.connect(
            f"{owner.account}/{owner.region}/{warehouse}",
            database,
            lambda bucket, key: self._emulator.get_object(bucket, key, owner),
            lambda bucket, key, body: self._emulator.put_object(bucket, key, body, owner),
            lambda verb: self._strike(verb, warehouse),
        )

    # ---- asking after them

    async def _describe(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        execution, step = self._found(request, owner)
        await self._wait(execution, request)
        steps = execution.steps if step is None else [step]
        last = steps[-1].result
        answer = {
            "Id": request["Id"],
            "Status": execution.status if step is None else step.status,
            "CreatedAt": execution.created,
            "UpdatedAt": execution.updated,
            "Duration": sum(step.nanoseconds for step in steps),
            "HasResultSet": _has_rows(steps),
            "RedshiftPid": execution.pid,
            "RedshiftQueryId": execution.query if execution.status not in ("SUBMITTED", "PICKED") else 0,
            "ResultRows": last.count if last is not None else -1,
            "ResultSize": _size(last),
            "ResultFormat": "JSON",
            **_where(execution),
        }
        error = execution.error if step is None else step.error
        if error:
            answer["Error"] = error
        if "Parameters" in execution.request:
            answer["QueryParameters"] = execution.request["Parameters"]
        if not execution.is_batch or step is not None:
            answer["QueryString"] = steps[0].sql
        else:
            answer["ExecutionMode"] = "TRANSACTION"
            answer["SubStatements"] = [_described(execution, at) for at in range(len(steps))]
        return answer

    async def _results(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        execution, step = self._found(request, owner)
        await self._wait(execution, request)
        step = step or execution.steps[-1]
        if execution.status != "FINISHED" or step.result is None or step.result.columns is None:
            raise ServiceError(
                "ResourceNotFoundException",
                "Query does not have result. Please check query status with DescribeStatement.",
            )
        columns, rows = step.result.columns, step.result.rows
        start = _offset(request.get("NextToken"), len(rows))
        end, size = start, 0
        while end < len(rows) and end < start + PAGE_ROWS and size < PAGE_BYTES:
            size += sum(len(value or "") for value in rows[end])
            end += 1
        answer: dict[str, Any] = {
            "Records": [
                [_field(v, kind) for v, (_, kind) in zip(row, columns, strict=True)] for row in rows[start:end]
            ],
            "ColumnMetadata": [
                {"name": name, "label": name, "typeName": kind, "nullable": 1} for name, kind in columns
            ],
            "TotalNumRows": len(rows),
        }
        if end < len(rows):
            answer["NextToken"] = _token(end)
        return answer

    async def _list(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        status, prefix = request.get("Status", "ALL"), str(request.get("StatementName", ""))
        limit = int(request.get("MaxResults", LIST_MAX)) or LIST_MAX
        found = [
            execution
            for execution in reversed(self._executions.values())
            if execution.name.startswith(prefix)  # first: it leaves few of a day's statements
            and execution.owner == owner
            and status in ("ALL", execution.status)
            and all(request[name] == execution.request.get(name) for name in _PLACES if name in request)
        ]
        start = _offset(request.get("NextToken"), len(found))
        answer: dict[str, Any] = {"Statements": [_listed(execution) for execution in found[start : start + limit]]}
        if start + limit < len(found):
            answer["NextToken"] = _token(start + limit)
        return answer

    async def _cancel(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        execution, _ = self._found(request, owner)
        if execution.status not in ACTIVE:
            raise _invalid(
                f"Could not cancel a query that is already in {execution.status} state with ID: {execution.id}"
            )
        execution.cancelled = True
        self._start(self._stop(execution))
        return {"Status": True}

    async def _stop(self, execution: _Execution) -> None:
        """Until it has ended: PostgreSQL forgets a cancellation that comes just before the statement."""
        while not execution.done.is_set():
            if execution.running is not None:
                await execution.running.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(execution.done.wait(), CANCEL_SECONDS)

    def _found(self, request: Mapping[str, Any], owner: Owner) -> tuple[_Execution, _Step | None]:
        whole, _, number = str(request.get("Id", "")).partition(":")
        execution = self._executions.get(whole)
        if execution is not None and execution.owner == owner:
            if not number:
                return execution, None
            if execution.is_batch and 1 <= int(number) <= len(execution.steps):
                return execution, execution.steps[int(number) - 1]
        raise ServiceError("ResourceNotFoundException", f"Query {request.get('Id')} does not exist.")

    async def _wait(self, execution: _Execution, request: Mapping[str, Any]) -> None:
        """As long as the request says, for its end."""
        if "WaitTimeSeconds" in request:
            with suppress(TimeoutError):
                await asyncio.wait_for(execution.done.wait(), float(request["WaitTimeSeconds"]))

    async def _forget_what_is_old(self) -> None:
        now = self._now()
        known = self._executions.values()
        for execution in list(itertools.takewhile(lambda each: now >= each.created + KEPT_SECONDS, known)):
            if execution.status not in ACTIVE:
                del self._executions[execution.id]
                named = (execution.token, execution.owner)
                if self._by_token.get(named) is execution:  # else it was used again since
                    del self._by_token[named]
        for kept in list(self._sessions.values()):
            if not kept.busy and now >= kept.until:
                del self._sessions[kept.id]
                if kept.connection is not None:
                    await kept.connection.close()


_PLACES: Final = ("ClusterIdentifier", "WorkgroupName", "Database")
_TRANSACTIONS: Final = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT")


def _was_cancelled(execution: _Execution, error: RedshiftError) -> bool:
    return execution.cancelled or isinstance(error, Cancelled)


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _check(request: Mapping[str, Any], sqls: Sequence[Any]) -> None:
    """What the Data API refuses at once."""
    places = [name for name in ("ClusterIdentifier", "WorkgroupName") if name in request]
    if "SessionId" in request:
        if places or "Database" in request:
            raise _invalid("with SessionId, neither cluster, workgroup nor Database may be named")
    elif len(places) != 1 or not request.get("Database"):
        raise _invalid("name Database and either ClusterIdentifier or WorkgroupName")
    if request.get("ResultFormat", "JSON") != "JSON":
        raise _invalid("the stand-in knows no ResultFormat but JSON")
    names: set[str] = set()
    for sql in sqls:
        if not isinstance(sql, str) or not sql.strip():
            raise _invalid("a statement is empty")
        if len(sql.encode()) > STATEMENT_BYTES:
            raise _invalid(f"a statement is longer than {STATEMENT_BYTES} bytes")
        with suppress(RedshiftError):  # it will fail later, where it is carried out
            names |= {token.value for token in tokens_of(sql) if token.kind == "parameter"}
    unused = [entry["name"] for entry in request.get("Parameters", ()) if entry["name"] not in names]
    if unused:
        raise _invalid(f"Parameters are not used in any statement: {', '.join(unused)}")


def _checked(result: Result) -> Result:
    """Raises RedshiftError for a result that the Data API does not hold."""
    total = 0
    for row in result.rows:
        size = sum(len(value.encode()) for value in row if value is not None)
        if size > ROW_BYTES:
            raise RedshiftError(f"a row of the result has {size} bytes; the most are {ROW_BYTES}", sqlstate="54000")
        total += size
    if total > RESULT_BYTES:
        raise RedshiftError(f"the result has {total} bytes; the most are {RESULT_BYTES}", sqlstate="54000")
    return result


def _where(execution: _Execution) -> dict[str, Any]:
    kept = execution.session
    place = execution.request if kept is None else {**execution.request, **kept.where, "SessionId": kept.id}
    return {name: place[name] for name in (*_PLACES, "DbUser", "SecretArn", "SessionId") if name in place}


def _has_rows(steps: Sequence[_Step]) -> bool:
    return any(step.result is not None and step.result.columns is not None for step in steps)


def _size(result: Result | None) -> int:
    return -1 if result is None else sum(len(value.encode()) for row in result.rows for value in row if value)


def _described(execution: _Execution, at: int) -> dict[str, Any]:
    step = execution.steps[at]
    answer = {
        "Id": f"{execution.id}:{at + 1}",
        "QueryString": step.sql,
        "Status": step.status,
        "CreatedAt": execution.created,
        "UpdatedAt": step.updated,
        "Duration": step.nanoseconds,
        "HasResultSet": _has_rows([step]),
        "RedshiftQueryId": execution.query,
        "ResultRows": step.result.count if step.result is not None else -1,
        "ResultSize": _size(step.result),
    }
    return {**answer, "Error": step.error} if step.error else answer


def _listed(execution: _Execution) -> dict[str, Any]:
    texts: dict[str, Any] = {"QueryString": execution.steps[0].sql}
    if execution.is_batch:
        texts = {"QueryStrings": [step.sql for step in execution.steps]}
    return {
        "Id": execution.id,
        "Status": execution.status,
        "StatementName": execution.name,
        "CreatedAt": execution.created,
        "UpdatedAt": execution.updated,
        "IsBatchStatement": execution.is_batch,
        **texts,
    }


def _field(value: str | None, kind: str) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    if kind in ("int2", "int4", "int8"):
        return {"longValue": int(value)}
    if kind == "bool":
        return {"booleanValue": value == "t"}
    if kind in ("float4", "float8"):
        return {"doubleValue": float(value)}
    return {"stringValue": value}


def _token(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode()


def _offset(token: Any, most: int) -> int:
    if token is None:
        return 0
    try:
        offset = int(base64.b64decode(token))
    except ValueError as error:
        raise _invalid("NextToken is not one of ours") from error
    if not 0 <= offset <= most:
        raise _invalid("NextToken is not one of ours")
    return offset
