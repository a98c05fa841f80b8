"""The rendered template, deployed: the embedded AWS makes its resources, and live writes reach the warehouse by them alone.

The embedded AWS runs no containers: the functions that would be images run from zips here, with the same handlers, variables and
configuration. Nor does it deny anything to a role: what policies allow is compared in `test_permissions.py`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from configurations import HEAD, ORDERS, REDSHIFT, config_of
from functions import until
from stream_reader import Account

from tailrace.deploy.cloudformation import template
from tailrace.deploy.model import Deployment
from tailrace.deploy.plan import plan
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline

pytestmark = pytest.mark.embedded

CONFIGURATION = (HEAD + REDSHIFT + ORDERS + "flush_seconds = 1\n").replace("eu-west-1", "us-east-1")
WORKGROUP = "arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/0a1b"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


class Stack:
    """A deployed configuration."""

    def __init__(self, account: Account, deployment: Deployment) -> None:
        self.account, self.deployment = account, deployment
        self.formation = account.client("cloudformation")
        self.functions = account.client("lambda", read_timeout=120)

    def create(self, **values: str) -> None:
        account, deployment = self.account, self.deployment
        account.s3.create_bucket(Bucket=f"{deployment.name}-code")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("tailrace.toml", deployment.config)
        account.s3.put_object(Bucket=f"{deployment.name}-code", Key="code.zip", Body=buffer.getvalue())
        given = {"WorkerImage": "none", "CodeBucket": f"{deployment.name}-code", "CodeKey": "code.zip", **values}
        self.formation.create_stack(
            StackName=deployment.name,
            TemplateBody=json.dumps(without_images(template(deployment))),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
        until(lambda: not self.status().endswith("IN_PROGRESS"), 60)

    def status(self) -> str:
        return str(self.formation.describe_stacks(StackName=self.deployment.name)["Stacks"][0]["StackStatus"])

    def tick(self, table: str) -> dict[str, Any]:
        """What the schedule does, with the schedule's own event."""
        name = self.deployment.name
        schedule = self.account.client("scheduler").get_schedule(GroupName=name, Name=f"{name}-{table}-sweep")
        target = schedule["Target"]
        answer = self.functions.invoke(FunctionName=target["Arn"], Payload=target["Input"])
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return dict(payload)


def without_images(document: dict[str, Any]) -> dict[str, Any]:
    """The same functions from a zip, under this Python."""
    for resource in document["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Lambda::Function":
            properties["Runtime"] = "python3.11"
            if properties.pop("PackageType", None) == "Image":
                properties["Handler"] = properties.pop("ImageConfig")["Command"][0]
                properties["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    return document


def test_live_writes_reach_the_warehouse_through_what_was_deployed(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    account = Account(aws)
    account.table(name="orders")
    account.put_many("orders", 40, prefix="before")
    stack = Stack(account, plan(config_of(CONFIGURATION), "0.1.0"))
    stream = account.dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    stack.create(OrdersStream=stream, DwhWorkgroup=WORKGROUP)
    assert stack.status() == "CREATE_COMPLETE"

    account.put_many("orders", 200, prefix="live", n={"N": "12345678901234567890123456789012345678"})
    for number in range(0, 40, 4):
        account.dynamodb.delete_item(TableName="orders", Key={"pk": {"S": f"live{number}"}})

    path = tmp_path / "tailrace.toml"
    path.write_text(stack.deployment.config, encoding="utf-8")
    pipeline = Pipeline.from_config(path)

    def rows() -> int:
        return int(pipeline.query("SELECT count(*) AS n FROM orders")["n"][0].as_py())

    def is_loaded_by_events() -> bool:
        (status,) = pipeline.status()
        return any(target.rows for target in status.targets)

    until(
        is_loaded_by_events, 60
    )  # stream, function, S3, its event, function, warehouse: nobody has called anything yet
    until(
        lambda: stack.tick("orders")["orders"]["state"] == "CONSISTENT", 120
    )  # and the schedule reads what was there before
    until(lambda: stack.tick("orders") and rows() == 230, 60)
    (report,) = pipeline.verify()
    assert (report.missing, report.extra, report.different) == (0, 0, 0)
    assert report.keys_source == 230


def chained(table: str, kind: str) -> str:
    text = CONFIGURATION.replace("acme-lake/tailrace", f"lake-{table}").replace("orders", table)
    return text.replace("analytics", table) + f'[deploy]\nname = "{table}"\nbackfill = "{kind}"\n'


def by_state_machine(account: Account, name: str) -> None:
    states = account.client("stepfunctions")
    machine = f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}-{name}-backfill"
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING", 120)
    done = states.describe_execution(executionArn=execution)
    assert (done["status"], json.loads(done["output"])["done"]) == ("SUCCEEDED", True)


def by_chain_table(account: Account, name: str) -> None:
    table, key = f"{name}-{name}-backfill", {"table": {"S": name}}
    account.dynamodb.put_item(TableName=table, Item=key)

    def is_done() -> bool:
        item = account.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        return item.get("done") == {"BOOL": True}

    until(is_done, 120)


@pytest.mark.parametrize(
    ("table", "kind", "run"),
    [("customers", "step_functions", by_state_machine), ("invoices", "chain_table", by_chain_table)],
)
def test_a_chain_reads_a_base_to_its_end(
    table: str,
    kind: str,
    run: Callable[[Account, str], None],
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    account = Account(aws)
    account.s3.create_bucket(Bucket="acme-lake")  # of staging; it may be there already
    account.table(name=table)
    account.put_many(table, 120, prefix="before")
    stack = Stack(account, plan(config_of(chained(table, kind)), "0.1.0"))
    stream = account.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    stack.create(**{f"{table.capitalize()}Stream": stream}, DwhWorkgroup=WORKGROUP)
    assert stack.status() == "CREATE_COMPLETE"
    account.put_many(table, 10, prefix="live")
    path = tmp_path / "tailrace.toml"
    path.write_text(stack.deployment.config, encoding="utf-8")
    pipeline = Pipeline.from_config(path)
    until(lambda: pipeline.landing(table).load() is not None, 60)  # a base begins when capture has

    run(account, table)
    published = pipeline.landing(table).load()
    assert published is not None
    assert sum(s.rows for s in pipeline.landing(table).segments(published.manifest) if s.kind == "base") == 130
    until(lambda: stack.tick(table)[table]["state"] == "CONSISTENT", 120)
    (report,) = pipeline.verify()
    assert (report.missing, report.extra, report.different, report.keys_source) == (0, 0, 0, 130)
