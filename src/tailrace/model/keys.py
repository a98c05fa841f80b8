"""The primary key of a table: which attributes form it, and one text per key value."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tailrace.model.documents import build
from tailrace.model.numbers import canonical_number

KeyTag: TypeAlias = Literal["S", "N", "B"]


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """One attribute of the key and its DynamoDB type."""

    name: str
    tag: KeyTag

    def __post_init__(self) -> None:
        if self.tag not in ("S", "N", "B"):
            raise ValueError(f"key attribute {self.name!r} has type {self.tag!r}; DynamoDB keys are S, N or B")


@dataclass(frozen=True, slots=True)
class KeySchema:
    """HASH and, where there is one, RANGE. Order matters."""

    hash: KeyAttribute
    range: KeyAttribute | None = None

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        return (self.hash,) if self.range is None else (self.hash, self.range)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @classmethod
    def from_table_description(cls, table: Mapping[str, Any]) -> KeySchema:
        """Read DescribeTable's ``Table`` (its KeySchema and AttributeDefinitions)."""
        tags = {d["AttributeName"]: d["AttributeType"] for d in table["AttributeDefinitions"]}
        by_role = {k["KeyType"]: KeyAttribute(k["AttributeName"], tags[k["AttributeName"]]) for k in table["KeySchema"]}
        return cls(by_role["HASH"], by_role.get("RANGE"))

    def to_json(self) -> list[dict[str, str]]:
        return [{"name": a.name, "type": a.tag} for a in self.attributes]

    @classmethod
    def from_json(cls, value: Sequence[Mapping[str, str]]) -> KeySchema:
        return cls(*(build(KeyAttribute, {"name": a["name"], "tag": a["type"]}) for a in value))


def canonical_key(schema: KeySchema, keys: Mapping[str, Any]) -> str:
    """One text per key: a JSON array of the canonical key values, HASH first.

    `keys` is typed DynamoDB JSON (``{"pk": {"S": "a"}}``), binary as base64 text or as bytes. 1, 1.0 and 1E0 are one key.

    Raises:
        ValueError: an attribute is missing, has another type, or is no valid number or base64.
    """
    parts: list[str] = []
    for attribute in schema.attributes:
        value = keys.get(attribute.name)
        if not isinstance(value, Mapping) or len(value) != 1 or attribute.tag not in value:
            raise ValueError(f"key attribute {attribute.name!r} is missing or not of type {attribute.tag}")
        raw = value[attribute.tag]
        if attribute.tag == "B":
            data = raw if isinstance(raw, bytes) else base64.b64decode(_text(attribute, raw), validate=True)
            parts.append(base64.b64encode(data).decode("ascii"))
        else:
            text = _text(attribute, raw)
            parts.append(canonical_number(text) if attribute.tag == "N" else text)
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def _text(attribute: KeyAttribute, raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"key attribute {attribute.name!r} holds no string")
    return raw
