"""docs/doctor.md lists every check, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tailrace.decide.doctor import CHECKS, CLOCK_ERROR_SECONDS, CLOCK_WARNING_SECONDS
from tailrace.decide.plan import SCAN_GB_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z]+)` \|(.*)\|$", PAGE, re.M))


def test_every_check_is_documented_and_no_other() -> None:
    assert list(ROWS) == list(CHECKS)


def test_its_limits_are_those_of_the_program() -> None:
    assert f"it is {CLOCK_ERROR_SECONDS} s off" in ROWS["clock"]
    assert f"it is {CLOCK_WARNING_SECONDS} s off" in ROWS["clock"]
    assert f"larger than {SCAN_GB_MAX} GB" in ROWS["base"]
