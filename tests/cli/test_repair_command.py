"""`tailrace repair` against the embedded AWS: a day and more without a consumer, and a table that was made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_site import AwsSite, enter, table_for

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import Budget
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Manifest
from tailrace.pipeline import Pipeline
from tailrace.runtimes.export_demo import EndpointClock

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=12) as endpoint:
        yield endpoint


class Site(AwsSite):
    """A project with a table of a few hundred items, in the endpoint's own time where a pipeline is asked for."""

    def __init__(self, folder: Path, aws: LocalAws, table: str, landing: str) -> None:
        super().__init__(folder, aws, table, landing=landing)
        self.client = Aws(AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url))
        self.dynamodb = self.client.client("dynamodb")
        self.clock = EndpointClock(aws)
        ensure_table(self.dynamodb, table, PROFILES["narrow"], self.clock)
        self.writer = Writer(self.dynamodb, table, Plan(PROFILES["narrow"], seed=3), self.clock)

    def pipeline(self) -> Pipeline:
        return Pipeline.from_config(self.file, self.clock)

    def manifest(self, pipeline: Pipeline) -> Manifest:
        found = pipeline.landing(self.table).load()
        assert found is not None
        return found.manifest


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Site:
    enter(aws, tmp_path, monkeypatch)
    return Site(tmp_path, aws, table_for(request), "file:./landing")


def test_a_day_without_a_consumer_heals_from_the_missing_window_alone(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(aws, tmp_path, monkeypatch)
    site = Site(tmp_path, aws, "a-day-away", "s3://a-day-away/tailrace")
    site.client.client("s3").create_bucket(Bucket="a-day-away")
    site.dynamodb.update_continuous_backups(
        TableName=site.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    site.writer.write(400)
    pipeline = site.pipeline()

    def follow() -> str:
        capturer, backfiller = pipeline.capturer(site.table), pipeline.backfiller(site.table)
        capturer.open()
        backfiller.tick(Budget(site.clock))
        aws.advance(5)
        capturer.tick(Budget(site.clock, 30))
        capturer.close()
        pipeline.loader(site.table, "local").tick(Budget(site.clock))
        (status,) = pipeline.status()
        return status.state

    assert follow() == "CONSISTENT"
    aws.advance(1800)
    site.writer.write(40)
    assert follow() == "CONSISTENT"
    for _ in range(4):
        site.writer.write(10)
        aws.advance(6.5 * 3600)
    site.writer.write(10)
    assert follow() == "GAP"
    assert not next(pipeline.verify(deadline_seconds=0)).equal
    report = pipeline.repair(site.table)
    assert (report.kind, report.done) == ("window", True)
    assert report.start is not None
    assert report.end is not None
    assert report.end - report.start < 27.5 * 3600
    assert report.rows + report.keys <= 40 + 40 + 10, "more than what changed in the window was read"
    assert follow() == "CONSISTENT"
    assert next(pipeline.verify(deadline_seconds=5)).verified
    manifest = site.manifest(pipeline)
    assert manifest.scan is not None
    assert manifest.scan.epoch == 1, "the table was scanned again"
    site.writer.write(20)
    assert follow() == "CONSISTENT"
    assert next(pipeline.verify(deadline_seconds=5)).verified


def test_without_backups_a_new_base_and_a_sweep(site: Site) -> None:
    site.writer.write(200)
    site.run("run", "--once")
    assert site.run("repair", site.table).stdout == f"{site.table}: nothing is missing\n"
    site.writer.write(60)
    site.aws.shards("trim", site.table)
    site.writer.write(20)
    site.run("run", "--once")
    assert site.json("status", code=4)["state"] == "GAP"
    assert site.json("verify", code=4)["verified"] is False
    report = site.json("repair", site.table)
    assert (report["kind"], report["done"], report["epoch"]) == ("full", True, 2)
    assert "S3" in report["why"]
    site.run("run", "--once")
    assert site.json("status")["state"] == "CONSISTENT"
    assert site.json("verify")["verified"] is True


def test_a_repair_is_carried_on_by_a_run(site: Site) -> None:
    site.writer.write(200)
    site.run("run", "--once")
    site.writer.write(20)
    site.aws.shards("trim", site.table)
    site.run("run", "--once")
    site.aws.fault("slow", operation="Scan", table=site.table, seconds=6)
    assert site.json("repair", site.table, "--budget", "2s", code=3)["done"] is False
    assert site.json("status", code=4)["gaps"][0]["state"] == "repairing"
    site.run("run", "--once")
    assert site.json("status")["state"] == "CONSISTENT"
    assert site.json("verify")["verified"] is True


def test_a_table_that_was_made_anew_takes_the_place_of_the_old_one(site: Site) -> None:
    site.writer.write(100)
    site.run("run", "--once")
    site.dynamodb.delete_table(TableName=site.table)
    ensure_table(site.dynamodb, site.table, PROFILES["narrow"], site.clock)
    Writer(site.dynamodb, site.table, Plan(PROFILES["narrow"], seed=9), site.clock).write(50)
    site.run("run", "--once", code=1)
    assert site.json("status", code=4)["state"] in ("GAP", "SOURCE_CHANGED")
    assert site.json("repair", site.table)["why"] == "another table answers under the name"
    site.run("run", "--once")
    assert site.json("status")["state"] == "CONSISTENT"
    assert site.json("verify")["verified"] is True


def test_a_table_that_is_not_configured_is_wrong_usage(site: Site) -> None:
    site.run("repair", "absent", code=2)
