"""Event source mappings on DynamoDB streams, as boto3 and a function see them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from functions import Lambda, until
from stream_reader import Account

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def functions(account: Account) -> Lambda:
    return Lambda(account)


def flat(batches: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(batches))


def put(account: Account, table: str, pk: str, bad: str | None = None) -> None:
    account.put(table, pk, **({"bad": {"S": bad}} if bad else {}))


def test_a_function_gets_records_as_lambda_gives_them(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.put(table, "a", payload={"B": b"\x00\xff"})
    mapping = functions.map(function, table)
    (event,) = until(lambda: functions.seen(function))
    (record,) = event["Records"]
    assert record["eventSourceARN"] == account.arn(table)
    assert record["eventSource"] == "aws:dynamodb"
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["NewImage"] == {"pk": {"S": "a"}, "payload": {"B": "AP8="}}
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], int)
    described = functions.client.get_event_source_mapping(UUID=mapping)
    assert (described["BatchSize"], described["MaximumRetryAttempts"], described["State"]) == (100, -1, "Enabled")
    assert until(lambda: functions.client.get_event_source_mapping(UUID=mapping)["LastProcessingResult"] == "OK")


def test_a_ttl_delete_has_its_identity_in_lower_case(
    aws: LocalAws, account: Account, functions: Lambda, table: str
) -> None:
    function = functions.function()
    account.dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    account.put(table, "a", ttl={"N": str(int(aws.clock()) + 10)})
    functions.map(function, table, StartingPosition="LATEST")
    aws.advance(60)
    (event,) = until(lambda: functions.seen(function))
    assert event["Records"][0]["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}


def test_latest_begins_behind_what_is_there(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.put(table, "before")
    functions.map(function, table, StartingPosition="LATEST")
    account.put(table, "after")
    until(lambda: functions.seen(function))
    assert functions.batches(function) == [["after"]]


def test_batches_are_as_large_as_asked_and_in_order(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.put_many(table, 25)
    functions.map(function, table, BatchSize=10)
    until(lambda: len(functions.seen(function)) == 3)
    assert [len(batch) for batch in functions.batches(function)] == [10, 10, 5]
    assert flat(functions.batches(function)) == [f"k{n}" for n in range(25)]


def test_a_batch_ends_at_six_megabytes(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    for n in range(20):
        account.put(table, f"k{n}", text={"S": "x" * 390_000})
    functions.map(function, table, BatchSize=1000)
    until(lambda: len(flat(functions.batches(function))) == 20)
    assert [len(batch) for batch in functions.batches(function)] == [16, 4]


def test_a_window_gathers_by_the_movable_clock(aws: LocalAws, account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    functions.map(function, table, BatchSize=100, MaximumBatchingWindowInSeconds=300)
    account.put(table, "a")
    aws.advance(200)
    account.put(table, "b")
    assert functions.seen(function) == []
    aws.advance(200)
    until(lambda: functions.seen(function))
    assert functions.batches(function) == [["a", "b"]]


def test_a_closed_shard_waits_for_no_window(aws: LocalAws, account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.put(table, "a")
    aws.roll(table)
    functions.map(function, table, MaximumBatchingWindowInSeconds=300)
    until(lambda: functions.seen(function))


def test_a_parent_comes_before_its_children(aws: LocalAws, account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.put_many(table, 20, prefix="old")
    aws.split(table)
    account.put_many(table, 20, prefix="new")
    functions.map(function, table, BatchSize=7)
    until(lambda: len(flat(functions.batches(function))) == 40)
    keys = flat(functions.batches(function))
    assert sorted(keys[:20]) == sorted(f"old{n}" for n in range(20))
    assert all(len({key[:3] for key in batch}) == 1 for batch in functions.batches(function)[:3])


def test_a_failing_parent_holds_its_children(aws: LocalAws, account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    put(account, table, "poison", "raise")
    aws.roll(table)
    put(account, table, "child")
    functions.map(function, table)
    until(lambda: len(functions.seen(function)) >= 3)
    assert set(flat(functions.batches(function))) == {"poison"}, "endless retries are the default"
    aws.advance(24 * 3600 + 10)  # the record is trimmed, and so is the child's
    put(account, table, "later")
    assert until(lambda: "later" in flat(functions.batches(function)))
    assert "child" not in flat(functions.batches(function))


def test_only_what_failed_comes_again(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    url, queue = functions.queue()
    for n in range(6):
        put(account, table, f"k{n}", "report" if n in (3, 5) else None)
    functions.map(
        function,
        table,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    (message,) = until(lambda: functions.messages(url))
    assert functions.batches(function) == [[f"k{n}" for n in range(6)], ["k3", "k4", "k5"]]
    told = json.loads(message["Body"])
    assert told["DDBStreamBatchInfo"]["batchSize"] == 3
    assert told["requestContext"]["approximateInvokeCount"] == 2


def test_a_partial_response_counts_only_where_it_was_asked_for(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    put(account, table, "a", "report")
    functions.map(function, table)
    until(lambda: functions.seen(function))
    put(account, table, "b")
    until(lambda: len(functions.seen(function)) == 2)
    assert functions.batches(function) == [["a"], ["b"]]


def test_bisecting_finds_the_poison_record_and_everything_else_arrives(
    account: Account, functions: Lambda, table: str
) -> None:
    function = functions.function()
    url, queue = functions.queue()
    for n in range(8):
        put(account, table, f"k{n}", "raise" if n == 5 else None)
    functions.map(
        function,
        table,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    (message,) = until(lambda: functions.messages(url))
    until(lambda: functions.batches(function)[-1] == ["k6", "k7"])
    assert functions.batches(function) == [
        [f"k{n}" for n in range(8)],
        ["k0", "k1", "k2", "k3"],
        ["k4", "k5", "k6", "k7"],
        ["k4", "k5"],
        ["k4"],
        ["k5"],
        ["k5"],
        ["k6", "k7"],
    ]
    poison = functions.seen(function)[5]["Records"][0]["dynamodb"]
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["requestContext"]["functionArn"].endswith(f":function:{function}")
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    info = told["DDBStreamBatchInfo"]
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == poison["SequenceNumber"]
    assert (info["batchSize"], info["streamArn"]) == (1, account.arn(table))
    record = account.read_shard(
        info["streamArn"], info["shardId"], "AT_SEQUENCE_NUMBER", SequenceNumber=info["startSequenceNumber"]
    )[0]
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "k5"}}, "what was given up can be read from the stream"


def test_reporting_and_bisecting_split_at_the_record_that_failed(
    account: Account, functions: Lambda, table: str
) -> None:
    function = functions.function()
    for n in range(8):
        put(account, table, f"k{n}", "report" if n == 5 else None)
    functions.map(
        function,
        table,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        MaximumRetryAttempts=0,
    )
    until(lambda: functions.batches(function)[-1:] == [["k6", "k7"]])
    assert functions.batches(function) == [
        [f"k{n}" for n in range(8)],
        ["k5", "k6", "k7"],
        ["k5"],
        ["k6", "k7"],
    ]


def test_a_bucket_gets_the_records_too(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    account.s3.create_bucket(Bucket=f"{function}-failed")
    put(account, table, "a", "raise")
    mapping = functions.map(
        function,
        table,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{function}-failed"}},
    )
    (listed,) = until(lambda: account.s3.list_objects_v2(Bucket=f"{function}-failed").get("Contents"))
    told = json.loads(account.s3.get_object(Bucket=f"{function}-failed", Key=listed["Key"])["Body"].read())
    assert listed["Key"].startswith(f"aws/lambda/{mapping}/{told['DDBStreamBatchInfo']['shardId']}/20")
    assert json.loads(told["payload"]) == functions.seen(function)[0]


def test_a_topic_hands_it_on(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    url, queue = functions.queue()
    sns = account.client("sns")
    topic = sns.create_topic(Name=function)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    put(account, table, "a", "raise")
    functions.map(function, table, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": topic}})
    (message,) = until(lambda: functions.messages(url))
    assert json.loads(message["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1


def test_too_old_a_record_is_given_up_and_the_next_goes_on(
    aws: LocalAws, account: Account, functions: Lambda, table: str
) -> None:
    function = functions.function()
    url, queue = functions.queue()
    put(account, table, "old1")
    put(account, table, "old2")
    aws.advance(120)
    put(account, table, "new")
    functions.map(
        function,
        table,
        MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    (message,) = until(lambda: functions.messages(url))
    until(lambda: functions.seen(function))
    assert functions.batches(function) == [["new"]]
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert told["DDBStreamBatchInfo"]["batchSize"] == 2


def test_a_disabled_mapping_goes_on_where_it_was(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    mapping = functions.map(function, table)
    put(account, table, "a")
    until(lambda: functions.seen(function))
    functions.client.update_event_source_mapping(UUID=mapping, Enabled=False)
    put(account, table, "b")
    another = functions.function()
    functions.map(another, table)
    until(lambda: len(flat(functions.batches(another))) == 2)  # the time in which it would have come
    assert functions.batches(function) == [["a"]]
    functions.client.update_event_source_mapping(UUID=mapping, Enabled=True)
    until(lambda: len(functions.seen(function)) == 2)
    assert functions.batches(function) == [["a"], ["b"]]


def test_a_deleted_mapping_is_gone(account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    mapping = functions.map(function, table)
    functions.client.delete_event_source_mapping(UUID=mapping)
    put(account, table, "a")
    another = functions.function()
    functions.map(another, table)
    until(lambda: functions.seen(another))
    assert functions.seen(function) == []
    assert functions.client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"] == []


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_answer", "slow"])
def test_a_call_that_fails_on_the_way_is_no_retry(
    aws: LocalAws, account: Account, functions: Lambda, table: str, kind: str
) -> None:
    function = functions.function()
    aws.fault(kind, operation="Invoke", table=function, count=1 if kind == "slow" else 2, seconds=0.2)
    put(account, table, "a")
    functions.map(function, table, MaximumRetryAttempts=0)
    calls = 3 if kind == "lost_answer" else 1  # it ran, and nobody knew
    until(lambda: len(functions.seen(function)) == calls)
    assert aws.faults() == []
    put(account, table, "b")
    until(lambda: functions.batches(function)[-1] == ["b"])


def test_a_batch_is_delivered_twice_on_demand(aws: LocalAws, account: Account, functions: Lambda, table: str) -> None:
    function = functions.function()
    aws.shards("duplicate", table)
    put(account, table, "a")
    functions.map(function, table)
    until(lambda: len(functions.seen(function)) == 2)
    assert functions.batches(function) == [["a"], ["a"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
        {"MaximumRecordAgeInSeconds": 30},
        {"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}},
        {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:lambda:us-east-1:000000000000:function:f"}}},
    ],
)
def test_what_aws_refuses_or_this_cannot_is_refused(functions: Lambda, table: str, settings: dict[str, Any]) -> None:
    function = functions.function()
    with pytest.raises(ClientError) as error:
        functions.map(function, table, **settings)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
