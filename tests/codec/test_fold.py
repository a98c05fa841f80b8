"""The latest row of each key."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.codec import Engine
from tailrace.errors import OrderConflict


def table(rows: list[tuple[Any, ...]], *types: pa.DataType, chunks: int = 1) -> pa.Table:
    """Columns named 0, 1, 2 … cut into chunks."""
    schema = pa.schema([(str(i), type_) for i, type_ in enumerate(types)])
    size = max(1, -(-len(rows) // chunks))
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    batches = [
        pa.record_batch(
            [pa.array(column, type_) for column, type_ in zip(zip(*part, strict=True), types, strict=True)], schema
        )
        for part in parts
    ]
    return pa.Table.from_batches(batches, schema)


TEXT = pa.string()
SIMPLE = (TEXT, TEXT, TEXT)


def fold(engine: Engine, rows: list[tuple[Any, ...]], *types: pa.DataType, keys: list[int] | None = None) -> list[int]:
    """`fold_latest` over a table of any chunking, which never matters. The order key is the last but one column."""
    results = []
    for chunks in (1, 2, len(rows) + 1):
        whole = table(rows, *types, chunks=chunks)
        folded = engine.fold_latest(whole, [0] if keys is None else keys, len(types) - 2)
        assert folded.type == pa.uint64()
        results.append(folded.to_pylist())
    assert results[1:] == results[:-1]
    return results[0]


def test_the_greatest_order_key_survives_in_row_order(engine: Engine) -> None:
    rows = [("b", "2", "x"), ("a", "1", "x"), ("a", "3", "y"), ("b", "1", "x"), ("c", "0", "x"), ("a", "2", "z")]
    assert fold(engine, rows, *SIMPLE) == [0, 2, 4]


def test_order_keys_are_compared_as_text(engine: Engine) -> None:
    assert fold(engine, [("a", "9", ""), ("a", "10", "")], *SIMPLE) == [0]
    assert fold(engine, [("a", "é", ""), ("a", "z", ""), ("a", "🦀", ""), ("a", "\uffff", "")], *SIMPLE) == [2]
    assert fold(engine, [("a", "1", ""), ("a", "1\x00", ""), ("a", "", "")], *SIMPLE) == [1]


def test_of_equal_repeats_the_first_survives(engine: Engine) -> None:
    rows = [("a", "1", "x"), ("b", "1", "y"), ("a", "1", "x"), ("a", "1", "x"), ("b", "1", "y")]
    assert fold(engine, rows, *SIMPLE) == [0, 1]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("a", "1", "x"), ("a", "1", "y")], id="75 survivors"),
        pytest.param([("a", "1", "x"), ("a", "1", "y"), ("a", "2", "z")], id="75 neither survives"),
        pytest.param([("a", "2", "z"), ("a", "1", "x"), ("b", "9", ""), ("a", "1", "y")], id="75 behind the survivor"),
        pytest.param([("a", "1", "x"), ("a", "1", "x"), ("a", "1", "y")], id="75 behind an equal repeat"),
        pytest.param([("a", "1", None), ("a", "1", "")], id="75 NULL and empty"),
        pytest.param([("a", "1", "x"), ("a", "1", None)], id="75 a value and NULL"),
    ],
)
def test_75_one_key_and_position_with_two_contents_is_a_conflict(engine: Engine, rows: list[Any]) -> None:
    for given_rows in (rows, rows[::-1]):
        with pytest.raises(OrderConflict):
            fold(engine, given_rows, *SIMPLE)


def test_equal_contents_under_other_keys_or_positions_are_no_conflict(engine: Engine) -> None:
    assert fold(engine, [("a", "1", "x"), ("b", "1", "y"), ("a", "2", "y")], *SIMPLE) == [1, 2]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.int64(), [0, -1, 2**63 - 1, -(2**63), 2**53, 2**53 + 1]),
        (pa.decimal128(38, 2), [Decimal("0.01"), Decimal("-0.01"), Decimal("1" * 36), Decimal(0), Decimal(1)]),
        (pa.decimal128(38, 0), [Decimal(2**64), Decimal(-(2**64)), Decimal(2**64 + 1), Decimal("9" * 38)]),
        (pa.string(), ["", "a", "A", "é", "e\u0301", "a\x00", "1", "1.0"]),
        (pa.binary(), [b"", b"\0", b"\0\0", b"\xff", b"a"]),
    ],
    ids=str,
)
def test_keys_of_every_type_are_told_apart(engine: Engine, type_: pa.DataType, values: list[Any]) -> None:
    rows = [(value, position, str(i)) for position in ("1", "2") for i, value in enumerate(values)]
    count = len(values)
    assert fold(engine, rows, type_, TEXT, TEXT) == list(range(count, 2 * count))


def test_several_key_columns_are_one_key(engine: Engine) -> None:
    rows = [
        ("a", "bc", "1", ""),
        ("ab", "c", "1", ""),
        ("abc", "", "1", ""),
        ("", "abc", "1", ""),
        ("a", "bc", "2", ""),
    ]
    assert fold(engine, rows, TEXT, TEXT, TEXT, TEXT, keys=[0, 1]) == [1, 2, 3, 4]
    rows = [("x", 1, "1", ""), ("x", 2, "2", ""), ("y", 1, "3", ""), ("x", 1, "0", "")]
    assert fold(engine, rows, TEXT, pa.int64(), TEXT, TEXT, keys=[0, 1]) == [0, 1, 2]
    assert fold(engine, rows, TEXT, pa.int64(), TEXT, TEXT, keys=[1]) == [1, 2]


@pytest.mark.parametrize("type_", [pa.string(), pa.int64(), pa.binary(), pa.decimal128(38, 1)], ids=str)
def test_null_keys_are_one_key_and_unlike_every_value(engine: Engine, type_: pa.DataType) -> None:
    empty = {"string": "", "binary": b""}.get(str(type_), 0)
    rows = [(None, "1", "x"), (empty, "1", "y"), (None, "2", "z")]
    assert fold(engine, rows, type_, TEXT, TEXT) == [1, 2]


@pytest.mark.parametrize(
    "types",
    [SIMPLE, (pa.int64(), TEXT, TEXT), (pa.binary(), TEXT, pa.list_(pa.string()))],
    ids=lambda types: str(types[0]),
)
def test_an_empty_table_has_no_survivors(engine: Engine, types: Any) -> None:
    assert engine.fold_latest(table([], *types), [0], 1).to_pylist() == []


def test_contents_are_compared_in_all_types(engine: Engine) -> None:
    types = (TEXT, TEXT, pa.list_(pa.int64()))
    assert fold(engine, [("a", "1", [1, 2]), ("a", "1", [1, 2])], *types) == [0]
    for left, right in [([1, 2], [2, 1]), ([], None), ([None], []), ([0], [None])]:
        with pytest.raises(OrderConflict):
            fold(engine, [("a", "1", left), ("a", "1", right)], *types)
    for type_, left, right in [
        (pa.decimal128(38, 2), Decimal("0.01"), Decimal("0.02")),
        (pa.binary(), b"\0", b""),
        (pa.bool_(), False, None),
        (pa.list_(pa.decimal128(38, 1)), [Decimal("0.1")], [Decimal("0.2")]),
        (pa.list_(pa.binary()), [b"a", b""], [b"", b"a"]),
    ]:
        assert fold(engine, [("a", "1", left), ("a", "1", left)], TEXT, TEXT, type_) == [0]
        with pytest.raises(OrderConflict):
            fold(engine, [("a", "1", left), ("a", "1", right)], TEXT, TEXT, type_)


def test_a_sliced_table_folds_like_its_copy(engine: Engine) -> None:
    rows = [("a", "9", "far"), ("a", "1", "x"), ("b", "1", "y"), ("a", "2", "z"), ("b", "9", "far")]
    assert engine.fold_latest(table(rows, *SIMPLE, chunks=2).slice(1, 3), [0], 1).to_pylist() == [1, 2]


row = st.tuples(st.sampled_from(["a", "b", ""]), st.integers(0, 2), st.integers(0, 9).map(lambda n: f"{n:02d}"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(row, max_size=40), data=st.data())
def test_folding_is_a_maximum_per_key_in_any_order(engine: Engine, rows: list[Any], data: st.DataObject) -> None:
    full = [(*r, "|".join(map(str, r))) for r in rows]
    types = (TEXT, pa.int64(), TEXT, TEXT)

    def survivors(given_rows: list[Any]) -> set[Any]:
        chosen = fold(engine, given_rows, *types, keys=[0, 1])
        assert chosen == sorted(chosen)
        for index in chosen:
            assert given_rows.index(given_rows[index]) == index, "of equal rows the first survives"
        return {given_rows[index] for index in chosen}

    expected = {max((r for r in full if r[:2] == key), key=lambda r: r[2]) for key in {r[:2] for r in full}}
    assert survivors(full) == expected
    assert survivors(data.draw(st.permutations(full))) == expected
    again = [*sorted(expected), *full]
    assert survivors(again) == expected, "folding what was folded with its source changes nothing"
