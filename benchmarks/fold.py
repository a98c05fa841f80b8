"""Folding to the latest change per key, on one core: 1,000,000 changes of 300,000 keys in a decoded table, in stream order.

    python benchmarks/fold.py [--rounds 5] [--quick]

A tool gives the surviving rows as a table, all columns. The check: as many rows as keys, and the sum of one attribute.
Ties, which need a look at the whole row and which Tailrace refuses, are not looked for by the other tools.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from random import Random
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import pyarrow as pa
import pyarrow.compute as pc

import datasets
import harness
from tailrace import codec
from tailrace.codec.tables import decoded_schema
from tailrace.model.positions import order_key
from tailrace.model.schema import AttributeSeen, NumberRange, Seen

ROWS, KEYS = (50_000, 15_000) if harness.QUICK else (1_000_000, 300_000)
SEEN: Seen = {
    ("id", "S"): AttributeSeen(1),
    ("time", "S"): AttributeSeen(1),
    ("value", "N"): AttributeSeen(1, NumberRange(True, 7, 0)),
}
ORDER, KEY, VALUE = 2, 4, 6  # columns: the order key, `id`, `value`


def changes() -> pa.Table:
    """The decoded table, made once. Every key occurs; the others fall where they fall."""
    path = datasets.FOLDER / f"changes-{ROWS}-{KEYS}.arrow"
    if not path.exists():
        random = Random(7)
        numbers = [*range(KEYS), *(random.randrange(KEYS) for _ in range(ROWS - KEYS))]
        random.shuffle(numbers)
        columns = [
            pa.array(["u"] * ROWS),
            pa.array(range(1_790_000_000_000_000, 1_790_000_000_000_000 + ROWS)),
            pa.array([order_key(1, 1, 10**24 + row) for row in range(ROWS)]),
            pa.array([False] * ROWS),
            pa.array([f"{number * 2654435761 % 2**32:032x}" for number in numbers]),
            pa.array([f"2026-11-22T05:{row % 60:02d}:00.{row:06d}+00:00" for row in range(ROWS)]),
            pa.array([random.randint(-(10**6), 10**6) for _ in range(ROWS)]),
        ]
        datasets.FOLDER.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, decoded_schema(SEEN)) as writer:
            writer.write_table(pa.Table.from_arrays(columns, schema=decoded_schema(SEEN)), max_chunksize=64_000)
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def wanted(table: pa.Table) -> int:
    """The sum that must come out: in stream order, the last of each key stays."""
    last = dict(zip(table.column(KEY).to_pylist(), table.column(VALUE).to_pylist(), strict=True))
    return sum(last.values())


def _job(table: pa.Table, fold: Callable[[], Any]) -> harness.Job:
    def job() -> Callable[[], harness.Figures]:
        folded = fold()

        def check() -> harness.Figures:
            survivors = pa.table(folded)
            found = len(survivors), pc.sum(survivors.column("value")).as_py()
            if found != (KEYS, wanted(table)) or survivors.num_columns != table.num_columns:
                raise SystemExit(f"wrong: {found}, not {KEYS}, {wanted(table)}")
            return {"changes": len(table)}

        return check

    return job


def tailrace(engine_name: str, case: str) -> harness.Job:
    table, engine = changes(), codec.engine(engine_name)
    return _job(table, lambda: table.take(engine.fold_latest(table, [KEY], ORDER)))


def duckdb(sql: str, case: str) -> harness.Job:
    import duckdb as db

    table = changes()
    connection = db.connect()
    connection.execute("SET threads = 1")
    connection.register("changes", table)
    return _job(table, lambda: connection.execute(sql).to_arrow_table())


@harness.prepares
def polars(case: str) -> harness.Job:
    import polars as pl

    table = changes()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return _job(table, lambda: frame.sort("_tr_pos").unique(subset="id", keep="last"))


ARG_MAX = "SELECT unnest(arg_max(c, _tr_pos)) FROM changes AS c GROUP BY id"
WINDOW = "SELECT * FROM changes QUALIFY row_number() OVER (PARTITION BY id ORDER BY _tr_pos DESC) = 1"
TOOLS = {
    "tailrace native": harness.prepares(functools.partial(tailrace, "native")),
    "tailrace python": harness.prepares(functools.partial(tailrace, "python")),
    "duckdb arg_max": harness.prepares(functools.partial(duckdb, ARG_MAX)),
    "duckdb window": harness.prepares(functools.partial(duckdb, WINDOW)),
    "polars": polars,
}

if __name__ == "__main__":
    name = f"{ROWS:,} of {KEYS:,} keys"
    harness.main(
        "fold",
        TOOLS,
        {name: name},
        baseline="polars",
        skip=lambda tool, case: tool == "tailrace native" and not harness.has_native(),
        per="changes",
    )
