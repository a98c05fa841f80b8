"""Strict JSON, one object a line. What any lenient parser would wave through is rejected, and says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from decoding import Outcome, items, line

Decode = Callable[..., Outcome]

GOOD = items({"S": "x"})


def kind_of(decode: Decode, data: bytes) -> str:
    """The kind of the one rejected line between two good ones."""
    outcome = decode(GOOD + b"\n" + data + b"\n" + GOOD)
    assert outcome.rows == 2
    [rejected] = outcome.rejected
    assert (rejected.line, rejected.offset, rejected.raw, rejected.cut) == (2, len(GOOD) + 1, data, False)
    assert rejected.reason
    return rejected.kind


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"oops", id="a word"),
        pytest.param(b"{", id="cut"),
        pytest.param(GOOD[:-1], id="22 cut before the last brace"),
        pytest.param(GOOD[: len(GOOD) // 2], id="22 cut in the middle"),
        pytest.param(GOOD[1:], id="22 the rest of a record"),
        pytest.param(GOOD + GOOD, id="14 two records glued"),
        pytest.param(GOOD + b" x", id="32 text behind the value"),
        pytest.param(GOOD + b"}", id="32 a brace too many"),
        pytest.param(GOOD + b",", id="32 a comma behind it"),
        pytest.param(GOOD + b"\x00", id="32 NUL behind it"),
        pytest.param(GOOD + b"\xc2\xa0", id="a no-break space behind it"),
        pytest.param(b"\x00" * 20, id="zeros"),
        pytest.param(b"\x0c" + GOOD, id="form feed"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, id="17 byte order mark"),
        pytest.param(b'{"Item":{"a":{"S":"x"},}}', id="trailing comma"),
        pytest.param(b"{'Item':{}}", id="single quotes"),
        pytest.param(b"{Item:{}}", id="bare name"),
        pytest.param(b'{"Item":{}/**/}', id="comment"),
        pytest.param(b'{"Item" {}}', id="no colon"),
        pytest.param(b'{"Item":{"a":{"S":"x"} "b":{"S":"x"}}}', id="no comma"),
        pytest.param(b'{"Item":{"a":{"L":[{"S":"x"},]}}}', id="trailing comma in an array"),
        pytest.param(b'{"Item":{"a":{"L":[}}}}', id="mismatched brackets"),
        pytest.param(b'{"Item":{1:{"S":"x"}}}', id="a number for a name"),
        pytest.param(b'{"Item":{"a":{"S":"\\x41"}}}', id="unknown escape"),
        pytest.param(b'{"Item":{"a":{"S":"\\u12"}}}', id="short escape"),
        pytest.param(b'{"Item":{"a":{"S":"\\u12G4"}}}', id="escape that is not hex"),
        pytest.param('{"Item":{"a":{"S":"\\u１２３４"}}}'.encode(), id="escape in other digits"),
        pytest.param(b'{"Item":{"a":{"S":"x}}}', id="open string"),
        pytest.param(b'{"Item":{"a":{"BOOL":True}}}', id="True"),
        pytest.param(b'{"Item":{"a":{"NULL":undefined}}}', id="undefined"),
        pytest.param(b'{"Item":{"a":{"BOOL":truex}}}', id="truex"),
        pytest.param(b'{"Item":{},"x":NaN}', id="25 NaN"),
        pytest.param(b'{"Item":{},"x":Infinity}', id="25 Infinity"),
        pytest.param(b'{"Item":{},"x":-Infinity}', id="25 -Infinity"),
        pytest.param(b'{"Item":{},"x":01}', id="leading zero"),
        pytest.param(b'{"Item":{},"x":1.}', id="no digits behind the point"),
        pytest.param(b'{"Item":{},"x":.5}', id="no digits before the point"),
        pytest.param(b'{"Item":{},"x":+1}', id="plus sign"),
        pytest.param(b'{"Item":{},"x":1e}', id="no exponent"),
        pytest.param(b'{"Item":{},"x":-}', id="a sign alone"),
        pytest.param(b'{"Item":{},"x":0x1F}', id="hex"),
        pytest.param(b'{"Item":{},"x":1_000}', id="underscore"),
        pytest.param('{"Item":{},"x":٣}'.encode(), id="Arabic digit"),
        pytest.param(b"$ion_1_0 {Item:{a:1.}}", id="23 Ion"),
        pytest.param(b'"a,b"\tc', id="CSV"),
    ],
)
def test_what_is_not_json_is_rejected(decode: Decode, data: bytes) -> None:
    assert kind_of(decode, data) == "not_json"


def test_23_ion_is_called_by_its_name(decode: Decode) -> None:
    [rejected] = decode(b"$ion_1_0 {Item:{a:1.}}").rejected
    assert "DYNAMODB_JSON" in rejected.reason


@pytest.mark.parametrize(
    "data", [b"null", b"true", b"[]", b'"text"', b"5", b"-1.5e3", b"{}", b'[{"Item":{}}]', b'{"item":{}}']
)
def test_33_json_that_is_no_record_is_of_unknown_shape(decode: Decode, data: bytes) -> None:
    assert kind_of(decode, data) == "unknown_shape"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"\xff", id="no such byte"),
        pytest.param(b"\x80", id="continuation alone"),
        pytest.param(b"\xc3", id="cut sequence"),
        pytest.param(b"\xc0\x80", id="overlong NUL"),
        pytest.param(b"\xe0\x80\xaf", id="overlong slash"),
        pytest.param(b"\xed\xa0\x80", id="a surrogate in UTF-8"),
        pytest.param(b"\xed\xa0\xbd\xed\xb8\x80", id="CESU-8"),
        pytest.param(b"\xf4\x90\x80\x80", id="beyond U+10FFFF"),
        pytest.param("é".encode("latin-1"), id="Latin-1"),
    ],
)
@pytest.mark.parametrize(
    "form", [b'{"Item":{"a":{"S":"%s"}}}', b'{"Item":{"%s":{"S":"x"}}}', b'{"Item":{},"x":["%s"]}', GOOD + b"%s"],
    ids=["value", "name", "ignored member", "behind it"],
)  # fmt: skip
def test_19_invalid_utf8_is_rejected_wherever_it_stands(decode: Decode, form: bytes, bad: bytes) -> None:
    assert kind_of(decode, form % bad) == "invalid_utf8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_18_other_encodings_give_rejected_lines_and_no_rows(decode: Decode, encoding: str) -> None:
    outcome = decode(GOOD.decode().encode(encoding))
    assert outcome.rows == 0
    assert set(outcome.kinds) <= {"invalid_utf8", "not_json"}
    assert outcome.kinds


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"Item":{},"Item":{}}', id="at the top"),
        pytest.param(b'{"Item":{"a":{"S":"x"},"a":{"S":"x"}}}', id="equal values"),
        pytest.param(b'{"Item":{"a":{"S":"x"},"a":{"N":"1"}}}', id="an attribute"),
        pytest.param(b'{"Item":{"a":{"S":"x","S":"y"}}}', id="a tag"),
        pytest.param(b'{"Item":{"a":{"M":{"n":{"S":"x"},"n":{"S":"x"}}}}}', id="in a map"),
        pytest.param(b'{"Item":{"a":{"M":{"":{"S":"x"},"":{"S":"x"}}}}}', id="an empty name"),
        pytest.param(b'{"Item":{"a":{"S":"x"},"\\u0061":{"S":"x"}}}', id="the second one escaped"),
        pytest.param(
            b'{"Item":{"\\ud83e\\udd80":{"S":"x"},"\xf0\x9f\xa6\x80":{"S":"x"}}}', id="a pair and its character"
        ),
        pytest.param(b'{"Item":{"a":{"L":[{"S":"x"},{"M":{"n":{"S":"x"},"n":{"S":"y"}}}]}}}', id="in a list"),
        pytest.param(b'{"Item":{},"x":{"y":1,"y":1}}', id="in an ignored member"),
        pytest.param(b'{"Item":{},"x":1,"x":1}', id="an ignored member"),
        pytest.param(
            b'{"Keys":{"a":{"S":"x"}},"Metadata":{"SequenceNumber":{"S":"1"}},"OldImage":{"b":1,"b":1}}',
            id="in an old image",
        ),
    ],
)
def test_24_a_name_twice_in_one_object_is_rejected(decode: Decode, data: bytes) -> None:
    assert kind_of(decode, data) == "duplicate_name"


def test_equal_names_in_different_objects_are_no_repeats(decode: Decode) -> None:
    nested = {"M": {"a": {"M": {"a": {"L": [{"M": {"a": {"S": "x"}}}, {"M": {"a": {"S": "x"}}}]}}}}}
    assert decode(items(nested)).values == [{"a:M": '{"a":{"a":[{"a":"x"},{"a":"x"}]}}'}]


def test_many_names_with_one_twice_far_apart(decode: Decode) -> None:
    names = [f"n{i}" for i in range(500)]
    members = ",".join(f'"{name}":{{"S":"x"}}' for name in [*names, "n7"])
    assert decode(f'{{"Item":{{{members}}}}}'.encode()).kinds == ["duplicate_name"]


@pytest.mark.parametrize(
    "number", ["1e400", str(2**70), "7" * 5_000, "-0", "0.0000e-5", "1E+5"], ids=lambda n: f"26-28 {n[:9]}"
)
def test_numbers_of_json_are_never_computed(decode: Decode, number: str) -> None:
    ignored = b'{"Item":{"a":{"S":"x"}},"more":%s}' % number.encode()
    typed = b'{"Item":{"a":{"N":%s}}}' % number.encode()
    assert decode(ignored).values == [{"a:S": "x"}]
    assert kind_of(decode, typed) == "bad_value"


def test_white_space_between_tokens_is_free(decode: Decode) -> None:
    data = b'\t {\r "Item"\t:\r{ "a" : {\t"L" : [ { "S"\r:"x" }\t, {"N" : "1"} ] } } }\r'
    assert decode(data).values == [{"a:L": '["x",1]'}]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"Item":{"a":{"N":"x"}},"b":NaN}', id="not_json"),
        pytest.param(b'{"Item":{"a":{"N":"x"}},"b":1,"b":1}', id="duplicate_name"),
        pytest.param(b'{"Item":{"a":{"N":"x"}},"b":"\\ud800"}', id="lone_surrogate"),
        pytest.param(b'{"Item":{"a":{"N":"x"}},"b":"\xff"}', id="invalid_utf8"),
        pytest.param(b'["\\ud800"]', id="lone_surrogate"),
        pytest.param(b'{"a":1,"a":2}', id="duplicate_name"),
    ],
)
def test_faults_of_the_json_come_before_faults_of_the_record(
    decode: Decode, data: bytes, request: pytest.FixtureRequest
) -> None:
    assert kind_of(decode, data) in request.node.name


def test_a_reason_says_no_more_than_a_line(decode: Decode) -> None:
    bad = [{"N": "9" * 5_000}, {"B": "*" * 5_000}, {"X" * 5_000: "x"}, {"SS": ["a" * 5_000, "a" * 5_000]}]
    outcome = decode(items(*bad) + b"\n" + line({"Keys": {"k" * 5_000: {"S": "x"}}, "Metadata": {"x" * 5_000: {}}}))
    assert len(outcome.rejected) == 5
    assert all(0 < len(rejected.reason) < 300 for rejected in outcome.rejected)
