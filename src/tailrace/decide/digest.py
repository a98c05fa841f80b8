"""One canonical form for an item, from DynamoDB's answer and from a target's row: equal items, equal digests.

Written apart from the codec on purpose: `verify` must not share a mistake with what it checks. NULL and absent are one,
because a target holds both as NULL; inside maps and lists a binary is its base64 text and a set a sorted array, as stored.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from tailrace.model.keys import KeySchema, canonical_key
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import Column

DIGEST_BYTES: Final = 16
WHOLE: Final = "item"  # the column of a whole item

Entry: TypeAlias = tuple[str, str, Any]
"""Attribute name, type tag, plain value: strings as ``s…``, numbers as ``n…``, so that "1" and 1 differ."""


class _Number(str):
    """A number inside JSON text, as it was written."""


def source_entries(item: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """An item as DynamoDB gives it (binaries as bytes), canonical, by attribute name."""
    typed = ((name, tag, value) for name, wrapped in item.items() for tag, value in wrapped.items())
    return sorted((name, tag, _top(tag, value)) for name, tag, value in typed if tag != "NULL")


def whole_entries(item: Mapping[str, Mapping[str, Any]], keys: KeySchema) -> list[Entry]:
    """The same for a target that holds the key and, in one column, the whole item, whose numbers are what `is_decimal` says."""
    there = {name: _fitted(typed) for name, typed in item.items() if "NULL" not in typed}
    key = source_entries({name: item[name] for name in keys.names})
    return sorted([*key, *source_entries({WHOLE: {"M": there}})])  # apart, because a key may bear the column's name


def is_decimal(number: str) -> bool:
    """Whether a canonical number is a DECIMAL of 38 digits with at most 37 of them behind the point."""
    whole, _, fraction = number.removeprefix("-").partition(".")
    return "E" not in number and len(fraction) <= 37 and len(whole.lstrip("0")) + len(fraction) <= 38


def _fitted(typed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value with texts in place of the numbers that are too much."""
    tag, value = _only(typed)
    if tag == "N":
        number = canonical_number(value)
        return {tag: value} if is_decimal(number) else {"S": number}
    if tag == "NS":
        members = sorted((canonical_number(member) for member in value), key=Decimal)
        return {"L": [_fitted({"N": member}) for member in members]}
    if tag == "M":
        return {tag: {name: _fitted(member) for name, member in value.items()}}
    return {tag: [_fitted(member) for member in value]} if tag == "L" else typed


def target_entries(columns: Sequence[Column], values: Iterable[Any]) -> list[Entry]:
    """A target's row, canonical, by attribute name. `values` stand in the order of `columns`."""
    return sorted(
        (column.attribute, column.tag, _stored(column, value))
        for column, value in zip(columns, values, strict=True)
        if value is not None
    )


def digest(entries: Sequence[Entry]) -> bytes:
    """16 bytes that differ where entries differ."""
    text = json.dumps(entries, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def key_digest(key: str) -> bytes:
    """16 bytes for a canonical key."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def target_key(schema: KeySchema, values: Sequence[Any]) -> str:
    """The canonical key of a target's row. `values` are those of the key columns, HASH first; raises ValueError."""
    typed = {a.name: {a.tag: str(v) if a.tag == "N" else v} for a, v in zip(schema.attributes, values, strict=True)}
    return canonical_key(schema, typed)


def differing(left: Sequence[Entry], right: Sequence[Entry]) -> list[str]:
    """Names of the attributes that are not the same on both sides, sorted."""
    names = sorted({entry[0] for entry in (*left, *right)})
    return [n for n in names if [e for e in left if e[0] == n] != [e for e in right if e[0] == n]]


def _top(tag: str, value: Any) -> Any:
    """A top-level value; sets are sorted by their canonical texts, so no order of theirs counts."""
    members = {"SS": "S", "NS": "N", "BS": "B"}.get(tag)
    return _plain(tag, value) if members is None else sorted(_plain(members, member) for member in value)


def _plain(tag: str, value: Any) -> Any:
    match tag:
        case "S":
            return "s" + value
        case "N":
            return _number(value)
        case "B":
            return "s" + base64.b64encode(value).decode("ascii")
        case "M":
            return {name: _plain(*_only(typed)) for name, typed in value.items()}
        case "L":
            return [_plain(*_only(typed)) for typed in value]
        case "SS":
            return [_plain("S", member) for member in sorted(value)]
        case "NS":
            return sorted((_plain("N", member) for member in value), key=_value)
        case "BS":
            return [_plain("B", member) for member in sorted(value)]
        case "NULL":
            return None
        case _:
            return value


def _only(typed: Mapping[str, Any]) -> tuple[str, Any]:
    ((tag, value),) = typed.items()
    return tag, value


def _stored(column: Column, value: Any) -> Any:
    kind = column.type.kind
    if kind == "json":
        return _json(value)
    if kind.startswith("list_"):
        return sorted(_scalar(column.tag[0], member) for member in value)
    return _scalar(column.tag, value)


def _scalar(tag: str, value: Any) -> Any:
    if tag == "N":
        return _number(str(value))
    if tag == "B":
        return _plain("B", value)
    return "s" + value if tag == "S" else value


def _number(text: str) -> str:
    """A number that is none of DynamoDB's, such as one put there by hand, differs from all of them."""
    try:
        return "n" + canonical_number(text)
    except ValueError:
        return "?" + text


def _value(number: str) -> Decimal:
    return Decimal(number[1:]) if number[0] == "n" else Decimal("Infinity")


def _json(text: str) -> Any:
    try:
        document = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_object
        )
        return _parsed(document)
    except (ValueError, RecursionError):
        return "?" + text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice was put there by hand: Python would forget the first."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _parsed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_parsed(member) for member in value]
    if isinstance(value, _Number):
        return _number(value)
    return "s" + value if isinstance(value, str) else value
