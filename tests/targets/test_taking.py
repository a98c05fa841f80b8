"""Taking rows by the way for large tables is taking rows, and a column may have more than one Arrow array can hold."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from iceberg_place import open_target

from tailrace.targets import taking
from tailrace.targets.taking import combined, taken, whole_file
from tailrace.testing.target_contract import HISTORY, MODES, Replica

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("number", pa.decimal128(38, 2)),
        pa.field("texts", pa.list_(pa.string())),
        pa.field("flag", pa.bool_()),
        pa.field("line", pa.int64()),
    ]
)


def some_rows(count: int, chunk: int) -> pa.Table:
    rows = [
        {
            "text": None if n % 7 == 0 else "x" * (n % 50),
            "number": Decimal(n) / 100,
            "texts": None if n % 5 == 0 else ["é"] * (n % 9),
            "flag": n % 3 == 0,
            "line": n,
        }
        for n in range(count)
    ]
    return pa.concat_tables(
        [SCHEMA.empty_table(), *(pa.Table.from_pylist(rows[n : n + chunk], SCHEMA) for n in range(0, count, chunk))]
    )


@pytest.mark.parametrize("chunk", [3, 40, 1000])
@pytest.mark.parametrize("limit", [1, 200, 3000])
def test_rows_of_a_large_table_are_taken_as_those_of_a_small_one(
    monkeypatch: pytest.MonkeyPatch, chunk: int, limit: int
) -> None:
    rows = some_rows(300, chunk)
    for count, seed in ((0, 0), (1, 1), (17, 2), (300, 3)):
        lines = pa.array(random.Random(seed).sample(range(300), count), pa.uint64())
        expected = rows.take(lines)
        monkeypatch.setattr(taking, "ARRAY_BYTES", limit)
        for spelled in (lines, pa.chunked_array([lines.slice(0, 5), lines.slice(5)])):
            found = taken(rows, spelled)
            assert found.equals(expected)
            assert count < 17 or found["text"].num_chunks > 1
        assert combined(rows).equals(rows)
        monkeypatch.undo()


@pytest.mark.parametrize("nested", [False, True], ids=["text", "list of text"])
def test_a_column_may_have_more_than_an_array_holds(nested: bool) -> None:
    """2.2 GB, of which every chunk is the same 10 MB."""
    text = "x" * 1_000_000
    values: list[Any] = [[text] if nested else text] * 10
    many = pa.chunked_array([pa.array(values)] * 220)
    rows = pa.table({"value": many, "line": pa.array(range(2200))})
    with pytest.raises(pa.ArrowInvalid, match="offset overflow"):
        rows.take(pa.array([0]))
    found = taken(rows, pa.array([2199, 5, 1000]))
    assert found["line"].to_pylist() == [2199, 5, 1000]
    assert found["value"].to_pylist() == values[:3]
    assert combined(rows).num_rows == 2200


def test_lists_that_arrow_does_not_read_at_once_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = some_rows(300, 40)
    pq.write_table(rows, tmp_path / "rows.parquet")

    class Large(pq.ParquetFile):  # type: ignore[misc]
        def read(self, *args: Any, **options: Any) -> Any:
            raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")

    monkeypatch.setattr(taking, "FEW_ROWS", 7)
    for names in (["texts", "line"], ["line"]):
        found = whole_file(Large(tmp_path / "rows.parquet"), names)
        assert found.equals(rows.select(names))


@pytest.mark.parametrize("mode", MODES)
def test_loads_that_are_too_large_for_one_array_come_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(taking, "ARRAY_BYTES", 40)
    replica = Replica(open_target(tmp_path), mode)
    for segment in HISTORY:
        replica.apply(segment)
        replica.check()
