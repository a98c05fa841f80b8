"""The embedded AWS endpoint: an ASGI application in front of the emulator's own, in one process, on 127.0.0.1.

Streams, TTL, the clock and faults are answered here; every other request goes through to ministack unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tailrace.errors import UsageInvalid
from tailrace.local.backups import Backups
from tailrace.local.emulator import DYNAMODB, Emulator, Owner, Receive, Scope, Send, ServiceError
from tailrace.local.expiry import Expiry
from tailrace.local.faults import FUNCTIONS, KINDS, Fault, Faults, check_count, check_seconds, operation_of, tables_of
from tailrace.local.firehose import Firehose
from tailrace.local.functions.destinations import Destinations
from tailrace.local.functions.emulated import Functions
from tailrace.local.functions.events import Events
from tailrace.local.functions.mappings import Mappings
from tailrace.local.kinesis import TableChanges
from tailrace.local.schedules import Schedules
from tailrace.local.shards import Options
from tailrace.local.streams import StreamService

if TYPE_CHECKING:
    from tailrace.local.redshift.data_api import DataApi

CONTROL: Final = "/_tailrace/"
STREAMS: Final = "DynamoDBStreams_20120810."
REDSHIFT: Final = "RedshiftData."
FIREHOSE: Final = "Firehose_20150804."
READS: Final = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")
STATEMENTS: Final = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")
TTL_SECONDS: Final = 30.0  # between two looks for expired items; moving the clock looks at once
STATE_FORMAT: Final = 1


class LocalApp:
    """See the module. `state`: a file that keeps streams, TTL settings and the clock across restarts.

    Raises UsageInvalid for a file that it cannot read.
    """

    def __init__(self, emulator: Emulator, options: Options, state: Path | None = None) -> None:
        self._emulator = emulator
        self._state = state
        self._kept = _read_state(state)
        self._offset = 0.0
        self._faults = Faults()
        self._background: asyncio.Task[None] | None = None
        self._warehouses: DataApi | None = None
        self._seed = options.seed
        self._streams = StreamService(emulator, self.now, options)
        self._expiry = Expiry(emulator, self._streams, self.now)
        self._functions = Functions(emulator, self._faults)
        destinations = Destinations(emulator, self._functions)
        self._mappings = Mappings(self._functions, self._streams, destinations, self.now)
        self._events = Events(self._functions, destinations, self._faults.strike_event, self.now)
        self._backups = Backups(emulator, self.now, export_seconds=options.export_seconds, seed=options.seed)
        TableChanges(self._faults.strike_change, self.now)
        self._firehose = Firehose(emulator, self._functions, self._faults.strike_records, self.now)
        self._schedules = Schedules(self.now)
        self._loops: Final = (self._mappings.loop, self._events.loop, self._firehose.loop, self._schedules.loop)
        self._calls: Final[Mapping[str, Callable[[Mapping[str, Any], Owner], Awaitable[Mapping[str, Any] | bytes]]]] = {
            STREAMS + "ListStreams": self._streams.list_streams,
            STREAMS + "DescribeStream": self._streams.describe_stream,
            STREAMS + "GetShardIterator": self._streams.get_shard_iterator,
            STREAMS + "GetRecords": self._streams.get_records,
            DYNAMODB + "DescribeTimeToLive": self._expiry.describe,
            DYNAMODB + "UpdateTimeToLive": self._expiry.update,
            DYNAMODB + "DescribeContinuousBackups": self._backups.describe,
            DYNAMODB + "UpdateContinuousBackups": self._backups.update,
            DYNAMODB + "ExportTableToPointInTime": self._backups.export,
            DYNAMODB + "DescribeExport": self._backups.describe_export,
            DYNAMODB + "ListExports": self._backups.list_exports,
        }

    def now(self) -> float:
        """Unix seconds of the movable clock."""
        return time.time() + self._offset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._emulator(scope, receive, self._around_life(send))
        elif scope["type"] != "http":
            await self._emulator(scope, receive, send)
        elif scope["path"].startswith(CONTROL):
            await self._control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    # ---- requests of AWS clients

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        target = headers.get("x-amz-target", "")
        if not self._faults:
            await self._route(scope, receive, send, target, headers)
            return
        body = await _body(receive)
        operation = operation_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), target)
        fault = self._faults.strike(operation, tables_of(scope["path"], body))
        if fault is None or fault.kind == "slow":
            await asyncio.sleep(fault.seconds if fault is not None else 0)
            await self._route(scope, _again(body), send, target, headers)
        elif fault.kind == "lost_answer":
            await self._route(scope, _again(body), _nowhere, target, headers)
            await _answer_error(scope, send, target, ServiceError(_FAILED[bool(target)], "planned: lost answer", 500))
        elif scope["path"].startswith(FUNCTIONS):
            await _answer_error(scope, send, target, _planned_invoke(fault))
        else:
            await _answer_error(scope, send, target, _planned(fault, target))

    async def _route(self, scope: Scope, receive: Receive, send: Send, target: str, headers: Mapping[str, str]) -> None:
        owner = Owner.of_request(headers.get("authorization", ""))
        operation = target.removeprefix(DYNAMODB)
        if target.startswith((STREAMS, REDSHIFT)) or target in self._calls:
            await self._answer(scope, receive, send, target, owner)
        elif operation == target or operation.startswith(READS):
            await self._emulator(scope, receive, send)
        elif operation in STATEMENTS:
            body = await _body(receive)
            if _writes_by_statement(body):
                await _answer_error(scope, send, target, ServiceError("ValidationException", _NO_STATEMENTS))
                return
            await self._emulator(scope, _again(body), send)
        elif "Table" in operation:
            body = await _body(receive)
            table = next(iter(tables_of("", body)), "")
            if operation == "UpdateTable" and await self._keeps_its_stream(table, owner, body):
                message = f"Table already has an enabled stream: TableName: {table}"
                await _answer_error(scope, send, target, ServiceError("ValidationException", message))
                return
            await self._emulator(scope, _again(body), self._after_table_change(send, operation, table, owner))
        else:
            await self._emulator(scope, receive, self._after_write(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send, target: str, owner: Owner) -> None:
        """What is answered here."""
        try:
            request = json.loads(await _body(receive) or b"{}")
            if not isinstance(request, dict):
                raise ServiceError("UnknownOperationException", target)
            answer = await self._called(target, request, owner)
        except ValueError as error:
            await _answer_error(scope, send, target, ServiceError("SerializationException", str(error)))
        except ServiceError as error:
            await _answer_error(scope, send, target, error)
        else:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            await _send(send, 200, body, _AWS_JSON)

    async def _called(self, target: str, request: Mapping[str, Any], owner: Owner) -> Mapping[str, Any] | bytes:
        if target.startswith(REDSHIFT):
            return await self._redshift().call(target.removeprefix(REDSHIFT), request, owner)
        if target not in self._calls:
            raise ServiceError("UnknownOperationException", target)
        return await self._calls[target](request, owner)

    def _redshift(self) -> DataApi:
        """Made when it is first asked for: few want it, and it brings PostgreSQL."""
        if self._warehouses is None:
            try:
                from tailrace.local.redshift.data_api import DataApi
            except ModuleNotFoundError as error:
                message = f"{error.name} is missing: pip install 'tailrace[redshift-local]'"
                raise ServiceError("InternalServerException", message, 500) from error
            self._warehouses = DataApi(self._emulator, self.now, self._faults.strike_statement, self._seed)
        return self._warehouses

    def _after_write(self, send: Send) -> Send:
        """Changes are in the stream before the write that made them is answered."""

        async def wrapped(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._streams.take_changes()
                self._mappings.loop.wake()
            await send(message)

        return wrapped

    def _after_table_change(self, send: Send, operation: str, table: str, owner: Owner) -> Send:
        async def wrapped(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and table:
                await self._streams.register(table, owner)
                if operation == "DeleteTable" and message["status"] == 200:
                    self._expiry.forget(table, owner)
                    self._backups.forget(table, owner)
            await send(message)

        return wrapped

    async def _keeps_its_stream(self, table: str, owner: Owner, body: bytes) -> bool:
        """Whether an UpdateTable would switch on what is on: a stream's view type never changes."""
        wanted = _document(body).get("StreamSpecification") or {}
        current = await self._streams.register(table, owner)
        if current is not None:
            self._streams.take_changes_of(current)  # the last ones, should this switch it off
        return bool(wanted.get("StreamEnabled")) and current is not None

    # ---- clock and faults

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/_tailrace/clock`` and ``/_tailrace/faults``: JSON in, JSON out."""
        what, method = scope["path"].removeprefix(CONTROL), scope["method"]
        calls = {"clock": self._control_clock, "faults": self._control_faults, "redshift": self._control_redshift}
        try:
            request = _control_document(await _body(receive))
            if what not in calls or method not in ("GET", "POST", "DELETE"):
                raise ValueError(
                    f"{method} {scope['path']} is not known; there are {', '.join(CONTROL + name for name in calls)}"
                )
            answer = await calls[what](method, request)
        except (ValueError, LookupError) as error:
            await _send_control(send, 400, {"error": str(error), "example": _EXAMPLES.get(what, _EXAMPLES["clock"])})
        else:
            await _send_control(send, 200, answer)

    async def _control_redshift(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Where drivers find a warehouse."""
        warehouse = request.get("warehouse")
        if method != "POST" or not isinstance(warehouse, str) or not warehouse:
            raise ValueError("POST the name of a warehouse")
        try:
            return {"host": "127.0.0.1", "port": await self._redshift().listen(warehouse)}
        except ServiceError as error:
            raise LookupError(str(error)) from error

    async def _control_clock(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if method == "DELETE":
            raise ValueError("the clock cannot be deleted")
        if method == "POST":
            if len(request) != 1 or not request.keys() <= {"advance_seconds", "set"}:
                raise ValueError("name either advance_seconds or set, in seconds")
            ((name, value),) = request.items()
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**11:
                raise ValueError(f"{name} is a number of seconds, not {value!r}")
            seconds = value if name == "advance_seconds" else value - self.now()
            if seconds < 0:
                raise ValueError("the clock only goes forward")
            self._streams.settle()  # what was written until now is older than what comes
            self._schedules.call_due()  # so that one that is new is not new behind the move
            self._offset += seconds
            await self._expiry.expire()
            self._streams.settle()
            await self._backups.settle()
            for loop in self._loops:
                loop.wake()
        return {"now": self.now()}

    async def _control_faults(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        if method == "DELETE":
            self._faults.clear()
        elif method == "POST":
            kind = request.get("kind")
            if kind in KINDS:
                self._faults.add(Fault.from_request(request))
            elif kind in _AT_ONCE:
                answer = self._change_stream(request)
            else:
                raise ValueError(f"kind is one of {', '.join((*_AT_ONCE, *KINDS))}, not {kind!r}")
        return {"faults": self._faults.to_json(), **answer}

    def _change_stream(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What happens at once, to the stream of one table."""
        kind = request["kind"]
        if kind == "fail_export":
            self._backups.fail_next(str(request.get("table")), str(request.get("code", "S3AccessDenied")))
            return {}
        unknown = request.keys() - {"kind", "table", *_AT_ONCE[kind]}
        if unknown or not isinstance(request.get("table"), str):
            allowed = ", ".join(("table", *_AT_ONCE[kind]))
            raise ValueError(f"{kind} has {allowed}" + "".join(f"; {name} is not known" for name in sorted(unknown)))
        stream = self._streams.current(request["table"])
        self._streams.settle()
        match kind:
            case "split":
                return {"children": stream.model.split(request.get("shard"), self.now())}
            case "roll":
                return {"children": stream.model.roll(request.get("shard"), self.now())}
            case "trim":
                stream.model.trim(self.now(), everything=True)
            case "hide_children":
                stream.model.hide_children_seconds = check_seconds(request.get("seconds", 5))
            case "expire_iterators":
                stream.iterator_generation += 1
            case "duplicate":
                stream.duplicates += check_count(request.get("count", 1))
        return {}

    # ---- life

    def _around_life(self, send: Send) -> Send:
        async def wrapped(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._start()
            elif message["type"] == "lifespan.shutdown.complete":
                await self._stop()
            await send(message)

        return wrapped

    async def _start(self) -> None:
        if self._kept is not None:
            self._offset = self._kept["clock_offset"]
            self._expiry.resume(self._kept["expiry"])
            await self._streams.resume(self._kept["streams"])
            self._mappings.resume(self._kept.get("mappings", {}))
            self._kept = None
        self._background = asyncio.create_task(self._expire_for_ever())
        for loop in self._loops:
            loop.start()

    async def _stop(self) -> None:
        if self._background is not None:
            self._background.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._background
        self._functions.stop()
        for loop in self._loops:
            await loop.stop()
        if self._warehouses is not None:
            await self._warehouses.close()
        if self._state is not None:
            self._streams.settle()
            document = {
                "format": STATE_FORMAT,
                "clock_offset": self._offset,
                "expiry": self._expiry.to_json(),
                "streams": self._streams.to_json(),
                "mappings": self._mappings.to_json(),
            }
            part = self._state.with_suffix(".part")
            part.write_text(json.dumps(document))
            os.replace(part, self._state)

    async def _expire_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TTL_SECONDS)
            with contextlib.suppress(ServiceError):
                await self._expiry.expire()


_NO_STATEMENTS: Final = "tailrace local writes no records for PartiQL; use PutItem, UpdateItem or DeleteItem"
_AT_ONCE: Final = {
    "split": ("shard",),
    "roll": ("shard",),
    "trim": (),
    "hide_children": ("seconds",),
    "expire_iterators": (),
    "duplicate": ("count",),
    "fail_export": ("code",),
}
_EXAMPLES: Final = {
    "clock": {"advance_seconds": 3600},
    "faults": {"kind": "throttle", "operation": "GetRecords", "table": "orders", "count": 3},
}


def _read_state(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
        if kept["format"] != STATE_FORMAT:
            raise ValueError(f"format {kept['format']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageInvalid(
            f"The kept streams cannot be read: {error}", hint="Use another --dir, or delete the file.", file=path
        ) from error
    return dict(kept)


# ---- HTTP

_AWS_JSON: Final = b"application/x-amz-json-1.0"
_FAILED: Final = {True: "InternalServerError", False: "InternalError"}  # of JSON services, of S3
_S3_CODES: Final = {403: "AccessDenied", 404: "NoSuchKey", 409: "ConditionalRequestConflict", 412: "PreconditionFailed"}


def _planned(fault: Fault, target: str) -> ServiceError:
    if fault.kind == "throttle":
        if not target:
            return ServiceError("SlowDown", "planned: please reduce your request rate", 503)
        code = "LimitExceededException" if target.startswith(STREAMS) else "ProvisionedThroughputExceededException"
        if target.startswith(FIREHOSE):
            return ServiceError("ServiceUnavailableException", "planned: slow down", 503)
        if target.startswith(REDSHIFT):
            code = "ActiveStatementsExceededException" if "Execute" in target else "ThrottlingException"
        return ServiceError(code, "planned: throttled", 400)
    codes = {403: "AccessDeniedException"} if target else _S3_CODES
    return ServiceError(codes.get(fault.status, _FAILED[bool(target)]), "planned: the service failed", fault.status)


def _planned_invoke(fault: Fault) -> ServiceError:
    if fault.kind == "throttle":
        return ServiceError("TooManyRequestsException", "planned: Rate Exceeded.", 429)
    return ServiceError("ServiceException", "planned: the service failed", fault.status)


def _writes_by_statement(body: bytes) -> bool:
    """Whether PartiQL here is more than SELECT: the emulator would carry it out and leave nothing in the stream."""
    request = _document(body)
    statements = [request, *request.get("Statements", ()), *request.get("TransactStatements", ())]
    texts = [str(statement["Statement"]) for statement in statements if "Statement" in statement]
    return any(not text.lstrip().upper().startswith("SELECT") for text in texts)


def _control_document(body: bytes) -> dict[str, Any]:
    """Raises ValueError with a sentence."""
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ValueError(f"the request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ValueError("a JSON object is wanted")
    return request


def _document(body: bytes) -> dict[str, Any]:
    """A request's JSON; empty where there is none, which the emulator then answers in its own way."""
    try:
        request = json.loads(body)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(chunks)


def _again(body: bytes) -> Receive:
    """Receive a body that was read already."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nowhere(message: dict[str, Any]) -> None:
    """An answer that nobody gets."""


async def _answer_error(scope: Scope, send: Send, target: str, error: ServiceError) -> None:
    if scope["path"].startswith(FUNCTIONS):
        document = {"Type": "Service", "message": str(error)}
        kind = (b"x-amzn-errortype", error.code.encode())
        await _send(send, error.status, json.dumps(document).encode(), b"application/json", kind)
    elif target:
        document = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", "message": str(error)}
        await _send(send, error.status, json.dumps(document).encode(), _AWS_JSON)
    else:
        text = f"<?xml version='1.0'?><Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message></Error>"
        await _send(send, error.status, b"" if scope["method"] == "HEAD" else text.encode(), b"application/xml")


async def _send_control(send: Send, status: int, document: Mapping[str, Any]) -> None:
    await _send(send, status, json.dumps(document).encode() + b"\n", b"application/json")


async def _send(send: Send, status: int, body: bytes, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
