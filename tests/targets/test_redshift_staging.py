"""How lists are written for COPY: as JSON in bytes, and exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.targets.redshift.staging import _parquet


def written(values: list[Any], member: pa.DataType) -> list[Any]:
    """What a file holds of these lists, parsed; they stand behind another one in their array."""
    lists = pa.chunked_array([pa.array([None, *values], pa.list_(member)).slice(1)])
    column = pq.read_table(pa.BufferReader(_parquet(pa.table({"l": lists}))))["c0"]
    assert column.type == pa.binary()
    return [None if text is None else json.loads(text) for text in column.to_pylist()]


@given(st.lists(st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"])))))
def test_any_texts_come_back(values: list[Any]) -> None:
    assert written(values, pa.string()) == values


@given(st.lists(st.none() | st.lists(st.integers(-(2**63), 2**63 - 1))))
def test_any_whole_numbers_come_back(values: list[Any]) -> None:
    assert written(values, pa.int64()) == values


@pytest.mark.parametrize("text", ["plain", 'a "quote"', "back\\slash", "line\nbreak", "\x1f", "\u2028é", ""])
def test_a_text_is_json_whether_it_needs_escapes_or_not(text: str) -> None:
    assert written([[text, "x"], [], None, ["y"]], pa.string()) == [[text, "x"], [], None, ["y"]]


def test_numbers_with_a_point_are_their_exact_texts() -> None:
    assert written([[Decimal("0.10"), Decimal("-5.00")], []], pa.decimal128(38, 2)) == [["0.1", "-5"], []]
