"""What was seen, and the column types that follow: a lattice, so the order of files never matters."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.numbers import canonical_number
from tailrace.model.schema import (
    TAGS,
    AttributeSeen,
    ColumnKind,
    ColumnType,
    NumberRange,
    Seen,
    Tag,
    column_type,
    join_seen,
    range_of,
)
from tailrace.testing import strategies

canonical = strategies.numbers().map(canonical_number)
ranges = st.lists(canonical, max_size=4).map(range_of)
seens = st.builds(AttributeSeen, st.integers(0, 10), st.none() | ranges)
reports = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from(["N", "NS", "S"])), seens, max_size=4)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], NumberRange()),
        (["0"], NumberRange(True, 0, 0)),
        (["1"], NumberRange(True, 1, 0)),
        (["-1200"], NumberRange(True, 4, 0)),
        (["0.05"], NumberRange(False, 0, 2)),
        (["-0.05", "12.5"], NumberRange(False, 2, 2)),
        ([str(2**63 - 1), str(-(2**63))], NumberRange(True, 19, 0)),
        ([str(2**63)], NumberRange(False, 19, 0)),
        ([str(-(2**63) - 1)], NumberRange(False, 19, 0)),
        (["1" + "0" * 37], NumberRange(False, 38, 0)),
        (["1E+38"], NumberRange(False, 39, 0)),
        (["1.25E+38"], NumberRange(False, 39, 0)),
        (["9.99E+125"], NumberRange(False, 126, 0)),
        (["1E-130"], NumberRange(False, 0, 130)),
        (["1.5E-8"], NumberRange(False, 0, 9)),
        (["0.0000001"], NumberRange(False, 0, 7)),
    ],
    ids=str,
)
def test_a_range_is_what_the_numbers_need(numbers: list[str], expected: NumberRange) -> None:
    assert range_of(numbers) == expected


@given(st.lists(canonical, max_size=6))
def test_every_number_fits_the_column_made_for_all(numbers: list[str]) -> None:
    found = range_of(numbers)
    kind = column_type("N", found)
    values = [Decimal(number) for number in numbers]
    if kind.kind == "int64":
        assert all(value == int(value) and -(2**63) <= value < 2**63 for value in values)
    elif kind.kind == "decimal":
        for value in values:
            _sign, digits, exponent = value.as_tuple()
            assert isinstance(exponent, int)
            assert -exponent <= kind.scale, number_of(value)
            assert value == 0 or len(digits) + exponent <= 38 - kind.scale
    assert found.fits_decimal == (found.whole_digits + found.scale <= 38)


def number_of(value: Decimal) -> str:
    return canonical_number(str(value))


@given(st.lists(canonical, max_size=6))
def test_a_column_is_no_wider_than_needed(numbers: list[str]) -> None:
    values = [Decimal(number) for number in numbers]
    kind = column_type("N", range_of(numbers)).kind
    if all(
        value == value.to_integral_value() and -(2**63) <= value < 2**63 for value in values if value.adjusted() < 30
    ):
        assert kind == "int64" or any(value.adjusted() >= 19 for value in values)


@given(ranges, ranges, ranges)
def test_joining_ranges_is_commutative_associative_and_idempotent(
    a: NumberRange, b: NumberRange, c: NumberRange
) -> None:
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) == a == a.join(NumberRange())


@given(st.lists(canonical, max_size=5), st.lists(canonical, max_size=5))
def test_the_range_of_all_is_the_join_of_the_ranges(left: list[str], right: list[str]) -> None:
    assert range_of(left + right) == range_of(left).join(range_of(right))


WIDTH = {"int64": 0, "decimal": 1, "number_text": 2}


@given(ranges, ranges)
def test_a_join_never_narrows(a: NumberRange, b: NumberRange) -> None:
    before, after = column_type("N", a), column_type("N", a.join(b))
    assert WIDTH[after.kind] >= WIDTH[before.kind]
    assert after.scale >= before.scale or after.kind != before.kind


@given(seens, seens, seens)
def test_joining_what_was_seen_adds_counts_and_is_a_join_otherwise(a: Any, b: Any, c: Any) -> None:
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(AttributeSeen(0)) == a
    assert a.join(b).count == a.count + b.count


@given(st.lists(reports, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_reports_never_matters(parts: list[Seen], random: Any) -> None:
    shuffled = parts[:]
    random.shuffle(shuffled)
    assert functools.reduce(join_seen, parts, {}) == functools.reduce(join_seen, shuffled, {})


def test_joining_leaves_its_arguments_alone() -> None:
    left: dict[tuple[str, Tag], AttributeSeen] = {("a", "S"): AttributeSeen(1)}
    right: dict[tuple[str, Tag], AttributeSeen] = {("a", "S"): AttributeSeen(2), ("b", "S"): AttributeSeen(1)}
    assert join_seen(left, right) == {("a", "S"): AttributeSeen(3), ("b", "S"): AttributeSeen(1)}
    assert left == {("a", "S"): AttributeSeen(1)}


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag != "NULL"])
def test_every_tag_but_null_has_a_column(tag: Tag) -> None:
    assert column_type(tag).kind in get_args(ColumnKind)


def test_null_has_no_column() -> None:
    with pytest.raises(ValueError, match="NULL"):
        column_type("NULL")


@pytest.mark.parametrize(
    ("numbers", "kind", "scale"),
    [
        (None, "int64", 0),
        (NumberRange(), "int64", 0),
        (NumberRange(True, 19, 0), "int64", 0),
        (NumberRange(False, 19, 0), "decimal", 0),
        (NumberRange(False, 0, 38), "decimal", 38),
        (NumberRange(False, 20, 18), "decimal", 18),
        (NumberRange(False, 20, 19), "number_text", 0),
        (NumberRange(False, 39, 0), "number_text", 0),
    ],
)
def test_numbers_and_their_sets_take_the_narrowest_lossless_type(numbers: Any, kind: Any, scale: int) -> None:
    assert column_type("N", numbers) == ColumnType(kind, scale)
    assert column_type("NS", numbers) == ColumnType(f"list_{kind}", scale)  # type: ignore[arg-type]
