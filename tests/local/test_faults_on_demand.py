"""Faults on demand, each as boto3 sees it, and what the control answers to wrong requests."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from stream_reader import Account, keys

from tailrace.errors import ServiceUnavailable
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


@pytest.fixture(autouse=True)
def _no_fault_is_left(aws: LocalAws) -> Any:
    yield
    assert aws._call("GET", "faults") == {"faults": []}
    aws.clear_faults()


def code_of(error: pytest.ExceptionInfo[Any]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "throttle"}, ("ProvisionedThroughputExceededException", 400)),
        ({"kind": "error"}, ("InternalServerError", 500)),
        ({"kind": "error", "status": 503}, ("InternalServerError", 503)),
        ({"kind": "error", "status": 403}, ("AccessDeniedException", 403)),
    ],
)
def test_a_write_fails_and_did_not_happen(
    aws: LocalAws, account: Account, table: str, fault: dict[str, Any], code: tuple[str, int]
) -> None:
    aws.fault(**fault, operation="PutItem", table=table)
    with pytest.raises(account.dynamodb.exceptions.ClientError) as error:
        account.put(table, "a")
    assert code_of(error) == code
    assert account.read(table) == []
    account.put(table, "a")
    assert keys(account.read(table)) == ["a"]


def test_a_lost_answer_was_carried_out(aws: LocalAws, account: Account, table: str) -> None:
    aws.fault("lost_answer", operation="PutItem", table=table)
    with pytest.raises(account.dynamodb.exceptions.InternalServerError):
        account.put(table, "a")
    assert keys(account.read(table)) == ["a"]


def test_botocore_repeats_by_itself_and_a_repeated_write_is_one_record(
    aws: LocalAws, account: Account, table: str
) -> None:
    aws.fault("lost_answer", operation="PutItem", table=table)
    patient = account.client("dynamodb", retries={"total_max_attempts": 3, "mode": "standard"})
    answer = patient.put_item(TableName=table, Item={"pk": {"S": "a"}})
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert keys(account.read(table)) == ["a"]


@pytest.mark.parametrize("operation", ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_every_call_of_streams_can_be_throttled_and_fail(
    aws: LocalAws, account: Account, table: str, operation: str
) -> None:
    arn = account.arn(table)
    (shard,) = account.shards(arn)
    iterator = account.iterator(arn, shard["ShardId"])

    def call() -> None:
        if operation == "ListStreams":
            account.streams.list_streams(TableName=table)
        elif operation == "DescribeStream":
            account.streams.describe_stream(StreamArn=arn)
        elif operation == "GetShardIterator":
            account.iterator(arn, shard["ShardId"])
        else:
            account.streams.get_records(ShardIterator=iterator)

    aws.fault("throttle", operation=operation, table=table)
    aws.fault("error", operation=operation, table=table, status=500)
    with pytest.raises(account.streams.exceptions.LimitExceededException):
        call()
    with pytest.raises(account.streams.exceptions.InternalServerError):
        call()
    call()


def test_a_slow_answer(aws: LocalAws, account: Account, table: str) -> None:
    aws.fault("slow", operation="GetItem", table=table, seconds=0.4)
    begun = time.monotonic()
    account.dynamodb.get_item(TableName=table, Key={"pk": {"S": "a"}})
    assert time.monotonic() - begun >= 0.4


def test_a_fault_strikes_its_table_alone_and_as_often_as_told(aws: LocalAws, account: Account, table: str) -> None:
    other = account.table()
    aws.fault("error", operation="BatchWriteItem", table=table, count=2)
    account.put_many(other, 5)
    account.put(table, "not a batch")
    for _ in range(2):
        with pytest.raises(account.dynamodb.exceptions.InternalServerError):
            account.put_many(table, 5)
    account.put_many(table, 5)
    transaction = [{"Put": {"TableName": table, "Item": {"pk": {"S": "t"}}}}]
    aws.fault("error", table=table)
    with pytest.raises(account.dynamodb.exceptions.InternalServerError):
        account.dynamodb.transact_write_items(TransactItems=transaction)


def test_faults_wait_in_line_until_cleared(aws: LocalAws, account: Account, table: str) -> None:
    aws.fault("error", table=table, count=5)
    planned = aws._call("GET", "faults")["faults"]
    assert [(fault["kind"], fault["table"], fault["count"]) for fault in planned] == [("error", table, 5)]
    aws.clear_faults()
    account.put(table, "a")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "throttle"}, ("SlowDown", 503)),
        ({"kind": "error"}, ("InternalError", 500)),
        ({"kind": "error", "status": 412}, ("PreconditionFailed", 412)),
        ({"kind": "error", "status": 409}, ("ConditionalRequestConflict", 409)),
        ({"kind": "error", "status": 403}, ("AccessDenied", 403)),
        ({"kind": "lost_answer"}, ("InternalError", 500)),
    ],
)
def test_s3_fails_as_s3(aws: LocalAws, account: Account, fault: dict[str, Any], code: tuple[str, int]) -> None:
    bucket = f"bucket-{fault['kind'].replace('_', '-')}-{fault.get('status', 0)}"
    account.s3.create_bucket(Bucket=bucket)
    aws.fault(**fault, operation="PutObject", table=bucket)
    account.s3.list_objects_v2(Bucket=bucket)
    with pytest.raises(account.s3.exceptions.ClientError) as error:
        account.s3.put_object(Bucket=bucket, Key="dir/key", Body=b"x" * 100_000, IfNoneMatch="*")
    assert code_of(error) == code
    kept = account.s3.list_objects_v2(Bucket=bucket)["KeyCount"]
    assert kept == (1 if fault["kind"] == "lost_answer" else 0)


def test_duplicate_delivery(aws: LocalAws, account: Account, table: str) -> None:
    account.put_many(table, 3)
    aws.shards("duplicate", table, count=2)
    assert keys(account.read(table)) == ["k0", "k1", "k2"] * 3
    assert keys(account.read(table)) == ["k0", "k1", "k2"]


def test_trimming_on_demand(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    account.put(table, "a")
    (shard,) = account.shards(arn)
    iterator = account.iterator(arn, shard["ShardId"])
    aws.shards("trim", table)
    with pytest.raises(account.streams.exceptions.TrimmedDataAccessException):
        account.streams.get_records(ShardIterator=iterator)
    account.put(table, "b")
    assert keys(account.read(table)) == ["b"]


def test_expiring_iterators_on_demand(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    (shard,) = account.shards(arn)
    iterator = account.iterator(arn, shard["ShardId"])
    aws.shards("expire_iterators", table)
    with pytest.raises(account.streams.exceptions.ExpiredIteratorException):
        account.streams.get_records(ShardIterator=iterator)
    account.streams.get_records(ShardIterator=account.iterator(arn, shard["ShardId"]))


WRONG = [
    ("POST", "faults", {"kind": "explode"}, "kind is one of split, roll, trim"),
    ("POST", "faults", {}, "kind is one of"),
    ("POST", "faults", {"kind": "error", "tabel": "orders"}, "tabel is not known"),
    ("POST", "faults", {"kind": "error", "count": 0}, "count is a number of requests"),
    ("POST", "faults", {"kind": "error", "count": "many"}, "count is a number of requests"),
    ("POST", "faults", {"kind": "error", "status": 200}, "status is 400 to 599"),
    ("POST", "faults", {"kind": "slow", "seconds": -1}, "seconds is 0 to 3600"),
    ("POST", "faults", {"kind": "slow", "seconds": "NaN"}, "seconds is 0 to 3600"),
    ("POST", "faults", {"kind": "split"}, "split has table, shard"),
    ("POST", "faults", {"kind": "split", "table": 7}, "split has table, shard"),
    ("POST", "faults", {"kind": "split", "table": "nothing"}, "no table 'nothing' with a stream"),
    ("POST", "faults", {"kind": "trim", "table": "orders", "shard": "x"}, "shard is not known"),
    ("POST", "clock", {}, "advance_seconds or set"),
    ("POST", "clock", {"advance": 5}, "advance_seconds or set"),
    ("POST", "clock", {"advance_seconds": 5, "set": 5}, "advance_seconds or set"),
    ("POST", "clock", {"advance_seconds": "5"}, "a number of seconds"),
    ("POST", "clock", {"advance_seconds": True}, "a number of seconds"),
    ("POST", "clock", {"advance_seconds": 1e300}, "a number of seconds"),
    ("POST", "clock", {"advance_seconds": float("nan")}, "a number of seconds"),
    ("POST", "clock", {"advance_seconds": -1}, "only goes forward"),
    ("POST", "clock", {"set": 5}, "only goes forward"),
    ("POST", "clock", [1], "a JSON object is wanted"),
    ("DELETE", "clock", {}, "cannot be deleted"),
    ("GET", "nothing", {}, "there are /_tailrace/clock, /_tailrace/faults, /_tailrace/redshift"),
    ("PUT", "faults", {}, "PUT /_tailrace/faults is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "what", "request_", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_request_is_told_what_is_right(
    aws: LocalAws, method: str, what: str, request_: Any, message: str
) -> None:
    status, answer = control(aws, method, what, json.dumps(request_).encode())
    assert status == 400
    assert message in answer["error"]
    assert answer["example"]


@pytest.mark.parametrize("what", ["faults", "nothing"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b"\xff\xfe", b"kind=split"])
def test_what_is_not_json_is_told_so(aws: LocalAws, what: str, body: bytes) -> None:
    status, answer = control(aws, "POST", what, body)
    assert status == 400
    assert "not JSON" in answer["error"]


def test_a_wrong_number_for_a_stream_is_told_so(aws: LocalAws, table: str) -> None:
    for request in (
        {"kind": "hide_children", "table": table, "seconds": "x"},
        {"kind": "duplicate", "table": table, "count": -1},
        {"kind": "split", "table": table, "shard": "nothing"},
    ):
        status, answer = control(aws, "POST", "faults", json.dumps(request).encode())
        assert status == 400, answer


def test_the_client_passes_the_sentence_on(aws: LocalAws) -> None:
    with pytest.raises(ServiceUnavailable, match="no table 'nothing' with a stream"):
        aws.split("nothing")


@pytest.mark.parametrize("operation", ["GetRecords", "Nonsense"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"Limit": "x"}', b"\xff"])
def test_a_broken_request_to_streams_is_an_error_of_theirs(account: Account, operation: str, body: bytes) -> None:
    status, answer = account.raw(f"DynamoDBStreams_20120810.{operation}", body)
    assert status == 400
    assert answer["__type"].rpartition("#")[2] in (
        "SerializationException",
        "ValidationException",
        "UnknownOperationException",
    )


@pytest.mark.parametrize("operation", ["UpdateTable", "CreateTable", "ExecuteStatement", "PutItem", "UpdateTimeToLive"])
@pytest.mark.parametrize("body", [b"{", b"{}", b'{"TableName": 7}'])
def test_a_broken_request_to_dynamodb_is_an_error_of_its_own(
    aws: LocalAws, account: Account, operation: str, body: bytes
) -> None:
    status, answer = account.raw(f"DynamoDB_20120810.{operation}", body)
    assert 400 <= status < 500
    assert answer["__type"]


def control(aws: LocalAws, method: str, what: str, body: bytes) -> tuple[int, dict[str, Any]]:
    call = urllib.request.Request(f"{aws.endpoint_url}/_tailrace/{what}", data=body, method=method)
    try:
        with urllib.request.urlopen(call, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
