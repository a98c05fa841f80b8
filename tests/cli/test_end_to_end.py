"""The commands against the embedded AWS, as a person would type them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_site import AwsSite, enter, table_for
from click.testing import CliRunner, Result

from tailrace.cli import main
from tailrace.landing import Landing, LocalStore
from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

CANARY = "canary7f3aSECRETcanary"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as endpoint:
        yield endpoint


@pytest.fixture
def folder(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A project with a table of its own."""
    enter(aws, tmp_path, monkeypatch, AWS_SECRET_ACCESS_KEY=CANARY)
    site = AwsSite(tmp_path, aws, table_for(request))
    assert run("gen", "--table", site.table, "--items", "300", "--seed", "1").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert CANARY not in result.output
    return result


def table_of(folder: Path) -> str:
    return next(path.name for path in (folder / "landing").iterdir() if not path.name.startswith("."))


def test_what_was_written_is_captured_loaded_shown_and_explained(folder: Path) -> None:
    done = run("run", "--once", "--json")
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.stdout)
    assert table["scanned"]["done"]
    assert table["captured"]["changes"] + table["scanned"]["items"] == table["loaded"]["local"]["rows"] > 0
    (status,) = json.loads(run("status", "--json").stdout)
    assert (status["state"], status["warnings"], status["segments"]["unloaded"]) == ("CONSISTENT", [], 0)
    (count,) = json.loads(run("query", "SELECT count(*) AS n FROM orders", "--json").stdout)
    assert count["n"] == status["targets"][0]["rows"] > 0
    published = Landing(LocalStore(folder / "landing"), table["table"]).load()
    assert published is not None
    assert run("why", published.manifest.segments[0].name).exit_code == 0


def test_a_trimmed_stream_is_a_gap_that_status_will_not_stop_showing(aws: LocalAws, folder: Path) -> None:
    assert run("capture").exit_code == 0
    table = table_of(folder)
    assert run("gen", "--table", table, "--items", "50", "--seed", "2").exit_code == 0
    aws.shards("trim", table)
    assert run("gen", "--table", table, "--items", "50", "--seed", "3").exit_code == 0
    for _ in range(2):
        assert run("run", "--once").exit_code == 0
        status = run("status")
        assert status.exit_code == 4
        assert "GAP" in status.stdout.splitlines()[0]


def test_a_table_that_is_not_there_and_a_stream_that_is_off_say_what_to_do(folder: Path) -> None:
    path = folder / "tailrace.toml"
    path.write_text(path.read_text() + "[tables.absent]\n")
    result = run("capture", "--tables", "absent", "--json")
    assert result.exit_code == 2
    (table,) = json.loads(result.stdout)
    assert table["error"]["code"] == "TAILRACE-104"
    assert "DescribeTable" in table["error"]["message"]
    result = run("capture", "--json")
    assert result.exit_code == 3, "the other table was captured"


def test_ctrl_c_ends_a_run_cleanly_within_seconds(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tailrace", "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ),
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(folder.glob("landing/*/changes/**/*.gz")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    output, messages = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 0, messages
    assert "captured 300 changes" in output
    assert "Traceback" not in messages
    assert CANARY not in output + messages
