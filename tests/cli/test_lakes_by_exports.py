"""A table of the embedded AWS that is captured by exports goes into every kind of lake, on disk and on S3, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tailrace.clock import Budget
from tailrace.decide.windows import QUARTER_SECONDS
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline
from tailrace.runtimes.export_demo import LAG_SECONDS, EndpointClock

pytestmark = pytest.mark.embedded

TABLE = "orders"
CONFIG = """
[landing]
url = "s3://lake/zone"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.parquet]
kind = "parquet"
url = "s3://lake/files"
[targets.delta]
kind = "delta"
url = "s3://lake/delta"
[targets.delta_history]
kind = "delta"
url = "file:./delta"
mode = "history"
[targets.iceberg]
kind = "iceberg"
warehouse = "s3://lake/iceberg"
uri = "sqlite:///{folder}/catalog.db"
[targets.iceberg_marked]
kind = "iceberg"
warehouse = "lake"
mode = "soft_delete"
[tables.orders]
capture = "exports"
enable_pitr = true
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=7) as endpoint:
        yield endpoint


def client(aws: LocalAws, service: str) -> Any:
    return boto3.client(service, endpoint_url=aws.endpoint_url, region_name="us-east-1",
                        aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip


def test_every_lake_is_the_table_at_the_end_of_each_window(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    clock = EndpointClock(aws)
    client(aws, "s3").create_bucket(Bucket="lake")
    dynamodb = client(aws, "dynamodb")
    ensure_table(dynamodb, TABLE, PROFILES["order"], clock)
    path = tmp_path / "tailrace.toml"
    path.write_text(CONFIG.format(endpoint_url=aws.endpoint_url, folder=tmp_path))
    pipeline = Pipeline.from_config(path, clock)
    pipeline.capturer(TABLE).tick(Budget(clock))  # switches point-in-time recovery on
    writer = Writer(dynamodb, TABLE, Plan(PROFILES["order"], seed=3), clock)
    for window in range(4):
        writer.write(400)
        dynamodb.put_item(
            TableName=TABLE,
            Item={"order_id": {"S": f"w{window}"}, "n": {"N": ["7", "7.25", "1E-30", "9" * 38][window]}},
        )
        aws.advance(QUARTER_SECONDS - aws.clock() % QUARTER_SECONDS + LAG_SECONDS)
        capturer, rows = pipeline.capturer(TABLE), 0
        for _ in range(4):
            rows += capturer.tick(Budget(clock)).records
            aws.advance(LAG_SECONDS if rows == 0 else 0)
        assert rows > 0
        for target in pipeline.config.targets:
            pipeline.loader(TABLE, target).tick(Budget(clock))
        reports = list(pipeline.verify(deadline_seconds=0))
        assert {report.target: report.verified for report in reports} == dict.fromkeys(pipeline.config.targets, True)
        assert min(report.keys_source for report in reports) > 100
