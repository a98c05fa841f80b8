"""What deployed schedules do as time goes by: nobody calls a function here, only the clock of the endpoint is moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from configurations import HEAD, REDSHIFT
from functions import until
from stacks import Stack
from stream_reader import Account

from tailrace.model.exports import ExportState

pytestmark = pytest.mark.embedded

BASE = (HEAD + REDSHIFT).replace("eu-west-1", "us-east-1")
SWEEP = 300.0  # seconds between two calls of a schedule
QUARTER = 900


def exports_of(stack: Stack, table: str) -> ExportState:
    published = stack.pipeline.landing(table).load()
    assert published is not None
    assert published.manifest.exports is not None
    return published.manifest.exports


def test_exports_reach_the_warehouse_by_the_schedule_alone(account: Account, tmp_path: Path) -> None:
    aws, table = account.aws, "archive"
    stack = Stack(
        account, f'{BASE}[tables.{table}]\ncapture = "exports"\nwindow = "15m"\nenable_pitr = true\n', tmp_path
    )
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
