"""What deployed schedules do as time goes by: nobody calls a function here, only the clock of the endpoint is moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from functions import until
from stacks import Stack, alone
from stream_reader import Account

from tailrace.model.exports import ExportState

pytestmark = pytest.mark.embedded

SWEEP = 300.0  # seconds between two calls of a schedule
QUARTER = 900
HOUR = 3600


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


def test_an_hour_is_loaded_by_the_schedule_when_it_is_over(account: Account, tmp_path: Path) -> None:
    aws, table = account.aws, "orders"
    rules = 'capture = "lambda"\nflush_seconds = 1\nload = { every = "1h", offset = "5m" }\n'
    stack = Stack(account, alone(table, rules), tmp_path)
    aws.advance(HOUR - aws.clock() % HOUR + 60)
    account.table(name=table)
    account.put_many(table, 60, prefix="before")
    stack.create(table)
    landing = stack.pipeline.landing(table)

    def landed() -> int:
        return len(list(landing.store.list(f"{table}/changes/")))

    def write(prefix: str) -> None:
        """50 items in two objects at least."""
        for part in ("a", "b"):
            files = landed()
            account.put_many(table, 25, prefix=f"{prefix}-{part}-")
            until(lambda files=files: landed() > files, 60)

    def changes() -> int:
        """Those that are published."""
        found = landing.load()
        segments = () if found is None else landing.segments(found.manifest)
        return sum(segment.rows for segment in segments if segment.kind == "lambda")

    def outputs() -> int:
        """Objects that compaction has made."""
        found = landing.load()
        return 0 if found is None else found.manifest.counters.get("outputs", 0)

    until(landed, 60)
    write("first")
    aws.advance(SWEEP)
    until(lambda: changes() == 110, 60)
    assert (stack.rows(table), outputs()) == (0, 0), "its hour is not over"

    aws.advance(HOUR - aws.clock() % HOUR + 60)
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "before7"}})
    write("second")
    aws.advance(SWEEP)
    until(lambda: changes() == 161, 60)
    until(lambda: stack.rows(table) == 110, 60)
    until(outputs, 60)

    aws.advance(HOUR)
    until(lambda: stack.rows(table) == 159, 60)
    assert stack.verified(table).keys_source == 159
    (status,) = stack.pipeline.status()
    assert (status.state, status.unloaded, status.gaps) == ("CONSISTENT", 0, ())
