"""What deployed schedules do as time goes by: nobody calls a function here, only the clock of the endpoint is moved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functions import Lambda, until
from stacks import Stack, alone
from stream_reader import Account

from tailrace.local.client import LocalAws
from tailrace.model.exports import ExportState

pytestmark = pytest.mark.embedded

SWEEP = 300.0  # seconds between two calls of a schedule
QUARTER = 900
HOUR = 3600


def landed(stack: Stack, table: str) -> int:
    """Objects with changes."""
    return len(list(stack.pipeline.store.list(f"{table}/changes/")))


def changes(stack: Stack, table: str) -> int:
    """Those that are published."""
    landing = stack.pipeline.landing(table)
    found = landing.load()
    segments = () if found is None else landing.segments(found.manifest)
    return sum(segment.rows for segment in segments if segment.kind == "lambda")


def by_and_by(aws: LocalAws, look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it is true, while the clock goes on by minutes and leaves time for what they bring."""
    for _ in range(30):
        aws.advance(120)
        with contextlib.suppress(AssertionError):
            return until(look, 5)
    return until(look, 5)


def exports_of(stack: Stack, table: str) -> ExportState:
    published = stack.pipeline.landing(table).load()
    assert published is not None
    assert published.manifest.exports is not None
    return published.manifest.exports


def test_exports_reach_the_warehouse_by_the_schedule_alone(account: Account, tmp_path: Path) -> None:
    aws, table = account.aws, "archive"
    stack = Stack(account, alone(table, 'capture = "exports"\nwindow = "15m"\nenable_pitr = true\n'), tmp_path)
    account.table(name=table)
    account.put_many(table, 60, prefix="before")
    stack.create()

    def has_recovery() -> bool:
        described = account.dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        return bool(described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED")

    def has_begun() -> bool:
        state = exports_of(stack, table)
        return bool(state.under_way) and state.under_way[0].arn is not None

    def next_export(number: int, writes: int) -> None:
        """To the end of window `number`, until it can be exported, and until it is; `writes` at once behind each of both."""
        aws.advance(QUARTER - aws.clock() % QUARTER)
        account.put_many(table, writes, prefix=f"behind-{number}-")
        aws.advance(SWEEP)
        until(has_begun, 60)
        account.put_many(table, writes, prefix=f"while-{number}-", n={"N": "12345678901234567890123456789012345678"})
        aws.advance(SWEEP)
        until(lambda: len(exports_of(stack, table).windows) == number, 60)

    aws.advance(SWEEP)
    until(has_recovery, 60)
    assert stack.tick(table) == {table: {"unloaded": 0, "state": "CAPTURING"}}, (
        "it does not wait for a quarter of an hour"
    )
    next_export(0, 5)
    until(lambda: stack.rows(table) == 60, 60)
    for number in (1, 2):
        account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": f"before{number}"}})
        account.put(table, "comes-and-goes", n={"N": str(number)})
        account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "comes-and-goes"}})
        next_export(number, 5)
        until(lambda rows=60 + number * 9: stack.rows(table) == rows, 60)
    next_export(3, 0)
    until(lambda: stack.rows(table) == 88, 60)
    assert stack.verified(table).keys_source == 88
    logged = account.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{table}-{table}-tick")["events"]
    metrics = [event["message"] for event in logged if "CloudWatchMetrics" in event["message"]]
    assert "LagSeconds" in metrics[-1]
    assert not [line for line in metrics if "HeadroomSeconds" in line], "no stream forgets these changes"


def test_an_hour_is_loaded_by_the_schedule_when_it_is_over(account: Account, tmp_path: Path) -> None:
    aws, table = account.aws, "orders"
    rules = 'capture = "lambda"\nflush_seconds = 1\nload = { every = "1h", offset = "5m" }\n'
    stack = Stack(account, alone(table, rules), tmp_path)
    aws.advance(HOUR - aws.clock() % HOUR + 60)
    account.table(name=table)
    account.put_many(table, 60, prefix="before")
    stack.create(table)

    def write(prefix: str) -> None:
        """50 items in two objects at least."""
        for part in ("a", "b"):
            files = landed(stack, table)
            account.put_many(table, 25, prefix=f"{prefix}-{part}-")
            until(lambda files=files: landed(stack, table) > files, 60)

    def outputs() -> int:
        """Objects that compaction has made."""
        found = stack.pipeline.landing(table).load()
        return 0 if found is None else found.manifest.counters.get("outputs", 0)

    until(lambda: landed(stack, table), 60)
    write("first")
    aws.advance(SWEEP)
    until(lambda: changes(stack, table) == 110, 60)
    assert (stack.rows(table), outputs()) == (0, 0), "its hour is not over"

    aws.advance(HOUR - aws.clock() % HOUR + 60)
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "before7"}})
    write("second")
    aws.advance(SWEEP)
    until(lambda: changes(stack, table) == 161, 60)
    until(lambda: stack.rows(table) == 110, 60)
    until(outputs, 60)

    aws.advance(HOUR)
    until(lambda: stack.rows(table) == 159, 60)
    assert stack.verified(table).keys_source == 159
    (status,) = stack.pipeline.status()
    assert (status.state, status.unloaded, status.gaps) == ("CONSISTENT", 0, ())


def test_a_warehouse_that_is_away_for_an_hour_is_caught_up_with(account: Account, tmp_path: Path) -> None:
    aws, table, functions = account.aws, "payments", Lambda(account)
    stack = Stack(account, alone(table, 'capture = "lambda"\nflush_seconds = 1\n'), tmp_path)
    account.table(name=table)
    account.put_many(table, 40, prefix="before")
    stack.create(table)
    told, listener = functions.queue()
    alarms = f"arn:aws:sns:us-east-1:000000000000:{table}-alarms"
    account.client("sns").subscribe(TopicArn=alarms, Protocol="sqs", Endpoint=listener)
    parked = functions.sqs.get_queue_url(QueueName=f"{table}-parked")["QueueUrl"]
    aws.advance(SWEEP)
    until(lambda: stack.rows(table) == 40, 60)

    def half_an_hour(number: int) -> None:
        """Is captured and published, whatever becomes of the loads."""
        files, known = landed(stack, table), changes(stack, table)
        account.put_many(table, 20, prefix=f"half-{number}-")
        account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": f"before{number}"}})
        until(lambda: landed(stack, table) > files, 60)
        aws.advance(HOUR / 2)
        until(lambda: changes(stack, table) == known + 21, 60)

    aws.fault("connection_lost", table=table, count=10**6)
    half_an_hour(1)
    aws.clear_faults()
    for operation in ("ExecuteStatement", "BatchExecuteStatement"):
        aws.fault("error", operation=operation, table=table, status=403, count=10**6)
    half_an_hour(2)

    (status,) = stack.pipeline.status()
    assert "Allow redshift-data:BatchExecuteStatement" in status.targets[0].problem
    (letter, *_) = by_and_by(aws, lambda: functions.messages(parked))
    (message, *_) = until(lambda: functions.messages(told), 60)
    assert json.loads(letter["Body"])["requestPayload"]["Records"][0]["s3"]["bucket"]["name"] == f"lake-{table}"
    sentence = json.loads(message["Body"])["Message"]
    assert f"{table}-{table}-load gave up an event after 3 attempts (RetriesExhausted): PermissionMissing" in sentence
    assert "The next schedule makes up for it" in sentence

    aws.clear_faults()
    assert stack.rows(table) == 40
    aws.advance(SWEEP)
    until(lambda: stack.rows(table) == 78, 60)
    assert stack.verified(table).keys_source == 78
