"""An embedded AWS with a bucket, and plain clients that repeat nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tailrace.local.client import LocalAws


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture(scope="module")
def clients(aws: LocalAws) -> dict[str, Any]:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    made = {
        service: boto3.client(
            service, endpoint_url=aws.endpoint_url, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=config,
        )
        for service in ("redshift-data", "s3")
    }  # fmt: skip
    made["s3"].create_bucket(Bucket="lake")
    return made
