"""An S3 endpoint for this folder's tests: the embedded one, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tailrace.aws import Aws, AwsSettings
from tailrace.local.client import LocalAws


@pytest.fixture(scope="session")
def s3() -> Iterator[Aws]:
    """Clients of an endpoint with a bucket ``lake``."""
    with LocalAws() as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in aws.env().items():
            patch.setenv(name, value)
        clients = Aws(AwsSettings(endpoint_url=aws.endpoint_url))
        clients.client("s3").create_bucket(Bucket="lake")
        yield clients
