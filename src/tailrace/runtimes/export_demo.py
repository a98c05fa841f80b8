"""The whole life of exports in a minute: the endpoint's clock is moved from window to window, everything else is real."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tailrace.aws import Aws, AwsSettings
from tailrace.clock import Budget
from tailrace.decide.windows import QUARTER_SECONDS, floor_quarter, moment_text
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.jobs.verify import VerifyReport
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline
from tailrace.runtimes.demo import BUCKET, CONFIG, TABLE, environment, prepare_folder

WINDOWS: Final = 6
LAG_SECONDS: Final = 301.0  # of what can be restored, and of an export, with a second to spare
RULES: Final = """\
capture = "exports"
enable_pitr = true
"""


class EndpointClock:
    """The embedded endpoint's clock. Waiting moves it on, so that nobody waits."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws

    def now_ms(self) -> int:
        return int(self._aws.clock() * 1000)

    def monotonic(self) -> float:
        return self._aws.clock()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self._aws.advance(max(0.0, seconds))
        return stop.is_set()


@dataclass(frozen=True, slots=True)
class ExportDemoResult:
    """What the demo did and found; `reports` has one for the full export and one for each window."""

    changes: int
    windows: int
    rows: int
    seconds: float
    reports: tuple[VerifyReport, ...]
    folder: str

    @property
    def report(self) -> VerifyReport:
        """The last one."""
        return self.reports[-1]

    @property
    def verified(self) -> bool:
        return all(report.verified for report in self.reports)


class ExportDemo:
    """One run in `folder`, which is emptied first if a demo made it."""

    def __init__(self, folder: Path, changes: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._changes = changes
        self._say = say

    def run(self, after: Callable[[ExportDemoResult, str], None] = lambda result, url: None) -> ExportDemoResult:
        """A full export, then windows, each verified at its end, when nothing has been written since."""
        begun = time.monotonic()
        prepare_folder(self._folder)
        self._say("starting an AWS endpoint on this machine …")
        with LocalAws(seed=7) as aws, environment(aws.env()):
            clock = EndpointClock(aws)
            pipeline = self._pipeline(aws, clock)
            writer = Writer(pipeline.dynamodb, TABLE, Plan(PROFILES["order"], seed=7), clock)
            share = self._changes // (WINDOWS + 1)
            writer.write(share)
            reports = [self._next_quarter(aws, pipeline, "full export", first=True)]
            for number in range(1, WINDOWS + 1):
                _write_special(pipeline.dynamodb, number, int(aws.clock()))
                writer.write(share)
                reports.append(self._next_quarter(aws, pipeline, f"window {number}"))
            rows = pipeline.status()[0].targets[0].rows
            changes, seconds = writer.written.changes, time.monotonic() - begun
            result = ExportDemoResult(changes, WINDOWS, rows, seconds, tuple(reports), str(self._folder))
            after(result, aws.endpoint_url)
        return result

    def _pipeline(self, aws: LocalAws, clock: EndpointClock) -> Pipeline:
        settings = AwsSettings(region="us-east-1", endpoint_url=aws.endpoint_url)
        Aws(settings).client("s3").create_bucket(Bucket=BUCKET)
        dynamodb = Aws(settings).client("dynamodb")
        ensure_table(dynamodb, TABLE, PROFILES["order"], clock)
        expiry = {"Enabled": True, "AttributeName": "expires_at"}
        dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=expiry)
        path = self._folder / "tailrace.toml"
        path.write_text(CONFIG.format(bucket=BUCKET, endpoint_url=aws.endpoint_url, table=TABLE) + RULES)
        pipeline = Pipeline.from_config(path, clock)
        pipeline.capturer(TABLE).tick(Budget(clock))  # switches point-in-time recovery on
        return pipeline

    def _next_quarter(self, aws: LocalAws, pipeline: Pipeline, what: str, *, first: bool = False) -> VerifyReport:
        """Go to the end of the window, let its export happen, load it, and compare every key."""
        aws.advance(120)  # items whose time has come expire inside the window
        end = aws.advance(QUARTER_SECONDS - aws.clock() % QUARTER_SECONDS)
        aws.advance(LAG_SECONDS)
        capturer = pipeline.capturer(TABLE)
        rows = 0
        for _ in range(4 if first else 3):
            rows += capturer.tick(Budget(pipeline.clock)).records
            aws.advance(LAG_SECONDS if rows == 0 else 0)
        pipeline.loader(TABLE, "local").tick(Budget(pipeline.clock))
        report = next(pipeline.verify(deadline_seconds=0))
        verdict = f"{report.keys_source} keys equal" if report.verified else "NOT EQUAL"
        self._say(
            f"{what:11} up to {moment_text(floor_quarter(int(end)))}: {rows:6} rows exported and loaded; {verdict}"
        )
        return report


def _write_special(dynamodb: Any, number: int, now: int) -> None:
    """What only shows in net effects: come and gone, gone and come back, and expired, in one window."""

    def put(name: str, **more: Any) -> None:
        dynamodb.put_item(TableName=TABLE, Item={"order_id": {"S": name}, "status": {"S": f"window {number}"}, **more})

    def delete(name: str) -> None:
        dynamodb.delete_item(TableName=TABLE, Key={"order_id": {"S": name}})

    put(f"passing-{number}")
    delete(f"passing-{number}")
    put("phoenix")
    delete("phoenix")
    put("phoenix", total={"N": str(number)})
    put(f"short-lived-{number}", expires_at={"N": str(now + 60)})
    put(f"lives-until-the-next-{number}", expires_at={"N": str(now + 900)})
