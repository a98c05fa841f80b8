"""What Spark makes of every lake, whatever the table went through; other engines are asked in tests/targets."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import iceberg_place
import pytest
from lake_engines import CASES, MODES_OF, Case, Lake, by_spark, loaded, open_lake, shown

from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.testing.target_contract import Change, Replica

EXAMPLES = Path(__file__).parents[2] / "examples" / "lake"
WITHIN_OTHERS = (
    "a new attribute",
    "whole numbers, then decimals, then text",
)  # every mode has both; Spark takes seconds
ORDER = KeySchema(KeyAttribute("order_id", "S"))


@pytest.mark.parametrize("case", [case for case in CASES if case.surprise not in WITHIN_OTHERS], ids=str)
def test_spark_reads_every_lake_alike(lake_spark: Any, tmp_path: Path, case: Case) -> None:
    lake = loaded(case, tmp_path)
    assert shown(by_spark(lake_spark, lake)) == lake.rows


@pytest.mark.parametrize("kind", MODES_OF)
def test_the_examples_give_the_answer(
    lake_spark: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replica = Replica(open_lake(kind, tmp_path), MODES_OF[kind][0], ORDER)
    for number, order, status in ((1, "1", "open"), (2, "2", "open"), (3, "3", "open"), (4, "1", "sent"), (5, "2", "")):
        item = {"order_id": {"S": order}, **({"status": {"S": status}} if status else {})}
        replica.apply((number, [Change("u" if status else "d", item, number)]))
    place = iceberg_place.orders(tmp_path).metadata_location if kind == "iceberg" else Lake(kind, tmp_path, []).folder
    script = str(EXAMPLES / f"{kind}_spark.py")
    monkeypatch.setattr(sys, "argv", [script, str(place)])
    runpy.run_path(script)
    cells = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [[cell.strip() for cell in row] for row in cells] == [["status", "count"], ["open", "1"], ["sent", "1"]]
