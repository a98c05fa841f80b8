"""DynamoDB numbers as exact text: one canonical form for each value. No floats anywhere."""

from __future__ import annotations

import re
from typing import Final

DIGITS_MAX: Final = 38  # significant digits, AWS limit
EXPONENT_MAX: Final = 125  # of the first significant digit: 9.99…E+125
EXPONENT_MIN: Final = -130
PLAIN_EXPONENT_MAX: Final = 37  # canonical text is positional while the first digit's exponent is in
PLAIN_EXPONENT_MIN: Final = -7  # [PLAIN_EXPONENT_MIN, PLAIN_EXPONENT_MAX], scientific outside
NUMBER_TEXT_MAX: Final = 512  # longest spelling we look at; DynamoDB itself never sends more than 40 digits

_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]{1,6}))?", re.ASCII)
# Most numbers are canonical already; these are recognised without taking them apart.
_CANONICAL = re.compile(r"-?[1-9][0-9]{0,18}(?:\.[0-9]{0,17}[1-9])?|0|-?0\.[0-9]{0,6}[1-9]", re.ASCII)

is_canonical: Final = _CANONICAL.fullmatch
"""Something true for nearly all texts that are canonical, None for all others."""


def canonical_number(text: str) -> str:
    """Give the one spelling of a DynamoDB number: ``1``, ``1.0`` and ``1E0`` are all ``1``; ``-0`` is ``0``.

    Positional for a first digit between 1E-7 and 1E37, else ``d.ddE+x`` / ``d.ddE-x``. Both are JSON numbers.

    Raises:
        ValueError: not a number in ASCII digits, more than 38 significant digits, or outside
            ±1E-130 … ±9.99…E+125. The message is the reason that quarantine shows.
    """
    if is_canonical(text):
        return text
    sign, digits, exponent = split_number(text)
    if not digits:
        return "0"
    first = exponent + len(digits) - 1
    if first > PLAIN_EXPONENT_MAX or first < PLAIN_EXPONENT_MIN:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}E{first:+d}"
    if exponent >= 0:
        return f"{sign}{digits}{'0' * exponent}"
    if first >= 0:
        return f"{sign}{digits[: first + 1]}.{digits[first + 1 :]}"
    return f"{sign}0.{'0' * (-first - 1)}{digits}"


def split_number(text: str) -> tuple[str, str, int]:
    """Split into sign (``""`` or ``"-"``), significant digits without outer zeros, and the exponent of the last digit.

    Zero is ``("", "", 0)``. Raises ValueError as `canonical_number` does.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= NUMBER_TEXT_MAX else None
    if match is None:
        raise ValueError("not a number")
    sign, whole, fraction, bare_fraction, exponent_text = match.groups()
    fraction = bare_fraction if whole is None else (fraction or "")
    digits = ((whole or "") + fraction).lstrip("0")
    exponent = int(exponent_text or "0") - len(fraction)
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    if not stripped:
        return "", "", 0
    if len(stripped) > DIGITS_MAX:
        raise ValueError(f"number has {len(stripped)} significant digits, DynamoDB's limit is {DIGITS_MAX}")
    first = exponent + len(stripped) - 1
    if not EXPONENT_MIN <= first <= EXPONENT_MAX:
        raise ValueError(f"number is outside 1E{EXPONENT_MIN} … 9.99E+{EXPONENT_MAX}")
    return ("-" if sign == "-" else ""), stripped, exponent
