"""The ledger as a value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.schema import Column, ColumnType
from tailrace.targets.target import Ledger

COLUMNS = (Column("pk", "S", "pk", ColumnType("string")),)


@given(st.lists(st.sets(st.integers(1, 12)), max_size=6))
def test_what_is_applied_adds_up_in_any_order(loads: list[set[int]]) -> None:
    ledger, applied = Ledger(rows=7, through_ms=3), set[int]()
    for load in loads:
        ledger, applied = ledger.after(load, COLUMNS), applied | load
        assert {n for n in range(1, 14) if ledger.holds(n)} == applied
        assert ledger.applied_through + 1 not in applied
        assert all(n > ledger.applied_through for n in ledger.applied_beyond)
        assert (ledger.columns, ledger.rows, ledger.through_ms) == (COLUMNS, 7, 3)
