"""Without a server: a stream, functions as processes, S3 and its events, a target; nothing lost, nothing twice, verified."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from functions import Lambda, until
from stream_reader import Account

from tailrace.errors import ManifestInvalid, UserFault
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Manifest
from tailrace.pipeline import Pipeline
from tailrace.runtimes.aws_lambda import running

pytestmark = pytest.mark.embedded

CONFIG = """
[landing]
url = "s3://{bucket}/zone"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[defaults]
capture = "lambda"
[tables.{table}]
name = "orders"
{rules}
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    return Site(aws, tmp_path)


class Buried(NamedTuple):
    """Where dead letters come from, and go to: queues by their URLs. `arn`: of the first."""

    letters: str
    arn: str
    parked: str
    told: str


class Site:
    """A table, its landing zone, and the three functions, in one account."""

    def __init__(self, aws: LocalAws, folder: Path, rules: str = "") -> None:
        self.aws, self.folder = aws, folder
        self.account = Account(aws)
        self.functions = Lambda(self.account)
        self.name = f"t{folder.name.replace('_', '')[-40:]}".lower()
        self.table = self.account.table(name=self.name)
        self.account.s3.create_bucket(Bucket=self.name)
        self.configure(rules)

    def configure(self, rules: str) -> None:
        (self.folder / "tailrace.toml").write_text(
            CONFIG.format(bucket=self.name, endpoint_url=self.aws.endpoint_url, table=self.table, rules=rules)
        )

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline.from_config(self.folder / "tailrace.toml")

    def function(self, handler: str, **settings: Any) -> str:
        """One of ours; its name."""
        name = f"{self.name}-{handler.replace('_', '-')}"
        variables = {"TAILRACE_LANDING": f"s3://{self.name}/zone", "TAILRACE_CONFIG": f"{self.folder}/tailrace.toml"}
        variables |= settings.pop("variables", {})
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("empty.txt", "the package is installed")
        self.functions.client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler=f"tailrace.runtimes.aws_lambda.{handler}",
            Role="arn:aws:iam::000000000000:role/tests",
            Timeout=settings.pop("Timeout", 60),
            Code={"ZipFile": buffer.getvalue()},
            Environment={"Variables": variables},
            **settings,
        )
        return name

    def capture(self, **settings: Any) -> None:
        """The function behind the stream, mapped as docs/aws.md says."""
        self.functions.map(
            self.function("capture"),
            self.table,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            BisectBatchOnFunctionError=True,
            **{"BatchSize": 1000, "MaximumRetryAttempts": 50, **settings},
        )

    def load_each_object(self) -> None:
        self.notify(self.name, self.function("on_object"))

    def dead_letters(self) -> Buried:
        """The function that sees to what failed, with its queues, its topic and its bucket."""
        letters, arn = self.functions.queue()
        (parked, _), (told, listener) = self.functions.queue(), self.functions.queue()
        sns = self.account.client("sns")
        topic = sns.create_topic(Name=self.name)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=listener)
        variables = {"TAILRACE_TOPIC": topic, "TAILRACE_PARKED_QUEUE": parked}
        function = self.function("dead_letters", variables=variables)
        self.functions.client.create_event_source_mapping(FunctionName=function, EventSourceArn=arn, BatchSize=1)
        self.account.s3.create_bucket(Bucket=f"{self.name}-given-up")
        self.notify(f"{self.name}-given-up", function)
        return Buried(letters, arn, parked, told)

    def arn(self, function: str) -> str:
        return str(self.functions.client.get_function(FunctionName=function)["Configuration"]["FunctionArn"])

    def notify(self, bucket: str, function: str) -> None:
        notice = {"LambdaFunctionArn": self.arn(function), "Events": ["s3:ObjectCreated:*"]}
        self.account.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [notice]}
        )

    def call(self, function: str, event: Any) -> dict[str, Any]:
        answer = self.functions.client.invoke(FunctionName=function, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return dict(payload)

    def landed(self) -> list[str]:
        listed = self.account.s3.list_objects_v2(Bucket=self.name, Prefix=f"zone/{self.table}/changes/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def value(self, sql: str) -> Any:
        """What a query gives as `n`; None while another process is just making the file or the table."""
        try:
            return self.pipeline.query(sql)["n"][0].as_py()
        except UserFault:
            return None

    @property
    def manifest(self) -> Manifest:
        published = self.pipeline.landing(self.table).load()
        assert published is not None
        return published.manifest

    def verify(self) -> None:
        (report,) = self.pipeline.verify()
        assert (report.missing, report.extra, report.different) == (0, 0, 0)


def test_a_write_reaches_the_target_by_functions_alone(site: Site) -> None:
    site.configure('base = "scan"')
    site.account.put_many(site.table, 100, prefix="old")
    site.load_each_object()
    site.capture()
    site.account.put_many(
        site.table, 500, prefix="new", text={"S": "ü"}, n={"N": "12345678901234567890123456789012345678"}
    )
    schedule = site.function("on_schedule")
    until(lambda: len(site.landed()) > 0)

    def is_consistent() -> bool:
        return site.call(schedule, {"tables": site.table})[site.table]["state"] == "CONSISTENT"

    until(is_consistent, 60)
    assert site.value("SELECT count(*) AS n FROM orders") == 600
    (status,) = site.pipeline.status()
    assert (status.capture, status.state, status.unloaded) == ("lambda", "CONSISTENT", 0)
    site.verify()


def test_each_object_is_loaded_by_its_event(site: Site) -> None:
    site.configure('base = "none"')
    site.load_each_object()
    site.capture()
    site.account.put_many(site.table, 50)
    until(lambda: site.value("SELECT count(*) AS n FROM orders") == 50, 60)
    site.account.dynamodb.delete_item(TableName=site.table, Key={"pk": {"S": "k7"}})
    until(lambda: site.value("SELECT count(*) AS n FROM orders") == 49, 60)
    site.verify()


def test_a_bad_record_among_ten_thousand(site: Site) -> None:
    site.configure('base = "none"')
    arn, written = site.account.arn(site.table), int(site.aws.clock())
    records = [
        {
            "eventName": "INSERT",
            "eventSourceARN": arn,
            "dynamodb": {
                "ApproximateCreationDateTime": written,
                "SequenceNumber": f"{10**20 + n}",
                "Keys": {"pk": {"S": f"k{n}"}},
                "NewImage": {"pk": {"S": f"k{n}"}, "n": {"N": str(n)}},
            },
        }
        for n in range(10_000)
    ]
    del records[4711]["dynamodb"]["Keys"]  # type: ignore[attr-defined]
    assert site.call(site.function("capture"), {"Records": records}) == {"batchItemFailures": []}
    site.call(site.function("on_schedule"), {})
    assert site.value("SELECT count(*) AS n FROM orders") == 9_999
    landing = site.pipeline.landing(site.table)
    (aside,) = (record for file in landing.quarantined() for record in file.records)
    assert (aside.sequence_number, "Keys" in aside.reason) == (str(10**20 + 4711), True)
    assert json.loads(aside.payload) == records[4711]


def test_failures_duplicates_and_other_borders_change_nothing(site: Site) -> None:
    site.configure('base = "none"\nmode = "changelog"')
    site.aws.fault("error", operation="PutObject", table=site.name, status=503, count=30)
    site.capture(BatchSize=20)
    site.account.put_many(site.table, 60, prefix="a")
    until(lambda: not site.aws.faults(), 60)
    until(lambda: len(site.landed()) > 1, 60)
    before = len(site.landed())
    site.aws.advance(3600)  # what is tried again now was begun in another hour
    site.aws.shards("duplicate", site.table, count=3)
    site.aws.fault("lost_answer", operation="Invoke", table=f"{site.name}-capture", count=2)
    for n in range(3):
        site.account.put_many(site.table, 60, prefix=f"b{n}")
        (site.aws.split if n % 2 else site.aws.roll)(site.table)
    until(lambda: len(site.landed()) > before, 60)
    schedule = site.function("on_schedule")
    until(lambda: site.call(schedule, {}) and site.value("SELECT count(*) AS n FROM orders") == 240, 60)
    for _ in range(2):
        site.call(schedule, {})
    assert site.value("SELECT count(*) AS n FROM orders") == 240
    assert site.value("SELECT count(DISTINCT pk) AS n FROM orders") == 240
    site.verify()


def test_a_schedule_ends_where_a_function_has_yet_to_land_something(site: Site) -> None:
    site.configure('base = "none"')
    site.account.put_many(site.table, 30)
    schedule = site.function("on_schedule")
    assert site.call(schedule, {})[site.table]["state"] == "CAPTURING"
    assert site.landed() == [], "what is young is left to the function"


def test_a_state_machine_calls_until_the_base_is_read(site: Site) -> None:
    site.configure("scan_segments = 4")
    site.account.put_many(site.table, 200)
    arn = site.arn(site.function("backfill"))
    machine = {
        "StartAt": "Step",
        "States": {
            "Step": {"Type": "Task", "Resource": arn, "Next": "Done?"},
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "End"}],
                "Default": "Pause",
            },
            "Pause": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Step"},
            "End": {"Type": "Succeed"},
        },
    }
    states = site.account.client("stepfunctions")
    made = states.create_state_machine(
        name=site.name, definition=json.dumps(machine), roleArn="arn:aws:iam::000000000000:role/tests"
    )
    run = states.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps({"tables": site.table}))[
        "executionArn"
    ]
    until(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING", 60)
    told = states.describe_execution(executionArn=run)
    assert told["status"] == "SUCCEEDED", told
    assert json.loads(told["output"])["progress"][site.table]["parts_done"] == 4
    assert sum(s.rows for s in site.manifest.segments) == 200


def test_an_item_of_a_chain_table_calls_until_the_base_is_read(site: Site) -> None:
    site.configure("scan_segments = 12\nworkers = 1")
    site.account.put_many(site.table, 600)
    site.aws.fault("slow", operation="Scan", table=site.table, seconds=1, count=12)  # 12 seconds, of which a call has 8
    chain = f"{site.name}-chain"
    site.account.dynamodb.create_table(
        TableName=chain,
        KeySchema=[{"AttributeName": "table", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "table", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    function = site.function("backfill", Timeout=8, variables={"TAILRACE_CHAIN_TABLE": chain})
    site.functions.map(function, chain, BatchSize=1)
    item = {"table": {"S": site.table}}
    site.account.dynamodb.put_item(TableName=chain, Item=item)

    def found() -> dict[str, Any]:
        answer = site.account.dynamodb.get_item(TableName=chain, Key=item, ConsistentRead=True)
        return dict(answer["Item"])

    until(lambda: found().get("done", {}).get("BOOL"), 120)
    assert int(found()["step"]["N"]) > 1
    assert sum(s.rows for s in site.manifest.segments) == 600
    before = found()
    event = {"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": item}}]}
    assert site.call(function, event)["done"], "a step that comes again finds nothing to do"
    assert found() == before


def test_what_fails_for_good_is_kept_and_announced_and_what_may_pass_is_sent_once_more(site: Site) -> None:
    site.configure('base = "none"')
    buried = site.dead_letters()
    schedule = site.function("on_schedule")
    site.capture()
    site.account.put_many(site.table, 20)
    until(site.landed, 60)
    failed = {
        "requestContext": {
            "functionArn": f"{site.arn(schedule)}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"tables": site.table},
        "responsePayload": {"errorType": "ServiceUnavailable", "errorMessage": "planned"},
    }
    site.functions.sqs.send_message(QueueUrl=buried.letters, MessageBody=json.dumps(failed))
    until(lambda: site.value("SELECT count(*) AS n FROM orders") == 20, 60)
    assert site.functions.messages(buried.parked) == []
    site.functions.client.put_function_event_invoke_config(
        FunctionName=schedule,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": buried.arn}},
    )
    site.functions.client.invoke(
        FunctionName=schedule, InvocationType="Event", Payload=json.dumps({"tables": "no such table"})
    )
    (kept,) = until(lambda: site.functions.messages(buried.parked), 60)
    assert json.loads(kept["Body"])["requestPayload"] == {"tables": "no such table"}
    (told,) = until(lambda: site.functions.messages(buried.told), 60)
    assert "No configured table matches" in told["Body"]


def test_records_that_lambda_gave_up_land_after_all(site: Site) -> None:
    site.configure('base = "none"')
    site.dead_letters()
    site.functions.map(
        site.function("capture", variables={"TAILRACE_LANDING": "nowhere"}),
        site.table,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{site.name}-given-up"}},
    )
    site.account.put_many(site.table, 30)
    until(site.landed, 60)
    schedule = site.function("on_schedule")
    until(lambda: site.call(schedule, {}) and site.value("SELECT count(*) AS n FROM orders") == 30, 60)
    site.verify()


def test_given_up_records_that_cannot_be_read_are_kept_and_announced(site: Site) -> None:
    site.configure('base = "none"')
    buried = site.dead_letters()
    event = of_objects(f"{site.name}-given-up", "gone")
    assert site.call(f"{site.name}-dead-letters", event) == {"retried": 0, "kept": 1, "landed": 0}
    (kept,) = site.functions.messages(buried.parked)
    assert json.loads(kept["Body"])["object"] == f"s3://{site.name}-given-up/gone"
    (told,) = until(lambda: site.functions.messages(buried.told), 60)
    assert "gone and cannot land: NotFound" in told["Body"]


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of this process work on the site; they leave its logging alone."""
    monkeypatch.setenv("TAILRACE_CONFIG", f"{site.folder}/tailrace.toml")
    monkeypatch.setattr(running, "set_up_logging", lambda: None)
    running._opened.cache_clear()


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def of_objects(bucket: str, *keys: str) -> dict[str, Any]:
    """S3's event of objects that were created."""
    return {
        "Records": [
            {
                "eventName": "ObjectCreated:Put",
                "eventSource": "aws:s3",
                "s3": {"bucket": {"name": bucket}, "object": {"key": quote(key)}},
            }
            for key in keys
        ]
    }


def test_an_object_is_answered_with_what_was_listed_and_how_the_table_stands(
    site: Site, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    site.configure('base = "none"')
    site.capture()
    site.account.put_many(site.table, 10)
    (key,) = until(site.landed, 60)
    for segments in (1, 0):
        answer = running.on_object(of_objects(site.name, key), Context())
        assert answer == {site.table: {"unloaded": 0, "state": "CAPTURING"}}
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (line["Segments"], line["state"], line["Failures"]) == (segments, "CAPTURING", 0)


def test_a_table_that_cannot_be_listed_holds_up_no_other(
    site: Site, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = f"a-{site.table}"
    site.configure(f'base = "none"\n[tables.{bad}]\nname = "bad"\nbase = "none"')
    site.capture()
    site.account.put_many(site.table, 10)
    (key,) = until(site.landed, 60)
    site.account.s3.put_object(Bucket=site.name, Key=f"zone/{bad}/manifest.json", Body=b"{}")
    with pytest.raises(ManifestInvalid, match=bad):
        running.on_object(of_objects(site.name, key.replace(site.table, bad), key), Context())
    assert site.value("SELECT count(*) AS n FROM orders") == 10
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "UnloadedSegments" in line]
    told = {line["Table"]: line for line in lines}
    assert list(told) == [bad, site.table]
    assert (next(iter(told[bad]["errors"])), told[site.table]["Segments"]) == ("capture", 1)


def test_events_that_are_not_ours_are_left_alone(site: Site) -> None:
    function = site.function("on_object")
    key = f"zone/{site.table}/changes/dt%3D2026-11-22/hr%3D05/1-2-0123abcd.json.gz"

    def event(bucket: str, key: str) -> dict[str, Any]:
        s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
        return {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3}]}

    for odd in (
        {"Service": "Amazon S3", "Event": "s3:TestEvent"},
        [],
        event("another", key),
        event(site.name, "zone/another/changes/x"),
        event(site.name, f"zone/{site.table}/manifest.json"),
        event(site.name, f"zone/{site.table}/quarantine/x.json.gz"),
        event(site.name, "elsewhere"),
    ):
        assert site.call(function, odd) == {}
    assert list(site.call(function, event(site.name, key))) == [site.table], "gone since: nothing to list"
