"""The columns of a table of files: their Arrow types, how names are spelled, how they are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, cast

import pyarrow as pa

from tailrace.codec import META_FIELDS, arrow_type
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.planning import META_NAMES, META_TYPES
from tailrace.targets.target import Mode

NAME_BYTES: Final = 255  # of a column in Glue's catalog, and so in Athena
NUL_SHOWN_AS: Final = "\u2400"
RESERVED: Final = tuple(sorted({*META_TYPES, *META_FIELDS}))
"""Names that no attribute may take."""


def spell(name: str) -> str:
    """A column's name as lakes take it: no NUL, no more than `NAME_BYTES`."""
    name = name.replace("\0", NUL_SHOWN_AS)
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def table_schema(columns: Sequence[Column], mode: Mode) -> pa.Schema:
    """Attributes, then what the mode adds."""
    attributes = [pa.field(column.name, arrow_type(column.type)) for column in columns]
    return pa.schema([*attributes, *(pa.field(name, META_TYPES[name]) for name in META_NAMES[mode])])


def column_to_json(column: Column) -> dict[str, Any]:
    """A column as `column_from_json` reads it."""
    return {
        "attribute": column.attribute,
        "tag": column.tag,
        "name": column.name,
        "kind": column.type.kind,
        "scale": column.type.scale,
        "numbers": None if column.numbers is None else astuple(column.numbers),
    }


def column_from_json(value: Mapping[str, Any]) -> Column:
    """Raises KeyError, TypeError."""
    numbers = value["numbers"]
    return Column(
        value["attribute"],
        value["tag"],
        value["name"],
        ColumnType(cast(Any, value["kind"]), value["scale"]),
        None if numbers is None else NumberRange(*numbers),
    )
