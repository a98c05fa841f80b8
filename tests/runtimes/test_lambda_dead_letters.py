"""What functions fail to do for good is tried once more, or kept and announced, or landed after all."""

from __future__ import annotations

import json

import pytest
from functions import until
from lambda_site import Site, of_objects

pytestmark = pytest.mark.embedded


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
