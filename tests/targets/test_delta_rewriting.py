"""Files of a Delta table: which may hold a key by their bounds, and what the log is told of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tailrace.targets.delta.rewriting import may_hold, stats


@pytest.mark.parametrize(
    ("bounds", "wanted", "may"),
    [
        (("b", "d"), ("c", "c"), True),
        (("b", "d"), ("d", "z"), True),
        (("b", "d"), ("a", "b"), True),
        (("b", "d"), ("e", "z"), False),
        (("b", "d"), ("A", "a"), False),
        (("é", "é"), ("z", "z"), False),
        (("b", "d"), ("a", "e"), False),
        (("b", "d"), ("a", "b", "e"), True),
        ((3, 4), (1, 2, 4, 9), True),
        ((3, 4), (1, 2, 5, 9), False),
        ((3, 4), (), False),
        ((1, 5), (6, 9), False),
        ((1, 5), (5, 9), True),
        ((None, None), ("a", "a"), True),
        (("b", None), ("a", "a"), True),
        ((Decimal("1.5"), Decimal("2.5")), (Decimal("3.5"), Decimal("4.5")), True),  # the log may have rounded it
        ((1, 5), ("6", "9"), True),
    ],
)
def test_a_file_is_passed_over_only_where_its_bounds_are_exact(bounds: Any, wanted: Any, may: bool) -> None:
    assert may_hold(*bounds, wanted) is may


def test_the_log_is_told_bounds_of_short_texts_and_whole_numbers_only() -> None:
    rows = pa.table({"a": ["x", "b"], "n": [3, -1], "d": [Decimal("1.5"), None], "_tr_pos": ["1", "2" * 100]})
    assert json.loads(stats(rows, ["a", "n", "d"])) == {
        "numRecords": 2,
        "minValues": {"a": "b", "n": -1},
        "maxValues": {"a": "x", "n": 3},
        "nullCount": {"a": 0, "n": 0},
    }
