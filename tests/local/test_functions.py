"""Lambda functions as processes: what a handler finds around itself, and what is left of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from functions import Lambda, until
from stream_reader import Account

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

AROUND = """
import os

def handler(event, context):
    return {
        "environment": dict(os.environ),
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "request": context.aws_request_id,
        "process": os.getpid(),
    }
"""
SLEEPS = """
import json, os, time
import boto3

def handler(event, context):
    boto3.client("s3").put_object(Bucket=os.environ["SEEN"], Key="process", Body=json.dumps(os.getpid()).encode())
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def functions(account: Account) -> Lambda:
    return Lambda(account)


def invoke(functions: Lambda, name: str, event: Any = None) -> dict[str, Any]:
    answer = functions.client.invoke(FunctionName=name, Payload=json.dumps(event))
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return {**found, "error": answer.get("FunctionError")}


def test_a_handler_finds_what_lambda_gives_it(functions: Lambda, account: Account) -> None:
    name = functions.function(AROUND, Timeout=7, MemorySize=512, variables={"GIVEN": "1"})
    found = invoke(functions, name)
    environment = found["environment"]
    wanted = {
        "GIVEN": "1",
        "AWS_ENDPOINT_URL": account.aws.endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "_HANDLER": "handler.handler",
        "TZ": ":UTC",
    }
    assert {key: environment.get(key) for key in wanted} == wanted
    assert environment["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
    assert (found["memory"], found["error"]) == (512, None)
    assert 6000 < found["left"] <= 7000
    assert found["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert invoke(functions, name)["process"] == found["process"], "the process lives on"
    described = functions.client.get_function_configuration(FunctionName=name)
    assert described["Environment"]["Variables"] == {"GIVEN": "1", "SEEN": name}


def test_a_handler_knows_nothing_of_who_started_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TAILRACE_CONFIG", "elsewhere.toml")
    with LocalAws() as aws:
        monkeypatch.undo()
        functions = Lambda(Account(aws))
        environment = invoke(functions, functions.function(AROUND))["environment"]
        assert environment["AWS_ENDPOINT_URL"] == aws.endpoint_url
    assert not environment.keys() & {"AWS_PROFILE", "TAILRACE_CONFIG"}


def test_a_call_that_takes_too_long_is_ended(functions: Lambda) -> None:
    found = invoke(functions, functions.function(SLEEPS, Timeout=1))
    assert found["error"] == "Unhandled"
    assert found["errorMessage"].startswith("Task timed out after 1.00 seconds")


def test_no_process_is_left_when_the_endpoint_stops() -> None:
    with LocalAws() as aws:
        functions = Lambda(Account(aws))
        idle = invoke(functions, functions.function(AROUND))["process"]
        assert Path(f"/proc/{idle}").exists()
        busy = functions.function(SLEEPS)
        table = functions.account.table()
        functions.account.put(table, "a")
        functions.map(busy, table)
        (sleeping,) = until(lambda: functions.seen(busy))
    assert not any(Path(f"/proc/{process}").exists() for process in (idle, sleeping))


@pytest.mark.parametrize(
    ("kind", "code", "status"), [("throttle", "TooManyRequestsException", 429), ("error", "ServiceException", 500)]
)
def test_invoke_fails_on_demand(aws: LocalAws, functions: Lambda, kind: str, code: str, status: int) -> None:
    name = functions.function(AROUND)
    aws.fault(kind, operation="Invoke", table=name)
    with pytest.raises(ClientError) as error:
        invoke(functions, name)
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert invoke(functions, name)["error"] is None


def test_mappings_go_on_after_a_restart(tmp_path: Path) -> None:
    with LocalAws(directory=tmp_path) as aws:
        functions = Lambda(Account(aws))
        function, table = functions.function(), functions.account.table()
        functions.map(function, table)
        functions.account.put(table, "a")
        until(lambda: functions.seen(function))
        until(lambda: mapping(functions, function)["LastProcessingResult"] == "OK")
    with LocalAws(directory=tmp_path) as aws:
        functions = Lambda(Account(aws))
        functions.account.put(table, "b")
        until(lambda: len(functions.seen(function)) == 2)
        assert functions.batches(function) == [["a"], ["b"]]


def test_a_template_makes_a_mapping(account: Account, functions: Lambda) -> None:
    function, table = functions.function(), account.table()
    url, queue = functions.queue()
    template = {
        "Resources": {
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": function,
                    "EventSourceArn": account.arn(table),
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 2,
                    "MaximumRetryAttempts": 0,
                    "BisectBatchOnFunctionError": True,
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                    "DestinationConfig": {"OnFailure": {"Destination": queue}},
                },
            }
        }
    }
    account.put(table, "a")
    account.put(table, "b", bad={"S": "report"})
    account.client("cloudformation").create_stack(StackName=function, TemplateBody=json.dumps(template))
    (message,) = until(lambda: functions.messages(url))
    assert functions.batches(function) == [["a", "b"], ["b"]]
    assert json.loads(message["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1


def mapping(functions: Lambda, function: str) -> dict[str, Any]:
    (found,) = functions.client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    return dict(found)
