"""The page that says why nothing lands from Kinesis counts what the program counts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/decisions/0009-kinesis-is-no-source-of-truth.md").read_text()


def test_its_figures_are_those_of_the_program() -> None:
    program = [sys.executable, str(ROOT / "benchmarks/kinesis_order.py")]
    lines = subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    total, untied = re.findall(r"[0-9]+", lines[0])[:2]
    assert f"{int(total):,} deliveries" in PAGE
    assert f"of the {int(untied):,} without two writes" in PAGE
    found = [tuple(map(int, re.findall(r" ([0-9]+)", line))) for line in lines[1:]]
    rows = re.findall(r"^\| (?:what came|the latest).*", PAGE, re.M)
    told = [tuple(int(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", row)) for row in rows]
    assert [(wrong, late) for wrong, late, _ in found[:3]] == told[:3]
    assert found[3] == (told[3][0], told[3][2], told[3][1])
