"""The table port: reading items themselves, consistently. Backfill, verification and repair look at the table through it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from tailrace.aws import called
from tailrace.capture.raw import keep_raw
from tailrace.errors import Throttled
from tailrace.model.scan import ScanPosition

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
"""An item or a key as boto3's client gives it: typed values, binaries as bytes."""

BATCH_KEYS_MAX: Final = 100  # of BatchGetItem
UNPROCESSED_ROUNDS_MAX: Final = 20  # answers in a row that leave keys unread before we call it throttling


@dataclass(frozen=True, slots=True)
class ScanPage:
    """One answer of Scan. `after`: where the next page begins; None only at the end of the scan segment.

    `units`: the read capacity it consumed, as the service counted it.
    """

    items: Sequence[Item]
    after: ScanPosition | None
    units: int


class TableSource(Protocol):
    """One table's items. Raises Throttled, ServiceUnavailable, PermissionMissing, NotFound."""

    def scan_page(self, scan_segment: int, scan_segments: int, after: ScanPosition | None) -> ScanPage:
        """The page of a parallel scan behind `after` (None: the first); strongly consistent. It may be empty."""

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        """The items under these distinct keys that exist, in any order; strongly consistent."""


def scan_pages(table: TableSource, scan_segment: int, scan_segments: int) -> Iterator[Sequence[Item]]:
    """The items of one part of a parallel scan, page by page; strongly consistent. Pages may be empty."""
    page = table.scan_page(scan_segment, scan_segments, None)
    yield page.items
    while page.after is not None:
        page = table.scan_page(scan_segment, scan_segments, page.after)
        yield page.items


class DynamoDbTable:
    """`TableSource` over a boto3 DynamoDB client.

    `raw`: scanned items come as the service wrote them, binaries as base64 text, at a fraction of the cost; for all that use
    the client, so give it one of its own.
    """

    def __init__(self, client: Any, table: str, *, raw: bool = False) -> None:
        self._client = client
        self._table = table
        if raw:
            keep_raw(client, "dynamodb", "Scan", "Items")

    def scan_page(self, scan_segment: int, scan_segments: int, after: ScanPosition | None) -> ScanPage:
        page = self._call(
            "Scan",
            self._client.scan,
            TableName=self._table,
            ConsistentRead=True,
            Segment=scan_segment,
            TotalSegments=scan_segments,
            ReturnConsumedCapacity="TOTAL",
            **({} if after is None else {"ExclusiveStartKey": _key(after)}),
        )
        last = page.get("LastEvaluatedKey")
        units = math.ceil(page.get("ConsumedCapacity", {}).get("CapacityUnits", 0))
        return ScanPage(page.get("Items", []), None if last is None else _position(last), units)

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        for start in range(0, len(keys), BATCH_KEYS_MAX):
            found += self._get_batch(keys[start : start + BATCH_KEYS_MAX])
        return found

    def _get_batch(self, keys: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        wanted: dict[str, Any] = {self._table: {"Keys": list(keys), "ConsistentRead": True}}
        for _ in range(UNPROCESSED_ROUNDS_MAX):
            answer = self._call("BatchGetItem", self._client.batch_get_item, RequestItems=wanted)
            found += answer["Responses"].get(self._table, [])
            wanted = answer.get("UnprocessedKeys", {})
            if not wanted:
                return found
        raise Throttled("BatchGetItem left keys unread again and again", hint="Try again later.", table=self._table)

    def _call(self, operation: str, method: Any, **arguments: Any) -> Any:
        return called(operation, lambda: method(**arguments), table=self._table)


def _position(key: Item) -> ScanPosition:
    return {
        name: {tag: base64.b64encode(value).decode("ascii") if tag == "B" else value for tag, value in typed.items()}
        for name, typed in key.items()
    }


def _key(position: ScanPosition) -> Item:
    return {
        name: {tag: base64.b64decode(value) if tag == "B" else value for tag, value in typed.items()}
        for name, typed in position.items()
    }
