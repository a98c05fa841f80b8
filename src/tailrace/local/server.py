"""The embedded AWS endpoint: an ASGI application in front of the emulator's own, in one process, on 127.0.0.1.

Streams, TTL, the clock and faults are answered here; every other request goes through to ministack unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from tailrace.local.faults import Fault, Faults
from tailrace.local.streams import Options, ServiceError, StreamService

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

STREAMS: Final = "DynamoDBStreams_20120810."
DYNAMODB: Final = "DynamoDB_20120810."
TTL_SECONDS: Final = 2.0  # between two looks for expired items
TTL_OLDEST_SECONDS: Final = 5 * 365 * 24 * 3600  # DynamoDB ignores older expiry times
AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


class LocalApp:
    """See the module. One instance serves one account; the region is taken from the first request that names a table."""

    def __init__(self, backend: App, options: Options) -> None:
        self._backend = backend
        self._offset = 0.0
        self._faults = Faults()
        self._ttl: dict[str, dict[str, Any]] = {}
        self._authorization = AUTHORIZATION
        self._lock = asyncio.Lock()  # streams and TTL look at the emulator one at a time
        self._background: asyncio.Task[None] | None = None
        self.streams = StreamService(self.call, self.now, options)

    def now(self) -> float:
        """Unix seconds of the movable clock."""
        return time.time() + self._offset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._backend(scope, receive, send)
            return
        if self._background is None:
            self._background = asyncio.create_task(self._expire_for_ever())
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        target = headers.get("x-amz-target", "")
        operation = _operation(scope, target)
        fault = self._faults.strike(operation, "") if not scope["path"].startswith("/_tailrace/") else None
        if fault is None or fault.kind == "slow":
            if fault is not None:
                await asyncio.sleep(fault.seconds)
            await self._route(scope, receive, send, target, headers)
        elif fault.kind == "lost_answer":
            await self._route(scope, receive, _nowhere, target, headers)
            await _answer_error(send, target, ServiceError("InternalServerError", "planned: the answer was lost", 500))
        else:
            await _body(receive)
            await _answer_error(send, target, _planned(fault, target))

    async def _route(self, scope: Scope, receive: Receive, send: Send, target: str, headers: Mapping[str, str]) -> None:
        if scope["path"].startswith("/_tailrace/"):
            await self._control(scope, receive, send)
        elif target.startswith(STREAMS):
            self._authorization = headers.get("authorization", self._authorization)
            await self._answer(receive, send, target, self._stream_call)
        elif target in (DYNAMODB + "UpdateTimeToLive", DYNAMODB + "DescribeTimeToLive"):
            self._authorization = headers.get("authorization", self._authorization)
            await self._answer(receive, send, target, self._ttl_call)
        else:
            await self._backend(scope, receive, send)

    # ---- what is answered here

    async def _answer(
        self,
        receive: Receive,
        send: Send,
        target: str,
        call: Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]],
    ) -> None:
        try:
            request = json.loads(await _body(receive) or b"{}")
            async with self._lock:
                answer = await call(target.rpartition(".")[2], request)
        except ValueError as error:
            await _answer_error(send, target, ServiceError("SerializationException", str(error)))
        except ServiceError as error:
            await _answer_error(send, target, error)
        else:
            await _send_json(send, 200, answer)

    async def _stream_call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        calls = {
            "ListStreams": self.streams.list_streams,
            "DescribeStream": self.streams.describe_stream,
            "GetShardIterator": self.streams.get_shard_iterator,
            "GetRecords": self.streams.get_records,
        }
        if operation not in calls:
            raise ServiceError("UnknownOperationException", operation)
        return await calls[operation](request)

    async def _ttl_call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """TTL is kept here, because the emulator would delete by the machine's clock and without a stream record."""
        table = str(request.get("TableName"))
        await self.call(DYNAMODB + "DescribeTable", {"TableName": table})
        if operation == "DescribeTimeToLive":
            specification = self._ttl.get(table)
            if specification is None:
                return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
            name = specification["AttributeName"]
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": name}}
        specification = request["TimeToLiveSpecification"]
        if specification["Enabled"]:
            self._ttl[table] = specification
        else:
            self._ttl.pop(table, None)
        return {"TimeToLiveSpecification": specification}

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/_tailrace/clock``, ``/_tailrace/faults`` and ``/_tailrace/shards``: JSON in, JSON out."""
        try:
            request = json.loads(await _body(receive) or b"{}")
            async with self._lock:
                answer = await self._controlled(scope["path"].removeprefix("/_tailrace/"), scope["method"], request)
        except (ValueError, KeyError, TypeError) as error:
            await _send_json(send, 400, {"error": f"{type(error).__name__}: {error}"})
        except ServiceError as error:
            await _send_json(send, error.status, {"error": str(error)})
        else:
            await _send_json(send, 200, answer)

    async def _controlled(self, what: str, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if what == "clock":
            if method == "POST":
                await self.streams.settle()  # what was written until now is older than what comes
                advance = request["advance_seconds"] if "advance_seconds" in request else request["set"] - self.now()
                self._offset += float(advance)
                await self._expire()
                await self.streams.settle()
            return {"now": self.now()}
        if what == "faults":
            if method == "DELETE":
                self._faults.clear()
            if method == "POST":
                self._faults.add(Fault.from_request(request))
            return {"faults": self._faults.to_json()}
        if what == "shards" and method == "POST":
            return await self._change_shards(request)
        raise ValueError(f"{method} {what} is not known")

    async def _change_shards(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """split, roll, trim or hide the shards of a table's stream, or expire all iterators."""
        action, table = request["action"], request["table"]
        if action in ("split", "roll"):
            return {"children": await self.streams.split(table, request.get("shard"), roll=action == "roll")}
        stream = await self.streams.register_table(table)
        if stream is None:
            raise ServiceError("ResourceNotFoundException", f"Table {table} has no stream")
        await self.streams.settle()
        if action == "trim":
            stream.model.trim(self.now(), everything=True)
        elif action == "hide_children":
            stream.model.hide_children_seconds = float(request["seconds"])
        elif action == "expire_iterators":
            self.streams.expire_iterators()
        else:
            raise ValueError(f"action {action!r} is none of split, roll, trim, hide_children, expire_iterators")
        return {}

    # ---- TTL

    async def _expire_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TTL_SECONDS)
            with contextlib.suppress(ServiceError):
                async with self._lock:
                    await self._expire()

    async def _expire(self) -> None:
        """Delete what has expired by the movable clock, as the service does: with an identity in the stream record."""
        for table, specification in list(self._ttl.items()):
            await self._expire_table(table, specification["AttributeName"])

    async def _expire_table(self, table: str, attribute: str) -> None:
        stream = await self.streams.register_table(table)
        await self.streams.settle()
        described = (await self.call(DYNAMODB + "DescribeTable", {"TableName": table}))["Table"]
        key_names = [key["AttributeName"] for key in described["KeySchema"]]
        now = int(self.now())
        start: dict[str, Any] = {}
        while True:
            page = await self.call(
                DYNAMODB + "Scan",
                {
                    "TableName": table,
                    "FilterExpression": "#t < :now AND #t > :oldest",
                    "ExpressionAttributeNames": {"#t": attribute},
                    "ExpressionAttributeValues": {
                        ":now": {"N": str(now)},
                        ":oldest": {"N": str(now - TTL_OLDEST_SECONDS)},
                    },
                    **start,
                },
            )
            for item in page["Items"]:
                key = {name: item[name] for name in key_names}
                if await self._delete_expired(table, key, attribute, item[attribute]) and stream is not None:
                    stream.expired_keys.add(json.dumps(key, sort_keys=True))
            await self.streams.settle()  # each key's next REMOVE is ours
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def _delete_expired(
        self, table: str, key: Mapping[str, Any], attribute: str, expiry: Mapping[str, Any]
    ) -> bool:
        """False when the item was written again in between."""
        try:
            await self.call(
                DYNAMODB + "DeleteItem",
                {
                    "TableName": table,
                    "Key": key,
                    "ConditionExpression": "#t = :expiry",
                    "ExpressionAttributeNames": {"#t": attribute},
                    "ExpressionAttributeValues": {":expiry": expiry},
                },
            )
        except ServiceError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    # ---- the emulator behind

    async def call(self, target: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One JSON call to the emulator through its own front door; raises ServiceError."""
        body = json.dumps(request).encode()
        headers = {
            "host": "127.0.0.1",
            "x-amz-target": target,
            "content-type": "application/x-amz-json-1.0",
            "content-length": str(len(body)),
            "authorization": self._authorization,
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._backend(scope, receive, send)
        status = next(m["status"] for m in sent if m["type"] == "http.response.start")
        answer = json.loads(b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body") or b"{}")
        if status >= 400:
            code = str(answer.get("__type", "InternalServerError")).rpartition("#")[2]
            raise ServiceError(code, answer.get("message") or answer.get("Message") or code, status)
        return dict(answer)


# ---- HTTP


def _operation(scope: Scope, target: str) -> str:
    """``PutItem`` from the target header; for S3 the call that method and path mean."""
    if target:
        return target.rpartition(".")[2]
    has_key = scope["path"].strip("/").count("/") > 0
    kind = "Object" if has_key else "Bucket"
    if scope["method"] == "GET" and not has_key:
        return "ListObjectsV2"
    return {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}.get(
        scope["method"], ""
    ) + kind


def _planned(fault: Fault, target: str) -> ServiceError:
    if fault.kind == "throttle":
        if not target:
            return ServiceError("SlowDown", "planned: please reduce your request rate", 503)
        code = "LimitExceededException" if target.startswith(STREAMS) else "ProvisionedThroughputExceededException"
        return ServiceError(code, "planned: throttled", 400)
    code = {403: "AccessDeniedException" if target else "AccessDenied"}.get(fault.status, "InternalServerError")
    return ServiceError(code, "planned: the service failed", fault.status)


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(chunks)


async def _nowhere(message: dict[str, Any]) -> None:
    """An answer that nobody gets."""


async def _answer_error(send: Send, target: str, error: ServiceError) -> None:
    if target:
        await _send_json(
            send, error.status, {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", "message": str(error)}
        )
        return
    text = f"<?xml version='1.0'?><Error><Code>{error.code}</Code><Message>{error}</Message></Error>"
    await _send(send, error.status, text.encode(), b"application/xml")


async def _send_json(send: Send, status: int, document: Mapping[str, Any]) -> None:
    await _send(send, status, json.dumps(document).encode(), b"application/x-amz-json-1.0")


async def _send(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
