"""Numbers as SQL spells them, for every server that knows split_part."""

from __future__ import annotations

from tailrace.model.numbers import PLAIN_EXPONENT_MIN


def canonical_sql(value: str, scale: int, text: str) -> str:
    """The expression for what `canonical_number` gives for a DECIMAL(38, scale): no zeros at the end, ``dE-x`` below 1E-7.

    `text`: the server's type for texts.
    """
    plain_text = f"CAST({value} AS {text})"
    if scale == 0:
        return plain_text
    plain = f"rtrim(rtrim({plain_text}, '0'), '.')"
    if scale <= -PLAIN_EXPONENT_MIN:
        return plain
    fraction = f"rtrim(split_part({plain_text}, '.', 2), '0')"
    digits = f"ltrim({fraction}, '0')"
    exponent = f"CAST(length({fraction}) - length({digits}) + 1 AS {text})"
    more = f"CASE WHEN length({digits}) > 1 THEN '.' || substring({digits}, 2) ELSE '' END"
    sign = f"CASE WHEN {value} < 0 THEN '-' ELSE '' END"
    small = f"{sign} || substring({digits}, 1, 1) || {more} || 'E-' || {exponent}"
    tiny = f"abs({value}) < CAST('0.{'0' * (-PLAIN_EXPONENT_MIN - 1)}1' AS DECIMAL(38, {scale}))"
    return f"CASE WHEN {value} = 0 THEN '0' WHEN {tiny} THEN {small} ELSE {plain} END"
