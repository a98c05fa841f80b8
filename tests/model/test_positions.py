"""Sequence numbers are integers of up to 40 digits, and order keys sort like them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.model.positions import (
    CLASS_BASE,
    CLASS_CHANGE,
    ORDER_KEY_LENGTH,
    POSITION_DIGITS,
    order_key,
    order_prefix,
    parse_sequence_number,
)

position = st.integers(0, 10**40 - 1) | st.sampled_from([10**n + d for n in range(20, 40) for d in (-1, 0, 1)])
triple = st.tuples(st.integers(0, 9999), st.sampled_from([CLASS_BASE, CLASS_CHANGE]), position)


@given(triple, triple)
@example((1, 1, 10**21 - 1), (1, 1, 10**21))
@example((1, 0, 10**40 - 1), (1, 1, 0))
@example((9, 1, 10**40 - 1), (10, 0, 0))
def test_text_order_is_the_order_of_epoch_class_and_position(left: Any, right: Any) -> None:
    assert (order_key(*left) < order_key(*right)) == (left < right)
    assert (order_key(*left) == order_key(*right)) == (left == right)


@given(triple)
def test_an_order_key_has_one_width_and_gives_its_position_back(parts: Any) -> None:
    key = order_key(*parts)
    assert len(key) == ORDER_KEY_LENGTH == 47
    assert key.startswith(order_prefix(*parts[:2]))
    epoch, order_class, number = key.split("|")
    assert (int(epoch), int(order_class), parse_sequence_number(number)) == parts


@pytest.mark.parametrize("digits", range(20, 41))
def test_padding_keeps_order_over_every_length(digits: int) -> None:
    shorter, longer = 10 ** (digits - 1) - 1, 10 ** (digits - 1)
    assert str(shorter) > str(longer), "as text they sort wrongly"
    assert order_key(1, CLASS_CHANGE, shorter) < order_key(1, CLASS_CHANGE, longer)


@pytest.mark.parametrize("parts", [(-1, 1, 0), (10_000, 1, 0), (1, 2, 0), (1, -1, 0), (1, 1, -1), (1, 1, 10**40)])
def test_what_does_not_fit_is_a_value_error(parts: Any) -> None:
    with pytest.raises(ValueError, match=r"out of range|does not fit"):
        order_key(*parts)


@pytest.mark.parametrize("text", ["0", "1", "1" * 20, "1" * 21, "9" * POSITION_DIGITS, "000007"])
def test_a_sequence_number_is_1_to_40_digits(text: str) -> None:
    assert parse_sequence_number(text) == int(text)


@pytest.mark.parametrize("text", ["", " 1", "1\n", "-1", "+1", "1.0", "1e5", "x", "٣", "1_0", "1" * 41, None, 5])
def test_anything_else_is_a_value_error(text: Any) -> None:
    with pytest.raises(ValueError, match="sequence number"):
        parse_sequence_number(text)
