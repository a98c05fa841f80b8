"""One canonical form for an item, from DynamoDB's answer and from a target's row: equal items, equal digests.

Written apart from the codec on purpose: `verify` must not share a mistake with what it checks. NULL and absent are one,
because a target holds both as NULL; inside maps and lists a binary is its base64 text and a set a sorted array, as stored.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from tailrace.model.keys import KeySchema, canonical_key
from tailrace.model.numbers import canonical_number, exact_decimal
from tailrace.model.schema import Column

DIGEST_BYTES: Final = 16

Entry: TypeAlias = tuple[str, str, Any]
"""Attribute name, type tag, plain value: strings as ``s…``, numbers as ``n…``, so that "1" and 1 differ."""


class _Number(str):
    """A number inside JSON text, as it was written."""


def source_entries(item: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """An item as DynamoDB gives it (binaries as bytes), canonical, by attribute name."""
    typed = ((name, tag, value) for name, wrapped in item.items() for tag, value in wrapped.items())
    return sorted((name, tag, _top(tag, value)) for name, tag, value in typed if tag != "NULL")


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
            return "n" + canonical_number(value)
        case "B":
            return "s" + base64.b64encode(value).decode("ascii")
        case "M":
            return {name: _plain(*_only(typed)) for name, typed in value.items()}
        case "L":
            return [_plain(*_only(typed)) for typed in value]
        case "SS":
            return [_plain("S", member) for member in sorted(value)]
        case "NS":
            return [_plain("N", member) for member in sorted(value, key=exact_decimal)]
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
    """A number somebody put there by hand may be none of DynamoDB's: then it differs from all of them."""
    try:
        return "n" + canonical_number(text)
    except ValueError:
        return "?" + text


def _json(text: str) -> Any:
    try:
        return _parsed(json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number))
    except (ValueError, RecursionError):
        return "?" + text


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _parsed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_parsed(member) for member in value]
    if isinstance(value, _Number):
        return _number(value)
    return "s" + value if isinstance(value, str) else value
