"""The ledger document of lake tables: what was written once must load for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tailrace.errors import UserFault
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.lake.columns import NAME_BYTES, spell
from tailrace.targets.lake.state import LakeState, new_state, state_of
from tailrace.targets.target import LedgerRow, TableSpec

GOLDEN = Path(__file__).parent / "golden" / "lake-state.json"
TABLE = TableSpec("Orders", "orders", "current", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")), "table-1")
ROW = LedgerRow(
    7, "changes/dt=2026-11-22/hr=05/7", 1, "ab" * 32, 3, 1, 77, 1_790_000_000_500, 1_790_000_000_000, 5, 9, 4
)
STATE = LakeState(
    identity=("Orders", "current", json.dumps(TABLE.keys.to_json()), "table-1"),
    applied_through=7,
    through_ms=1_790_000_000_000,
    beyond={9: None, 12: 1_790_000_000_100},
    columns=(
        Column("pk", "S", "pk", ColumnType("string")),
        Column("sk", "N", "sk", ColumnType("decimal", 2), NumberRange(False, 5, 2)),
        Column('na"me', "M", 'na"me', ColumnType("json")),
        Column("tags", "NS", "tags__ns", ColumnType("list_int64"), NumberRange(True, 3, 0)),
    ),
    rows=3,
    fence=4,
    recent=(ROW, replace(ROW, number=6, through_ms=None, lag_ms_p50=None, lag_ms_p99=None)),
)


def test_a_document_of_an_earlier_release_loads() -> None:
    document = GOLDEN.read_text(encoding="utf-8").rstrip("\n")
    assert state_of(TABLE, document) == STATE
    assert json.loads(STATE.to_document()) == json.loads(document)


def test_a_load_moves_the_ledger_over_what_is_whole() -> None:
    rows = [replace(ROW, number=number, applied_ms=ROW.applied_ms + 1) for number in (8, 10)]
    after = STATE.after(TABLE, rows, STATE.columns, -2, 5)
    assert (after.applied_through, after.beyond, after.rows, after.fence) == (10, {12: 1_790_000_000_100}, 1, 5)
    assert [row.number for row in after.recent] == [10, 8, 7, 6]
    assert after.holds(10)
    assert not after.holds(11)
    assert state_of(TABLE, after.to_document()) == after
    assert new_state(TABLE).shown(()).applied_through == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 3}, "format 3"),
        ({"format": 1}, "format 1"),
        ({"recent": []}, "ledger was emptied"),
        ({"columns": [{}]}, "cannot be read"),
        ({"identity": ["Others", *STATE.identity[1:]]}, "another source"),
    ],
)
def test_what_does_not_belong_to_the_rows_is_refused(change: dict[str, object], says: str) -> None:
    document = json.dumps({**json.loads(STATE.to_document()), **change})
    with pytest.raises(UserFault, match=says) as error:
        state_of(TABLE, document)
    assert error.value.hint
    assert error.value.facts == {"table": "Orders"}


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "é" * 200, "🦀" * 100, "plain"])
def test_a_name_is_spelled_as_lakes_take_it(name: str) -> None:
    spelled = spell(name)
    assert len(spelled.encode()) <= NAME_BYTES
    assert "\0" not in spelled
    assert spell(spelled) == spelled
    assert name.replace("\0", "\u2400").startswith(spelled)
