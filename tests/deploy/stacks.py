"""A rendered deployment on the embedded AWS: its template is deployed, its functions are processes, its schedules call them.

The embedded AWS runs no containers: the functions that would be images run from zips here, with the same handlers, variables and
configuration. Nor does it deny anything to a role: what policies allow is compared in `test_permissions.py`.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final

import endpoint_clock
from configurations import HEAD, REDSHIFT, config_of
from endpoint_clock import EndpointClock
from functions import until
from stream_reader import Account

from tailrace.deploy.cloudformation import template
from tailrace.deploy.model import Deployment
from tailrace.deploy.plan import plan
from tailrace.jobs.verify import VerifyReport
from tailrace.pipeline import Pipeline

WORKGROUP: Final = "arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/0a1b"
IN_ITS_TIME: Final = "in_its_time"
HANDLERS: Final = """\
import tailrace.clock
from endpoint_clock import EndpointClock

tailrace.clock.SystemClock = EndpointClock  # before anybody else imports it
from tailrace.runtimes.aws_lambda import backfill, capture, dead_letters, on_object, on_schedule
"""


def alone(table: str, rules: str, deploy: str = "") -> str:
    """A configuration of one table into Redshift that shares no name with any other one of the account."""
    text = (HEAD + REDSHIFT).replace("eu-west-1", "us-east-1").replace("acme-lake", f"lake-{table}")
    return f'{text.replace("analytics", table)}[deploy]\nname = "{table}"\n{deploy}[tables.{table}]\n{rules}'


class Stack:
    """A configuration that is deployed to an account, in whose environment we are.

    `link_seconds`: the timeout of a backfill's function, where it is to be less than what is deployed.
    """

    def __init__(self, account: Account, configuration: str, folder: Path, *, link_seconds: int | None = None) -> None:
        self.account = account
        config = config_of(configuration)
        self.deployment: Deployment = plan(config, "0.1.0")
        self.name = self.deployment.name
        self.chain = config.deploy.backfill
        self.functions = account.client("lambda", read_timeout=120)
        self._formation = account.client("cloudformation")
        self._link_seconds = link_seconds
        path = folder / "tailrace.toml"
        path.write_text(self.deployment.config, encoding="utf-8")
        self.pipeline = Pipeline.from_config(path, EndpointClock())

    def create(self, *streams: str) -> None:
        """Deploy it. `streams`: the tables that are captured by theirs."""
        bucket = f"{self.name}-code"
        self.account.s3.create_bucket(Bucket=bucket)
        self.account.s3.put_object(Bucket=bucket, Key="code.zip", Body=self._code())
        given = {"WorkerImage": "none", "CodeBucket": bucket, "CodeKey": "code.zip"}
        given |= {f"{table.capitalize()}Stream": self.account.arn(table) for table in streams}
        document = template(self.deployment)
        document["Parameters"] |= {name: {"Type": "String"} for name in ("CodeBucket", "CodeKey")}
        given |= {name: WORKGROUP for name in document["Parameters"] if name.endswith("Workgroup")}
        self._formation.create_stack(
            StackName=self.name,
            TemplateBody=json.dumps(self._without_images(document)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
        until(lambda: not self._status().endswith("IN_PROGRESS"), 60)
        assert self._status() == "CREATE_COMPLETE"
        self._reserve(document)

    def _status(self) -> str:
        return str(self._formation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])

    def _code(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("tailrace.toml", self.deployment.config)
            archive.write(endpoint_clock.__file__, "endpoint_clock.py")
            archive.writestr(f"{IN_ITS_TIME}.py", HANDLERS)
        return buffer.getvalue()

    def _without_images(self, document: dict[str, Any]) -> dict[str, Any]:
        """The same functions from a zip, under this Python, by the endpoint's clock."""
        for resource in document["Resources"].values():
            properties = resource["Properties"]
            if resource["Type"] != "AWS::Lambda::Function":
                continue
            properties["Runtime"] = "python3.11"
            if properties.pop("PackageType", None) == "Image":
                properties["Handler"] = properties.pop("ImageConfig")["Command"][0]
                properties["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
            handler = properties["Handler"].rpartition(".")[2]
            properties["Handler"] = f"{IN_ITS_TIME}.{handler}"
            if handler == "backfill" and self._link_seconds:
                properties["Timeout"] = self._link_seconds
        return document

    def _reserve(self, document: dict[str, Any]) -> None:
        """What the embedded CloudFormation leaves out."""
        for resource in document["Resources"].values():
            reserved = resource["Properties"].get("ReservedConcurrentExecutions")
            if resource["Type"] == "AWS::Lambda::Function" and reserved is not None:
                name = resource["Properties"]["FunctionName"]
                self.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)

    # ---- what was deployed

    def tick(self, table: str) -> dict[str, Any]:
        """What the schedule does, with the schedule's own event, once no other call is under way."""
        schedule = self.account.client("scheduler").get_schedule(GroupName=self.name, Name=f"{self.name}-{table}-sweep")
        target = schedule["Target"]

        def called() -> Any:
            try:
                return self.functions.invoke(FunctionName=target["Arn"], Payload=target["Input"])
            except self.functions.exceptions.TooManyRequestsException:
                return None

        answer = until(called, 60)
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return dict(payload)

    def backfilled(self, table: str, seconds: float) -> int:
        """Begin a table's chain and wait until its base is read; how often a link handed over to the next one."""
        if self.chain == "step_functions":
            return self._by_state_machine(f"{self.name}-{table}-backfill", seconds)
        return self._by_chain_table(f"{self.name}-{table}-backfill", table, seconds)

    def _by_state_machine(self, name: str, seconds: float) -> int:
        states = self.account.client("stepfunctions")
        machine = f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING", seconds)
        ended = states.describe_execution(executionArn=execution)
        assert (ended["status"], json.loads(ended["output"])["done"]) == ("SUCCEEDED", True), ended
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return sum(event["type"] == "TaskStateEntered" for page in pages for event in page["events"]) - 1

    def _by_chain_table(self, name: str, table: str, seconds: float) -> int:
        dynamodb, key = self.account.dynamodb, {"table": {"S": table}}
        dynamodb.put_item(TableName=name, Item=key)

        def done() -> dict[str, Any] | None:
            item = dynamodb.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]
            return dict(item) if item.get("done") == {"BOOL": True} else None

        return int(until(done, seconds)["step"]["N"]) - 1

    def rows(self, table: str) -> int:
        """Of the warehouse, by what its ledger says."""
        (status,) = self.pipeline.status(tables=table)
        return sum(target.rows for target in status.targets)

    def verified(self, table: str) -> VerifyReport:
        """What `tailrace verify` finds, which is nothing."""
        (report,) = self.pipeline.verify(tables=table)
        assert (report.missing, report.extra, report.different) == (0, 0, 0), report
        return report
