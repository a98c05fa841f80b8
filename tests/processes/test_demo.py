"""The demo as a newcomer runs it, and interrupted at any time: no process stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tailrace.cli import main

pytestmark = pytest.mark.processes

QUICK = ("--items", "600", "--seconds", "3")


def start(folder: Path, mark: str, *options: str) -> subprocess.Popen[str]:
    """A demo in a process group of its own, whose processes all carry a mark in their environment."""
    command = [sys.executable, "-m", "tailrace", *options, "demo", "--dir", str(folder / "demo"), *QUICK]
    return subprocess.Popen(
        command,
        env={**os.environ, "TAILRACE_TEST_MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def marked(mark: str) -> list[int]:
    """Processes that carry it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TAILRACE_TEST_MARK={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until_none(mark: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked(mark) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_the_demo_verifies_every_key_and_a_second_one_starts_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, "whole", "--no-progress")
    out, messages = process.communicate(timeout=180)
    assert process.returncode == 0, messages
    verdict = out.strip().splitlines()[-1]
    assert verdict.startswith("verified: ")
    assert verdict.endswith(" keys equal")
    assert "600 changes over 7 shards" in out
    assert messages.count("a shard was split") == 3
    wait_until_none("whole", 5)
    process = start(tmp_path, "json", "--json")
    out, messages = process.communicate(timeout=180)
    assert process.returncode == 0, messages
    document = json.loads(out)
    assert document["changes"] == 600
    assert document["report"]["verified"] is True


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 1.5), (signal.SIGTERM, 5.0), (signal.SIGKILL, 3.0)])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path, number: int, seconds: float) -> None:
    mark = f"{number}-{seconds}"
    process = start(tmp_path, mark)
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_until_none(mark, 10)


@pytest.mark.parametrize(("folder", "code"), [("file", 102), ("file/x", 102), ("/sys/x", 103)])
def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, folder: str, code: int) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["demo", "--dir", str(tmp_path / folder)])
    assert result.exit_code == 2
    assert f"error TAILRACE-{code}: The folder cannot be used" in result.stderr


def test_a_folder_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("mine")
    process = start(tmp_path, "foreign")
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "did not make" in messages
    assert (tmp_path / "demo" / "mine.txt").read_text() == "mine"
