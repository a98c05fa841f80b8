"""What AWS says of a table before anything is replicated: its size, how much is written, how its stream is cut. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tailrace.aws import translate
from tailrace.capture.streams import DynamoDbStreamSource
from tailrace.errors import StreamViewUnsupported

LOOK_BACK_DAYS: Final = 14
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """`items` and `bytes` as DynamoDB counts them, about every six hours. `shards`: None where there is no usable stream.

    `write_units_per_second`: the mean of the days since the first of the last two weeks that had any writes; zero where
    CloudWatch knows of none, or was not asked.
    """

    items: int
    bytes: int
    write_units_per_second: Decimal
    shards: int | None


def measure_table(
    dynamodb: Any, streams: Any, cloudwatch: Any | None, table: str, now_ms: int, *, needs_shards: bool
) -> MeasuredTable:
    """Ask for a table's size, its open shards if wanted, and its writes where there is a client for CloudWatch.

    Raises NotFound, PermissionMissing and what else AWS may answer.
    """
    described = _call("DescribeTable", table, lambda: dynamodb.describe_table(TableName=table))["Table"]
    shards = None
    if needs_shards:
        source = DynamoDbStreamSource(dynamodb, streams, table)
        try:
            source.incarnation()
        except StreamViewUnsupported:
            pass
        else:
            shards = sum(shard.last is None for shard in source.shards()) or None
    units = Decimal(0) if cloudwatch is None else _write_units(cloudwatch, table, now_ms)
    return MeasuredTable(described.get("ItemCount", 0), described.get("TableSizeBytes", 0), units, shards)


def _write_units(cloudwatch: Any, table: str, now_ms: int) -> Decimal:
    """Write capacity units a second that were consumed."""
    until = datetime.fromtimestamp(now_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    answer = _call(
        "GetMetricStatistics",
        table,
        lambda: cloudwatch.get_metric_statistics(
            Namespace="AWS/DynamoDB",
            MetricName="ConsumedWriteCapacityUnits",
            Dimensions=[{"Name": "TableName", "Value": table}],
            StartTime=until - timedelta(days=LOOK_BACK_DAYS),
            EndTime=until,
            Period=DAY_SECONDS,
            Statistics=["Sum"],
        ),
    )
    points = answer["Datapoints"]
    if not points:
        return Decimal(0)
    since = min(point["Timestamp"] for point in points).astimezone(UTC)
    days = max(1, -(-int((until - since).total_seconds()) // DAY_SECONDS))
    return sum((Decimal(str(point["Sum"])) for point in points), Decimal(0)) / (days * DAY_SECONDS)


def _call(operation: str, table: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        raise translate(error, operation=operation, table=table) from error
