"""The examples of reading lake tables, each run as it stands over a table that was just loaded."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tailrace.clock import SystemClock
from tailrace.landing import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.testing.target_contract import Change, Replica

EXAMPLES = Path(__file__).parents[2] / "examples" / "lake"
KEYS = KeySchema(KeyAttribute("order_id", "S"))
ANSWER = [("open", 2), ("sent", 1)]


def change(position: int, key: str, status: str = "") -> Change:
    item = {"order_id": {"S": key}, **({"status": {"S": status}} if status else {})}
    return Change("u" if status else "d", item, position)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lake")
    for kind, mode in ((ParquetTarget, "changelog"), (DeltaTarget, "current")):
        folder = place / kind.kind
        replica = Replica(kind("lake", LocalStore(folder), Location.local(folder), SystemClock()), mode, KEYS)  # type: ignore[arg-type]
        replica.apply((1, [change(1, "1"), change(2, "2", "open"), change(3, "3", "open"), change(4, "4", "open")]))
        replica.apply((2, [change(5, "2", "sent"), change(6, "5", "sent"), change(7, "1", "open"), change(8, "5")]))
        replica.apply((3, [change(9, "4")]))
    return place


@pytest.mark.parametrize("name", ["parquet_polars.py", "parquet_pyarrow.py", "delta_polars.py"])
def test_a_script_gives_the_answer(place: Path, name: str) -> None:
    folder = place / "parquet/orders/v1" if name.startswith("parquet") else place / "delta/orders"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split("\n") == [*(f"{status} {count}" for status, count in ANSWER), ""], done.stderr


@pytest.mark.parametrize("name", ["parquet_duckdb.sql", "delta_duckdb.sql"])
def test_a_statement_gives_the_answer(place: Path, name: str) -> None:
    folder = place / "parquet/orders/v1" if name.startswith("parquet") else place / "delta/orders"
    with duckdb.connect() as connection:
        if name.startswith("delta"):
            spec = importlib.util.find_spec("duckdb_extension_delta")
            assert spec is not None
            assert spec.origin is not None
            [extension] = Path(spec.origin).parent.rglob("delta.duckdb_extension")
            connection.execute(f"LOAD '{extension}'")
        assert connection.execute((EXAMPLES / name).read_text().replace("FOLDER", str(folder))).fetchall() == ANSWER


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"]({file.name})" in listed for file in EXAMPLES.iterdir() if file.name != "README.md")
