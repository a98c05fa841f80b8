"""A plain boto3 consumer of DynamoDB Streams, as the tests of this folder need it."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config

from tailrace.local.client import LocalAws

Record = Mapping[str, Any]


class Account:
    """The clients of an endpoint, and what the tests do over and over with them. No call is repeated by botocore."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.dynamodb = self.client("dynamodb")
        self.streams = self.client("dynamodbstreams")
        self.s3 = self.client("s3")
        self._names = (f"table-{number}" for number in itertools.count())

    def client(self, service: str, region: str = "us-east-1", **config: Any) -> Any:
        config.setdefault("retries", {"total_max_attempts": 1})
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.aws.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(max_pool_connections=32, **config),
        )

    def raw(self, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """A JSON call that this botocore does not make: status and answer."""
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        call = urllib.request.Request(self.aws.endpoint_url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(call, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def table(self, view: str = "NEW_AND_OLD_IMAGES", *, name: str | None = None, sort: bool = False) -> str:
        """A new table with a stream; its name."""
        name = name or next(self._names)
        keys = [("pk", "HASH"), ("sk", "RANGE")][: 2 if sort else 1]
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": role} for key, role in keys],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )
        return name

    def put(self, table: str, pk: str, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=table, Item={"pk": {"S": pk}, **attributes})

    def put_many(self, table: str, count: int, *, prefix: str = "k", **attributes: Any) -> None:
        for start in range(0, count, 25):
            items = [{"pk": {"S": f"{prefix}{n}"}, **attributes} for n in range(start, min(start + 25, count))]
            requests = [{"PutRequest": {"Item": item}} for item in items]
            answer = self.dynamodb.batch_write_item(RequestItems={table: requests})
            assert not answer["UnprocessedItems"]

    def arn(self, table: str) -> str:
        arn: str = self.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        return arn

    def shards(self, arn: str, **request: Any) -> list[dict[str, Any]]:
        """All shards, paged through."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.streams.describe_stream(StreamArn=arn, **request)["StreamDescription"]
            found += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return found
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]

    def iterator(self, arn: str, shard: str, kind: str = "TRIM_HORIZON", **position: Any) -> str:
        answer = self.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **position)
        iterator: str = answer["ShardIterator"]
        return iterator

    def read_shard(self, arn: str, shard: str, kind: str = "TRIM_HORIZON", **position: Any) -> list[Record]:
        """To its end if it is closed, else to the first empty page."""
        return list(itertools.chain.from_iterable(self.pages(self.iterator(arn, shard, kind, **position))))

    def pages(self, iterator: str | None) -> Iterator[list[Record]]:
        while iterator is not None:
            answer = self.streams.get_records(ShardIterator=iterator)
            yield answer["Records"]
            iterator = answer.get("NextShardIterator")
            if not answer["Records"]:
                return

    def read(self, table: str) -> list[Record]:
        """Every record of a table's stream, each shard after its parent."""
        arn = self.arn(table)
        return [
            record for shard in parents_first(self.shards(arn)) for record in self.read_shard(arn, shard["ShardId"])
        ]


def parents_first(shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted so that no shard comes before its parent."""
    left = {shard["ShardId"]: shard for shard in shards}
    ordered: list[dict[str, Any]] = []
    while left:
        ready = [shard for shard in left.values() if shard.get("ParentShardId") not in left]
        assert ready, "the lineage is a circle"
        ordered += [left.pop(shard["ShardId"]) for shard in ready]
    return ordered


def numbers(records: list[Record]) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in records]


def keys(records: list[Record]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]


def range_of(shard: Mapping[str, Any]) -> tuple[int, int | None]:
    """First and last sequence number."""
    numbers = shard["SequenceNumberRange"]
    last = numbers.get("EndingSequenceNumber")
    return int(numbers["StartingSequenceNumber"]), None if last is None else int(last)
