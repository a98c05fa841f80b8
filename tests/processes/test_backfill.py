"""What ``make backfill`` does with a million items, with a few: a table arrives in ticks while it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

LOOP = Path(__file__).with_name("backfill_loop.py")


def test_a_table_arrives_whole_in_ticks_while_it_changes() -> None:
    command = [sys.executable, str(LOOP), "--items", "2000", "--budget", "2", "--late", "60", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["rows_scanned"] > 1000
    assert seen["keys"] > 1000
    assert seen["changes_meanwhile"] > 0
