"""`tailrace backfill` and `run` with a scanned base, against the embedded AWS: what the stream no longer has arrives too."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from aws_site import AwsSite, enter, table_for

from tailrace.cli import main
from tailrace.cli.options import left_of
from tailrace.cli.output import BEGUN
from tailrace.clock import Budget
from tailrace.landing import Landing, LocalStore
from tailrace.local.client import LocalAws
from tailrace.model.manifest import Manifest
from tailrace.pipeline import Pipeline
from tailrace.runtimes.export_demo import EndpointClock

pytestmark = pytest.mark.embedded

DAY = 25 * 3600.0


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=11) as endpoint:
        yield endpoint


class Site(AwsSite):
    """A project with a table of 300 items or so, all of them older than the stream reaches back."""

    def write(self, items: int, seed: int) -> None:
        self.run("gen", "--table", self.table, "--items", str(items), "--seed", str(seed))

    @property
    def manifest(self) -> Manifest:
        found = Landing(LocalStore(self.folder / "landing"), self.table).load()
        assert found is not None
        return found.manifest


@pytest.fixture
def site(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Site:
    enter(aws, tmp_path, monkeypatch)
    site = Site(tmp_path, aws, table_for(request), rules='base = "scan"\nscan_segments = 3')
    site.write(400, 1)
    aws.advance(DAY)
    return site


def test_run_brings_what_is_older_than_the_stream_and_what_is_new(site: Site) -> None:
    site.write(50, 2)
    done = site.json("run", "--once")
    assert done["scanned"]["done"] is True
    report = site.json("verify")
    assert report["verified"] is True
    assert report["keys_source"] > 250
    site.write(50, 3)
    again = site.json("run", "--once")
    assert again["scanned"]["pages"] == 0, "the base was read again"
    assert site.json("verify")["verified"] is True


def test_backfill_alone_records_the_shards_first_and_reads_the_table(site: Site) -> None:
    done = site.run("backfill").stdout
    assert "done" in done
    assert "captured" not in done
    manifest = site.manifest
    assert manifest.shards
    assert {segment.kind for segment in manifest.segments} == {"base"}
    assert site.json("run", "--once")["state"] == "CONSISTENT"
    assert site.json("verify")["verified"] is True


def test_a_small_budget_stops_in_time_and_the_next_call_goes_on(site: Site) -> None:
    site.aws.fault("slow", operation="Scan", table=site.table, seconds=0.7, count=2)
    site.aws.fault("throttle", operation="Scan", table=site.table, count=2)
    calls = 0
    while True:
        begun = time.monotonic()
        document = site.json("backfill", "--budget", "1.5s")
        assert time.monotonic() - begun < 1.5 + 2.0
        calls += 1
        assert calls < 20
        if document["scanned"]["done"]:
            break
    site.run("run", "--once")
    assert site.json("verify")["verified"] is True


def test_a_page_that_hangs_ends_with_the_budget(site: Site) -> None:
    site.aws.fault("slow", operation="Scan", table=site.table, seconds=20, count=1)
    begun = time.monotonic()
    document = site.json("backfill", "--budget", "5s")
    assert time.monotonic() - begun < 5.0 + 2.0
    assert document["scanned"]["parts_done"] == 2


def test_another_number_of_parts_is_refused_with_the_number_that_it_began_with(site: Site) -> None:
    site.aws.fault("slow", operation="Scan", table=site.table, seconds=20, count=1)
    site.run("backfill", "--budget", "5s")
    path = site.folder / "tailrace.toml"
    path.write_text(path.read_text().replace("scan_segments = 3", "scan_segments = 4"))
    document = site.json("backfill", code=2)
    assert document["error"]["code"] == "TAILRACE-101"
    assert "scan_segments = 3" in document["error"]["hint"]


def test_an_exported_base_beside_the_stream(site: Site) -> None:
    """In the endpoint's own time, because an export and what can be restored take minutes of it."""
    bucket = f"lake-{site.table}".lower()
    text = (site.folder / "tailrace.toml").read_text()
    text = text.replace("file:./landing", f"s3://{bucket}/tailrace").replace('"scan"', '"export"\nenable_pitr = true')
    (site.folder / "tailrace.toml").write_text(text)
    pipeline = Pipeline.from_config(site.folder / "tailrace.toml", EndpointClock(site.aws))
    pipeline.aws.client("s3").create_bucket(Bucket=bucket)
    capturer, backfiller = pipeline.capturer(site.table), pipeline.backfiller(site.table)
    for seed in range(2, 12):
        capturer.tick(Budget(pipeline.clock, 60))
        site.write(20, seed)
        if backfiller.tick(Budget(pipeline.clock)).done:
            break
        site.aws.advance(120)
    site.aws.advance(5)
    assert capturer.tick(Budget(pipeline.clock, 60)).caught_up
    capturer.close()
    pipeline.loader(site.table, "local").tick(Budget(pipeline.clock))
    (status,) = pipeline.status()
    assert status.state == "CONSISTENT"
    published = pipeline.landing(site.table).load()
    assert published is not None
    assert published.manifest.base_export is not None
    kinds = Counter(segment.kind for segment in published.manifest.segments)
    assert kinds["base"] > 0
    assert kinds["stream"] > 1
    assert next(pipeline.verify(deadline_seconds=5)).verified


def test_a_budget_counts_from_the_call_and_half_of_it_is_always_left() -> None:
    with click.Context(main) as context:
        context.meta[BEGUN] = time.monotonic() - 5
        assert left_of(None) is None
        assert 10 < (left_of(20.0) or 0) <= 15
        assert left_of(6.0) == 3
