"""The emulator behind the endpoint: ministack, in this process. The one file that knows it.

Calls go through its own front door. Only a table's new changes are taken from it directly, because they are wanted before the
write that made them is answered, and cost nothing there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

Watcher: TypeAlias = Callable[[str, list[str], Mapping[str, Any] | None, Mapping[str, Any] | None], None]
"""Gets the table's ARN, the names of its key attributes, and the item before and after."""

DYNAMODB: Final = "DynamoDB_20120810."
_CREDENTIAL: Final = re.compile(r"Credential=([^/,]+)/[0-9]*/([a-z0-9-]+)/")


class ServiceError(Exception):
    """An answer with an error code, as AWS gives it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose tables: the emulator keeps accounts and regions apart."""

    account: str = "000000000000"
    region: str = "us-east-1"

    @classmethod
    def of_request(cls, authorization: str) -> Owner:
        """From a signature: its region, and its access key where that is an account's number."""
        found = _CREDENTIAL.search(authorization)
        if found is None:
            return cls()
        key, region = found.groups()
        return cls(key, region) if re.fullmatch("[0-9]{12}", key) else cls(region=region)

    @classmethod
    def of_arn(cls, arn: str) -> Owner:
        _, _, _, region, account, _ = arn.split(":", 5)
        return cls(account, region)

    def authorization_of(self, service: str) -> str:
        """Of a request in its name."""
        scope = f"{self.account}/20260101/{self.region}/{service}/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


class Emulator:
    """ministack. Raises ModuleNotFoundError where it is not installed."""

    def __init__(self) -> None:
        os.environ.pop("MINISTACK_ACCOUNT_ID", None)
        os.environ.pop("MINISTACK_REGION", None)
        from ministack.app import app
        from ministack.services import dynamodb
        from ministack.services.dynamodb import stream_records_since

        self._app = app
        self._tables = dynamodb
        self._watchers: list[Watcher] = []
        self._emit = dynamodb._emit_stream_event
        dynamodb._emit_stream_event = self._observe
        self._records_since = stream_records_since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any request, answered by the emulator alone."""
        await self._app(scope, receive, send)

    def watch(self, watcher: Watcher) -> None:
        """Call this with every write to any table, whether or not it has a stream, before the write is answered."""
        self._watchers.append(watcher)

    def _observe(self, table: str, event: str, old: Any, new: Any, *rest: Any, **more: Any) -> None:
        self._emit(table, event, old, new, *rest, **more)
        described = self._tables._tables.get(table)
        if described and (old or new):
            names = [key["AttributeName"] for key in described["KeySchema"]]
            for watcher in self._watchers:
                watcher(described["TableArn"], names, old or None, new or None)

    async def put_object(self, bucket: str, key: str, data: bytes, owner: Owner) -> int:
        """PutObject; the HTTP status."""
        path = f"/{bucket}/{quote(key)}"
        status, _ = await self._request("PUT", path, data, {"authorization": owner.authorization_of("s3")})
        return status

    async def get_object(self, bucket: str, key: str, owner: Owner) -> bytes | None:
        """GetObject; None where there is no such object."""
        status, body = await self._request(
            "GET", f"/{bucket}/{quote(key)}", b"", {"authorization": owner.authorization_of("s3")}
        )
        return body if status == 200 else None

    def changes_since(self, owner: Owner, table: str, position: int, limit: int) -> Sequence[Mapping[str, Any]]:
        """A table's stream records from a position on; it counts from 0 when the stream is switched on or the process starts."""
        found: Sequence[Mapping[str, Any]] = self._records_since(
            table, position, limit, account_id=owner.account, region=owner.region
        )
        return found

    async def call(self, operation: str, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        """One DynamoDB call. Raises ServiceError."""
        headers = {
            "x-amz-target": DYNAMODB + operation,
            "content-type": "application/x-amz-json-1.0",
            "authorization": owner.authorization_of("dynamodb"),
        }
        status, body = await self._request("POST", "/", json.dumps(request).encode(), headers)
        answer = json.loads(body or b"{}")
        if status >= 400:
            code = str(answer.get("__type", "InternalServerError")).rpartition("#")[2]
            raise ServiceError(code, answer.get("message") or answer.get("Message") or code, status)
        return dict(answer)

    async def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Through the emulator's own front door; status and body of the answer."""
        headers = {"host": "127.0.0.1", "content-length": str(len(body)), **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
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

        await self._app(scope, receive, send)
        status = next(m["status"] for m in sent if m["type"] == "http.response.start")
        return status, b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
