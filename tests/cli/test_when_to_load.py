"""Tables with each load rule stream into DuckDB and Redshift (by both drivers) while they are written to, landing on S3."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_site import enter
from click.testing import CliRunner

from tailrace.cli import main
from tailrace.clock import SystemClock
from tailrace.gen.profiles import PROFILES
from tailrace.gen.writer import Plan, Writer, ensure_table
from tailrace.local.client import LocalAws
from tailrace.pipeline import Pipeline, TableRun

pytestmark = pytest.mark.embedded

HOUR = 3_600_000
RULES = {
    "always": '"continuous"',
    "files": '"on_file"',
    "hours": '{ every = "1h", offset = "5m" }',
    "hands": '"by_hand"',
}
CONFIG = """
[landing]
url = "s3://lake/landing"
[source]
endpoint_url = "{endpoint_url}"
[targets.local]
kind = "duckdb"
path = "warehouse.duckdb"
[targets.dwh]
kind = "redshift"
workgroup = "analytics"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://lake/staging"
[defaults]
base = "none"
flush_seconds = 0.3
"""

DRIVEN = """
[targets.driven]
kind = "redshift"
driver = "connector"
host = "{host}"
port = {port}
ssm_parameter = "/dwh/login"
database = "dev"
iam_role = "arn:aws:iam::111122223333:role/RedshiftCopy"
staging = "s3://lake/driven"
"""


class MovableClock(SystemClock):
    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(seed=3) as endpoint:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=endpoint.endpoint_url, **keys).create_bucket(Bucket="lake")
        yield endpoint


def said(*arguments: str) -> Any:
    """What a command says with --json."""
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_rule_live_into_duckdb_and_redshift_by_both_drivers(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(aws, tmp_path, monkeypatch)
    clock = MovableClock()
    clock.ahead_ms = HOUR - clock.now_ms() % HOUR + HOUR // 2  # half past
    monkeypatch.setattr("tailrace.pipeline.SystemClock", lambda: clock)
    dynamodb = boto3.client("dynamodb", endpoint_url=aws.endpoint_url)
    login = json.dumps({"username": "loader", "password": "unused"})
    ssm = boto3.client("ssm", endpoint_url=aws.endpoint_url)
    ssm.put_parameter(Name="/dwh/login", Value=login, Type="SecureString")
    host, port = aws.redshift("driven")
    config = CONFIG.format(endpoint_url=aws.endpoint_url) + DRIVEN.format(host=host, port=port)
    writers = {}
    for table, rule in RULES.items():
        ensure_table(dynamodb, table, PROFILES["order"], clock)
        writers[table] = Writer(dynamodb, table, Plan(PROFILES["order"], seed=1), clock)
        config += f"[tables.{table}]\nload = {rule}\n"
    (tmp_path / "tailrace.toml").write_text(config)

    stop, writing = threading.Event(), threading.Event()
    hours: list[int] = []

    def write() -> None:
        while not writing.wait(0.3):
            for writer in writers.values():
                writer.write(5)

    def rows(runs: dict[str, TableRun], table: str) -> int:
        loads = runs[table].loads.values() if table in runs else ()
        return min((load.rows for load in loads), default=0) if len(loads) == 3 else 0

    seen: dict[str, TableRun] = {}

    def on_change(run: TableRun) -> None:
        seen[run.table] = run
        if len(hours) == 0 and rows(seen, "always") >= 10 and rows(seen, "files") >= 10:
            hours.append(rows(seen, "hours"))
            clock.ahead_ms += HOUR
        if len(hours) == 1 and rows(seen, "hours") >= 5:
            hours.append(rows(seen, "hours"))
            stop.set()

    timer = threading.Timer(60, stop.set)
    thread = threading.Thread(target=write)
    timer.start()
    thread.start()
    try:
        runs = {r.table: r for r in Pipeline.from_config("tailrace.toml").run(stop=stop, on_change=on_change)}
    finally:
        writing.set()
        timer.cancel()
        thread.join()
    assert hours[0] == 0 < hours[1]
    assert {table: run.error for table, run in runs.items()} == dict.fromkeys(RULES)
    assert all(load.loads == load.segments for load in runs["files"].loads.values())
    assert all(load.rows == 0 for load in runs["hands"].loads.values())

    said("capture")
    (waiting,) = said("load", "--due", "--tables", "h*rs")
    assert {name: load["next_load"][13:] for name, load in waiting["loaded"].items()} == dict.fromkeys(
        ("local", "dwh", "driven"), ":05:00+00:00"
    )
    statuses = {status["table"]: status for status in said("status", "--max-lag", "3h")}
    assert statuses["hands"]["segments"]["unloaded"] == statuses["hands"]["segments"]["count"] > 0
    assert [status["warnings"] for status in statuses.values()] == [[]] * 4
    said("load")
    for report in said("verify"):
        assert report["verified"], report
        assert report["keys_source"] == report["keys_target"] > 0


def test_two_loaders_at_once_do_nothing_twice(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into DuckDB and Redshift, each segment a load of its own; a third one takes over by force while they are at it."""
    enter(aws, tmp_path, monkeypatch)
    clock = SystemClock()
    dynamodb = boto3.client("dynamodb", endpoint_url=aws.endpoint_url)
    ensure_table(dynamodb, "twice", PROFILES["order"], clock)
    writer = Writer(dynamodb, "twice", Plan(PROFILES["order"], seed=2), clock)
    config = CONFIG.format(endpoint_url=aws.endpoint_url) + '[tables.twice]\nload = "on_file"\nmode = "changelog"\n'
    (tmp_path / "tailrace.toml").write_text(config)
    capturing = Pipeline.from_config("tailrace.toml")
    for _ in range(6):
        writer.write(10)
        capturing.run(until_caught_up=True, load=False, compact=False)

    def load(take_over: bool) -> TableRun:
        pipeline = Pipeline.from_config("tailrace.toml")
        options = {"capture": False, "backfill": False, "compact": False, "until_caught_up": True}
        (run,) = pipeline.run(take_over=take_over, **options)  # type: ignore[arg-type]
        return run

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(load, (False, False, True)))
    published = capturing.landing("twice").load()
    assert published is not None
    segments, rows = published.manifest.next_number - 1, published.manifest.counters["rows"]
    assert [run.error for run in runs] == [None] * 3
    for target in ("local", "dwh"):
        assert sum(run.loads[target].segments for run in runs) == segments
        assert sum(run.loads[target].rows for run in runs) == rows
        (counts,) = said("query", "SELECT count(*) AS n, count(DISTINCT _tr_pos) AS d FROM twice", "--target", target)
        assert {counts["n"], counts["d"]} == {rows}
        assert capturing.landing("twice").lease(target).lease.holder is None
    assert [report["verified"] for report in said("verify")] == [True, True]
