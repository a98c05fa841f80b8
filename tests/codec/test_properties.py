"""Drawn records: a direct re-computation and boto3 agree with the codec, and both codecs with each other."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer
from decoding import JSON_KINDS, Outcome, assert_equal, line
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.numbers import canonical_number
from tailrace.testing import strategies

Decode = Callable[..., Outcome]

SCHEMA = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- what a drawn value means, computed without the codec: numbers as Decimal, binaries as bytes ---------


def meaning(typed: dict[str, Any]) -> Any:
    [(tag, value)] = typed.items()
    if tag in ("SS", "NS", "BS"):
        return sorted(meaning({tag[0]: member}) for member in value)
    if tag == "N":
        return Decimal(value)
    return base64.b64decode(value) if tag == "B" else value


def json_meaning(typed: dict[str, Any]) -> Any:
    """Of a nested value, as its JSON text is read back; numbers are tagged, so that none equals a string."""
    [(tag, value)] = typed.items()
    match tag:
        case "M":
            return {name: json_meaning(member) for name, member in value.items()}
        case "L":
            return [json_meaning(member) for member in value]
        case "NS":
            return [("number", number) for number in sorted(map(Decimal, value))]
        case "SS":
            return sorted(value)
        case "BS":
            return sorted(value, key=base64.b64decode)
        case "N":
            return ("number", Decimal(value))
        case "NULL":
            return None
    return value


def read_json(text: str) -> Any:
    def number(literal: str) -> Any:
        return ("number", Decimal(literal))

    return json.loads(text, parse_int=number, parse_float=number)


def decoded(name_and_tag: str, value: Any) -> Any:
    tag = name_and_tag.rpartition(":")[2]
    if tag in ("M", "L"):
        assert "\n" not in value
        return read_json(value)
    if tag == "N":
        return Decimal(value)
    return list(map(Decimal, value)) if tag == "NS" else value


def expected(item: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{name}:{tag}": (json_meaning if tag in ("M", "L") else meaning)(typed)
        for name, typed in item.items()
        for tag in typed
        if tag != "NULL"
    }


@PROPERTY
@given(rows=st.lists(strategies.items(), min_size=1, max_size=3), batch_bytes=st.sampled_from([1, 100, 1 << 20]))
def test_what_is_drawn_comes_back(decode: Decode, rows: list[dict[str, Any]], batch_bytes: int) -> None:
    outcome = decode(b"\n".join(line({"Item": item}) for item in rows), batch_bytes=batch_bytes)
    assert outcome.rejected == ()
    assert [{k: decoded(k, v) for k, v in row.items()} for row in outcome.values] == [expected(item) for item in rows]
    counts: dict[tuple[str, str], int] = {}
    for name, typed in (pair for item in rows for pair in item.items()):
        [tag] = typed
        counts[name, tag] = counts.get((name, tag), 0) + 1
    assert {column: seen.count for column, seen in outcome.seen.items()} == counts


@PROPERTY
@given(typed=strategies.typed_values().filter(lambda typed: not {"M", "L"}.isdisjoint(typed)))
def test_json_text_is_canonical(decode: Decode, typed: dict[str, Any]) -> None:
    """Sorted names, no blanks, numbers in their one spelling: equal values give equal text."""
    [text] = decode(line({"Item": {"a": typed}})).values[0].values()
    again = json.loads(text, parse_int=_Spelled, parse_float=_Spelled)
    assert _dump(again) == text


class _Spelled(str):
    """A number of JSON as it was spelled."""


def _dump(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_dump(n)}:{_dump(value[n])}" for n in sorted(value, key=str.encode)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    if isinstance(value, _Spelled):
        assert canonical_number(value) == value
        return str(value)
    return json.dumps(value, ensure_ascii=False)


# ---- boto3 ------------------------------------------------------------------------------------------------
# Known differences of TypeDeserializer: it takes binaries as bytes; it rounds or refuses numbers that need more than
# 38 digits in their context (1 and 100 zeros), so only numbers it accepts are compared; its sets are unordered; and
# it knows neither our rejections nor canonical text, which the tests above cover.


def _to_bytes(typed: dict[str, Any]) -> dict[str, Any]:
    [(tag, value)] = typed.items()
    match tag:
        case "B":
            return {"B": base64.b64decode(value)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in value]}
        case "M":
            return {"M": {name: _to_bytes(member) for name, member in value.items()}}
        case "L":
            return {"L": [_to_bytes(member) for member in value]}
    return typed


def _plain(value: Any) -> Any:
    """What boto3 gave, as `read_json` would give our text of it."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, set):
        members = sorted(bytes(m) if isinstance(m, Binary) else m for m in value)
        return [_plain(member) for member in members]
    if isinstance(value, Binary | bytes):
        return base64.b64encode(bytes(value)).decode()
    return ("number", value) if isinstance(value, Decimal) else value


@PROPERTY
@given(typed=strategies.typed_values())
@example(typed={"NS": ["1E-130", "9.99E125", "-0"]})
def test_boto3_agrees(decode: Decode, typed: dict[str, Any]) -> None:
    try:
        theirs = TypeDeserializer().deserialize(_to_bytes(typed))
    except ArithmeticError:
        return
    [text] = decode(line({"Item": {"a": {"L": [typed]}}})).values[0].values()
    assert read_json(text) == [_plain(theirs)]


# ---- the two codecs ---------------------------------------------------------------------------------------


GOOD = strategies.lines(SCHEMA)
DAMAGED = strategies.damaged_lines(SCHEMA)


@settings(PROPERTY, max_examples=150)
@given(
    data=st.lists(GOOD | DAMAGED, max_size=5),
    keys=st.sampled_from([None, SCHEMA]),
    batch_bytes=st.sampled_from([1, 300, 1 << 20]),
    cuts=st.lists(st.floats(0, 1), max_size=3),
)
def test_native_equals_the_reference(
    both: Any, data: list[bytes], keys: Any, batch_bytes: int, cuts: list[float]
) -> None:
    reference, native = both
    joined = b"\n".join(data)
    options = {"keys": keys, "batch_bytes": batch_bytes}
    assert_equal(reference(joined, **options), native(joined, [int(cut * len(joined)) for cut in cuts], **options))


@settings(PROPERTY, max_examples=300)
@given(data=DAMAGED)
def test_native_rejects_what_the_reference_rejects(both: Any, data: bytes) -> None:
    """One damage may be several faults (a cut name is another name, and then a mismatch): kinds agree on the group."""
    reference, native = both
    ours, theirs = reference(data).kinds, native(data).kinds
    assert len(ours) == len(theirs)
    assert [kind in JSON_KINDS for kind in ours] == [kind in JSON_KINDS for kind in theirs]


@settings(PROPERTY, max_examples=200)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_break_a_decoder(decode: Decode, data: bytes) -> None:
    if data.startswith(b"\x1f\x8b"):
        return
    outcome = decode(data, range(1, len(data)))
    assert outcome.rows + len(outcome.rejected) == sum(
        1 for piece in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if piece.strip(b" \t\r")
    )


@settings(PROPERTY, max_examples=50)
@given(data=st.lists(GOOD, max_size=3), extra=st.lists(DAMAGED, min_size=1, max_size=3))
def test_bad_lines_change_nothing_for_good_ones(decode: Decode, data: list[bytes], extra: list[bytes]) -> None:
    bad = [one for one in extra if decode(one).rejected]
    alone, among = decode(b"\n".join(data)), decode(b"\n".join([*bad, *data]))
    assert among.table.equals(alone.table)
    assert dict(among.seen) == dict(alone.seen)
    assert len(among.rejected) == len(bad)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_pushing_nothing_is_nothing(decode: Decode, step: int) -> None:
    data = line({"Item": {"a": {"S": "x"}}})
    cuts = sorted([*range(0, len(data), step), *range(0, len(data), step)])
    assert decode(data, cuts).values == [{"a:S": "x"}]
