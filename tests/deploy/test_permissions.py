"""The calls that the handlers really make, held against the policies of their roles: all are allowed, and little more is.

The embedded AWS denies nothing, so every request is noted before it is sent, and compared afterwards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from configurations import HEAD, ORDERS, REDSHIFT, config_of
from permissions import ACCOUNT, Call, calls_of, is_allowed
from stream_reader import Account

from tailrace.aws import Aws, AwsSettings
from tailrace.capture.exports import DynamoDbExportSource, ExportRequest
from tailrace.deploy.iam import documents
from tailrace.deploy.model import Role
from tailrace.deploy.plan import plan, plan_for_server
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline
from tailrace.runtimes.aws_lambda import backfill, capture, capturing, dead_letters, on_object, on_schedule, running

pytestmark = pytest.mark.embedded

TEXT = (HEAD + REDSHIFT + ORDERS).replace("eu-west-1", "us-east-1")
WORKGROUP = f"arn:aws:redshift-serverless:us-east-1:{ACCOUNT}:workgroup/0a1b"
BY_SERVICES = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
    "dynamodb:ListStreams",
    "secretsmanager:GetSecretValue",
    "kms:Decrypt",
    "kms:DescribeKey",
    "s3:PutObjectAcl",
    "s3:AbortMultipartUpload",
}
"""What AWS's own services do with a role, or ask for behind a call."""


class Context:
    """Of an invocation with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Site:
    """One table, the configuration that its functions read, and the requests that were made."""

    def __init__(self, aws: LocalAws, folder: Path, text: str) -> None:
        self.account = Account(aws)
        self.config = config_of(text)
        self.folder = folder
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.stream = ""
        self.moment = int(aws.clock())  # of every change: a position that comes again must hold the same

    def watch(self, client: Any) -> Any:
        def note(params: Any, model: Any, **rest: Any) -> None:
            self.requests.append((model.service_model.service_name, model.name, dict(params)))

        client.meta.events.register("provide-client-params.*.*", note)
        return client

    def calls(self) -> list[Call]:
        return [call for request in self.requests for call in calls_of(*request, self.stream, WORKGROUP)]

    def statements(self, role: Role) -> list[dict[str, Any]]:
        deployment = plan(self.config, "0")
        found: list[dict[str, Any]] = documents(deployment, (role,), ACCOUNT, {"DwhWorkgroup": WORKGROUP})[role.name][
            "policy"
        ]["Statement"]
        return found

    def role(self, duty: str) -> Role:
        (role,) = [r for r in plan(self.config, "0").roles if r.duty == duty]
        return role

    def check(self, role: Role, unused: set[str]) -> None:
        """Every call is allowed, and every action that is allowed was called, but for these."""
        statements, calls = self.statements(role), self.calls()
        assert calls
        denied = {(call.action, call.resource) for call in calls if not is_allowed(call, statements)}
        assert denied == set()
        granted = {action for s in statements if s["Effect"] == "Allow" for action in s["Action"]}
        assert granted - {call.action for call in calls} - BY_SERVICES == unused


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        account = Account(endpoint)
        account.s3.create_bucket(Bucket="acme-lake")
        account.table(name="orders")
        account.put_many("orders", 20)
        yield endpoint


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    site = Site(aws, tmp_path, TEXT)
    path = tmp_path / "tailrace.toml"
    path.write_text(plan(site.config, "0").config, encoding="utf-8")
    monkeypatch.setenv("TAILRACE_CONFIG", str(path))
    monkeypatch.setenv("TAILRACE_LANDING", site.config.landing.url)
    for name in ("TAILRACE_CHAIN_TABLE", "TAILRACE_PARKED_QUEUE", "TAILRACE_TOPIC"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
    site.stream = site.account.dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    made: Callable[..., Any] = Aws.client
    monkeypatch.setattr(Aws, "client", lambda *given, **more: site.watch(made(*given, **more)))
    for cache in (capturing._store, running._opened):
        cache.cache_clear()
    yield site
    for cache in (capturing._store, running._opened):
        cache.cache_clear()


def batch(site: Site, first: int = 1, count: int = 3, *, bad: bool = False) -> dict[str, Any]:
    records: list[dict[str, Any]] = [
        {
            "eventName": "INSERT",
            "eventSourceARN": site.stream,
            "dynamodb": {
                "ApproximateCreationDateTime": site.moment,
                "SequenceNumber": f"{10**20 + number}",
                "Keys": {"pk": {"S": f"k{number}"}},
                "NewImage": {"pk": {"S": f"k{number}"}},
            },
        }
        for number in range(first, first + count)
    ]
    if bad:
        del records[1]["dynamodb"]["Keys"]
    return {"Records": records}


def test_a_capture_function(site: Site) -> None:
    for event in (batch(site), batch(site), batch(site, 10, bad=True)):  # new, again, and with a bad record
        assert capture(event, Context()) == {"batchItemFailures": []}
    reading = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
    site.check(site.role("capture"), unused={*reading, "s3:ListBucket"})  # Lambda reads the stream with this role


def test_a_function_behind_s3_and_one_on_a_schedule(site: Site) -> None:
    landed = capture(batch(site, 20), Context())
    assert landed == {"batchItemFailures": []}
    listed = site.account.s3.list_objects_v2(Bucket="acme-lake", Prefix="tailrace/orders/changes/")["Contents"]
    objects = [{"bucket": {"name": "acme-lake"}, "object": {"key": entry["Key"]}} for entry in listed]
    event = {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3} for s3 in objects]}

    site.requests.clear()
    assert "orders" in on_object(json.loads(json.dumps(event)), Context())
    site.check(site.role("load"), unused=set())

    # What was loaded already needs few calls: so those of the load count here, too, which may do less.
    assert on_schedule({"tables": "orders"}, Context())["orders"]["unloaded"] == 0
    only_repairs_and_exports = {
        "dynamodb:BatchGetItem",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeExport",
        "dynamodb:ExportTableToPointInTime",
        "dynamodb:ListExports",
    }
    site.check(site.role("tick"), unused=only_repairs_and_exports)


def test_a_table_that_is_exported(site: Site) -> None:
    """What the schedule of such a table calls, one by one: an export takes minutes, and is a matter of other tests."""
    exports = Site(site.account.aws, site.folder, TEXT.replace('"lambda"', '"exports"\nenable_pitr = true'))
    source = DynamoDbExportSource(exports.watch(Aws(AwsSettings("us-east-1")).client("dynamodb")), "orders")
    source.incarnation()
    source.enable_recovery()
    site.account.aws.advance(3600)
    found = source.restorable()
    assert found is not None
    answer = source.start(ExportRequest("acme-lake", "tailrace/orders/exports/x", "token", found.latest))
    source.describe(answer.arn)
    source.find("tailrace/orders/exports/x", 0)
    statements = exports.statements(exports.role("tick"))
    calls = exports.calls()
    assert {call.action.partition(":")[2] for call in calls} == {
        "DescribeTable",
        "UpdateContinuousBackups",
        "DescribeContinuousBackups",
        "ExportTableToPointInTime",
        "DescribeExport",
        "ListExports",
    }
    assert [call for call in calls if not is_allowed(call, statements)] == []
    # DynamoDB writes with the caller's rights, where the call says
    data = Call(
        "s3:PutObject",
        "arn:aws:s3:::acme-lake/tailrace/orders/exports/x/AWSDynamoDB/0/data/a.json.gz",
        {"aws:ResourceAccount": ACCOUNT},
    )
    assert is_allowed(data, statements)


def test_a_server(site: Site) -> None:
    config = config_of(TEXT.replace('"lambda"', '"streams"'))
    pipeline = Pipeline.from_config(site.folder / "tailrace.toml")
    pipeline.config = config
    pipeline.run(until_caught_up=True, budget_seconds=60)
    statements = site.statements(plan_for_server(config, "0").roles[0])
    assert [call for call in site.calls() if not is_allowed(call, statements)] == []
    assert {"dynamodb:GetRecords", "s3:PutObject"} <= {call.action for call in site.calls()}


def test_a_link_of_a_chain(site: Site) -> None:
    text = TEXT + '[deploy]\nbackfill = "chain_table"\n'
    chained = Site(site.account.aws, site.folder, text)
    name = chained.role("backfill").name
    site.account.dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "table", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "table", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"table": {"S": "orders"}}
    site.account.dynamodb.put_item(TableName=name, Item=item)
    os.environ["TAILRACE_CHAIN_TABLE"] = name
    while not backfill({"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": item}}]}, Context())["done"]:
        item = site.account.dynamodb.get_item(TableName=name, Key={"table": {"S": "orders"}})["Item"]
    assert site.account.dynamodb.get_item(TableName=name, Key=item)["Item"]["done"] == {"BOOL": True}
    chained.requests, chained.stream = site.requests, site.stream
    statements = chained.statements(chained.role("backfill"))
    assert [call for call in chained.calls() if not is_allowed(call, statements)] == []
    assert {"dynamodb:PutItem", "s3:GetObject"} <= {call.action for call in chained.calls()}


def test_dead_letters(site: Site) -> None:
    queue = site.account.client("sqs").create_queue(QueueName="parked")["QueueUrl"]
    topic = site.account.client("sns").create_topic(Name="tailrace-alarms")["TopicArn"]
    bucket = f"tailrace-{ACCOUNT}-us-east-1-given-up"
    site.account.s3.create_bucket(Bucket=bucket)
    site.account.s3.put_object(Bucket=bucket, Key="a", Body=json.dumps({"payload": json.dumps(batch(site, 40))}))
    os.environ.update(TAILRACE_PARKED_QUEUE=queue, TAILRACE_TOPIC=topic)
    letter = {"requestContext": {"functionArn": "arn:aws:lambda:us-east-1:0:function:f", "condition": "x"}}
    event = {
        "Records": [
            {"eventSource": "aws:sqs", "body": json.dumps(letter)},
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": "a"}},
            },
        ]
    }
    assert dead_letters(event, Context()) == {"retried": 0, "kept": 1, "landed": 1}
    statements = site.statements(site.role("dead-letters"))
    assert [call for call in site.calls() if not is_allowed(call, statements)] == []
    assert {"sqs:SendMessage", "sns:Publish", "s3:PutObject"} <= {call.action for call in site.calls()}
