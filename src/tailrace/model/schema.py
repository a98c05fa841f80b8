"""What a decoder saw, and the columns that follow from it. Types form a lattice, so the order of files never matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tailrace.model.numbers import DIGITS_MAX, split_number

Tag: TypeAlias = Literal["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"]
TAGS: Final[tuple[Tag, ...]] = ("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS")

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

ColumnKind: TypeAlias = Literal[
    "string", "int64", "decimal", "number_text", "binary", "bool", "json",
    "list_string", "list_int64", "list_decimal", "list_number_text", "list_binary",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberRange:
    """What all numbers of one attribute need: do all fit int64, how many digits before and after the point.

    ``NumberRange()`` is the empty range; `join` is commutative, associative and idempotent.
    """

    int64: bool = True
    whole_digits: int = 0
    scale: int = 0

    def join(self, other: NumberRange) -> NumberRange:
        return NumberRange(
            self.int64 and other.int64,
            max(self.whole_digits, other.whole_digits),
            max(self.scale, other.scale),
        )

    @property
    def fits_decimal(self) -> bool:
        """All values fit DECIMAL(38, scale)."""
        return self.whole_digits + self.scale <= DIGITS_MAX


_NINES = str.maketrans("12345678" + "0", "9" * 9)


def range_of(numbers: Sequence[str]) -> NumberRange:
    """What these canonical numbers need of a column."""
    # Numbers are many, their shapes are few: 12.5 and -98.7 are both 99.9, and 0.05 is .99.
    plain = "\n".join(["", *numbers]).replace("\n-", "\n").replace("\n0", "\n").translate(_NINES)
    whole_digits, scale = 0, 0
    for shape in set(plain.split("\n")):
        if "E" not in shape:
            whole, _, fraction = shape.partition(".")
            whole_digits, scale = max(whole_digits, len(whole)), max(scale, len(fraction))
    if "E" in plain:
        for number in numbers:
            if "E" in number:
                _sign, digits, exponent = split_number(number)
                whole_digits, scale = max(whole_digits, len(digits) + exponent), max(scale, -exponent)
    int64 = scale == 0 and (
        whole_digits < 19
        or (
            whole_digits == 19 and all(INT64_MIN <= int(number) <= INT64_MAX for number in numbers if len(number) >= 19)
        )
    )
    return NumberRange(int64, whole_digits, scale)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of one column.

    `scale`: digits behind the point of the decimal kinds, whose precision is always 38. Of a string, the bytes that a target
    has room for where that must be said; 0: for any that it takes.
    """

    kind: ColumnKind
    scale: int = 0


@dataclass(frozen=True, slots=True)
class AttributeSeen:
    """How often an attribute held one type tag, and for N and NS the range of its numbers."""

    count: int
    numbers: NumberRange | None = None

    def join(self, other: AttributeSeen) -> AttributeSeen:
        numbers = self.numbers if other.numbers is None else other.numbers.join(self.numbers or NumberRange())
        return AttributeSeen(self.count + other.count, numbers)


Seen: TypeAlias = Mapping[tuple[str, Tag], AttributeSeen]
"""(attribute name, tag) to what was seen; ``(name, "NULL")`` counts NULL values, which have no column."""

_FIXED: Final[Mapping[Tag, ColumnKind]] = {
    "S": "string", "B": "binary", "BOOL": "bool", "M": "json", "L": "json", "SS": "list_string", "BS": "list_binary",
}  # fmt: skip


def join_seen(left: Seen, right: Seen) -> dict[tuple[str, Tag], AttributeSeen]:
    """Add up two reports."""
    joined = dict(left)
    for name, seen in right.items():
        joined[name] = joined[name].join(seen) if name in joined else seen
    return joined


def column_type(tag: Tag, numbers: NumberRange | None = None) -> ColumnType:
    """The narrowest lossless type for the values seen. NULL has no column: ValueError."""
    if tag in ("N", "NS"):
        prefix = "list_" if tag == "NS" else ""
        numbers = numbers or NumberRange()
        if numbers.int64:
            return ColumnType(f"{prefix}int64")  # type: ignore[arg-type]
        if numbers.fits_decimal:
            return ColumnType(f"{prefix}decimal", numbers.scale)  # type: ignore[arg-type]
        return ColumnType(f"{prefix}number_text")  # type: ignore[arg-type]
    if tag not in _FIXED:
        raise ValueError(f"{tag} has no column type")
    return ColumnType(_FIXED[tag])


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a target table: the attribute and tag it holds, its name there, and its type.

    For numbers `numbers` is the range that the column was made for, so that it can be widened without reading it.
    """

    attribute: str
    tag: Tag
    name: str
    type: ColumnType
    numbers: NumberRange | None = None
