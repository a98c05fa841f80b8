"""What AWS says of a table before anything is replicated: its size, how much is written, how its stream is cut. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tailrace.aws import called, found, tried
from tailrace.capture.streams import DynamoDbStreamSource
from tailrace.errors import PermissionMissing, StreamViewUnsupported, TailraceError
from tailrace.model.facts import Access, StreamFacts, TableFacts, Unknown

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
    described = called("DescribeTable", lambda: dynamodb.describe_table(TableName=table), table=table)["Table"]
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
    answer = called(
        "GetMetricStatistics",
        lambda: cloudwatch.get_metric_statistics(
            Namespace="AWS/DynamoDB",
            MetricName="ConsumedWriteCapacityUnits",
            Dimensions=[{"Name": "TableName", "Value": table}],
            StartTime=until - timedelta(days=LOOK_BACK_DAYS),
            EndTime=until,
            Period=DAY_SECONDS,
            Statistics=["Sum"],
        ),
        table=table,
    )
    points = answer["Datapoints"]
    if not points:
        return Decimal(0)
    since = min(point["Timestamp"] for point in points).astimezone(UTC)
    days = max(1, -(-int((until - since).total_seconds()) // DAY_SECONDS))
    return sum((Decimal(str(point["Sum"])) for point in points), Decimal(0)) / (days * DAY_SECONDS)


# ---- what `tailrace doctor` looks at


def describe_table(dynamodb: Any, table: str) -> TableFacts | Unknown:
    """What AWS says of one table and its stream's settings; its shards are `describe_stream`'s."""
    described = found("DescribeTable", lambda: dynamodb.describe_table(TableName=table)["Table"], table=table)
    if isinstance(described, Unknown):
        return described
    ttl = found(
        "DescribeTimeToLive",
        lambda: dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
        table=table,
    )
    return TableFacts(
        table=table,
        arn=described["TableArn"],
        status=described.get("TableStatus", "UNKNOWN"),
        items=described.get("ItemCount", 0),
        bytes=described.get("TableSizeBytes", 0),
        view_type=described.get("StreamSpecification", {}).get("StreamViewType", ""),
        replicas=len(described.get("Replicas", ())),
        recovery_days=found("DescribeContinuousBackups", lambda: _recovery_days(dynamodb, table), table=table),
        ttl=ttl if isinstance(ttl, Unknown) else ttl.get("AttributeName", "") if _is_on(ttl) else "",
        insights=found("DescribeContributorInsights", lambda: _has_insights(dynamodb, table), table=table),
        stream=None,
        access={"Scan": tried("Scan", lambda: dynamodb.scan(TableName=table, Limit=1), table=table)}
        | {"BatchGetItem": tried("BatchGetItem", lambda: _get_nothing(dynamodb, described), table=table)},
    )


def describe_stream(dynamodb: Any, streams: Any, table: str) -> tuple[StreamFacts | Unknown | None, Access]:
    """The shards of a table's stream, None without a usable one; and whether one of them can be read, one call each."""
    source = DynamoDbStreamSource(dynamodb, streams, table)
    try:
        source.incarnation()
        shards = source.shards()
    except StreamViewUnsupported:
        return None, {}
    except TailraceError as error:
        unknown = Unknown(error.message, error.hint, isinstance(error, PermissionMissing))
        return unknown, {"DescribeStream": unknown}
    children = Counter(shard.parent for shard in shards)
    facts = StreamFacts(
        open_shards=sum(shard.last is None for shard in shards),
        splits=sum(children[shard.shard_id] > 1 for shard in shards),
    )
    if not shards:
        return facts, {}
    iterator = found("GetShardIterator", lambda: source.iterator(shards[-1].shard_id))
    if isinstance(iterator, Unknown):
        return facts, {"GetShardIterator": iterator}
    return facts, {"GetShardIterator": None, "GetRecords": tried("GetRecords", lambda: source.read(iterator, 1))}


def try_exports(dynamodb: Any, table_arn: str) -> Access:
    """The reading calls of capture by exports."""
    return {"ListExports": tried("ListExports", lambda: dynamodb.list_exports(TableArn=table_arn, MaxResults=1))}


def _recovery_days(dynamodb: Any, table: str) -> int | None:
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    is_on = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    return int(recovery.get("RecoveryPeriodInDays", 35)) if is_on else None


def _has_insights(dynamodb: Any, table: str) -> bool:
    status = dynamodb.describe_contributor_insights(TableName=table).get("ContributorInsightsStatus")
    return status in ("ENABLED", "ENABLING")


def _is_on(ttl: Any) -> bool:
    return ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")


def _get_nothing(dynamodb: Any, described: Any) -> None:
    """Read a key that nobody has written: what matters is whether one may."""
    kinds = {a["AttributeName"]: a["AttributeType"] for a in described["AttributeDefinitions"]}
    values = {"S": "tailrace-doctor", "N": "0", "B": b"tailrace-doctor"}
    key = {k["AttributeName"]: {(kind := kinds[k["AttributeName"]]): values[kind]} for k in described["KeySchema"]}
    dynamodb.batch_get_item(RequestItems={described["TableName"]: {"Keys": [key]}})
