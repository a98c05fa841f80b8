"""The emulator behind the endpoint: ministack, in this process. This file knows it, and of its functions `functions/emulated.py`.

Calls go through its own front door. Only a table's new changes are taken from it directly, because they are wanted before the
write that made them is answered, and cost nothing there.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

Watcher: TypeAlias = Callable[[str, list[str], Mapping[str, Any] | None, Mapping[str, Any] | None], None]
"""Gets the table's ARN, the names of its key attributes, and the item before and after."""

DYNAMODB: Final = "DynamoDB_20120810."
_CREDENTIAL: Final = re.compile(r"Credential=([^/,]+)/[0-9]*/([a-z0-9-]+)/")


Key: TypeAlias = tuple[str, str]
"""Of an item, as the emulator files it."""

NO_SORT_KEY: Final = "__no_sort__"
PAGE_BYTES: Final = 1 << 20  # of Scan
CHANGES_MAX: Final = 1000  # in an order of keys before sorting anew is cheaper


class _Order:
    """A table's keys in the order of a Scan. `items` are the emulator's own; other ones have another order."""

    def __init__(self, items: MutableMapping[str, dict[str, Any]]) -> None:
        self.items = items
        self._keys = sorted((pk, sk) for pk, held in items.items() for sk in held)
        self._changes: list[tuple[Key, bool]] = []

    def change(self, key: Key, is_there: bool) -> bool:
        """A key came or went. False: too many have, begin anew."""
        self._changes.append((key, is_there))
        return len(self._changes) <= CHANGES_MAX

    def keys_after(self, key: Key | None) -> Iterator[Key]:
        for changed, is_there in self._changes:
            if is_there:
                insort(self._keys, changed)
            else:
                del self._keys[bisect_left(self._keys, changed)]
        self._changes.clear()
        keys, first = self._keys, 0 if key is None else bisect_right(self._keys, key)
        return (keys[place] for place in range(first, len(keys)))


@dataclass(frozen=True, slots=True)
class Answer:
    """The emulator's answer to a request; the headers' names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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
        self._orders: dict[str, _Order] = {}
        self._scan, dynamodb._scan = dynamodb._scan, self._scan_page
        self._set, dynamodb._set_item = dynamodb._set_item, self._set_item
        self._remove, dynamodb._remove_item = dynamodb._remove_item, self._remove_item

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

    def _scan_page(self, request: dict[str, Any]) -> Any:
        """A page of Scan, for the price of a page: left alone, the emulator sorts and hashes the whole table for each.

        It is shown only the items that the page can hold, and one more.
        """
        tables = self._tables._tables
        name = self._tables._normalize_table_name(request.get("TableName"))
        table = tables.get(name)
        if not table or request.get("IndexName"):
            return self._scan(request)
        try:
            shown = self._items_of_page(table, request)
        except (TypeError, ValueError, AttributeError, KeyError):
            return self._scan(request)  # which says what is wrong with it
        tables[name] = {**table, "items": shown}
        try:
            return self._scan(request)
        finally:
            tables[name] = table

    def _items_of_page(self, table: dict[str, Any], request: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        order = self._orders.get(table["TableArn"])
        if order is None or order.items is not table["items"]:
            order = self._orders[table["TableArn"]] = _Order(table["items"])
        begin, limit = request.get("ExclusiveStartKey"), request.get("Limit")
        segment, segments = int(request.get("Segment") or 0), int(request.get("TotalSegments") or 1)
        size_left, count_left = PAGE_BYTES, int(limit or PAGE_BYTES)
        shown: dict[str, dict[str, Any]] = {}
        for pk, sk in order.keys_after(None if begin is None else self._key_of(table, begin)):
            if segments > 1 and _segment_of(pk, segments) != segment:
                continue
            item = shown.setdefault(pk, {})[sk] = table["items"][pk][sk]
            if size_left < 0 or count_left <= 0:
                break
            size_left -= self._tables._item_size_bytes(item)
            count_left -= 1
        return shown

    def _key_of(self, table: Mapping[str, Any], item: Mapping[str, Any]) -> Key:
        key_value, sort = self._tables._extract_key_val, table["sk_name"]
        return key_value(item[table["pk_name"]]), key_value(item[sort]) if sort else NO_SORT_KEY

    def _set_item(self, table: dict[str, Any], pk: str, sk: str, item: Any) -> Any:
        old = self._set(table, pk, sk, item)
        if old is None:
            self._changed(table, (pk, sk), is_there=True)
        return old

    def _remove_item(self, table: dict[str, Any], pk: str, sk: str) -> Any:
        old = self._remove(table, pk, sk)
        if old is not None:
            self._changed(table, (pk, sk), is_there=False)
        return old

    def _changed(self, table: dict[str, Any], key: Key, *, is_there: bool) -> None:
        order = self._orders.get(table["TableArn"])
        if order is not None and not order.change(key, is_there):
            del self._orders[table["TableArn"]]

    async def put_object(self, bucket: str, key: str, data: bytes, owner: Owner) -> int:
        """PutObject; the HTTP status."""
        path = f"/{bucket}/{quote(key)}"
        return (await self.request("PUT", path, data, {"authorization": owner.authorization_of("s3")})).status

    async def get_object(self, bucket: str, key: str, owner: Owner) -> bytes | None:
        """GetObject; None where there is no such object."""
        answer = await self.request(
            "GET", f"/{bucket}/{quote(key)}", b"", {"authorization": owner.authorization_of("s3")}
        )
        return answer.body if answer.status == 200 else None

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
        answer = await self.request("POST", "/", json.dumps(request).encode(), headers)
        document = json.loads(answer.body or b"{}")
        if answer.status >= 400:
            code = str(document.get("__type", "InternalServerError")).rpartition("#")[2]
            raise ServiceError(code, document.get("message") or document.get("Message") or code, answer.status)
        return dict(document)

    async def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Through the emulator's own front door."""
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
        start = next(m for m in sent if m["type"] == "http.response.start")
        answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        data = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
        return Answer(start["status"], answered, data)


def _segment_of(pk: str, segments: int) -> int:
    """In which segment of a parallel Scan the emulator puts a partition."""
    return int.from_bytes(sha1(pk.encode(), usedforsecurity=False).digest()[:4], "big") % segments
