"""Decoded tables: one schema for many batches, and a target's columns out of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tailrace.codec import META_FIELDS, arrow_type, decoded_columns, field_index, project, unify
from tailrace.codec.tables import decoded_schema
from tailrace.model.schema import TAGS, AttributeSeen, Column, ColumnType, NumberRange, Seen, Tag, column_type, range_of

INT = range_of(["1"])
HALVES = range_of(["100", "0.5"])
WIDE = range_of(["1E-130", "5"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (ColumnType("string"), pa.string()),
        (ColumnType("int64"), pa.int64()),
        (ColumnType("decimal", 7), pa.decimal128(38, 7)),
        (ColumnType("number_text"), pa.string()),
        (ColumnType("binary"), pa.binary()),
        (ColumnType("bool"), pa.bool_()),
        (ColumnType("json"), pa.string()),
        (ColumnType("list_string"), pa.list_(pa.string())),
        (ColumnType("list_int64"), pa.list_(pa.int64())),
        (ColumnType("list_decimal", 3), pa.list_(pa.decimal128(38, 3))),
        (ColumnType("list_number_text"), pa.list_(pa.string())),
        (ColumnType("list_binary"), pa.list_(pa.binary())),
    ],
    ids=str,
)
def test_every_column_type_has_an_arrow_type(column: ColumnType, expected: pa.DataType) -> None:
    assert arrow_type(column) == expected


def batch(seen: Seen, *rows: Any) -> pa.RecordBatch:
    """A decoded batch whose attribute columns hold `rows`."""
    schema = decoded_schema(seen)
    meta = [["r"] * len(rows), [None] * len(rows), [f"p{i}" for i in range(len(rows))], [False] * len(rows)]
    columns = [*meta, *([list(column) for column in zip(*rows, strict=True)] or [[]] * len(decoded_columns(schema)))]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def numbers(tag: Tag, numbers: NumberRange) -> Seen:
    return {("a", tag): AttributeSeen(1, numbers)}


def values(table: pa.Table) -> list[list[Any]]:
    return [column.to_pylist() for column in table.columns[len(META_FIELDS) :]]


def test_fields_stand_in_the_order_of_names_and_tags() -> None:
    seen: dict[tuple[str, Tag], AttributeSeen] = {
        (n, t): AttributeSeen(1) for n in ("é", "b", "🦀", "a") for t in reversed(TAGS)
    }
    schema = decoded_schema(seen)
    assert decoded_columns(schema) == [(n, t) for n in ("a", "b", "é", "🦀") for t in TAGS if t != "NULL"]
    assert field_index(schema, "a", "S") == len(META_FIELDS)
    assert field_index(schema, "b", "NULL") is None
    assert field_index(schema, "c", "S") is None


def test_nothing_unified_has_the_schema_of_what_was_seen() -> None:
    table = unify([], numbers("N", HALVES))
    assert (table.num_rows, table.schema) == (0, decoded_schema(numbers("N", HALVES)))


@pytest.mark.parametrize(
    ("tag", "first", "value", "wide", "expected"),
    [
        ("N", INT, 2**53 + 1, HALVES, Decimal(2**53 + 1)),
        ("N", INT, -(2**63), NumberRange(False, 19, 19), Decimal(-(2**63))),
        ("N", INT, 2**63 - 1, WIDE, "9223372036854775807"),
        ("N", HALVES, Decimal("0.5"), NumberRange(False, 3, 9), Decimal("0.5")),
        ("N", HALVES, Decimal("100.0"), WIDE, "100"),
        ("N", HALVES, Decimal("-0.5"), WIDE, "-0.5"),
        ("N", NumberRange(False, 0, 38), Decimal("1E-38"), WIDE, "1E-38"),
        ("N", NumberRange(False, 38, 0), Decimal("9" * 38), WIDE, "9" * 38),
        ("N", NumberRange(False, 38, 0), Decimal("1" + "0" * 37), WIDE, "1" + "0" * 37),
        ("NS", INT, [-1, 2], HALVES, [Decimal(-1), Decimal(2)]),
        ("NS", INT, [], HALVES, []),
        ("NS", INT, [-1, 2], WIDE, ["-1", "2"]),
        ("NS", HALVES, [Decimal("0.5"), Decimal(7)], WIDE, ["0.5", "7"]),
        ("NS", HALVES, [Decimal("0.5")], NumberRange(False, 20, 18), [Decimal("0.5")]),
    ],
    ids=str,
)
def test_widening_keeps_every_digit_and_null(tag: Tag, first: Any, value: Any, wide: Any, expected: Any) -> None:
    narrow = batch(numbers(tag, first), (value,), (None,))
    table = unify([narrow], numbers(tag, first.join(wide)))
    assert values(table) == [[expected, None]]
    table.validate(full=True)
    column = Column("a", tag, "A", column_type(tag, first.join(wide)))
    assert project(unify([narrow], numbers(tag, first)), [column]).to_pydict() == {"A": [expected, None]}


def test_rows_keep_their_order_over_batches_of_different_schemas() -> None:
    first = batch(numbers("N", INT), (1,), (2,))
    empty = batch({})
    second = batch(
        {("a", "N"): AttributeSeen(1, HALVES), ("a", "S"): AttributeSeen(1)}, ("x", None), (None, Decimal("0.5"))
    )
    seen = {("a", "N"): AttributeSeen(3, HALVES), ("a", "S"): AttributeSeen(1), ("a", "NULL"): AttributeSeen(9)}
    table = unify([first, empty, second], seen)
    assert values(table) == [[None, None, "x", None], [Decimal(1), Decimal(2), None, Decimal("0.5")]]
    assert table.column(2).to_pylist() == ["p0", "p1", "p0", "p1"]


def test_a_table_never_narrows() -> None:
    with pytest.raises(AssertionError):
        unify([batch(numbers("N", HALVES), (Decimal("0.5"),))], numbers("N", INT))
    widest = NumberRange(False, 38, 0)
    table = unify([batch(numbers("N", widest), (Decimal("9" * 38),))], numbers("N", widest))
    with pytest.raises(pa.ArrowInvalid):
        project(table, [Column("a", "N", "a", ColumnType("decimal", 20))])


def test_a_projection_has_the_columns_asked_for_and_no_others() -> None:
    seen = {("a", "S"): AttributeSeen(1), ("a", "N"): AttributeSeen(1, INT), ("_tr_op", "S"): AttributeSeen(1)}
    table = unify([batch(seen, ("op", "x", 1))], seen)
    columns = [
        Column("a", "N", "a__n", ColumnType("decimal", 2)),
        Column("absent", "NS", "absent", ColumnType("list_int64")),
        Column("_tr_op", "S", "_tr_op_2", ColumnType("string")),
        Column("a", "S", "a", ColumnType("string")),
    ]
    assert project(table, columns).to_pydict() == {
        "a__n": [Decimal(1)],
        "absent": [None],
        "_tr_op_2": ["op"],
        "a": ["x"],
    }
    assert [str(t) for t in project(table, columns).schema.types] == [
        *("decimal128(38, 2)", "list<item: int64>", "string", "string")
    ]
    assert project(table, []).num_columns == 0
