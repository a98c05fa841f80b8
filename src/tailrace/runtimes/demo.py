"""The demo: the whole main job on one machine, with the real parts. Only the AWS endpoint is an embedded one."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import SystemClock
from tailrace.errors import TailraceError, UsageInvalid
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.jobs.verify import VerifyReport
from tailrace.local.client import LocalAws
from tailrace.outputs import unwritable
from tailrace.pipeline import Pipeline, TableRun, TableStatus

TABLE: Final = "orders"
BUCKET: Final = "lake"
SPLITS: Final = 3  # while writing
SHOW_SECONDS: Final = 2.0
MARKER: Final = ".tailrace-demo"  # stands in a folder that the demo made and may empty
CONFIG: Final = """\
# Written by `tailrace demo`.
[landing]
url = "s3://{bucket}/tailrace"
[source]
region = "us-east-1"
endpoint_url = "{endpoint_url}"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[tables.{table}]
"""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo did and found. `shards`: of the stream, over its whole life."""

    changes: int
    shards: int
    segments: int
    rows: int
    seconds: float
    latency_ms_p50: int | None
    latency_ms_p99: int | None
    report: VerifyReport
    folder: str

    @property
    def verified(self) -> bool:
        return self.report.verified


class Demo:
    """One run in `folder`, which is emptied first if a demo made it."""

    def __init__(self, folder: Path, changes: int, seconds: float, say: Callable[[str], None], *, live: bool) -> None:
        self._folder = folder
        self._changes = changes
        self._seconds = seconds
        self._say = say
        self._live = live
        self._clock = SystemClock()
        self._captured = 0
        self._applied = 0
        self._rows = 0
        self._lag: float | None = None

    def run(self, after: Callable[[DemoResult, str], None] = lambda result, url: None) -> DemoResult:
        """Start, write while replicating, catch up, verify. `after` gets the result and the endpoint while all is still up."""
        begun = time.monotonic()
        prepare_folder(self._folder)
        self._say("starting an AWS endpoint on this machine …")
        with LocalAws(seed=7) as aws, environment(aws.env()):
            pipeline = self._pipeline(aws)
            writer = self._replicate(pipeline, aws)
            self._say("verifying every key …")
            report = next(pipeline.verify(deadline_seconds=60))
            result = self._result(pipeline, writer, report, time.monotonic() - begun)
            after(result, aws.endpoint_url)
        return result

    def _pipeline(self, aws: LocalAws) -> Pipeline:
        settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
        Aws(settings).client("s3").create_bucket(Bucket=BUCKET)
        ensure_table(Aws(settings).client("dynamodb"), TABLE, PROFILES["order"], self._clock)
        path = self._folder / "tailrace.toml"
        path.write_text(CONFIG.format(bucket=BUCKET, endpoint_url=aws.endpoint_url, table=TABLE))
        return Pipeline.from_config(path)

    def _replicate(self, pipeline: Pipeline, aws: LocalAws) -> Writer:
        """Write in one thread while the pipeline runs in others; then let it catch up."""
        stop = threading.Event()
        writer = Writer(pipeline.dynamodb, TABLE, Plan(PROFILES["order"], seed=7), self._clock)
        runner = threading.Thread(target=lambda: pipeline.run(stop=stop, on_change=self._on_change), name="demo-run")
        try:
            runner.start()
            with self._display(pipeline, writer):
                for part in range(SPLITS + 1):
                    share = self._changes * (part + 1) // (SPLITS + 1) - self._changes * part // (SPLITS + 1)
                    writer.write(share, rate=self._changes / self._seconds)
                    if part < SPLITS:
                        children = aws.split(TABLE)
                        self._say(f"a shard was split, its children are {' and '.join(c[-8:] for c in children)}")
        finally:
            stop.set()
            if runner.is_alive():  # Ctrl-C may come while it starts
                runner.join()
        self._say(f"{writer.written.changes} changes are written; catching up …")
        for run in pipeline.run(until_caught_up=True, on_change=self._on_change):
            if run.error is not None:
                raise run.error
        return writer

    def _on_change(self, run: TableRun) -> None:
        self._captured = max(self._captured, run.capture.records)
        self._applied = max(self._applied, sum(load.rows for load in run.loads.values()))
        self._lag = run.capture.lag_seconds

    @contextlib.contextmanager
    def _display(self, pipeline: Pipeline, writer: Writer) -> Iterator[None]:
        """Live figures on a terminal, a line every two seconds elsewhere."""
        done = threading.Event()

        def line() -> str:
            lag = "-" if self._lag is None else f"{self._lag:.1f} s"
            written = writer.written.changes
            figures = {"written": written, "captured": self._captured, "applied": self._applied, "rows": self._rows}
            return "   ".join([*(f"{name} {value:6}" for name, value in figures.items()), f"lag {lag}"])

        def show() -> None:
            if not self._live:
                while not done.wait(SHOW_SECONDS):
                    self._count_rows(pipeline)
                    self._say(line())
                return
            from rich.console import Console
            from rich.live import Live
            from rich.panel import Panel

            with Live(Panel(line()), console=Console(stderr=True), refresh_per_second=8, transient=True) as live:
                while not done.wait(SHOW_SECONDS / 8):
                    self._count_rows(pipeline)
                    live.update(Panel(line(), title=f"DynamoDB {TABLE} → DuckDB"))

        thread = threading.Thread(target=show, name="demo-display")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _count_rows(self, pipeline: Pipeline) -> None:
        """What anybody would see who asks DuckDB now."""
        with contextlib.suppress(TailraceError):  # nothing is loaded yet
            self._rows = pipeline.query(f"SELECT count(*) FROM {TABLE}").column(0)[0].as_py()

    def _result(self, pipeline: Pipeline, writer: Writer, report: VerifyReport, seconds: float) -> DemoResult:
        status: TableStatus = pipeline.status()[0]
        target = status.targets[0]
        published = pipeline.landing(TABLE).load()
        assert published is not None
        return DemoResult(
            changes=writer.written.changes,
            shards=len(published.manifest.shards),
            segments=status.segments,
            rows=target.rows,
            seconds=seconds,
            latency_ms_p50=target.latency_ms_p50,
            latency_ms_p99=target.latency_ms_p99,
            report=report,
            folder=str(self._folder),
        )


def prepare_folder(folder: Path) -> None:
    """An empty folder. Raises UsageInvalid where it holds something that no demo made, and what `unwritable` gives."""
    marker = folder / MARKER
    try:
        if folder.exists() and any(folder.iterdir()) and not marker.exists():
            raise UsageInvalid(
                "The folder holds something that the demo did not make",
                hint="Name another one with --dir.",
                folder=folder,
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        marker.touch()
    except OSError as error:
        raise unwritable("The folder cannot be used", error, folder=folder) from error


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """The endpoint's placeholder credentials for this process; whatever the user has is put back afterwards."""
    names = (*variables, "AWS_PROFILE", "AWS_SESSION_TOKEN")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)
