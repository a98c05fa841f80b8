"""A base that takes longer than a call: somebody calls the function again until it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from functions import until
from lambda_site import Site

pytestmark = pytest.mark.embedded


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
