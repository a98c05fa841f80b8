"""A table, its landing zone, its functions as processes and a target, in one account of the embedded AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from functions import Lambda, zipped
from stream_reader import Account

from tailrace.errors import UserFault
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Manifest
from tailrace.pipeline import Pipeline

HANDLERS = "tailrace.runtimes.aws_lambda"
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

    def function(self, handler: str, code: str | None = None, **settings: Any) -> str:
        """One of ours, or `code` that has a `handler` in its place; its name."""
        name = f"{self.name}-{handler.replace('_', '-')}"
        variables = {"TAILRACE_LANDING": f"s3://{self.name}/zone", "TAILRACE_CONFIG": f"{self.folder}/tailrace.toml"}
        variables |= settings.pop("variables", {})
        self.functions.client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="handler.handler" if code else f"{HANDLERS}.{handler}",
            Role="arn:aws:iam::000000000000:role/tests",
            Timeout=settings.pop("Timeout", 60),
            Code={"ZipFile": zipped(code or "# the package is installed")},
            Environment={"Variables": variables},
            **settings,
        )
        return name

    def update(self, handler: str) -> None:
        """What is installed takes the place of a function's own code."""
        name = f"{self.name}-{handler.replace('_', '-')}"
        self.functions.client.update_function_configuration(FunctionName=name, Handler=f"{HANDLERS}.{handler}")

    def capture(self, code: str | None = None, **settings: Any) -> None:
        """The function behind the stream, mapped as docs/aws.md says."""
        self.functions.map(
            self.function("capture", code),
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
