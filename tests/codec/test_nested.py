"""Maps and lists as JSON text, how deep they may go, and attribute names."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from decoding import Outcome, items, line

from tailrace.codec.types import DEPTH_MAX, META_FIELDS
from tailrace.testing.strategies import HOSTILE_NAMES

Decode = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"M": {}}, "{}"),
        ({"L": []}, "[]"),
        ({"M": {"": {"S": ""}}}, '{"":""}'),
        ({"M": {"b": {"N": "1.50"}, "a": {"BOOL": False}, "B": {"NULL": True}}}, '{"B":null,"a":false,"b":1.5}'),
        ({"M": {"z": {"M": {"y": {"N": "1"}, "x": {"N": "-0"}}}, "é": {"L": []}}}, '{"z":{"x":0,"y":1},"é":[]}'),
        ({"M": {"\U0001f980": {"L": []}, "\uffff": {"L": []}}}, '{"\uffff":[],"🦀":[]}'),
        ({"M": {"S": {"S": "S"}, "N": {"N": "1"}, "M": {"M": {}}}}, '{"M":{},"N":1,"S":"S"}'),
        ({"M": {"ab": {"L": []}, "a": {"L": []}, "a\x00": {"L": []}}}, '{"a":[],"a\\u0000":[],"ab":[]}'),
        ({"L": [{"S": "b"}, {"S": "a"}, {"N": "10"}, {"N": "9"}]}, '["b","a",10,9]'),
        ({"L": [{"M": {"x": {"L": [{"M": {}}]}}}, {"L": [{"L": []}]}]}, '[{"x":[{}]},[[]]]'),
        (
            {"L": [{"N": "12345678901234567890123456789012345678"}, {"N": "1e-130"}, {"N": "9.99E125"}]},
            "[12345678901234567890123456789012345678,1E-130,9.99E+125]",
        ),
        (
            {"L": [{"SS": ["b", "a"]}, {"NS": ["10", "9"]}, {"BS": ["/w==", "AA=="]}]},
            '[["a","b"],[9,10],["AA==","/w=="]]',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_maps_and_lists_are_json_with_sorted_names_and_exact_numbers(decode: Decode, typed: Any, text: str) -> None:
    outcome = decode(items(typed))
    [tag] = typed
    assert outcome.values == [{f"a:{tag}": text}]
    assert outcome.types() == {f"a:{tag}": "string"}


@pytest.mark.parametrize("value", [None, "x", 1, True])
@pytest.mark.parametrize(("tag", "other"), [("M", []), ("L", {})])
def test_a_map_is_an_object_and_a_list_an_array(decode: Decode, tag: str, other: Any, value: Any) -> None:
    bad = [{tag: value}, {tag: other}, {"L": [{tag: value}]}, {"L": [{tag: other}]}]
    assert decode(items(*bad)).kinds == ["bad_value"] * 4


# ---- depth ------------------------------------------------------------------------------------------------


def nested(depth: int, tag: str = "L", innermost: Any = None) -> Any:
    """A list or map that holds another … `depth` of them, the innermost empty unless it is given something."""

    def wrap(value: Any) -> Any:
        if value is None:
            return {tag: [] if tag == "L" else {}}
        return {tag: [value] if tag == "L" else {"x": value}}

    value = innermost
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("depth", [1, 2, 31, 32, 33, DEPTH_MAX])
def test_53_values_may_be_as_deep_as_64(decode: Decode, depth: int) -> None:
    [row] = decode(items(nested(depth))).values
    assert row == {"a:L": "[" * depth + "]" * depth}
    [row] = decode(items(nested(depth, "M"))).values
    assert row == {"a:M": '{"x":' * (depth - 1) + "{}" + "}" * (depth - 1)}
    [row] = decode(items(nested(depth - 1, innermost={"S": "y"}))).values
    assert list(row.values()) == ["[" * (depth - 1) + '"y"' + "]" * (depth - 1) if depth > 1 else "y"]


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(nested(DEPTH_MAX + 1), id="65 lists"),
        pytest.param(nested(DEPTH_MAX + 1, "M"), id="65 maps"),
        pytest.param(nested(DEPTH_MAX, innermost={"S": "x"}), id="64 lists around a string"),
        pytest.param(nested(DEPTH_MAX, innermost={"NULL": True}), id="64 lists around NULL"),
        pytest.param(nested(DEPTH_MAX, "M", {"SS": []}), id="64 maps around a set"),
        pytest.param(nested(100), id="100 lists"),
    ],
)
def test_53_a_value_deeper_than_64_is_too_deep(decode: Decode, typed: Any) -> None:
    outcome = decode(items({"S": "x"}, typed, {"S": "y"}))
    assert (outcome.kinds, outcome.rows) == (["too_deep"], 2)


# Item is an object in an object, so its arrays and objects begin at depth 3.
OLD_IMAGE = b'{"Keys":{"a":{"S":"x"}},"Metadata":{"SequenceNumber":{"S":"1"}},"OldImage":%s}'


@pytest.mark.parametrize("begin", [b"[", b'{"x":'], ids=["arrays", "objects"])
def test_29_json_itself_may_be_256_deep(decode: Decode, begin: bytes) -> None:
    end = b"]" if begin == b"[" else b"}"

    def kinds(depth: int) -> list[str]:
        return decode(OLD_IMAGE % (begin * (depth - 1) + b"1" + end * (depth - 1))).kinds

    assert kinds(256) == []
    assert kinds(257) == ["not_json"]


@pytest.mark.parametrize("depth", [257, 2_000, 200_000, 3_000_000])
@pytest.mark.parametrize(
    "begin",
    [b"[", b'{"a":', b'{"Item":', b'{"L":[', b'{"Item":{"a":{"L":[', b'[{"x":[1,{"y":2}'],
    ids=lambda b: b.decode(),
)
def test_30_hostile_nesting_is_a_rejected_line(decode: Decode, begin: bytes, depth: int) -> None:
    data = items({"S": "x"}) + b"\n" + begin * depth + b"\n" + items({"S": "y"})
    outcome = decode(data[: 8 << 20] if depth > 200_000 else data)
    assert outcome.kinds == ["not_json"]


def test_30_hostile_nesting_that_is_closed_is_a_rejected_line(decode: Decode) -> None:
    depth = 200_000
    assert decode(b'{"Item":{"a":{"S":"x"}},"more":' + b"[" * depth + b"]" * depth + b"}").kinds == ["not_json"]


# ---- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf-8", "escaped"])
def test_57_to_63_hostile_names_are_kept_as_they_are(decode: Decode, ascii_only: bool) -> None:
    names = [*HOSTILE_NAMES, *META_FIELDS, "__proto__", "__class__", "%2e%2e", "_ord", "_deleted", "a\nb", "Metadata"]
    item = {name: {"S": name} for name in names} | {"m": {"M": {name: {"S": name} for name in names}}}
    outcome = decode(json.dumps({"Item": item}, ensure_ascii=ascii_only).encode())
    [row] = outcome.values
    assert {name.removesuffix(":S"): value for name, value in row.items() if name != "m:M"} == {n: n for n in names}
    assert json.loads(row["m:M"]) == {n: n for n in names}


def test_60_and_61_names_differ_by_case_and_by_normal_form(decode: Decode) -> None:
    names = ["Id", "ID", "id", unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"), "id\u200b", "id "]
    outcome = decode(line({"Item": {name: {"N": str(i)} for i, name in enumerate(names)}}))
    assert outcome.values == [{f"{name}:N": i for i, name in enumerate(names)}]


def test_fields_are_sorted_by_the_bytes_of_their_names(decode: Decode) -> None:
    names = ["b", "a", "B", "aa", "é", "e\u0301", "\uffff", "🦀", "\x00", "a\x00", "Z"]
    outcome = decode(line({"Item": {name: {"S": ""} for name in names}}), batch_bytes=1)
    assert list(outcome.types()) == [f"{name}:S" for name in sorted(names, key=str.encode)]


@pytest.mark.parametrize("length", [255, 256, 300, 65_535])
def test_54_a_name_may_be_long(decode: Decode, length: int) -> None:
    name = "é" * (length // 2)
    assert decode(line({"Item": {name: {"M": {name: {"S": name}}}}})).values == [
        {f"{name}:M": f'{{"{name}":"{name}"}}'}
    ]


def test_55_an_empty_name_is_refused_at_the_top_of_an_item_only(decode: Decode) -> None:
    bad = [{"": {"S": "x"}}, {"a": {"S": "x"}, "": {"NULL": True}}]
    assert decode(b"\n".join(line({"Item": item}) for item in bad)).kinds == ["bad_name", "bad_name"]
    assert decode(items({"M": {"": {"M": {"": {"S": "x"}}}}})).values == [{"a:M": '{"":{"":"x"}}'}]


def test_an_item_may_have_no_attributes(decode: Decode) -> None:
    outcome = decode(line({"Item": {}}))
    assert (outcome.rows, outcome.values, dict(outcome.seen)) == (1, [{}], {})


def test_an_item_may_have_very_many_attributes(decode: Decode) -> None:
    outcome = decode(line({"Item": {f"a{i}": {"N": str(i)} for i in range(5_000)}}))
    [row] = outcome.values
    assert row == {f"a{i}:N": i for i in range(5_000)}
