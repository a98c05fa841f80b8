"""Equal items have equal digests whatever way they took; every difference shows."""

from __future__ import annotations

import base64
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace import codec
from tailrace.codec import META_FIELDS
from tailrace.decide.digest import (
    DIGEST_BYTES,
    differing,
    digest,
    key_digest,
    source_entries,
    target_entries,
    target_key,
)
from tailrace.decide.schema import plan_columns
from tailrace.model.keys import KeyAttribute, KeySchema, canonical_key
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Column
from tailrace.testing import strategies

TWO = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))


def as_sdk(typed: Any) -> Any:
    """A typed value as boto3's client gives it: binaries as bytes."""
    [(tag, value)] = typed.items()
    match tag:
        case "B":
            return {"B": base64.b64decode(value)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in value]}
        case "M":
            return {"M": {name: as_sdk(member) for name, member in value.items()}}
        case "L":
            return {"L": [as_sdk(member) for member in value]}
    return typed


def source(item: dict[str, Any]) -> list[Any]:
    return source_entries({name: as_sdk(typed) for name, typed in item.items()})


def rows(*items: dict[str, Any]) -> tuple[tuple[Column, ...], list[tuple[Any, ...]]]:
    """What a target holds of these items: through the codec, in columns wide enough for all."""
    data = b"\n".join(json.dumps({"Item": item}).encode() for item in items)
    decoded = codec.decode_segments([[data]], codec.ORDER_PREFIX)
    assert decoded.rejected == ((),)
    columns = plan_columns((), decoded.seen, None, reserved=META_FIELDS).columns
    table: pa.Table = codec.project(decoded.table, columns)
    values = [column.to_pylist() for column in table.columns]
    return columns, list(zip(*values, strict=True)) if values else [()] * len(items)


@settings(deadline=None)
@given(st.lists(strategies.items(), min_size=1, max_size=4))
def test_a_row_in_a_target_equals_its_item(items: list[dict[str, Any]]) -> None:
    columns, values = rows(*items)
    for item, row in zip(items, values, strict=True):
        assert target_entries(columns, row) == source(item)
        assert digest(target_entries(columns, row)) == digest(source(item))


def test_a_digest_is_16_bytes_and_depends_on_no_order() -> None:
    left = {"a": {"S": "x"}, "b": {"SS": ["y", "x"]}, "m": {"M": {"p": {"N": "1"}, "q": {"NS": ["2", "1"]}}}}
    right = {"m": {"M": {"q": {"NS": ["1", "2"]}, "p": {"N": "1.0"}}}, "b": {"SS": ["x", "y"]}, "a": {"S": "x"}}
    assert digest(source(left)) == digest(source(right))
    assert len(digest([])) == len(key_digest("")) == DIGEST_BYTES


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"N": "1"}, {"N": "1.0"}),
        ({"N": "1"}, {"N": "1E0"}),
        ({"N": "0"}, {"N": "-0"}),
        ({"NS": ["1", "2"]}, {"NS": ["2.0", "1"]}),
        ({"L": [{"N": "100"}]}, {"L": [{"N": "1E2"}]}),
        ({"M": {"a": {"NULL": True}, "b": {"S": ""}}}, {"M": {"b": {"S": ""}, "a": {"NULL": True}}}),
    ],
    ids=str,
)
def test_equal_values_have_equal_digests(left: Any, right: Any) -> None:
    assert digest(source({"a": left})) == digest(source({"a": right}))
    assert differing(source({"a": left}), source({"a": right})) == []


def test_null_and_absent_are_one() -> None:
    assert digest(source({"a": {"NULL": True}})) == digest(source({})) == digest([])


UNLIKE: list[dict[str, Any]] = [
    *({"S": text} for text in ("", "1", "n1", "s1", "a", "é", "e\u0301", "\x00", "null", "[]")),
    *({"N": text} for text in ("1", "0", "-1", "9007199254740992", "9007199254740993", "1E-130", "0.1")),
    *({"B": text} for text in ("", "AA==", "AAA=")),
    *({"BOOL": value} for value in (True, False)),
    *({"SS": members} for members in ([], [""], ["1"], ["1", "2"])),
    *({"NS": members} for members in ([], ["1"], ["1", "2"])),
    *({"BS": members} for members in ([], [""], ["AA=="])),
    *({"M": {"a": typed}} for typed in ({"S": "1"}, {"N": "1"}, {"NULL": True}, {"BOOL": True})),
    *({"M": members} for members in ({}, {"": {"S": ""}})),
    *({"L": [typed]} for typed in ({"S": "1"}, {"N": "1"}, {"NULL": True}, {"BOOL": False}, {"N": "0"}, {"S": ""})),
    *({"L": members} for members in ([], [{"L": []}], [{"M": {}}])),
    *({"L": members} for members in ([{"N": "1"}, {"N": "2"}], [{"N": "2"}, {"N": "1"}])),
]


def test_no_two_unlike_values_have_one_digest() -> None:
    digests = [digest(source({"a": typed})) for typed in UNLIKE] + [digest(source({"b": UNLIKE[0]})), digest([])]
    assert len(set(digests)) == len(digests)


def test_values_cannot_move_between_attributes() -> None:
    one, other = {"a": {"S": "x"}, "b": {"S": "y"}}, {"a": {"S": "y"}, "b": {"S": "x"}}
    assert digest(source(one)) != digest(source(other))
    assert differing(source(one), source(other)) == ["a", "b"]


@pytest.mark.parametrize("typed", UNLIKE, ids=str)
def test_every_corruption_of_a_stored_value_shows(typed: dict[str, Any]) -> None:
    columns, [row] = rows({"k": {"S": "x"}, "a": typed})
    [place] = [i for i, c in enumerate(columns) if c.attribute == "a"]
    honest = digest(target_entries(columns, row))
    for value in _corrupted(row[place]):
        spoilt = (*row[:place], value, *row[place + 1 :])
        assert digest(target_entries(columns, spoilt)) != honest
        assert differing(target_entries(columns, spoilt), target_entries(columns, row)) == ["a"]


def _corrupted(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [None, not value]
    if isinstance(value, str):
        return [None, value + "x", "NaN", "{", "" if value else " "]
    if isinstance(value, list):
        return [None, value[:-1]] if value else [None]
    return [None, value + (b"\0" if isinstance(value, bytes) else 1)]


def test_what_is_no_number_or_json_in_a_target_differs_and_does_not_crash() -> None:
    columns, [row] = rows({"n": {"N": "1E-130"}, "m": {"M": {"x": {"N": "1"}}}})
    for spoilt in [("NaN",), ("",), ("1" * 50,), ("{",), ("[" * 2000,), ('{"x":NaN}',), ('{"x":1e400}',)]:
        for place in (0, 1):
            values = [*row[:place], spoilt[0], *row[place + 1 :]]
            assert digest(target_entries(columns, values)) != digest(target_entries(columns, row))


def test_json_in_a_target_may_be_spelled_otherwise() -> None:
    columns, _ = rows({"m": {"M": {"b": {"N": "1.50"}, "a": {"S": "é"}}}})
    for text in ('{"a":"é","b":1.5}', '{ "b" : 1.50, "a" : "\\u00e9" }', '{"b":15E-1,"a":"é"}'):
        assert target_entries(columns, [text]) == source({"m": {"M": {"b": {"N": "1.5"}, "a": {"S": "é"}}}})


@given(strategies.keys(TWO))
def test_a_key_is_the_same_on_both_sides(key: dict[str, Any]) -> None:
    stored = [key["pk"]["S"], canonical_number(key["sk"]["N"])]
    assert target_key(TWO, stored) == canonical_key(TWO, key)
    assert key_digest(target_key(TWO, stored)) == key_digest(canonical_key(TWO, key))


@pytest.mark.parametrize("values", [(None, 1), ("a", None), ("a", "x"), (5, 1)], ids=str)
def test_a_row_without_a_key_is_a_value_error(values: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_key(TWO, values)
