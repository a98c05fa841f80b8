"""One spelling for each number, exact."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.numbers import canonical_number, split_number
from tailrace.testing import strategies


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("+0.000E99", "0"),
        ("0E-999999", "0"),
        ("1", "1"),
        ("1.0", "1"),
        ("1E0", "1"),
        ("+1.", "1"),
        (".10", "0.1"),
        ("-00012.3400", "-12.34"),
        ("100", "100"),
        ("1E2", "100"),
        ("1.5e+3", "1500"),
        ("1.5E-3", "0.0015"),
        ("1E37", "1" + "0" * 37),
        ("1E38", "1E+38"),
        ("1" + "0" * 38, "1E+38"),
        ("12" + "0" * 37, "1.2E+38"),
        ("1E-7", "0.0000001"),
        ("1E-8", "1E-8"),
        ("0.00000001", "1E-8"),
        ("0.0000000123", "1.23E-8"),
        ("123E-10", "1.23E-8"),
        ("-1E-130", "-1E-130"),
        ("9.99E125", "9.99E+125"),
        ("9" * 38, "9" * 38),
        ("0." + "0" * 7 + "9" * 38, "9." + "9" * 37 + "E-8"),
        ("1234567890123456789012345678.9012345678", "1234567890123456789012345678.9012345678"),
    ],
)
def test_there_is_one_spelling_of_each_value(text: str, canonical: str) -> None:
    assert canonical_number(text) == canonical
    assert canonical_number(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0", ("", "", 0)),
        ("-0.00", ("", "", 0)),
        ("1200", ("", "12", 2)),
        ("-0.0120", ("-", "12", -3)),
        ("12.5E3", ("", "125", 2)),
        ("1E-130", ("", "1", -130)),
    ],
)
def test_a_number_is_sign_digits_and_exponent(text: str, parts: tuple[str, str, int]) -> None:
    assert split_number(text) == parts


@pytest.mark.parametrize(
    "text", ["", "x", " 1", "1 ", "1\n", "1_0", "٣", "NaN", "Infinity", "1e", "--1", "0x1", "1e1234567"]
)
def test_what_is_not_spelled_in_ascii_digits_is_no_number(text: str) -> None:
    for function in (canonical_number, split_number):
        with pytest.raises(ValueError, match="not a number"):
            function(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1" * 39, "39 significant digits"),
        ("1." + "0" * 37 + "1", "39 significant digits"),
        ("1E126", "outside"),
        ("10E125", "outside"),
        ("1E-131", "outside"),
        ("0." + "0" * 130 + "1", "outside"),
        ("9" * 600, "not a number"),
    ],
)
def test_the_limits_are_those_of_dynamodb(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical_number(text)


@given(strategies.numbers())
def test_the_canonical_spelling_has_the_same_value_and_is_json(text: str) -> None:
    canonical = canonical_number(text)
    assert Decimal(canonical) == Decimal(text)
    assert json.loads(canonical, parse_int=str, parse_float=str) == canonical
    assert canonical_number(canonical) == canonical


@given(strategies.numbers(), strategies.numbers())
def test_equal_values_have_equal_spellings_and_others_do_not(left: str, right: str) -> None:
    assert (canonical_number(left) == canonical_number(right)) == (Decimal(left) == Decimal(right))


@given(st.text(max_size=8) | st.text("0123456789+-.eE", max_size=12))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    try:
        canonical = canonical_number(text)
    except ValueError:
        return
    assert Decimal(canonical) == Decimal(text)
    assert text.isascii()
