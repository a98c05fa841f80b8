"""An S3 endpoint for this folder's tests: the embedded one, started once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from s3_proxy import BUCKET, make_client

from tailrace.local.client import LocalAws


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with LocalAws() as aws:
        make_client(aws.endpoint_url).create_bucket(Bucket=BUCKET)
        yield aws.endpoint_url


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> Any:
    return make_client(s3_endpoint)
