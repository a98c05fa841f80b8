"""Scalars, sets and NULL: what each accepted value becomes, and which are refused. Numbers of §5 stand in the ids."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from decoding import Outcome, items, line

from tailrace.model.schema import AttributeSeen, NumberRange

Decode = Callable[..., Outcome]


def one(decode: Decode, typed: Any) -> Any:
    """The value of the only column of the only row."""
    outcome = decode(items(typed))
    assert outcome.kinds == []
    [row] = outcome.values
    [value] = row.values()
    return value


def refused(decode: Decode, typed: Any) -> str:
    """The kind of the rejection; a good line before it and behind it is not touched."""
    outcome = decode(items({"S": "before"}, typed, {"S": "behind"}))
    assert outcome.values == [{"a:S": "before"}, {"a:S": "behind"}]
    assert dict(outcome.seen) == {("a", "S"): AttributeSeen(2)}
    [kind] = outcome.kinds
    return kind


# ---- numbers ----------------------------------------------------------------------------------------------

THIRTY_EIGHT = "12345678901234567890123456789012345678"

INTEGERS = [
    ("0", 0),
    ("-0", 0),
    ("0.00", 0),
    ("0E5", 0),
    ("0e-999", 0),
    ("1", 1),
    ("1.0", 1),
    ("1E0", 1),
    ("+5", 5),
    ("00012", 12),
    ("-7.000", -7),
    ("5.", 5),
    ("1.2E3", 1200),
    ("1200E-2", 12),
    ("9007199254740993", 2**53 + 1),
    ("-9007199254740993", -(2**53) - 1),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("0" * 400 + "7", 7),
]


@pytest.mark.parametrize(("text", "value"), INTEGERS, ids=[t[:24] for t, _ in INTEGERS])
def test_whole_numbers_in_64_bits_are_int64(decode: Decode, text: str, value: int) -> None:
    outcome = decode(items({"N": text}))
    assert outcome.types() == {"a:N": "int64"}
    assert outcome.values == [{"a:N": value}]


DECIMALS = [
    ("9223372036854775808", 0, 19),
    ("-9223372036854775809", 0, 19),
    ("10000000000000000000", 0, 20),
    (THIRTY_EIGHT, 0, 38),
    ("-" + THIRTY_EIGHT, 0, 38),
    ("9" * 38, 0, 38),
    ("1E37", 0, 38),
    ("0.1", 1, 0),
    (".5", 1, 0),
    ("-0.5", 1, 0),
    ("100.50", 1, 3),
    ("0.05", 2, 0),
    ("-1e-7", 7, 0),
    ("1E-8", 8, 0),
    ("1E-38", 38, 0),
    ("0." + THIRTY_EIGHT, 38, 0),
    ("0." + "0" * 37 + "1", 38, 0),
    ("1234567890123456789.0123456789012345678", 19, 19),
    ("12.5E-3", 4, 0),
]


@pytest.mark.parametrize(("text", "scale", "whole"), DECIMALS, ids=[t for t, _, _ in DECIMALS])
def test_other_numbers_that_fit_38_digits_are_decimals(decode: Decode, text: str, scale: int, whole: int) -> None:
    outcome = decode(items({"N": text}))
    assert outcome.types() == {"a:N": f"decimal128(38, {scale})"}
    assert outcome.values == [{"a:N": Decimal(text)}]
    assert outcome.seen["a", "N"] == AttributeSeen(1, NumberRange(False, whole, scale))


TEXTS = [
    ("1E-130", "1E-130"),
    ("-1E-130", "-1E-130"),
    ("9.99E125", "9.99E+125"),
    ("9.9999999999999999999999999999999999999E+125", "9.9999999999999999999999999999999999999E+125"),
    ("1e38", "1E+38"),
    ("1" + "0" * 100, "1E+100"),
    ("1." + "0" * 100 + "E50", "1E+50"),
    ("1E-39", "1E-39"),
    ("0." + "0" * 38 + "12", "1.2E-39"),
    ("12.5e-100", "1.25E-99"),
]


@pytest.mark.parametrize(("text", "canonical"), TEXTS, ids=[t[:24] for t, _ in TEXTS])
def test_numbers_beyond_38_digits_at_one_scale_are_canonical_text(decode: Decode, text: str, canonical: str) -> None:
    outcome = decode(items({"N": text}))
    assert outcome.types() == {"a:N": "string"}
    assert outcome.values == [{"a:N": canonical}]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", " 5", "5 ", "5\n", "1_000", "1,000", "NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf"),
        *("٣", "１", "0x10", "1e", "e5", "1e+", "1e5.0", ".", "-", "+", "--1", "+-1", "1.2.3", "1 2", "1\x00", "−1"),
        *("123456789012345678901234567890123456789", "1." + "1" * 38, "0." + "1" * 39),
        *("1e1000", "1E126", "-1E126", "10E125", "1E-131", "0.1E-130", "1e99999999", "1e-9999999", "0" * 600 + "1"),
    ],
    ids=lambda text: f"36-41 {text[:24]!r}",
)
def test_what_dynamodb_would_not_take_for_a_number_is_rejected(decode: Decode, text: str) -> None:
    assert refused(decode, {"N": text}) == "bad_number"
    assert refused(decode, {"NS": ["1", text]}) == "bad_number"
    assert refused(decode, {"L": [{"N": text}]}) == "bad_number"


@pytest.mark.parametrize("value", [5, 1.5, None, True, [], {}, ["1"]], ids=repr)
@pytest.mark.parametrize("tag", ["N", "S", "B"])
def test_what_is_no_json_string_is_no_scalar(decode: Decode, tag: str, value: Any) -> None:
    assert refused(decode, {tag: value}) == "bad_value"


@pytest.mark.parametrize(
    ("texts", "type_", "values"),
    [
        (["1", "2.5"], "decimal128(38, 1)", [Decimal(1), Decimal("2.5")]),
        (["2.5", "1"], "decimal128(38, 1)", [Decimal("2.5"), Decimal(1)]),
        (["0.25", "1" * 36], "decimal128(38, 2)", [Decimal("0.25"), Decimal("1" * 36)]),
        (["0.25", "1" * 37], "string", ["0.25", "1" * 37]),
        (["1E-130", "9.99E125", "0", "-17"], "string", ["1E-130", "9.99E+125", "0", "-17"]),
        (["9223372036854775807", "9223372036854775808"], "decimal128(38, 0)", [Decimal(2**63 - 1), Decimal(2**63)]),
        (["0.5", "-0", "0E9"], "decimal128(38, 1)", [Decimal("0.5"), Decimal(0), Decimal(0)]),
        (["10.50", "1E38", "-3"], "string", ["10.5", "1E+38", "-3"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value,
)
@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_a_column_is_as_wide_as_all_its_numbers_need(
    decode: Decode, texts: list[str], type_: str, values: list[Any], batch_bytes: int
) -> None:
    outcome = decode(items(*({"N": text} for text in texts)), batch_bytes=batch_bytes)
    assert outcome.types() == {"a:N": type_}
    assert [row["a:N"] for row in outcome.values] == values


@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_lists_of_numbers_widen_like_numbers(decode: Decode, batch_bytes: int) -> None:
    def lists(*sets: list[str]) -> tuple[str, list[Any]]:
        outcome = decode(items(*({"NS": members} for members in sets)), batch_bytes=batch_bytes)
        return outcome.types()["a:NS"], [row["a:NS"] for row in outcome.values]

    whole = [["2", "-1"], [], ["9007199254740993"]]
    assert lists(*whole) == ("list<item: int64>", [[-1, 2], [], [2**53 + 1]])
    half = [*whole, ["0.5", "7"]]
    as_decimals = [[Decimal(-1), Decimal(2)], [], [Decimal(2**53 + 1)], [Decimal("0.5"), Decimal(7)]]
    assert lists(*half) == ("list<item: decimal128(38, 1)>", as_decimals)
    far = [*half, ["1E-130", "-1E125"]]
    as_texts = [["-1", "2"], [], ["9007199254740993"], ["0.5", "7"], ["-1E+125", "1E-130"]]
    assert lists(*far) == ("list<item: string>", as_texts)


# ---- strings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "a",
            "é",
            "e\u0301",
            "日本",
            "🦀",
            "\x00",
            "a\x00b",
            "\u2028\u2029",
            "\x85",
            "\x0b",
            "\x7f",
            "\ufeff",
        ),
        *(
            "null",
            "1",
            "<!--",
            "=cmd|' /C calc'!A0",
            "\uffff",
            "\U0010ffff",
            "\u202egnp.exe",
            '"',
            "\\",
            "/",
            "x" * 70_000,
        ),
    ],
    ids=lambda text: f"16 21 {text[:12]!r}",
)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf-8", "escaped"])
def test_every_string_comes_through(decode: Decode, text: str, ascii_only: bool) -> None:
    data = json.dumps({"Item": {"a": {"S": text}, "l": {"L": [{"S": text}]}}}, ensure_ascii=ascii_only).encode()
    [row] = decode(data).values
    assert row["a:S"] == text
    assert json.loads(row["l:L"]) == [text]


def test_all_json_escapes_are_understood(decode: Decode) -> None:
    data = rb'{"Item":{"a":{"S":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83E\uDD80\u2028"}}}'
    assert decode(data).values == [{"a:S": '"\\/\b\f\n\r\tAé🦀\u2028'}]


@pytest.mark.parametrize("code", range(32))
def test_a_bare_control_character_is_no_json(decode: Decode, code: int) -> None:
    kinds = decode(b'{"Item":{"a":{"S":"x%cy"}}}' % code).kinds
    assert kinds == (["not_json", "not_json"] if code == ord("\n") else ["not_json"])


@pytest.mark.parametrize("code", [*range(32), 0x22, 0x5C, 0x7F, 0x2F, 0x2028])
def test_nested_strings_escape_what_json_must_and_nothing_else(decode: Decode, code: int) -> None:
    short = {8: r"\b", 9: r"\t", 10: r"\n", 12: r"\f", 13: r"\r", 0x22: r"\"", 0x5C: r"\\"}
    expected = short.get(code, f"\\u{code:04x}" if code < 32 else chr(code))
    typed = b'{"S":"\\u%04X"}' % code
    named = b'{"M":{"\\u%04X":{"NULL":true}}}' % code
    outcome = decode(b'{"Item":{"l":{"L":[%s,%s]},"m":%s}}' % (typed, named, named))
    assert outcome.values == [{"l:L": f'["{expected}",{{"{expected}":null}}]', "m:M": f'{{"{expected}":null}}'}]


@pytest.mark.parametrize(
    "text", [rb"\ud800", rb"\udfff", rb"\ud800x", rb"\udc00\ud800", rb"\uD83Ex\uDD80", rb"\ud800\u0041"]
)
@pytest.mark.parametrize(
    "form",
    [
        b'{"Item":{"a":{"S":"%s"}}}',
        b'{"Item":{"%s":{"S":"a"}}}',
        b'{"Item":{"a":{"M":{"%s":{"S":"a"}}}}}',
        b'{"Item":{"a":{"L":[{"SS":["%s"]}]}}}',
        b'{"Item":{"a":{"S":"a"}},"%s":1}',
        b'{"Keys":{"k":{"S":"a"}},"Metadata":{"SequenceNumber":{"S":"1"}},"OldImage":{"k":{"S":"%s"}}}',
    ],
    ids=["value", "name", "nested name", "set", "ignored member", "old image"],
)
def test_31_lone_surrogates_are_rejected_wherever_they_stand(decode: Decode, form: bytes, text: bytes) -> None:
    assert decode(form % text).kinds == ["lone_surrogate"]


# ---- binaries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\0", b"a", b"ab", b"abc", b"\xfb\xff\xfe", bytes(range(256)), b"x" * 300_000])
def test_binaries_are_bytes_and_nested_their_base64(decode: Decode, data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert one(decode, {"B": text}) == data
    assert one(decode, {"L": [{"B": text}, {"BS": [text]}]}) == f'["{text}",["{text}"]]'


@pytest.mark.parametrize(
    "text",
    [
        *(
            "A",
            "AA",
            "AAA",
            "AA=",
            "A===",
            "=",
            "==",
            "====",
            "AAAA=",
            "AAAA==",
            "AA==AA==",
            "=AAA",
            "A=AA",
            "AAA=AAAA",
        ),
        *("AB==", "AAB=", "AA==\n", " AA==", "AA ==", "AA\n==", "AA-_", "AA*=", "AAAé", "AAA\x00", "AA\u2028="),
    ],
    ids=lambda text: f"50 {text!r}",
)
def test_base64_that_is_not_exactly_standard_is_rejected(decode: Decode, text: str) -> None:
    assert refused(decode, {"B": text}) == "bad_base64"
    assert refused(decode, {"BS": ["AA==", text]}) == "bad_base64"
    assert refused(decode, {"M": {"x": {"B": text}}}) == "bad_base64"


def test_escapes_inside_base64_are_the_characters_they_mean(decode: Decode) -> None:
    assert decode(rb'{"Item":{"a":{"B":"\u0041\/+\u003d"}}}').kinds == ["bad_base64"]
    assert decode(rb'{"Item":{"a":{"B":"\u0041A\u003d\u003d"}}}').values == [{"a:B": b"\0"}]
    assert decode(rb'{"Item":{"a":{"B":"\/\/8\u003d"}}}').values == [{"a:B": b"\xff\xff"}]


# ---- BOOL, NULL -------------------------------------------------------------------------------------------


def test_booleans_are_booleans(decode: Decode) -> None:
    outcome = decode(items({"BOOL": True}, {"BOOL": False}))
    assert (outcome.types(), outcome.values) == ({"a:BOOL": "bool"}, [{"a:BOOL": True}, {"a:BOOL": False}])


@pytest.mark.parametrize("value", ["true", "false", "", 0, 1, None, [], {}], ids=lambda v: f"48 {v!r}")
def test_what_only_looks_like_a_boolean_is_rejected(decode: Decode, value: Any) -> None:
    assert refused(decode, {"BOOL": value}) == "bad_value"
    assert refused(decode, {"L": [{"BOOL": value}]}) == "bad_value"


@pytest.mark.parametrize("value", [False, None, "true", 1, [], {}], ids=lambda v: f"47 {v!r}")
def test_a_null_that_is_not_true_is_rejected(decode: Decode, value: Any) -> None:
    assert refused(decode, {"NULL": value}) == "bad_value"
    assert refused(decode, {"M": {"x": {"NULL": value}}}) == "bad_value"


def test_null_is_counted_has_no_column_and_is_told_from_absent(decode: Decode) -> None:
    outcome = decode(line({"Item": {"a": {"NULL": True}}}) + b"\n" + line({"Item": {}}) + b"\n" + items({"S": ""}))
    assert outcome.values == [{}, {}, {"a:S": ""}]
    assert dict(outcome.seen) == {("a", "NULL"): AttributeSeen(1), ("a", "S"): AttributeSeen(1)}


# ---- sets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected", "text"),
    [
        ({"SS": ["b", "a", ""]}, ["", "a", "b"], '["","a","b"]'),
        ({"SS": ["ab", "a", "B", "\u00e9", "z"]}, ["B", "a", "ab", "z", "é"], '["B","a","ab","z","é"]'),
        ({"SS": ["\U0001f980", "\uffff", "\ue000"]}, ["\ue000", "\uffff", "🦀"], '["\ue000","\uffff","🦀"]'),
        ({"SS": ["é", "e\u0301"]}, ["e\u0301", "é"], '["e\u0301","é"]'),
        ({"NS": ["10", "9", "-1", "0"]}, [-1, 0, 9, 10], "[-1,0,9,10]"),
        ({"NS": ["1E2", "99", "-0"]}, [0, 99, 100], "[0,99,100]"),
        ({"NS": ["0.30", "-2", "0.25"]}, [Decimal(-2), Decimal("0.25"), Decimal("0.3")], "[-2,0.25,0.3]"),
        (
            {"NS": ["9E125", "1E-130", "-1E-130", "-9E125", "0"]},
            ["-9E+125", "-1E-130", "0", "1E-130", "9E+125"],
            "[-9E+125,-1E-130,0,1E-130,9E+125]",
        ),
        ({"BS": ["/w==", "AA==", "", "AAA="]}, [b"", b"\0", b"\0\0", b"\xff"], '["","AA==","AAA=","/w=="]'),
        ({"SS": []}, [], "[]"),
        ({"NS": []}, [], "[]"),
        ({"BS": []}, [], "[]"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_56_sets_are_sorted_by_value(decode: Decode, typed: Any, expected: list[Any], text: str) -> None:
    [(tag, members)] = typed.items()
    for given in (members, members[::-1]):
        assert one(decode, {tag: given}) == expected
        assert one(decode, {"L": [{tag: given}]}) == f"[{text}]"


def test_an_empty_set_of_numbers_is_seen_with_the_empty_range(decode: Decode) -> None:
    assert dict(decode(items({"NS": []})).seen) == {("a", "NS"): AttributeSeen(1, NumberRange())}


@pytest.mark.parametrize(
    "typed",
    [
        {"SS": ["a", "a"]},
        {"SS": ["", "b", ""]},
        {"NS": ["1", "1.0"]},
        {"NS": ["1E2", "7", "100"]},
        {"NS": ["0", "-0"]},
        {"BS": ["AA==", "AA=="]},
    ],
    ids=lambda typed: f"51 {typed}",
)
def test_a_member_twice_by_value_is_rejected(decode: Decode, typed: Any) -> None:
    assert refused(decode, typed) == "bad_set"
    assert refused(decode, {"M": {"x": typed}}) == "bad_set"


@pytest.mark.parametrize(
    "value",
    ["a", None, {}, {"S": "a"}, ["a", 1], ["a", None], ["a", ["b"]], [{"S": "a"}], [True]],
    ids=lambda v: f"52 {v!r}",
)
@pytest.mark.parametrize("tag", ["SS", "NS", "BS"])
def test_a_set_holds_strings_only(decode: Decode, tag: str, value: Any) -> None:
    spelled = {"SS": "a", "NS": "1", "BS": "AA=="}[tag]
    value = [spelled if member == "a" else member for member in value] if isinstance(value, list) else value
    assert refused(decode, {tag: value}) == "bad_value"


# ---- typed values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param({"S": "x", "N": "1"}, id="44 two tags"),
        pytest.param({"S": "x", "NULL": True}, id="44 a value and NULL"),
        pytest.param({"S": "x", "note": "y"}, id="44 a tag and something else"),
        pytest.param({"X": "1"}, id="45 unknown tag"),
        pytest.param({"s": "1"}, id="45 lower case"),
        pytest.param({"": "1"}, id="45 empty tag"),
        pytest.param({" S": "1"}, id="45 blank before the tag"),
        pytest.param({"__class__": "1"}, id="34 __class__"),
        pytest.param({"N\x00": "1"}, id="45 NUL behind the tag"),
        pytest.param({}, id="46 no tag"),
        pytest.param("x", id="a bare string"),
        pytest.param(5, id="35 a bare number"),
        pytest.param(True, id="a bare boolean"),
        pytest.param(None, id="null"),
        pytest.param([], id="an array"),
        pytest.param([{"S": "x"}], id="an array of a value"),
        pytest.param([["S", "x"]], id="a pair"),
    ],
)
def test_a_typed_value_has_exactly_one_known_tag(decode: Decode, typed: Any) -> None:
    assert refused(decode, typed) == "bad_value"
    assert refused(decode, {"L": [typed]}) == "bad_value"
    assert refused(decode, {"M": {"x": {"L": [typed]}}}) == "bad_value"


@pytest.mark.parametrize(
    ("name", "spelled_like_it"), [('x":{"S', "x"), ("a\\b", "a\b"), ("a\nb", "a"), ('"', "b")], ids=repr
)
def test_a_name_that_looks_like_json_of_another_one(decode: Decode, name: str, spelled_like_it: str) -> None:
    """`"x":{"S":…` begins with the very bytes of the name `x":{"S`, and the escape of a backspace is spelled as a\\b is."""
    table = decode(line({"Item": {name: {"S": "1"}}}) + b"\n" + line({"Item": {spelled_like_it: {"S": "2"}}})).table
    assert table.column(name).to_pylist() == ["1", None]
    assert table.column(spelled_like_it).to_pylist() == [None, "2"]


def test_an_escaped_tag_is_the_tag(decode: Decode) -> None:
    outcome = decode(rb'{"\u0049tem":{"a":{"\u0053":"x"},"b":{"B\u004f\u004fL":true}}}')
    assert outcome.values == [{"a:S": "x", "b:BOOL": True}]


def test_every_type_of_an_attribute_has_a_field_of_its_own(decode: Decode) -> None:
    values = [
        {"L": []},
        {"S": "x"},
        {"N": "1"},
        {"NULL": True},
        {"BS": ["AA=="]},
        {"M": {}},
        {"B": ""},
        {"NS": ["1"]},
        {"BOOL": False},
        {"SS": ["x"]},
        {"N": "2"},
    ]
    outcome = decode(items(*values))
    assert list(outcome.types()) == ["a:S", "a:N", "a:B", "a:BOOL", "a:M", "a:L", "a:SS", "a:NS", "a:BS"]
    assert [list(row) for row in outcome.values] == [[f"a:{tag}"] if tag != "NULL" else [] for v in values for tag in v]
    assert {column: seen.count for column, seen in outcome.seen.items()} == {
        ("a", tag): 2 if tag == "N" else 1 for v in values for tag in v
    }
