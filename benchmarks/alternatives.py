"""DynamoDB JSON to typed columns with ready-made tools, each in the fastest way that we found for it.

All are told in advance what every attribute holds, which Tailrace finds out by itself, and none of them notices an
attribute or a type that it was not told of: `LOSSES` says what is lost. Each yields its result in batches.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

Leaf: TypeAlias = Any
"""``S``, ``B``, ``BOOL``, ``SS``, ``NS``; ``int``, ``money`` (a float) or ``exact`` for N; a dict for M; a list of one for L.

A tuple names several of these: one column each.
"""

SHAPES: dict[str, dict[str, Leaf]] = {
    "A": {"id": "S", "time": "S", "value": "int"},
    "B": {
        **dict.fromkeys(("order_id", "customer_id", "created_at", "updated_at", "status", "currency"), "S"),
        **dict.fromkeys(("email", "coupon", "note", "delivered_at"), "S"),
        **dict.fromkeys(("total", "tax", "discount", "weight"), "money"),
        **dict.fromkeys(("item_count", "version", "epoch_ms", "big_id"), "int"),
        "is_paid": "BOOL",
        "is_gift": "BOOL",
        "exact": "exact",
        "ship_to": {"street": "S", "city": "S", "zip": "S", "country": "S", "lat": "money", "lon": "money"},
        "items": [{"sku": "S", "name": "S", "qty": "int", "price": "money", "gift": "BOOL"}],
        "tags": "SS",
        "scores": "NS",
        "sig": "B",
    },
    "C": {
        **dict.fromkeys(("pk", "sk", "type", "name", "email"), "S"),
        "age": ("int", "S"),
        "created": ("S", "int"),
        "prefs": {"theme": "S", "n": "int"},
        "total": ("money", "S"),
        "lines": [{"sku": "S", "q": ("int", "S")}],
        "price": ("money", "S"),
        "tags": ("SS", [("S", "int")]),
        "value": ("int", "S", {"a": "int"}),
        "ok": "BOOL",
        "ttl": "int",
        "blob": "B",
    },
}

LOSSES = {
    "A": "",
    "B": "money is a float, NULL is absent",
    "C": "attrs, mix, empty dropped; money is a float, NULL is absent",
}

_NUMBERS = ("int", "money", "exact")


def _tag(leaf: Leaf) -> str:
    if isinstance(leaf, dict):
        return "M"
    if isinstance(leaf, list):
        return "L"
    return "N" if leaf in _NUMBERS else leaf


def _kinds(leaf: Leaf) -> tuple[Leaf, ...]:
    return leaf if isinstance(leaf, tuple) else (leaf,)


def _columns(shape: dict[str, Leaf]) -> Iterator[tuple[str, str, Leaf]]:
    """Column, attribute and what it holds; the first type of an attribute bears its name."""
    for name, leaf in shape.items():
        for number, kind in enumerate(_kinds(leaf)):
            yield (f"{name}__{_tag(kind).lower()}" if number else name), name, kind


# ---- pyarrow ----------------------------------------------------------------------------------------------


def pyarrow_json(name: str, path: Path) -> Iterator[Any]:
    """isal, `pyarrow.json` in blocks with an explicit schema, then casts."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj
    from isal import igzip

    numbers = {"int": pa.int64(), "money": pa.float64(), "exact": pa.decimal128(38, 19)}

    def raw(leaf: Leaf) -> pa.DataType:
        return pa.struct([(_tag(kind), inner(kind)) for kind in _kinds(leaf)])

    def inner(kind: Leaf) -> pa.DataType:
        if isinstance(kind, dict):
            return pa.struct([(name, raw(leaf)) for name, leaf in kind.items()])
        if isinstance(kind, list):
            return pa.list_(raw(kind[0]))
        return {"BOOL": pa.bool_(), "SS": pa.list_(pa.string()), "NS": pa.list_(pa.string())}.get(kind, pa.string())

    def typed(array: pa.Array, kind: Leaf) -> pa.Array:
        """Of one attribute of one type; B stays base64 text, for which there is no kernel."""
        array = pc.struct_field(array, _tag(kind))
        if kind in ("S", "B", "BOOL", "SS"):
            return array
        if kind == "NS":
            return array.cast(pa.list_(pa.int64()))
        if isinstance(kind, dict):
            return record(array, kind)
        if isinstance(kind, list):
            members = array.values
            kinds = _kinds(kind[0])
            member = (
                typed(members, kinds[0])
                if len(kinds) == 1
                else pa.StructArray.from_arrays([typed(members, k) for k in kinds], [_tag(k) for k in kinds])
            )
            return pa.ListArray.from_arrays(array.offsets, member, mask=array.is_null() if array.null_count else None)
        return array.cast(numbers[kind])

    def record(array: pa.Array, shape: dict[str, Leaf]) -> pa.StructArray:
        columns = list(_columns(shape))
        arrays = [typed(pc.struct_field(array, attribute), kind) for _, attribute, kind in columns]
        return pa.StructArray.from_arrays(arrays, [column for column, _, _ in columns], mask=array.is_null())

    shape = SHAPES[name]
    inflated = pa.PythonFile(io.BufferedReader(igzip.open(path), 1 << 20), "r") if path.suffix == ".gz" else None
    reader = pj.open_json(
        inflated or pa.memory_map(str(path)),
        read_options=pj.ReadOptions(use_threads=False, block_size=2 << 20),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([("Item", inner(shape))]), unexpected_field_behavior="ignore"
        ),
    )
    for batch in reader:
        yield pa.RecordBatch.from_struct_array(record(batch.column(0), shape))


# ---- polars -----------------------------------------------------------------------------------------------


def polars_frame(name: str, path: Path) -> Any:
    """A lazy frame: `scan_lines`, `str.json_decode` into explicit types, then expressions."""
    import polars as pl

    numbers = {"int": pl.Int64(), "money": pl.Float64(), "exact": pl.Decimal(38, 19)}

    def raw(leaf: Leaf) -> pl.DataType:
        return pl.Struct({_tag(kind): inner(kind) for kind in _kinds(leaf)})

    def inner(kind: Leaf) -> pl.DataType:
        if isinstance(kind, dict):
            return pl.Struct({name: raw(leaf) for name, leaf in kind.items()})
        if isinstance(kind, list):
            return pl.List(raw(kind[0]))
        texts = pl.List(pl.String())
        return {"BOOL": pl.Boolean(), "SS": texts, "NS": texts}.get(kind, pl.String())

    def typed(value: pl.Expr, kind: Leaf) -> pl.Expr:
        value = value.struct.field(_tag(kind))
        if kind in ("S", "BOOL", "SS"):
            return value
        if kind == "B":
            return value.str.decode("base64")
        if kind == "NS":
            return value.cast(pl.List(pl.Int64()))
        if isinstance(kind, dict):
            return record(value, kind)
        if isinstance(kind, list):
            kinds = _kinds(kind[0])
            members = [typed(pl.element(), k).alias(_tag(k)) for k in kinds]
            return value.list.eval(members[0] if len(members) == 1 else pl.struct(members))
        return value.cast(numbers[kind])

    def record(value: pl.Expr, shape: dict[str, Leaf]) -> pl.Expr:
        fields = [typed(value.struct.field(a), kind).alias(column) for column, a, kind in _columns(shape)]
        return pl.when(value.is_not_null()).then(pl.struct(fields))

    shape = SHAPES[name]
    item = pl.col("Item")
    return (
        pl.scan_lines(path, name="line")
        .select(pl.col("line").str.json_decode(pl.Struct({"Item": inner(shape)})).struct.field("Item"))
        .select([typed(item.struct.field(a), kind).alias(column) for column, a, kind in _columns(shape)])
    )


# ---- duckdb -----------------------------------------------------------------------------------------------


def duckdb_query(name: str, path: Path) -> str:
    """`read_json` with explicit columns, and a projection."""
    numbers = {"int": "BIGINT", "money": "DOUBLE", "exact": "DECIMAL(38,19)"}

    def raw(leaf: Leaf) -> str:
        return f"STRUCT({', '.join(f'{_tag(kind)} {inner(kind)}' for kind in _kinds(leaf))})"

    def inner(kind: Leaf) -> str:
        if isinstance(kind, dict):
            return f"STRUCT({', '.join(f'{name} {raw(leaf)}' for name, leaf in kind.items())})"
        if isinstance(kind, list):
            return f"{raw(kind[0])}[]"
        return {"BOOL": "BOOLEAN", "SS": "VARCHAR[]", "NS": "BIGINT[]", **numbers}.get(kind, "VARCHAR")

    def typed(value: str, kind: Leaf) -> str:
        value = f"{value}.{_tag(kind)}"
        if kind == "B":
            return f"from_base64({value})"
        if isinstance(kind, dict):
            return record(value, kind)
        if isinstance(kind, list):
            kinds = _kinds(kind[0])
            member = typed("m", kinds[0]) if len(kinds) == 1 else None
            member = member or "{" + ", ".join(f"{_tag(k)}: {typed('m', k)}" for k in kinds) + "}"
            return f"[{member} for m in {value}]"
        return value

    def record(value: str, shape: dict[str, Leaf]) -> str:
        fields = ", ".join(f"{column}: {typed(f'{value}.{a}', kind)}" for column, a, kind in _columns(shape))
        return f"CASE WHEN {value} IS NOT NULL THEN {{{fields}}} END"

    shape = SHAPES[name]
    columns = ", ".join(f"{typed(f'Item.{a}', kind)} AS {column}" for column, a, kind in _columns(shape))
    return f"SELECT {columns} FROM read_json('{path}', format='newline_delimited', columns={{Item: '{inner(shape)}'}})"


# ---- boto3 ------------------------------------------------------------------------------------------------


def boto3_items(path: Path) -> Iterator[dict[str, Any]]:
    """One dictionary an item, as boto3's resource API gives it; it refuses base64 text, so we decode that."""
    import orjson
    from boto3.dynamodb.types import TypeDeserializer
    from isal import igzip

    class Deserializer(TypeDeserializer):  # type: ignore[misc]
        def _deserialize_b(self, value: str) -> bytes:
            return base64.b64decode(value)

    deserialize = Deserializer().deserialize
    with igzip.open(path) as lines:
        for line in lines:
            yield {name: deserialize(value) for name, value in orjson.loads(line)["Item"].items()}


def boto3_table(path: Path) -> Any:
    """These dictionaries as an Arrow table: a column for each attribute and type, maps and lists as JSON text."""
    import pyarrow as pa

    columns: dict[tuple[str, type], list[Any]] = {}
    row = 0
    for row, item in enumerate(boto3_items(path), start=1):
        for name, value in item.items():
            kind = type(value)
            if kind is dict or kind is list:
                value = json.dumps(value, default=str)
            elif kind is set:
                value = list(value)
            elif value is None:
                continue
            column = columns.setdefault((name, kind), [])
            column.extend([None] * (row - 1 - len(column)))
            column.append(value)
    arrays = {
        f"{name}__{kind.__name__}": pa.array(values + [None] * (row - len(values)))
        for (name, kind), values in columns.items()
    }
    return pa.table(arrays)
