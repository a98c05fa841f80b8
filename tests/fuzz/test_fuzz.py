"""Everything in the corpus, and the first inputs that are drawn from it. ``make fuzz`` draws on."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path

import pytest

if importlib.util.find_spec("tailrace_core") is None:
    pytest.skip("tailrace-core is not installed, so there are no two codecs to compare", allow_module_level=True)

from planted import target as planted

from fuzz import fuzz
from targets import TARGETS, Target

EXECUTIONS = 300
FILES = [
    pytest.param(target, path, id=f"{target.name}-{path.name}")
    for target in TARGETS.values()
    for path in target.files()
]


@pytest.mark.parametrize(("target", "path"), FILES)
def test_the_corpus_itself(target: Target, path: Path) -> None:
    for options in islice(target.all_options(), 0, None, 7):  # all values of each, not with all of all others
        target.check(path.read_bytes(), options)


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_of_a_seed(name: str, tmp_path: Path) -> None:
    summary = fuzz(TARGETS[name], seed=0, executions=EXECUTIONS, out=tmp_path)
    assert summary.executions == EXECUTIONS
    assert [path.read_text() for path in tmp_path.glob("*.txt")] == []
    assert summary.findings == 0


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        ("raises", "AssertionError planted.py:"),
        ("dies", "died of SIGSEGV"),
        ("hangs", "took longer than 1 s"),
        ("takes_all_memory", "MemoryError planted.py:"),
    ],
)
def test_a_defect_is_found_whatever_it_does(defect: str, said: str, tmp_path: Path) -> None:
    summary = fuzz(planted(defect), seed=0, executions=2, input_seconds_max=1.0, out=tmp_path)
    assert (summary.executions, summary.findings) == (2, 2)
    report, *others = tmp_path.glob("*.txt")
    assert len(others) == (defect in ("dies", "hangs"))  # else both are of one kind
    assert report.read_text().startswith(said)
    data = report.with_suffix(".input").read_bytes()
    assert data == b"orders" if defect in ("raises", "takes_all_memory") else b"orders" in data
