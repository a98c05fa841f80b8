"""Where rows of an Iceberg table lie after loads of many keys in no order, and how much is held while runs become one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from iceberg_place import open_target, orders
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from tailrace.codec.tables import decoded_schema
from tailrace.decide.lake import FILE_ROWS_MIN, RUNS_MERGED
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.schema import AttributeSeen, NumberRange, Seen
from tailrace.model.segments import Segment
from tailrace.targets.iceberg.commit import MAIN, head_of
from tailrace.targets.iceberg.fields import Fields
from tailrace.targets.iceberg.files import Files
from tailrace.targets.target import Load, LoadedSegment, TableSpec

ROWS: Final = 110_000  # of a load: three files
CUSTOMERS: Final = 7  # so few that files begin and end within one
SEEN: Final[Seen] = {
    ("customer", "S"): AttributeSeen(1),
    ("order", "N"): AttributeSeen(1, NumberRange(True, 9, 0)),
    ("version", "N"): AttributeSeen(1, NumberRange(True, 9, 0)),
}
SPEC: Final = TableSpec(
    "orders", "orders", "current", KeySchema(KeyAttribute("customer", "S"), KeyAttribute("order", "N")), "t"
)


def load(number: int, orders_: range | list[int]) -> Load:
    schema, count = decoded_schema(SEEN), len(orders_)
    spread = [n * 7_919 % 1_000_003 for n in orders_]  # a prime number of places, so each has its own
    columns = [
        pa.array(["u"] * count),
        pa.array([1_790_000_000_000_000] * count, pa.int64()),
        pa.array([f"0001|1|{number * 10**9 + n:040d}" for n in range(count)]),
        pa.nulls(count, pa.bool_()),
        pa.array([f"c{n % CUSTOMERS}" for n in spread]),
        pa.array(spread, pa.int64()),
        pa.array([number] * count, pa.int64()),
    ]
    segment = Segment(number, f"changes/{number}", "stream", count, 1, "0" * 64, 1)
    rows = pa.Table.from_arrays(columns, schema=schema)
    return Load(SPEC, 1, [LoadedSegment(segment, count, 0)], rows, SEEN, 1_790_000_000_000)


class Steps:
    """What a target does to data files, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, name: str, effect: Callable[[], Any]) -> Any:
        if name.endswith(".parquet"):
            self.done.append(name.partition(" ")[0])
        return effect()


def held_files(table: Table) -> list[DataFile]:
    return head_of(table.metadata, MAIN, table.io, lambda name, effect: effect()).files


def span(keys: pa.Table) -> tuple[Any, Any]:
    found = list(zip(*(column.to_pylist() for column in keys.columns), strict=True))
    return min(found), max(found)


def test_runs_become_one_while_a_few_of_their_files_are_held(tmp_path: Path) -> None:
    steps = Steps()
    target = open_target(tmp_path, threads=1, perform=steps)
    for number in range(RUNS_MERGED - 1):
        target.apply(load(number + 1, range(number * ROWS, (number + 1) * ROWS)))
    before = len(orders(tmp_path).inspect.files())
    steps.done.clear()
    changed = list(range(0, 3 * ROWS, 1_000))  # rows of files that are merged are replaced in passing
    target.apply(load(RUNS_MERGED, [*changed, *range(3 * ROWS, 4 * ROWS - len(changed))]))

    table = orders(tmp_path)
    files = held_files(table)
    read = Files(table.io, Fields(table.schema(), {}), "", "", steps).read
    spans = sorted(span(read(file.file_path, ["customer", "order"], {})) for file in files)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))
    assert all(FILE_ROWS_MIN // 2 < file.record_count <= 2 * FILE_ROWS_MIN for file in files)
    rows = table.scan().to_arrow()
    keys = list(zip(rows["customer"].to_pylist(), rows["order"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys) == 4 * ROWS - len(changed)
    versions = dict(zip(rows["order"].to_pylist(), rows["version"].to_pylist(), strict=True))
    assert [versions[n * 7_919 % 1_000_003] for n in changed] == [RUNS_MERGED] * len(changed)
    assert sum(version == 1 for version in versions.values()) == ROWS - ROWS // 1_000

    looked, merging = steps.done[:before], steps.done[before : before + before + len(files)]
    assert set(looked) == {"read"}
    assert merging.count("read") == before
    first_write = merging.index("write")
    assert first_write < before, "what is complete is written before all is read"
    held = list(itertools.accumulate((1 if step == "read" else -1) for step in merging))
    assert max(held) < before, merging


def test_a_load_of_new_keys_reads_one_column_of_what_stands(tmp_path: Path) -> None:
    """And keeps nothing of it."""
    steps = Steps()
    target = open_target(tmp_path, threads=1, perform=steps)
    target.apply(load(1, range(ROWS)))
    steps.done.clear()
    target.apply(load(2, range(ROWS, 2 * ROWS)))
    assert steps.done == [*["read"] * 3, *["write"] * 3]
    table = orders(tmp_path)
    file, files = held_files(table)[0], Files(table.io, Fields(table.schema(), {}), "", "", steps)
    names = ["order", "_tr_pos"]
    assert files.search(file.file_path, names, {}, pa.array([-1], pa.int64())) is None
    found = files.search(file.file_path, names, {}, files.read(file.file_path, ["order"], {})["order"].chunk(0)[7:9])
    assert found is not None
    rows, mask = found
    assert rows.column_names == names
    assert rows.num_rows == file.record_count
    assert [n for n, is_found in enumerate(mask.to_pylist()) if is_found] == [7, 8]
