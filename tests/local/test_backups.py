"""Point-in-time recovery and exports of the embedded endpoint, by plain boto3 and by reading what lies in S3."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

ITEM = {
    "pk": {"S": "a"},
    "sk": {"N": "1"},
    "b": {"B": b"\x00\x01"},
    "m": {"M": {"x": {"NULL": True}}},
    "s": {"SS": ["x", "y"]},
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


def client(aws: LocalAws, service: str) -> Any:
    return boto3.client(
        service, endpoint_url=aws.endpoint_url, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )  # fmt: skip


class Table:
    """One table with recovery on, at a whole quarter of an hour, and the calls that tests make."""

    def __init__(self, aws: LocalAws, name: str, *, recovery: bool = True) -> None:
        self.aws, self.name, self.bucket = aws, name, f"bucket-{name}"
        self.dynamodb, self.s3 = client(aws, "dynamodb"), client(aws, "s3")
        self.s3.create_bucket(Bucket=self.bucket)
        described = self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.arn = described["TableDescription"]["TableArn"]
        if recovery:
            self.recovery(True)

    def recovery(self, on: bool) -> dict[str, Any]:
        answer = self.dynamodb.update_continuous_backups(
            TableName=self.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
        )
        return dict(answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"])

    def restorable(self) -> dict[str, Any]:
        answer = self.dynamodb.describe_continuous_backups(TableName=self.name)
        return dict(answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"])

    def put(self, pk: str, value: int, **more: Any) -> None:
        self.dynamodb.put_item(
            TableName=self.name, Item={"pk": {"S": pk}, "sk": {"N": "1"}, "v": {"N": str(value)}, **more}
        )

    def delete(self, pk: str) -> None:
        self.dynamodb.delete_item(TableName=self.name, Key={"pk": {"S": pk}, "sk": {"N": "1"}})

    def start(self, **request: Any) -> dict[str, Any]:
        request = {"TableArn": self.arn, "S3Bucket": self.bucket, "S3Prefix": "p", **request}
        return dict(self.dynamodb.export_table_to_point_in_time(**request)["ExportDescription"])

    def window(self, start: float, end: float, view: str = "NEW_AND_OLD_IMAGES", **request: Any) -> dict[str, Any]:
        specification = {"ExportFromTime": moment(start), "ExportToTime": moment(end), "ExportViewType": view}
        return self.start(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=specification, **request)

    def finished(self, export: dict[str, Any]) -> dict[str, Any]:
        self.aws.advance(301)
        return dict(self.dynamodb.describe_export(ExportArn=export["ExportArn"])["ExportDescription"])

    def records(self, export: dict[str, Any]) -> list[dict[str, Any]]:
        """What an export's files hold, found as the manifests say, every checksum compared."""
        summary = json.loads(self.checked(export["ExportManifest"]))
        records = []
        for line in self.checked(summary["manifestFilesS3Key"]).splitlines():
            entry = json.loads(line)
            data = self.object(entry["dataFileS3Key"])
            assert base64.b64encode(hashlib.md5(data).digest()).decode() == entry["md5Checksum"]
            found = [json.loads(record) for record in gzip.decompress(data).splitlines()]
            assert len(found) == entry["itemCount"]
            records += found
        assert len(records) == summary["itemCount"] == export["ItemCount"]
        return records

    def checked(self, key: str) -> bytes:
        data = self.object(key)
        assert self.object(key.replace(".json", ".md5")) == base64.b64encode(hashlib.md5(data).digest())
        return data

    def object(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def names(self) -> list[str]:
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_recovery_is_off_first_and_lags_five_minutes_behind(aws: LocalAws) -> None:
    table = Table(aws, "recovery", recovery=False)
    assert table.restorable() == {"PointInTimeRecoveryStatus": "DISABLED"}
    on = table.recovery(True)
    assert on["PointInTimeRecoveryStatus"] == "ENABLED"
    aws.advance(1000)
    restorable = table.restorable()
    assert restorable["EarliestRestorableDateTime"] == on["EarliestRestorableDateTime"]
    assert abs(restorable["LatestRestorableDateTime"].timestamp() - (aws.clock() - 300)) < 5


def test_switching_recovery_off_and_on_begins_anew(aws: LocalAws) -> None:
    table = Table(aws, "anew")
    first = table.restorable()["EarliestRestorableDateTime"]
    aws.advance(3600)
    table.recovery(False)
    table.recovery(True)
    assert table.restorable()["EarliestRestorableDateTime"] > first


def test_a_full_export_is_laid_out_as_dynamodb_does_and_exact(aws: LocalAws) -> None:
    table = Table(aws, "full", recovery=False)
    table.dynamodb.put_item(TableName="full", Item=ITEM)  # before recovery is on
    table.recovery(True)
    table.put("late", 2)
    aws.advance(400)
    now = int(aws.clock())
    table.put("too-late", 3)
    export = table.finished(table.start(ExportTime=moment(now - 300), ClientToken="t1"))
    assert export["ExportStatus"] == "COMPLETED"
    assert "ExportType" not in export
    items = {record["Item"]["pk"]["S"]: record["Item"] for record in table.records(export)}
    assert items["a"] == {**ITEM, "b": {"B": "AAE="}}
    assert sorted(items) == ["a", "late"]
    folder = f"p/AWSDynamoDB/{export['ExportArn'].rpartition('/')[2]}"
    names = [key.removeprefix(f"{folder}/") for key in table.names()]
    assert {
        "_started",
        "manifest-files.json",
        "manifest-files.md5",
        "manifest-summary.json",
        "manifest-summary.md5",
    } < {*names}
    assert sum(name.startswith("data/") for name in names) == 4, "a file for each partition, empty ones included"


def test_a_window_has_the_net_effect_on_each_key_in_both_views(aws: LocalAws) -> None:
    table = Table(aws, "window")
    for key in ("updated", "deleted", "again"):
        table.put(key, 1)
    aws.advance(2)
    start = int(aws.clock())
    aws.advance(1.1)
    table.put("updated", 2)
    table.put("inserted", 1)
    table.put("passing", 1)
    table.delete("passing")
    table.delete("deleted")
    table.delete("again")
    table.put("again", 2)
    aws.advance(1300)
    both = table.finished(table.window(start, start + 900))
    new = table.finished(table.window(start, start + 900, "NEW_IMAGE", S3Prefix="q"))
    shapes = {r["Keys"]["pk"]["S"]: [k for k in r if k != "Metadata"] for r in table.records(both)}
    assert shapes == {
        "updated": ["Keys", "OldImage", "NewImage"],
        "inserted": ["Keys", "NewImage"],
        "deleted": ["Keys", "OldImage"],
        "again": ["Keys", "OldImage", "NewImage"],
    }
    shapes = {r["Keys"]["pk"]["S"]: [k for k in r if k != "Metadata"] for r in table.records(new)}
    assert shapes["deleted"] == ["Keys"]
    assert shapes["updated"] == ["Keys", "NewImage"]
    written = int(table.records(new)[0]["Metadata"]["WriteTimestampMicros"]["N"])
    assert start * 10**6 < written < (start + 900) * 10**6
    assert any(key.startswith("p/AWSDynamoDB/data/") for key in table.names()), "windows share one data folder"
    assert both["BilledSizeBytes"] == 10_000_000


def test_an_expired_item_is_an_ordinary_delete(aws: LocalAws) -> None:
    table = Table(aws, "expiring")
    table.dynamodb.update_time_to_live(
        TableName="expiring", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    table.put("x", 1, ttl={"N": str(int(aws.clock()) + 400)})
    aws.advance(2)
    start = int(aws.clock())
    aws.advance(500)  # expiry looks when the clock has moved
    aws.advance(800)
    [record] = table.records(table.finished(table.window(start, start + 900)))
    assert record["Keys"]["pk"] == {"S": "x"}
    assert "NewImage" not in record


def test_a_token_makes_a_request_the_same_request(aws: LocalAws) -> None:
    table = Table(aws, "token")
    aws.advance(400)
    when = moment(int(aws.clock()) - 310)
    first = table.start(ExportTime=when, ClientToken="same")
    assert table.start(ExportTime=when, ClientToken="same")["ExportArn"] == first["ExportArn"]
    with pytest.raises(ClientError) as caught:
        table.start(ExportTime=when, ClientToken="same", S3Prefix="other")
    assert code(caught) == "ExportConflictException"
    aws.advance(300 + 8 * 3600 + 1)
    assert table.start(ExportTime=when, ClientToken="same")["ExportArn"] != first["ExportArn"]


def test_exports_are_listed_newest_first_in_pages(aws: LocalAws) -> None:
    table = Table(aws, "listed")
    aws.advance(400)
    arns = []
    for number in range(3):
        arns.append(table.start(S3Prefix=f"p{number}", ExportTime=moment(int(aws.clock()) - 310))["ExportArn"])
        aws.advance(1)
    page = table.dynamodb.list_exports(TableArn=table.arn, MaxResults=2)
    rest = table.dynamodb.list_exports(TableArn=table.arn, MaxResults=2, NextToken=page["NextToken"])
    found = page["ExportSummaries"] + rest["ExportSummaries"]
    assert [summary["ExportArn"] for summary in found] == arns[::-1]
    assert {summary["ExportType"] for summary in found} == {"FULL_EXPORT"}


def test_what_aws_refuses_is_refused_with_its_codes(aws: LocalAws) -> None:
    off, on = Table(aws, "refused-off", recovery=False), Table(aws, "refused-on")
    aws.advance(4000)
    now = int(aws.clock())
    wrong = [
        (lambda: off.start(), "PointInTimeRecoveryUnavailableException"),
        (lambda: on.start(ExportTime=moment(now)), "InvalidExportTimeException"),
        (lambda: on.start(ExportTime=moment(now - 10_000)), "InvalidExportTimeException"),
        (lambda: on.window(now - 1800, now - 1000), "InvalidExportTimeException"),
        (lambda: on.window(now - 1000, now - 1000), "InvalidExportTimeException"),
        (lambda: on.window(now - 1200, now - 100), "InvalidExportTimeException"),
        (lambda: on.start(S3Prefix=""), "ValidationException"),
        (lambda: on.start(TableArn=on.arn + "x"), "TableNotFoundException"),
        (lambda: on.dynamodb.describe_export(ExportArn=on.arn), "ValidationException"),
        (
            lambda: on.dynamodb.describe_export(ExportArn=on.arn + "/export/0" + "1" * 13 + "-0a0b0c0d"),
            "ExportNotFoundException",
        ),
    ]
    for call, expected in wrong:
        with pytest.raises(ClientError) as caught:
            call()
        assert code(caught) == expected


def test_a_bucket_that_is_not_there_fails_the_export_and_not_the_request(aws: LocalAws) -> None:
    table = Table(aws, "nobucket")
    aws.advance(400)
    export = table.finished(table.start(S3Bucket="no-such-bucket-here", ExportTime=moment(int(aws.clock()) - 310)))
    assert (export["ExportStatus"], export["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


def test_a_failure_on_demand_leaves_half_an_export(aws: LocalAws) -> None:
    table = Table(aws, "failing")
    aws.advance(400)
    aws.fault("fail_export", table="failing", code="S3AccessDenied")
    export = table.finished(table.start(ExportTime=moment(int(aws.clock()) - 310)))
    assert (export["ExportStatus"], export["FailureCode"]) == ("FAILED", "S3AccessDenied")
    assert not any("manifest" in key for key in table.names())
    assert len(table.names()) == 2
