"""Where the lakes of a test lie: in a folder, or meanwhile under a prefix for that folder in a bucket of the embedded AWS."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tailrace.aws import Login
from tailrace.landing import LocalStore, S3Store, Store
from tailrace.local.client import LocalAws
from tailrace.targets.lake.location import Location

BUCKET = "lake"
KEY, REGION = "test", "us-east-1"


@dataclass(frozen=True)
class S3:
    """An endpoint with the bucket in it."""

    endpoint: str
    client: Any


_meanwhile: list[S3] = []


@contextmanager
def lakes_on_s3() -> Iterator[Any]:
    """Meanwhile lakes lie on S3; gives a client for it."""
    with LocalAws() as aws:
        client = boto3.client(
            "s3", endpoint_url=aws.endpoint_url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=KEY,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
        )  # fmt: skip
        client.create_bucket(Bucket=BUCKET)
        _meanwhile.append(S3(aws.endpoint_url, client))
        try:
            yield client
        finally:
            _meanwhile.clear()


@contextmanager
def lakes_where_asked() -> Iterator[None]:
    """Meanwhile lakes lie where LAKES_ON says: on ``disk``, the default, or on ``s3``."""
    asked = os.environ.get("LAKES_ON", "disk")
    assert asked in ("disk", "s3"), asked
    if asked == "disk":
        yield
        return
    with lakes_on_s3():
        yield


def s3() -> S3 | None:
    """Where lakes lie meanwhile, unless it is on disk."""
    return _meanwhile[0] if _meanwhile else None


def prefix_of(place: Path) -> str:
    """Where a folder's tables lie in the bucket."""
    return hashlib.sha256(str(place).encode()).hexdigest()[:12]


def store_of(place: Path) -> Store:
    on = s3()
    return LocalStore(place) if on is None else S3Store(on.client, BUCKET, prefix_of(place))


def location_of(place: Path) -> Location:
    on = s3()
    if on is None:
        return Location.local(place)
    return Location(prefix_of(place), BUCKET, lambda: Login(KEY, KEY, None, REGION, on.endpoint))


def change_document(store: Store, name: str, **values: Any) -> None:
    """As somebody would who edits a ledger."""
    stored = store.read(name)
    store.replace(name, json.dumps({**json.loads(stored.data), **values}).encode(), stored.version)
