"""Every planted defect is noticed: by the history that `docs/reliability.md` names, or by another one soon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tailrace.testing.sim.defects import DEFECTS, catch, planted
from tailrace.testing.sim.plan import draw
from tailrace.testing.sim.run import run_one

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = {
    name: (what, int(seed))
    for name, what, seed in re.findall(r"^\| `(\w+)` \| (.+?) \| \d+ \| (\d+) \| \w+ \|$", PAGE, re.M)
}
HISTORIES_MAX = 500  # where the code has changed and the named history shows it no more


def test_every_defect_stands_on_the_page_and_no_other() -> None:
    assert {name: what for name, (what, _) in ROWS.items()} == {name: d.what for name, d in DEFECTS.items()}
    assert len(DEFECTS) >= 40


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_noticed(name: str) -> None:
    with planted(DEFECTS[name]):
        outcome = run_one(draw(ROWS[name][1]))
    if outcome.violation is None:
        assert catch(name, HISTORIES_MAX).seed is not None, f"{HISTORIES_MAX} histories do not show it"


@pytest.mark.parametrize("name", DEFECTS)
def test_without_the_defect_the_same_history_violates_nothing(name: str) -> None:
    assert run_one(draw(ROWS[name][1])).violation is None
