"""The poller's port over real boto3 against the embedded endpoint: paging, iterators, errors in our words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.aws import Aws, AwsSettings
from tailrace.capture.raw import take_out
from tailrace.capture.records import line_of
from tailrace.capture.streams import DynamoDbStreamSource
from tailrace.clock import Budget, SystemClock
from tailrace.errors import (
    IteratorExpired,
    NotFound,
    PermissionMissing,
    ServiceUnavailable,
    StreamTrimmed,
    StreamViewUnsupported,
    Throttled,
    UserFault,
)
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.landing import Landing
from tailrace.local.client import LocalAws
from tailrace.model.positions import SequenceNumber
from tailrace.testing.source import published
from tailrace.testing.stores import MemoryStore

pytestmark = pytest.mark.embedded
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def local() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def aws(local: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in local.env().items():
        monkeypatch.setenv(name, value)
    return Aws(AwsSettings(region="us-east-1", endpoint_url=local.endpoint_url))


@pytest.fixture
def dynamodb(aws: Aws) -> Any:
    return aws.client("dynamodb")


@pytest.fixture
def table(dynamodb: Any) -> str:
    name = f"streamed-{next(NUMBERS)}"
    create(dynamodb, name, {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    return name


@pytest.fixture
def source(aws: Aws, table: str) -> DynamoDbStreamSource:
    source = DynamoDbStreamSource(aws.client("dynamodb", attempts=2), aws.client("dynamodbstreams", attempts=2), table)
    source.incarnation()
    return source


def create(dynamodb: Any, name: str, stream: dict[str, Any]) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=stream,
    )


def put(dynamodb: Any, table: str, *numbers: int) -> None:
    for number in numbers:
        item = {"pk": {"S": f"key-{number}"}, "sk": {"N": str(number)}, "raw": {"B": b"\x00\xff"}}
        dynamodb.put_item(TableName=table, Item=item)


def test_the_incarnation_names_table_stream_and_key(source: DynamoDbStreamSource, table: str) -> None:
    incarnation = source.incarnation()
    assert (incarnation.table, incarnation.region, len(incarnation.account)) == (table, "us-east-1", 12)
    assert incarnation.stream_arn.startswith(f"arn:aws:dynamodb:us-east-1:{incarnation.account}:table/{table}/stream/")
    assert incarnation.view_type == "NEW_AND_OLD_IMAGES"
    assert incarnation.key_schema.to_json() == [{"name": "pk", "type": "S"}, {"name": "sk", "type": "N"}]


@pytest.mark.parametrize("stream", [{"StreamEnabled": True, "StreamViewType": v} for v in ("KEYS_ONLY", "OLD_IMAGE")])
def test_29_a_stream_without_new_images_is_refused_with_a_remedy(
    aws: Aws, dynamodb: Any, stream: dict[str, Any]
) -> None:
    name = f"unusable-{next(NUMBERS)}"
    create(dynamodb, name, stream)
    with pytest.raises(StreamViewUnsupported) as raised:
        DynamoDbStreamSource(dynamodb, aws.client("dynamodbstreams"), name).incarnation()
    assert stream["StreamViewType"] in raised.value.message
    assert "aws dynamodb update-table" in raised.value.hint
    assert raised.value.facts == {"table": name, "account": "000000000000", "region": "us-east-1"}


def test_29_a_table_without_a_stream_is_refused_with_a_remedy(aws: Aws, dynamodb: Any) -> None:
    name = f"unusable-{next(NUMBERS)}"
    create(dynamodb, name, {"StreamEnabled": False})
    with pytest.raises(StreamViewUnsupported, match="off"):
        DynamoDbStreamSource(dynamodb, aws.client("dynamodbstreams"), name).incarnation()


def test_a_stream_switched_off_is_refused(source: DynamoDbStreamSource, dynamodb: Any, table: str) -> None:
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    with pytest.raises(StreamViewUnsupported):
        source.incarnation()


def test_a_table_that_is_not_there_is_not_found(aws: Aws, dynamodb: Any) -> None:
    with pytest.raises(NotFound) as raised:
        DynamoDbStreamSource(dynamodb, aws.client("dynamodbstreams"), "nowhere").incarnation()
    assert raised.value.facts["operation"] == "DescribeTable"


def test_the_listing_has_all_pages_and_lineage(source: DynamoDbStreamSource, local: LocalAws, table: str) -> None:
    for _ in range(130):
        local.split(table)
    shards = source.shards()
    assert len(shards) == 1 + 2 * 130
    assert len({shard.shard_id for shard in shards}) == len(shards)
    ids = {shard.shard_id for shard in shards}
    assert sum(shard.parent is None for shard in shards) == 1
    assert all(shard.parent is None or shard.parent in ids for shard in shards)
    assert sum(shard.last is None for shard in shards) == 131
    assert all(shard.last is None or shard.first is None or shard.last >= shard.first for shard in shards)


def test_iterators_start_where_they_are_told(
    source: DynamoDbStreamSource, local: LocalAws, dynamodb: Any, table: str
) -> None:
    put(dynamodb, table, 0, 1, 2)
    (shard,) = source.shards()
    latest = source.iterator(shard.shard_id, latest=True)
    page = source.read(source.iterator(shard.shard_id))
    lines = [line_of(record) for record in page.records]
    assert len(lines) == 3
    assert b'"raw":{"B":"AP8="}' in lines[0].data
    assert [len(str(line.sequence_number)) >= 21 for line in lines] == [True] * 3
    behind = source.read(source.iterator(shard.shard_id, after=lines[0].sequence_number))
    assert [line_of(record) for record in behind.records] == lines[1:]
    put(dynamodb, table, 3)
    local.advance(2)  # a shard serves two readers a second
    assert len(source.read(latest).records) == 1
    assert page.next_iterator is not None
    first = source.read(page.next_iterator, limit=1)
    assert (len(first.records), source.read(first.next_iterator or "").records) == (1, [])


def test_records_make_the_same_lines_as_botocores_own(
    source: DynamoDbStreamSource, aws: Aws, dynamodb: Any, table: str
) -> None:
    item: dict[str, Any] = {
        "pk": {"S": "\u2028 \U0001f980"},
        "sk": {"N": "9007199254740993"},
        "b": {"B": b"\x00\xff"},
        "m": {"M": {"l": {"L": [{"BS": [b"a", b"bc"]}, {"NULL": True}, {"BOOL": False}, {"NS": ["1", "2.50"]}]}}},
    }
    dynamodb.put_item(TableName=table, Item=item)
    dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    plain = aws.client("dynamodbstreams")
    iterator = source.iterator(source.shards()[0].shard_id)
    expected = [line_of(record) for record in plain.get_records(ShardIterator=iterator)["Records"]]
    assert [line_of(record) for record in source.read(iterator).records] == expected
    assert [record["eventName"] for record in source.read(iterator).records] == ["INSERT", "REMOVE"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"Records":', b"[" * 100_000])
def test_an_answer_that_is_none_is_left_to_botocore(body: bytes) -> None:
    answer: dict[str, Any] = {"status_code": 200, "body": body}
    records: dict[str, Any] = {}
    take_out("Records", answer, records)
    assert (answer["body"], records) == (body, {})


def test_a_closed_shard_ends_with_no_iterator(
    source: DynamoDbStreamSource, local: LocalAws, dynamodb: Any, table: str
) -> None:
    put(dynamodb, table, 0)
    (shard,) = source.shards()
    local.roll(table)
    page = source.read(source.iterator(shard.shard_id))
    assert (len(page.records), page.next_iterator) == (1, None)


def test_20_an_expired_iterator(source: DynamoDbStreamSource, local: LocalAws, table: str) -> None:
    iterator = source.iterator(source.shards()[0].shard_id)
    local.shards("expire_iterators", table)
    with pytest.raises(IteratorExpired):
        source.read(iterator)


def test_22_a_trimmed_position(source: DynamoDbStreamSource, local: LocalAws, dynamodb: Any, table: str) -> None:
    put(dynamodb, table, 0, 1)
    (shard,) = source.shards()
    oldest = source.iterator(shard.shard_id)
    mark = line_of(source.read(oldest).records[0]).sequence_number
    local.shards("trim", table)
    with pytest.raises(StreamTrimmed):
        source.iterator(shard.shard_id, after=mark)
    with pytest.raises(StreamTrimmed) as raised:
        source.read(oldest)
    assert raised.value.facts["operation"] == "GetRecords"


def test_24_a_shard_that_is_not_there(source: DynamoDbStreamSource) -> None:
    with pytest.raises(NotFound) as raised:
        source.iterator("shardId-00000000000000000000-00000000")
    assert raised.value.facts["shard"] == "shardId-00000000000000000000-00000000"


def test_a_short_number_is_spelled_as_aws_wants_it(source: DynamoDbStreamSource) -> None:
    with pytest.raises(UserFault, match=r"SequenceNumber 0{20}7 is not of shard"):
        source.iterator(source.shards()[0].shard_id, after=SequenceNumber(7))


def test_an_iterator_that_is_none_is_the_callers_fault(source: DynamoDbStreamSource) -> None:
    with pytest.raises(UserFault):
        source.read("no iterator")


@pytest.mark.parametrize(
    ("fault", "error"), [({"kind": "throttle"}, Throttled), ({"kind": "error", "status": 500}, ServiceUnavailable)]
)
@pytest.mark.parametrize("operation", ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_17_18_19_faults_that_outlast_the_clients_own_retries(
    source: DynamoDbStreamSource, local: LocalAws, fault: dict[str, Any], error: type[Exception], operation: str
) -> None:
    shard = source.shards()[0].shard_id
    iterator = source.iterator(shard)
    calls: dict[str, Any] = {
        "DescribeTable": source.incarnation,
        "DescribeStream": source.shards,
        "GetShardIterator": lambda: source.iterator(shard),
        "GetRecords": lambda: source.read(iterator),
    }
    local.fault(operation=operation, count=20, **fault)
    try:
        with pytest.raises(error) as raised:
            calls[operation]()
    finally:
        local.clear_faults()
    assert raised.value.facts["operation"] == operation  # type: ignore[attr-defined]
    calls[operation]()


def test_60_a_denied_call_says_which_permission_is_missing(source: DynamoDbStreamSource) -> None:
    class Denying:
        """botocore's own error, as its parser builds it from an AccessDeniedException."""

        def describe_stream(self, **_: Any) -> Any:
            from botocore.exceptions import ClientError

            answer = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
            raise ClientError(answer, "DescribeStream")

    source._streams = Denying()
    with pytest.raises(PermissionMissing) as raised:
        source.shards()
    assert "DescribeStream" in raised.value.hint
    assert raised.value.facts["table"] == source.table


def test_no_endpoint_is_unavailable(aws: Aws) -> None:
    closed = Aws(AwsSettings(region="us-east-1", endpoint_url="http://127.0.0.1:9"))
    source = DynamoDbStreamSource(closed.client("dynamodb", attempts=1), closed.client("dynamodbstreams"), "orders")
    with pytest.raises(ServiceUnavailable):
        source.incarnation()


def test_capture_over_boto3_with_threads_and_splits(
    source: DynamoDbStreamSource, local: LocalAws, dynamodb: Any, table: str
) -> None:
    landing, clock = Landing(MemoryStore(), table), SystemClock()
    capturer = Capturer(source, landing, CaptureSettings(flush_seconds=0.2), clock, "boto3")
    try:
        for round_ in range(3):
            put(dynamodb, table, *range(20 * round_, 20 * round_ + 20))
            local.split(table)
        report = capturer.tick(Budget(clock, 60))
    finally:
        capturer.close()
    assert report.caught_up
    assert (report.records, report.open_shards, report.state) == (60, 4, "CONSISTENT")
    assert len({number for number, _ in published(landing)}) == 60
