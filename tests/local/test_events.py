"""Asynchronous calls of functions: retries by the movable clock, age, dead letters, destinations, and faults on their way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from functions import ROLE, Lambda, until
from stream_reader import Account

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

BAD = {"bad": True, "id": 1}
SELF_CALLER = """
import json, os
import boto3

def handler(event, context):
    boto3.client("s3").put_object(Bucket=os.environ["SEEN"], Key=f"{event:06d}", Body=json.dumps(event).encode())
    boto3.client("lambda").invoke(
        FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps(event + 1)
    )
"""


@pytest.fixture(scope="module")
def functions(account: Account) -> Lambda:
    return Lambda(account)


def call(functions: Lambda, name: str, event: Any) -> None:
    answer = functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202


def seen(functions: Lambda, name: str, count: int) -> list[Any]:
    until(lambda: len(functions.seen(name)) >= count)
    return functions.seen(name)


def test_a_failed_event_is_tried_again_after_one_and_two_minutes_and_then_dead(
    aws: LocalAws, functions: Lambda
) -> None:
    url, queue = functions.queue()
    name = functions.function(DeadLetterConfig={"TargetArn": queue})
    call(functions, name, BAD)
    seen(functions, name, 1)
    settle(functions)
    aws.advance(50)
    settle(functions)
    assert len(functions.seen(name)) == 1
    aws.advance(15)
    seen(functions, name, 2)
    settle(functions)
    aws.advance(100)
    settle(functions)
    assert len(functions.seen(name)) == 2
    assert functions.messages(url) == []
    aws.advance(25)
    (message,) = until(lambda: functions.messages(url))
    assert functions.seen(name) == [BAD] * 3
    assert json.loads(message["Body"]) == BAD
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["RequestID"]
    assert (attributes["ErrorCode"], attributes["ErrorMessage"]) == ("200", "bad event")


@pytest.mark.parametrize("qualifier", [{}, {"Qualifier": "$LATEST"}])  # by hand, and as CloudFormation has it
def test_a_destination_is_told_of_failure_and_of_success(functions: Lambda, qualifier: dict[str, str]) -> None:
    (good_url, good), (bad_url, bad) = functions.queue(), functions.queue()
    name = functions.function()
    functions.client.put_function_event_invoke_config(
        FunctionName=name,
        **qualifier,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": good}, "OnFailure": {"Destination": bad}},
    )
    call(functions, name, BAD)
    call(functions, name, {"id": 2})
    (failed,) = (json.loads(message["Body"]) for message in until(lambda: functions.messages(bad_url)))
    (done,) = (json.loads(message["Body"]) for message in until(lambda: functions.messages(good_url)))
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    assert failed["requestContext"]["approximateInvokeCount"] == 1
    assert failed["requestContext"]["functionArn"].endswith(f":function:{name}:$LATEST")
    assert failed["requestPayload"] == BAD
    assert failed["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    told = failed["responsePayload"]
    assert (told["errorType"], told["errorMessage"]) == ("ValueError", "bad event")
    assert (done["requestContext"]["condition"], done["requestPayload"]) == ("Success", {"id": 2})
    assert done["responsePayload"] == {"batchItemFailures": []}


def test_a_bucket_a_topic_and_a_function_are_told_too(account: Account, functions: Lambda) -> None:
    sns, told = account.client("sns"), functions.function()
    url, queue = functions.queue()
    topic = sns.create_topic(Name=told)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    account.s3.create_bucket(Bucket=f"{told}-failed")
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{told}"
    for destination in (topic, function, f"arn:aws:s3:::{told}-failed"):
        name = functions.function()
        functions.client.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": destination}}
        )
        call(functions, name, {**BAD, "to": destination})
    (message,) = until(lambda: functions.messages(url))
    assert json.loads(message["Body"])["requestPayload"]["to"] == topic
    assert seen(functions, told, 1)[0]["requestPayload"]["to"] == function
    (listed,) = until(lambda: account.s3.list_objects_v2(Bucket=f"{told}-failed").get("Contents"))
    assert listed["Key"].startswith("aws/lambda/async/function-")


def test_an_event_grows_too_old_while_its_function_is_throttled(aws: LocalAws, functions: Lambda) -> None:
    url, queue = functions.queue()
    name = functions.function()
    functions.client.put_function_event_invoke_config(
        FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    call(functions, name, {"id": 1})
    settle(functions)
    aws.advance(100)
    (message,) = until(lambda: functions.messages(url))
    assert json.loads(message["Body"])["requestContext"]["condition"] == "EventAgeExceeded"
    assert functions.seen(name) == []


def test_a_call_that_fails_on_the_way_comes_again_and_is_no_retry(aws: LocalAws, functions: Lambda) -> None:
    name = functions.function()
    functions.client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    bucket_event(functions, name)
    aws.fault("lost_answer", operation="Invoke", table=name, count=2)
    functions.account.s3.put_object(Bucket=f"{name}-source", Key="a", Body=b"1")
    for _ in range(3):
        settle(functions)
        aws.advance(5)
    assert len(seen(functions, name, 3)) == 3
    assert aws.faults() == []


def test_a_throttled_call_leaves_the_retries_as_they_were(aws: LocalAws, functions: Lambda) -> None:
    name = functions.function()
    functions.client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    aws.fault("event_late", table=name, seconds=5)
    call(functions, name, BAD)
    aws.fault("throttle", operation="Invoke", table=name)
    aws.advance(5)
    until(lambda: aws.faults() == [])
    settle(functions)
    aws.advance(2)
    seen(functions, name, 1)
    settle(functions)
    aws.advance(61)
    seen(functions, name, 2)


def test_an_object_calls_a_function_as_s3_does(aws: LocalAws, functions: Lambda) -> None:
    """Late, twice or never, as it is planned."""
    name = functions.function()
    bucket_event(functions, name)
    aws.fault("event_late", table=name, seconds=60)
    aws.fault("event_twice", table=name)
    aws.fault("event_lost", table=name)
    for key in ("late", "twice", "lost", "plain"):
        functions.account.s3.put_object(Bucket=f"{name}-source", Key=key, Body=b"1")
    assert sorted(map(key_of, seen(functions, name, 3))) == ["plain", "twice", "twice"]
    aws.advance(60)
    assert key_of(seen(functions, name, 4)[-1]) == "late"


def test_rules_and_topics_call_asynchronously_too(aws: LocalAws, account: Account, functions: Lambda) -> None:
    name = functions.function()
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    sns, events = account.client("sns"), account.client("events")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn, "Input": json.dumps(BAD)}])
    sns.publish(TopicArn=topic, Message="hello")
    assert seen(functions, name, 1)[0]["Records"][0]["Sns"]["Message"] == "hello"
    events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])
    assert seen(functions, name, 2)[1] == BAD
    settle(functions)
    aws.advance(61)
    assert seen(functions, name, 3)[2] == BAD, "a rule's event is tried again"


def test_schedules_follow_the_movable_clock(aws: LocalAws, account: Account, functions: Lambda) -> None:
    name = functions.function()
    scheduler, arn = account.client("scheduler"), f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    aws.advance(3600 - aws.clock() % 3600)
    expressions = {"rate": "rate(5 minutes)", "cron": "cron(5 * * * ? *)", "once": f"at({moment(aws.clock() + 900)})"}
    for kind, expression in expressions.items():
        scheduler.create_schedule(
            Name=f"{name}-{kind}",
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": ROLE, "Input": json.dumps({"kind": kind})},
        )

    def called_after(seconds: float, calls: int) -> list[str]:
        before = len(functions.seen(name))
        aws.advance(seconds)
        found = [event["kind"] for event in seen(functions, name, before + calls)]
        settle(functions)
        assert len(functions.seen(name)) == before + calls
        return sorted(found[before:])

    assert called_after(240, 0) == []
    assert called_after(61, 2) == ["cron", "rate"]
    assert called_after(600, 2) == ["once", "rate"], "of two times that a move passes there is one call"
    assert called_after(3000, 2) == ["cron", "rate"]


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_a_function_that_calls_itself_for_ever_is_stopped(functions: Lambda) -> None:
    name = functions.function(SELF_CALLER)
    call(functions, name, 0)
    seen(functions, name, 16)
    settle(functions)
    assert functions.seen(name) == list(range(16)), "AWS stops such a loop after 16 calls"


def bucket_event(functions: Lambda, name: str) -> None:
    s3 = functions.account.s3
    s3.create_bucket(Bucket=f"{name}-source")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    functions.client.add_permission(
        FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    s3.put_bucket_notification_configuration(
        Bucket=f"{name}-source",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )


def key_of(event: dict[str, Any]) -> str:
    return str(event["Records"][0]["s3"]["object"]["key"])


def settle(functions: Lambda) -> None:
    """Long enough for what is due: another function is called, and has answered."""
    name = functions.function()
    call(functions, name, {})
    seen(functions, name, 1)
