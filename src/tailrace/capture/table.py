"""The table port: reading items themselves, consistently. Verification and repair look at the table through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from tailrace.aws import translate
from tailrace.errors import Throttled

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
"""An item or a key as boto3's client gives it: typed values, binaries as bytes."""

BATCH_KEYS_MAX: Final = 100  # of BatchGetItem
UNPROCESSED_ROUNDS_MAX: Final = 20  # answers in a row that leave keys unread before we call it throttling


class TableSource(Protocol):
    """One table's items. Raises Throttled, ServiceUnavailable, PermissionMissing, NotFound."""

    def scan(self, scan_segment: int, scan_segments: int) -> Iterator[Sequence[Item]]:
        """One part of a parallel scan, page by page; strongly consistent. Pages may be empty."""

    def get_items(self, keys: Sequence[Item]) -> list[Item]:
        """The items under these distinct keys that exist, in any order; strongly consistent."""


class DynamoDbTable:
    """`TableSource` over a boto3 DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def scan(self, scan_segment: int, scan_segments: int) -> Iterator[Sequence[Item]]:
        position: dict[str, Any] = {}
        while True:
            page = self._call(
                "Scan",
                self._client.scan,
                TableName=self._table,
                ConsistentRead=True,
                Segment=scan_segment,
                TotalSegments=scan_segments,
                **position,
            )
            yield page.get("Items", [])
            if "LastEvaluatedKey" not in page:
                return
            position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

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
        try:
            return method(**arguments)
        except Exception as error:
            raise translate(error, operation=operation, table=self._table) from error
