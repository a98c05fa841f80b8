"""The stream port: what Tailrace asks of DynamoDB Streams. The poller, the simulator and the tests all stand behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

PAGE_RECORDS: Final = 1000  # the most that GetRecords gives at once


@dataclass(frozen=True, slots=True)
class RecordsPage:
    """One answer of GetRecords: records as boto3 gives them, and the next iterator. None: the shard is read to its end."""

    records: Sequence[Mapping[str, Any]]
    next_iterator: str | None


class StreamSource(Protocol):
    """One table's stream.

    Raises StreamTrimmed, IteratorExpired, Throttled, ServiceUnavailable, PermissionMissing, NotFound,
    StreamViewUnsupported (from `incarnation`).
    """

    def incarnation(self) -> Incarnation:
        """Which table and stream answer under this name now (DescribeTable)."""

    def shards(self) -> Sequence[ShardInfo]:
        """The whole listing, all pages of it, in the service's order."""

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        """An iterator behind `after`, at the newest record, or (neither) at the oldest one that is left."""

    def read(self, iterator: str, limit: int = PAGE_RECORDS) -> RecordsPage:
        """The next records. Empty pages are normal."""
