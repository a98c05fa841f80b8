"""The whole item as one JSON text beside its key: what decoding gave, turned round for ``shape = "super"``.

Types become JSON as they do inside an M (``docs/formats/decoding.md``), numbers with all their digits. A number that is no
DECIMAL of 38 digits with at most 37 behind the point, which is what a SUPER takes, becomes a string of its digits.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.codec import META_FIELDS, decoded_columns
from tailrace.codec.tables import decoded_schema
from tailrace.decide.digest import WHOLE, is_decimal
from tailrace.model.keys import KeySchema
from tailrace.model.numbers import canonical_number
from tailrace.model.schema import AttributeSeen, Seen

_SUSPECTS: Final = r"[0-9.]{39}|[0-9]E[+-]"  # documents with a number, or a text, that may be too much
_ESCAPED: Final = r'["\\\x00-\x1f]'


def whole(changes: pa.Table, seen: Seen, keys: KeySchema) -> tuple[pa.Table, Seen]:
    """Decoded changes with the key's columns and one more, of tag M: the item. Of a delete it is NULL, as are its attributes."""
    columns = list(enumerate(decoded_columns(changes.schema), start=len(META_FIELDS)))
    named = sorted(columns, key=lambda column: column[1][0].encode())
    pieces = [
        pc.binary_join_element_wise(f"{_quoted(name)}:", _json(changes.column(at), tag), "")
        for at, (name, tag) in named
    ]
    nothing = pa.nulls(changes.num_rows, pa.string())
    inside = pc.binary_join_element_wise(nothing, *pieces, ",", null_handling="skip")
    documents = pc.binary_join_element_wise("{", inside, "}", "")
    is_delete = pc.equal(changes.column(0), "d")
    item = pc.if_else(is_delete, pa.scalar(None, pa.string()), documents)
    wanted = [(at, column) for at, column in columns if column in {(a.name, a.tag) for a in keys.attributes}]
    images = changes.num_rows - (pc.sum(is_delete).as_py() or 0)
    found: Seen = {(WHOLE, "M"): AttributeSeen(images)}
    rows = changes.select([*range(len(META_FIELDS)), *(at for at, _ in wanted)])
    rows = rows.append_column(decoded_schema(found).field(len(META_FIELDS)), item)
    return rows, {**{column: seen[column] for _, column in wanted if column in seen}, **found}


def _json(column: pa.ChunkedArray, tag: str) -> pa.ChunkedArray:
    """The values as JSON; NULL stays NULL."""
    match tag:
        case "S" if not _any(pc.match_substring_regex(column, _ESCAPED)):
            return pc.binary_join_element_wise('"', column, '"', "")
        case "BOOL":
            return column.cast(pa.string())
        case "N" if pa.types.is_integer(column.type):
            return column.cast(pa.string())
        case "M" | "L":
            return column if not _any(pc.match_substring_regex(column, _SUSPECTS)) else _texts(column, _respelled)
        case "S":
            return _texts(column, _quoted)
        case "N":
            return _texts(column, _number)
        case "B":
            return _texts(column, _binary)
    members: dict[str, Callable[[Any], str]] = {"SS": _quoted, "NS": _number, "BS": _binary}
    member = members[tag]
    return _texts(column, lambda values: f"[{','.join(map(member, values))}]")


def _any(mask: pa.ChunkedArray) -> bool:
    return bool(pc.any(mask).as_py())


def _texts(column: pa.ChunkedArray, spell: Callable[[Any], str]) -> pa.ChunkedArray:
    texts: Iterable[str | None] = (None if value is None else spell(value) for value in column.to_pylist())
    return pa.chunked_array([pa.array(texts, pa.string())])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _binary(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


def _number(value: int | Decimal | str) -> str:
    text = canonical_number(format(value, "f") if isinstance(value, Decimal) else str(value))
    return text if is_decimal(text) else f'"{text}"'


class _Digits(str):
    """A number as a document spells it."""


def _respelled(document: str) -> str:
    return _spelled(json.loads(document, parse_int=_Digits, parse_float=_Digits))


def _spelled(value: Any) -> str:
    if isinstance(value, _Digits):
        return _number(str(value))
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(name)}:{_spelled(member)}' for name, member in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_spelled, value))}]"
    return json.dumps(value, ensure_ascii=False)
