"""Parquet and Delta on S3: the same history, loaders that race by conditional writes, requests and answers that are lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from s3_proxy import S3Proxy, running

from tailrace.aws import Login
from tailrace.clock import SystemClock
from tailrace.errors import Transient
from tailrace.landing import S3Store
from tailrace.local.client import LocalAws
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.target import Mode
from tailrace.testing.target_contract import HISTORY, Replica, put

pytestmark = pytest.mark.embedded

KINDS = {"parquet": ParquetTarget, "delta": DeltaTarget}
_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    return f"lake-{next(_numbers)}"


def open_target(kind: str, url: str, prefix: str) -> Any:
    """By an endpoint, under a prefix of the bucket that the tests share."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test",
                          aws_secret_access_key="test", config=config)  # fmt: skip
    location = Location(prefix, "lake", lambda: Login("test", "test", None, "us-east-1", url))
    return KINDS[kind]("lake", S3Store(client, "lake", prefix), location, SystemClock())


@pytest.mark.parametrize(
    ("kind", "mode"), [("parquet", "changelog"), ("delta", "current"), ("delta", "soft_delete"), ("delta", "history")]
)
def test_the_history_comes_to_the_same_on_s3(
    aws: LocalAws, clients: dict[str, Any], prefix: str, kind: str, mode: Mode
) -> None:
    replica = Replica(open_target(kind, aws.endpoint_url, prefix), mode)
    for segment in HISTORY:
        replica.apply(segment)
        replica.check()
    assert replica.target.query("SELECT count(*) AS n FROM orders WHERE pk >= 'a'").to_pylist()[0]["n"] > 0


@pytest.mark.parametrize("kind", list(KINDS))
def test_loaders_that_race_on_s3_apply_each_segment_once(
    aws: LocalAws, clients: dict[str, Any], prefix: str, kind: str
) -> None:
    segments = [(number, [put(number, "ab"[number % 2])]) for number in range(1, 5)]
    replicas = [Replica(open_target(kind, aws.endpoint_url, prefix), "changelog") for _ in range(2)]
    replicas[0].apply((9, [put(9)]))
    loads = [[r.load(segment) for segment in segments] for r in replicas]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(r.target.apply, load) for r, mine in zip(replicas, loads, strict=True) for load in mine]
        applied = [job.result() for job in jobs]
    assert sum(a.segments for a in applied) == len(segments)
    replicas[0].applied.update(segments)
    replicas[0].check()


@pytest.fixture
def proxy(aws: LocalAws) -> Iterator[S3Proxy]:
    with running(aws.endpoint_url) as proxy:
        yield proxy


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("fault", ["lost_request", "lost_answer", "500", "500_after"])
def test_a_write_that_fails_on_s3_or_whose_answer_is_lost_leaves_each_change_once(
    aws: LocalAws, clients: dict[str, Any], proxy: S3Proxy, prefix: str, kind: str, fault: str
) -> None:
    direct = Replica(open_target(kind, aws.endpoint_url, prefix), "changelog")
    number = 1
    direct.apply((number, [put(number, x={"N": "1"})]))
    while True:
        segment = (number + 1, [put(number + 1, f"k{number}", x={"N": "1"})])
        load = direct.load(segment)
        proxy.plan("PUT", *["" for _ in range(number - 1)], fault)
        loader = open_target(kind, proxy.url, prefix)
        try:
            loader.apply(load)
        except Transient:
            loader.apply(load)
        was_struck = not proxy.faults["PUT"]
        proxy.plan("PUT")
        direct.applied.update([segment])
        direct.check()
        number += 1
        if not was_struck:
            break
    assert number > 3
