"""Sizes as DynamoDB counts them: names and values in bytes, without the JSON around them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

CONTAINER_BYTES: Final = 3


def item_bytes(item: Mapping[str, Any]) -> int:
    """Of an item or a key in DynamoDB JSON."""
    return sum(_text(name) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    (kind, content), *_ = value.items()
    if kind == "S":
        return _text(content)
    if kind == "N":
        return _number(content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M":
        return CONTAINER_BYTES + item_bytes(content) + len(content)
    if kind == "L":
        return CONTAINER_BYTES + sum(map(_value, content)) + len(content)
    if kind == "B":
        return _binary(content)
    one = {"SS": _text, "NS": _number, "BS": _binary}[kind]
    return sum(map(one, content))


def _text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _number(text: str) -> int:
    """A byte for two significant digits, one more, and one for a minus."""
    digits = text.lstrip("-").partition("E")[0].replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def _binary(text: str) -> int:
    return len(base64.b64decode(text))
