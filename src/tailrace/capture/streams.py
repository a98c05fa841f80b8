"""DynamoDB Streams through boto3 clients: the poller's `StreamSource`. Knows calls and errors, no rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from tailrace.aws import called
from tailrace.capture.raw import keep_raw
from tailrace.capture.source import PAGE_RECORDS, RecordsPage
from tailrace.errors import StreamViewUnsupported
from tailrace.model.keys import KeySchema
from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber, parse_sequence_number
from tailrace.model.shards import ShardInfo

USABLE_VIEWS: Final = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")

Answer = TypeVar("Answer")


class DynamoDbStreamSource:
    """One table's stream; keeps `tailrace.capture.source.StreamSource`. The clients may be shared between threads.

    Records come as the service wrote them, binary as base64 text and moments as seconds.
    """

    def __init__(self, dynamodb: Any, streams: Any, table: str) -> None:
        keep_raw(streams, "dynamodb-streams", "GetRecords", "Records")
        self._dynamodb = dynamodb
        self._streams = streams
        self.table = table
        self._stream_arn = ""

    def incarnation(self) -> Incarnation:
        answer = self._call("DescribeTable", lambda: self._dynamodb.describe_table(TableName=self.table))
        table = answer["Table"]
        view = table.get("StreamSpecification", {}).get("StreamViewType")
        _, _, _, region, account, _ = table["TableArn"].split(":", 5)
        if view not in USABLE_VIEWS or not table.get("LatestStreamArn"):
            raise StreamViewUnsupported(
                f"The table's stream is {f'of view type {view}' if view else 'off'}; Tailrace needs new images",
                hint=f"aws dynamodb update-table --table-name {self.table} "
                "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
                + (" (switch the old stream off first)" if view else ""),
                table=self.table,
                account=account,
                region=region,
            )
        self._stream_arn = table["LatestStreamArn"]
        return Incarnation(
            account=account,
            region=region,
            table=self.table,
            table_id=table["TableId"],
            stream_arn=self._stream_arn,
            view_type=view,
            key_schema=KeySchema.from_table_description(table),
        )

    def shards(self) -> Sequence[ShardInfo]:
        shards: list[ShardInfo] = []
        request: dict[str, Any] = {"StreamArn": self._stream_arn}
        while True:
            answer = self._call("DescribeStream", functools.partial(self._streams.describe_stream, **request))
            description = answer["StreamDescription"]
            shards.extend(map(_shard_info, description["Shards"]))
            last = description.get("LastEvaluatedShardId")
            if not last:
                return shards
            request["ExclusiveStartShardId"] = last

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        kind = {"ShardIteratorType": "LATEST" if latest else "TRIM_HORIZON"}
        if after is not None:
            kind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": _spelled(after)}
        answer = self._call(
            "GetShardIterator",
            lambda: self._streams.get_shard_iterator(StreamArn=self._stream_arn, ShardId=shard_id, **kind),
            shard=shard_id,
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def read(self, iterator: str, limit: int = PAGE_RECORDS) -> RecordsPage:
        answer = self._call("GetRecords", lambda: self._streams.get_records(ShardIterator=iterator, Limit=limit))
        return RecordsPage(answer["Records"], answer.get("NextShardIterator"))

    def _call(self, operation: str, call: Callable[[], Answer], **facts: Any) -> Answer:
        return called(operation, call, table=self.table, **facts)


def _spelled(number: SequenceNumber) -> str:
    """AWS wants at least 21 characters."""
    return f"{number:021d}"


def _shard_info(shard: Any) -> ShardInfo:
    numbers = shard["SequenceNumberRange"]
    first, last = numbers.get("StartingSequenceNumber"), numbers.get("EndingSequenceNumber")
    return ShardInfo(
        shard_id=shard["ShardId"],
        parent=shard.get("ParentShardId"),
        first=None if first is None else parse_sequence_number(first),
        last=None if last is None else parse_sequence_number(last),
    )
