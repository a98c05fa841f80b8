"""The whole item in one column: what is in it is the item, by a second opinion, and numbers lose nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.codec import decode_segments
from tailrace.decide.digest import WHOLE, digest, is_decimal, target_entries, whole_entries
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import Column, ColumnType
from tailrace.targets.whole import whole
from tailrace.testing import strategies
from tailrace.testing.target_contract import PK, Change, delete, put


def documents(*changes: Change) -> list[str | None]:
    """The item of each change, as a target gets it."""
    lines = b"".join(change.line(PK) for change in changes)
    decoded = decode_segments([[lines]], "0001|1|", keys=PK)
    assert not any(decoded.rejected)
    rows, seen = whole(decoded.table, decoded.seen, PK)
    assert [field.name for field in rows.schema][4:] == ["pk", WHOLE]
    assert set(seen) == {("pk", "S"), (WHOLE, "M")}
    return list(rows[WHOLE].to_pylist())


def document(**attributes: Any) -> Any:
    (text,) = documents(put(1, "k", **attributes))
    assert text is not None
    return text


def test_every_type_is_what_it_is_inside_a_map() -> None:
    assert json.loads(
        document(
            s={"S": 'q"\\\n\x01é'}, n={"N": "1.50"}, i={"N": "-7"}, b={"B": "AP8="}, t={"BOOL": True}, z={"NULL": True},
            ss={"SS": ["y", "x"]}, ns={"NS": ["2", "0.5"]}, bs={"BS": ["AQ=="]},
            m={"M": {"n": {"N": "1.10"}, "z": {"NULL": True}}}, l={"L": [{"S": "a"}, {"N": "2"}]},
        ),
        parse_float=Decimal,
    ) == {
        "pk": "k", "s": 'q"\\\n\x01é', "n": Decimal("1.5"), "i": -7, "b": "AP8=", "t": True,
        "ss": ["x", "y"], "ns": [Decimal("0.5"), 2], "bs": ["AQ=="], "m": {"n": Decimal("1.1"), "z": None}, "l": ["a", 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1.2345678901234567890123456789012345678", "1.2345678901234567890123456789012345678"),
        ("0.1", "0.1"),
        ("1E-130", '"1E-130"'),
        ("9.9E+125", '"9.9E+125"'),
        ("-1E-130", '"-1E-130"'),
        ("0.00000012345678901234567890123456789012345678", '"0.00000012345678901234567890123456789012345678"'),
    ],
)
def test_a_number_is_exact_or_a_text(number: str, shown: str) -> None:
    for text in (
        document(x={"N": number}),
        document(x={"N": number}, y={"N": "1"}),
        document(x={"NS": [number]}),
        document(x={"M": {"deep": {"L": [{"N": number}]}}}),
    ):
        assert shown in text
        assert ('"' + shown not in text) or shown.startswith('"')


def test_a_text_that_looks_like_a_number_stays_as_it_is() -> None:
    text = document(m={"M": {"a": {"S": "1E-130"}, "b": {"S": "9" * 50}, 'c"': {"S": 'é\\"'}, "n": {"N": "1E-130"}}})
    assert json.loads(text)["m"] == {"a": "1E-130", "b": "9" * 50, 'c"': 'é\\"', "n": "1E-130"}


def test_a_delete_has_no_item_and_types_may_change_from_item_to_item() -> None:
    found = documents(put(1, "a", x={"S": "1"}), put(2, "b", x={"N": "1"}), delete(3, "c"), put(4, "d"))
    assert found == ['{"pk":"a","x":"1"}', '{"pk":"b","x":1}', None, '{"pk":"d"}']


@given(st.lists(strategies.items(), min_size=1, max_size=8))
def test_any_items_are_found_equal_by_the_verifier(items: list[dict[str, Any]]) -> None:
    columns = [Column("pk", "S", "pk", ColumnType("string")), Column(WHOLE, "M", WHOLE, ColumnType("json"))]
    changes = [Change("u", {**item, "pk": {"S": f"k{n}"}}, n + 1) for n, item in enumerate(items)]
    for change, text in zip(changes, documents(*changes), strict=True):
        source = {name: _as_boto3(typed) for name, typed in change.item.items()}
        expected = whole_entries(source, PK)
        found = target_entries(columns, [change.item["pk"]["S"], text])
        assert digest(found) == digest(expected), (text, expected)


def _as_boto3(typed: dict[str, Any]) -> dict[str, Any]:
    import base64

    ((tag, value),) = typed.items()
    if tag == "B":
        return {tag: base64.b64decode(value)}
    if tag == "BS":
        return {tag: [base64.b64decode(member) for member in value]}
    if tag == "M":
        return {tag: {name: _as_boto3(member) for name, member in value.items()}}
    return {tag: [_as_boto3(member) for member in value]} if tag == "L" else typed


def test_a_key_may_bear_the_column_s_name() -> None:
    keys = KeySchema(KeyAttribute(WHOLE, "S"))
    item = {WHOLE: {"S": "k"}, "x": {"N": "1"}}
    assert whole_entries(item, keys) == [(WHOLE, "M", {WHOLE: "sk", "x": "n1"}), (WHOLE, "S", "sk")]


def test_what_is_a_decimal() -> None:
    assert all(map(is_decimal, ("0", "-1", "9" * 38, "-0." + "1" * 37, "1." + "2" * 37)))
    assert not any(map(is_decimal, ("1E+38", "1E-8", "12." + "3" * 37, "0." + "1" * 38, "9" * 39)))
