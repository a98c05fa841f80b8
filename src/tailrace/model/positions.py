"""Where a change stands in its source's order, and the order key that every target compares."""

from __future__ import annotations

import re
from typing import Final, NewType

SequenceNumber = NewType("SequenceNumber", int)
"""A stream position. DynamoDB writes 21 to 40 digits; text order is wrong as soon as lengths differ, so it is an integer."""

POSITION_DIGITS: Final = 40
ORDER_KEY_LENGTH: Final = 4 + 1 + 1 + 1 + POSITION_DIGITS
CLASS_BASE: Final = 0
CLASS_CHANGE: Final = 1

_DIGITS = re.compile(r"[0-9]{1,40}", re.ASCII)


def parse_sequence_number(text: str) -> SequenceNumber:
    """Read a SequenceNumber; raises ValueError unless it is 1 to 40 ASCII digits."""
    if not isinstance(text, str) or _DIGITS.fullmatch(text) is None:
        raise ValueError(f"sequence number {text!r:.60} is not 1 to {POSITION_DIGITS} digits")
    return SequenceNumber(int(text))


def order_prefix(epoch: int, order_class: int) -> str:
    """The first seven characters of an order key, ``eeee|c|``. A position of 40 digits follows."""
    if not 0 <= epoch <= 9999 or order_class not in (CLASS_BASE, CLASS_CHANGE):
        raise ValueError(f"epoch {epoch} or class {order_class} is out of range")
    return f"{epoch:04d}|{order_class}|"


def order_key(epoch: int, order_class: int, position: int = 0) -> str:
    """``eeee|c|<40 digits>``: fixed width, so text order is the order of (epoch, class, position)."""
    text = f"{position:0{POSITION_DIGITS}d}"
    if position < 0 or len(text) != POSITION_DIGITS:
        raise ValueError(f"position {position} does not fit {POSITION_DIGITS} digits")
    return order_prefix(epoch, order_class) + text
