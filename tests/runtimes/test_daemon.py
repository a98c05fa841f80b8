"""The daemon: one's trouble is not the others', what fails is tried again, and no thread outlives a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.errors import SegmentCorrupt, StreamViewUnsupported, TailraceError, TargetBusy
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline, TableRun

pytestmark = pytest.mark.embedded

CONFIG = """\
[landing]
url = "file:./landing"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.one]
kind = "duckdb"
path = "one.duckdb"
[targets.two]
kind = "duckdb"
path = "two.duckdb"
[defaults]
base = "none"
[tables.{a}]
[tables.{b}]
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=2) as aws:
        yield aws


class Site:
    """Two tables, two targets, each its own for every test."""

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        self.folder = folder
        settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
        self.dynamodb = Aws(settings).client("dynamodb")
        self.a, self.b = (f"{name}-{folder.name[-40:]}" for name in ("a", "b"))
        self.writers = {}
        for table in (self.a, self.b):
            ensure_table(self.dynamodb, table, PROFILES["narrow"], SystemClock())
            self.writers[table] = Writer(self.dynamodb, table, Plan(PROFILES["narrow"]), SystemClock())
        path = folder / "tailrace.toml"
        path.write_text(CONFIG.format(endpoint_url=aws.endpoint_url, a=self.a, b=self.b))
        self.pipeline = Pipeline.from_config(path)

    def rows(self, target: str, table: str) -> int:
        with duckdb.connect(str(self.folder / f"{target}.duckdb"), read_only=True) as connection:
            (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone() or (0,)
            return int(count)

    def run_until(
        self, seen: Callable[[dict[str, TableRun]], bool], seconds: float = 60, **options: Any
    ) -> list[TableRun]:
        """Run until what is awaited shows in the reports, then stop."""
        stop, runs = threading.Event(), {}

        def on_change(run: TableRun) -> None:
            runs[run.table] = run
            if seen(runs):
                stop.set()

        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            return self.pipeline.run(stop=stop, on_change=on_change, **options)
        finally:
            timer.cancel()


@pytest.fixture
def site(tmp_path: Path, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    yield Site(tmp_path, aws)
    aws.clear_faults()


def applied(runs: dict[str, TableRun], table: str, target: str) -> int:
    return runs[table].loads[target].rows if table in runs and target in runs[table].loads else 0


def test_until_caught_up_brings_everything_everywhere_and_leaves_no_thread(site: Site) -> None:
    for writer in site.writers.values():
        writer.write(60)
    before = set(threading.enumerate())
    runs = site.pipeline.run(until_caught_up=True)
    assert [run.error for run in runs] == [None, None]
    assert [run.capture.records for run in runs] == [60, 60]
    assert all(load.rows == 60 and load.unloaded == 0 for run in runs for load in run.loads.values())
    assert all(report.verified for report in site.pipeline.verify(deadline_seconds=1))
    time.sleep(0.2)  # idle readers are told to end, not waited for
    assert set(threading.enumerate()) == before


def test_one_table_without_a_stream_does_not_stop_the_other(site: Site) -> None:
    site.dynamodb.update_table(TableName=site.a, StreamSpecification={"StreamEnabled": False})
    site.writers[site.b].write(30)
    runs = {run.table: run for run in site.pipeline.run(until_caught_up=True)}
    assert isinstance(runs[site.a].errors["capture"], StreamViewUnsupported)
    assert runs[site.b].error is None
    assert site.rows("one", site.b) == site.rows("two", site.b) > 0


def test_one_table_that_cannot_load_neither_blocks_the_other_nor_hides_its_error(site: Site) -> None:
    """A table of the same name stands in the target; capture goes on well, and its success must not wipe the error out."""
    for writer in site.writers.values():
        writer.write(30)
    with duckdb.connect(str(site.folder / "one.duckdb")) as connection:
        connection.execute(f'CREATE TABLE "{site.a}" (mine INTEGER)')
    begun = time.monotonic()
    site.run_until(lambda runs: applied(runs, site.b, "one") >= 30 and applied(runs, site.b, "two") >= 30)
    assert time.monotonic() - begun < 30, "the failing table's pause held up the other one"
    runs = {run.table: run for run in site.pipeline.run(until_caught_up=True)}
    assert "did not make it" in str(runs[site.a].errors["one"])
    assert "two" not in runs[site.a].errors
    assert runs[site.b].error is None
    assert site.rows("two", site.a) > 0


def test_a_run_that_is_to_end_promises_no_other_attempt(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.writers[site.a].write(30)
    with duckdb.connect(str(site.folder / "one.duckdb")):
        site.pipeline.target("one")._file._wait_seconds = 0.2  # type: ignore[attr-defined]
        (run,) = site.pipeline.run(until_caught_up=True, tables=f"{site.a}*")
    assert isinstance(run.errors["one"], TargetBusy)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "tailrace.runtimes.daemon"]
    assert said.startswith(f"load into one {site.a}: ")
    assert "again in" not in said


def test_a_failing_load_is_tried_again_and_its_error_goes_when_it_recovers(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.writers[site.a].write(30)
    held = duckdb.connect(str(site.folder / "one.duckdb"))
    site.pipeline.target("one")._file._wait_seconds = 0.2  # type: ignore[attr-defined]
    errors: list[TailraceError] = []

    def seen(runs: dict[str, TableRun]) -> bool:
        error = runs[site.a].errors.get("one") if site.a in runs else None
        if error is not None and len(errors) < 2 and (not errors or error is not errors[-1]):
            errors.append(error)
            if len(errors) == 2:
                held.close()
        return applied(runs, site.a, "one") >= 30

    runs = site.run_until(seen, tables=f"{site.a}*")
    assert [type(error) for error in errors] == [TargetBusy, TargetBusy]
    assert "; again in " in caplog.text
    assert runs[0].error is None
    assert runs[0].loads["one"].rows == 30


def test_a_defect_in_a_part_is_shown_and_the_part_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.writers[site.a].write(30)
    real, broken = site.pipeline.capturer, iter([True])

    def capturer(*arguments: Any) -> Any:
        made = real(*arguments)
        if next(broken, False):
            monkeypatch.setattr(made, "step", lambda: [].pop())
        return made

    monkeypatch.setattr(site.pipeline, "capturer", capturer)
    errors = []

    def seen(runs: dict[str, TableRun]) -> bool:
        errors.extend(run.errors["capture"] for run in runs.values() if "capture" in run.errors)
        return applied(runs, site.a, "one") >= 30

    runs = site.run_until(seen, tables=f"{site.a}*")
    assert "Unexpected IndexError" in str(errors[0])
    assert runs[0].error is None
    assert runs[0].loads["one"].rows == 30


def test_a_run_to_the_tip_gives_up_on_a_service_that_is_down(
    site: Site, aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailrace.runtimes.daemon.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("tailrace.aws.ATTEMPTS", 1)
    aws.fault("error", operation="DescribeTable", count=100_000, status=500)
    (run,) = site.pipeline.run(until_caught_up=True, tables=f"{site.a}*")
    assert "capture" in run.errors
    aws.clear_faults()
    assert site.pipeline.run(until_caught_up=True, tables=f"{site.a}*")[0].error is None


def test_segments_that_another_worker_publishes_are_loaded_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one only loads; nobody tells it that something was published."""
    monkeypatch.setattr("tailrace.runtimes.daemon.SWEEP_SECONDS", 0.3)
    site.writers[site.a].write(10)
    other = Pipeline.from_config(site.folder / "tailrace.toml")
    other.run(until_caught_up=True, load=False)
    rounds = []

    def seen(runs: dict[str, TableRun]) -> bool:
        rows = applied(runs, site.a, "one")
        if rows == 10 and not rounds:
            rounds.append(rows)
            site.writers[site.a].write(10)
            threading.Thread(target=lambda: other.run(until_caught_up=True, load=False)).start()
        return rows >= 20

    runs = site.run_until(seen, tables=f"{site.a}*", capture=False)
    assert runs[0].loads["one"].rows == 20


class MovableClock(SystemClock):
    """The machine's, set forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


def test_an_hour_is_loaded_when_it_is_over_and_by_hand_never(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.runtimes.daemon.SWEEP_SECONDS", 0.3)
    clock, hour = MovableClock(), 3_600_000
    clock.ahead_ms = hour - clock.now_ms() % hour + 1_200_000  # twenty past
    file = site.folder / "tailrace.toml"
    rule = 'load = { every = "1h", offset = "10m" }'
    file.write_text(file.read_text().replace("[tables.b", f"{rule}\n[tables.b").rstrip() + '\nload = "by_hand"\n')
    site.pipeline = Pipeline.from_config(file, clock)
    for writer in site.writers.values():
        writer.write(20)
    seen: list[str] = []

    def look(runs: dict[str, TableRun]) -> bool:
        """First it waits, then another hour begins."""
        load = runs[site.a].loads.get("one") if site.a in runs else None
        if load is not None and load.again_ms is not None and not seen:
            seen.append(f"{load.rows} rows, {load.unloaded > 0}, {load.again_ms % hour}")
            clock.ahead_ms += hour
        return applied(runs, site.a, "one") >= 20 and applied(runs, site.a, "two") >= 20

    runs = {run.table: run for run in site.run_until(look)}
    assert seen == ["0 rows, True, 600000"]
    assert runs[site.a].error is None
    assert [(load.rows, load.unloaded) for load in runs[site.b].loads.values()] == [(0, 0)] * 2
    assert all(target.segments_unloaded for target in site.pipeline.status(tables=site.b)[0].targets)
    site.writers[site.a].write(10)
    early = {run.table: run for run in site.pipeline.run(until_caught_up=True)}
    assert [load.rows for load in early[site.a].loads.values()] == [0, 0]
    told = {run.table: run for run in site.pipeline.run(until_caught_up=True, load_all=True)}
    assert [load.rows for load in told[site.a].loads.values()] == [10, 10]
    assert [load.rows for load in told[site.b].loads.values()] == [20, 20]
    assert all(report.verified for report in site.pipeline.verify(deadline_seconds=1))


def test_past_hours_are_compacted_beside_everything_else(site: Site) -> None:
    site.writers[site.a].write(10)
    site.pipeline.run(until_caught_up=True)
    site.writers[site.a].write(10)
    site.pipeline.run(until_caught_up=True, load=False)
    landing = site.pipeline.landing(site.a)
    published = landing.load()
    assert published is not None
    segments = tuple(replace(segment, published_ms=0) for segment in published.manifest.segments)
    landing.save(replace(published.manifest, segments=segments), published, "w")
    site.writers[site.a].write(10)
    run = next(r for r in site.pipeline.run(until_caught_up=True) if r.table == site.a)
    assert run.error is None
    assert (run.compaction.outputs, run.compaction.segments) == (1, len(segments))
    assert {load.rows for load in run.loads.values()} == {20}
    assert all(report.verified for report in site.pipeline.verify(deadline_seconds=5))


def test_compaction_that_fails_is_shown_and_hinders_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def compactor(table: str) -> Any:
        raise SegmentCorrupt("planned") if table == site.a else [].pop()

    monkeypatch.setattr(site.pipeline, "compactor", compactor)
    site.writers[site.a].write(10)
    runs = {run.table: run for run in site.pipeline.run(until_caught_up=True)}
    assert isinstance(runs[site.a].errors["compact"], SegmentCorrupt)
    assert "Unexpected IndexError" in str(runs[site.b].errors["compact"])
    assert {load.rows for load in runs[site.a].loads.values()} == {10}


def test_stopping_publishes_what_was_read(site: Site) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: site.writers[site.a].write(10**6, rate=200, stop=stop))
    thread.start()
    try:
        site.run_until(lambda runs: applied(runs, site.a, "one") > 100, tables=f"{site.a}*")
    finally:
        stop.set()
        thread.join()
    site.pipeline.run(until_caught_up=True)
    written = site.writers[site.a].written.changes
    published = site.pipeline.landing(site.a).load()
    assert published is not None
    assert published.manifest.counters["rows"] == written
    assert all(report.verified for report in site.pipeline.verify(deadline_seconds=5))
