"""Firehose to S3, as boto3 sees it: what is gathered, when it is delivered, and under which name."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from functions import Lambda, until
from stream_reader import Account

import tailrace
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

TRANSFORM = """
import base64

def handler(event, context):
    answers = []
    for record in event["records"]:
        data = base64.b64decode(record["data"])
        if data == b"raise":
            raise ValueError("cannot")
        result = {b"drop": "Dropped", b"fail": "ProcessingFailed"}.get(data, "Ok")
        if data != b"forget":
            changed = base64.b64encode(data.upper()).decode()
            answers.append({"recordId": record["recordId"], "result": result, "data": changed})
    return {"records": answers}
"""


class Site:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = account.client("firehose")
        self._numbers = itertools.count()

    def stream(self, **config: Any) -> str:
        """A delivery stream to a bucket of its name."""
        name = f"delivery-{next(self._numbers)}"
        self.account.s3.create_bucket(Bucket=name)
        self.client.create_delivery_stream(
            DeliveryStreamName=name,
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::000000000000:role/tests",
                "BucketARN": f"arn:aws:s3:::{name}",
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 300},
                **config,
            },
        )
        return name

    def put(self, name: str, *records: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.put_record_batch(
            DeliveryStreamName=name, Records=[{"Data": record} for record in records]
        )
        return answer

    def objects(self, name: str) -> dict[str, bytes]:
        listed = self.account.s3.list_objects_v2(Bucket=name).get("Contents", [])
        return {o["Key"]: self.account.s3.get_object(Bucket=name, Key=o["Key"])["Body"].read() for o in listed}


@pytest.fixture(scope="module")
def site(account: Account) -> Site:
    return Site(account)


@pytest.fixture(scope="module")
def functions(account: Account) -> Lambda:
    return Lambda(account)


@pytest.fixture(autouse=True)
def _no_fault_is_left(aws: LocalAws) -> Iterator[None]:
    yield
    assert aws.faults() == []


def test_records_wait_for_the_interval_and_become_one_object(aws: LocalAws, site: Site) -> None:
    name = site.stream()
    begun = datetime.fromtimestamp(aws.clock(), UTC)
    site.client.put_record(DeliveryStreamName=name, Record={"Data": b"one\n"})
    aws.advance(200)
    site.put(name, b"two\n", b"three\n")
    another = site.stream(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0})
    site.put(another, b"at once")
    until(lambda: site.objects(another))  # the time in which the first would have come
    assert site.objects(name) == {}
    aws.advance(3600)
    ((key, body),) = until(lambda: site.objects(name)).items()
    assert body == b"one\ntwo\nthree\n"
    pattern = rf"{begun:%Y/%m/%d/%H}/{name}-1-{begun:%Y-%m-%d-%H}-[0-9]{{2}}-[0-9]{{2}}-[0-9a-f-]{{36}}"
    assert re.fullmatch(pattern, key), "the moment is that of the oldest record"


def test_a_full_buffer_does_not_wait(site: Site) -> None:
    name = site.stream()
    for n in range(5):
        site.put(name, *(bytes([65 + n]) * 300_000 for _ in range(2)))
    until(lambda: len(site.objects(name)) == 2)
    assert [len(body) for body in site.objects(name).values()] == [1_200_000, 1_200_000]


def test_gzip_and_a_prefix_with_a_moment(aws: LocalAws, site: Site) -> None:
    name = site.stream(
        CompressionFormat="GZIP",
        Prefix="changes/dt=!{timestamp:yyyy-MM-dd}/hr=!{timestamp:HH}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
    )
    begun = datetime.fromtimestamp(aws.clock(), UTC)
    site.put(name, b"a\n", b"b\n")
    aws.advance(301)
    ((key, body),) = until(lambda: site.objects(name)).items()
    assert key.startswith(f"changes/dt={begun:%Y-%m-%d}/hr={begun:%H}/{name}-1-")
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"a\nb\n"


def test_a_function_transforms_and_what_it_does_not_give_back_is_an_error(
    aws: LocalAws, functions: Lambda, site: Site
) -> None:
    name = site.stream(**transforming(functions.function(TRANSFORM)))
    site.put(name, b"a", b"drop", b"fail", b"forget", b"b")
    aws.advance(301)
    until(lambda: len(site.objects(name)) == 2)
    bodies = {key.partition("/")[0]: body for key, body in site.objects(name).items()}
    assert bodies["data"] == b"AB"
    errors = [json.loads(line) for line in bodies["errors"].splitlines()]
    assert [(base64.b64decode(e["rawData"]), e["errorCode"]) for e in errors] == [
        (b"fail", "Lambda.ProcessingFailedStatus"),
        (b"forget", "Lambda.MissingRecordId"),
    ]
    assert all("/processing-failed/" in key for key in site.objects(name) if key.startswith("errors/"))


def test_a_function_that_fails_every_time_costs_no_record(aws: LocalAws, functions: Lambda, site: Site) -> None:
    name = site.stream(**transforming(functions.function(TRANSFORM)))
    site.put(name, b"a", b"raise")
    aws.advance(301)
    (body,) = until(lambda: site.objects(name)).values()
    errors = [json.loads(line) for line in body.splitlines()]
    assert [base64.b64decode(error["rawData"]) for error in errors] == [b"a", b"raise"]
    assert {(error["errorCode"], error["attemptsMade"]) for error in errors} == {("Lambda.FunctionError", 4)}


def test_a_bucket_that_is_away_gets_its_records_later(aws: LocalAws, site: Site) -> None:
    name = site.stream()
    site.account.s3.delete_bucket(Bucket=name)
    site.put(name, b"a")
    aws.advance(301)
    another = site.stream(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0})
    site.put(another, b"b")
    until(lambda: site.objects(another))
    site.account.s3.create_bucket(Bucket=name)
    aws.advance(6)
    assert list(until(lambda: site.objects(name)).values()) == [b"a"]


def test_some_records_of_a_batch_are_refused_on_demand(aws: LocalAws, site: Site) -> None:
    name = site.stream()
    aws.fault("refuse_records", table=name)
    answer = site.put(name, b"a", b"b", b"c")
    assert answer["FailedPutCount"] == 1
    assert [entry.get("ErrorCode") for entry in answer["RequestResponses"]] == [
        None,
        "ServiceUnavailableException",
        None,
    ]
    assert site.put(name, b"b")["FailedPutCount"] == 0
    aws.advance(301)
    assert list(until(lambda: site.objects(name)).values()) == [b"acb"]


def test_a_whole_batch_is_refused_on_demand(aws: LocalAws, site: Site) -> None:
    name = site.stream()
    aws.fault("throttle", operation="PutRecordBatch", table=name)
    with pytest.raises(site.client.exceptions.ServiceUnavailableException):
        site.put(name, b"a")


@pytest.mark.parametrize(
    "config",
    [
        {"CompressionFormat": "Snappy"},
        {"BufferingHints": {"SizeInMBs": 5}},
        {"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 1000}},
        {"Prefix": "a/!{timestamp:yyyy}/"},
        {"Prefix": "a/!{partitionKeyFromLambda:k}/", "ErrorOutputPrefix": "e/"},
        {"ErrorOutputPrefix": "e/!{firehose:error}/"},
        {"CustomTimeZone": "Nowhere/Else"},
    ],
)
def test_what_aws_refuses_or_this_cannot_is_refused(site: Site, config: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        site.stream(**config)
    assert error.value.response["Error"]["Code"] == "InvalidArgumentException"


@pytest.mark.parametrize(("precision", "unit"), [("MILLISECOND", 1000), ("MICROSECOND", 1_000_000)])
def test_changes_of_a_table_come_by_kinesis_too(
    aws: LocalAws, account: Account, site: Site, precision: str, unit: int
) -> None:
    """DynamoDB to Kinesis to Firehose, in the shape that AWS documents; twice and in disorder, as it is planned."""
    kinesis, name, table = account.client("kinesis"), f"delivery-{precision.lower()}", account.table()
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    account.s3.create_bucket(Bucket=name)
    role = "arn:aws:iam::000000000000:role/tests"
    site.client.create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": arn, "RoleARN": role},
        ExtendedS3DestinationConfiguration={
            "RoleARN": role,
            "BucketARN": f"arn:aws:s3:::{name}",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        },
    )
    account.dynamodb.enable_kinesis_streaming_destination(
        TableName=table,
        StreamArn=arn,
        EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": precision},
    )
    account.put(table, "a", data={"B": b"\x00\xff"}, inside={"L": [{"M": {"x": {"BS": [b"1"]}}}]})
    written = aws.clock()
    aws.fault("change_late", table=table)
    account.put(table, "late")
    aws.fault("change_twice", table=table)
    account.put(table, "twice")
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    aws.advance(61)
    (body,) = until(lambda: site.objects(name)).values()
    records = list(documents(body.decode()))
    keys = [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]
    assert keys == ["a", "twice", "twice", "late", "a"]
    times = [record["dynamodb"]["ApproximateCreationDateTime"] for record in records]
    assert times[0] <= times[3] <= times[1] == times[2] <= times[4], "what comes late has the moment of its write"
    first, last = records[0], records[-1]
    assert first.keys() == {
        "awsRegion",
        "eventID",
        "eventName",
        "userIdentity",
        "recordFormat",
        "tableName",
        "dynamodb",
        "eventSource",
    }
    assert (first["tableName"], first["eventName"], first["userIdentity"]) == (table, "INSERT", None)
    change = first["dynamodb"]
    assert "SequenceNumber" not in change
    assert change["ApproximateCreationDateTimePrecision"] == precision
    assert abs(change["ApproximateCreationDateTime"] / unit - written) < 30
    assert base64.b64decode(base64.b64decode(change["NewImage"]["data"]["B"])) == b"\x00\xff"
    inner = change["NewImage"]["inside"]["L"][0]["M"]["x"]["BS"]
    assert [base64.b64decode(base64.b64decode(text)) for text in inner] == [b"1"]
    assert last["eventName"] == "REMOVE"
    assert last["dynamodb"].keys() >= {"Keys", "OldImage"}
    rows = tailrace.decode(body).select(["_tr_op", "_tr_ts", "pk", "data", "inside"]).to_pylist()
    assert [row["_tr_ts"] for row in rows] == [moment * (1_000_000 // unit) for moment in times]
    assert [row["_tr_op"] + row["pk"] for row in rows] == ["ca", "ctwice", "ctwice", "clate", "da"]
    assert (rows[0]["data"], json.loads(rows[0]["inside"])) == (b"\x00\xff", [{"x": ["MQ=="]}])


def documents(text: str) -> Iterator[dict[str, Any]]:
    """JSON documents with nothing between them."""
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]


def transforming(function: str) -> dict[str, Any]:
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function}"
    return {
        "Prefix": "data/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [{"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": arn}]}],
        },
    }
