"""What others see: every engine reads every lake alike, whatever the table went through, and at any moment whole loads.

Spark is asked the same in tests/spark.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lake_engines import CASES, MODES_OF, Case, Lake, Rows, by_duckdb, by_polars, by_pyarrow, loaded, open_lake, shown

from tailrace.testing.target_contract import Replica, put


@pytest.fixture(scope="module", params=CASES, ids=str)
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    case: Case = request.param
    return loaded(case, tmp_path_factory.mktemp(case.kind))


@pytest.mark.filterwarnings("ignore:Iceberg scan planning:polars.exceptions.PerformanceWarning")
@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_pyarrow])
def test_every_engine_reads_every_lake_alike(lake: Lake, read: Callable[[Lake], Rows]) -> None:
    assert shown(read(lake)) == lake.rows


LOADS = int(os.environ.get("LOADS", "60"))  # ``make lake`` has 200
WIDER = LOADS // 2  # from this load on numbers have a fraction, for which files are written anew
POLL_SECONDS = 0.02  # between two looks, so that most of the time is the loads
HOUR = 3_600_000_000  # in positions: so a load of Parquet has files in two folders


@pytest.mark.parametrize("kind", MODES_OF)
def test_a_reader_who_polls_sees_no_part_of_a_load_and_no_key_that_goes_back(kind: str, tmp_path: Path) -> None:
    """Each load writes all keys: who sees two loads in two keys sees a part of one."""
    replica = Replica(open_lake(kind, tmp_path), MODES_OF[kind][0])

    def load(number: int) -> None:
        x = {"N": f"{number}.5" if number >= WIDER else str(number)}
        replica.apply((number, [put(key % 2 * HOUR + 10 * number + key, f"k{key}", x=x) for key in range(5)]))

    stop, seen = threading.Event(), list[list[dict[str, Any]]]()

    def poll() -> None:
        reader = open_lake(kind, tmp_path)
        while not stop.wait(POLL_SECONDS):
            seen.append(reader.query("SELECT max(x) AS x, count(*) AS rows FROM orders GROUP BY pk").to_pylist())

    load(1)
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll)
        try:
            for number in range(2, LOADS + 1):
                load(number)
        finally:
            stop.set()
        polling.result()
    newest = [max(int(row["x"]) for row in rows) for rows in seen]
    for number, rows in zip(newest, seen, strict=True):
        x = number + 0.5 if number >= WIDER else number
        assert rows == [{"x": x, "rows": number if kind == "parquet" else 1}] * 5
    assert newest == sorted(newest)
    assert len(set(newest)) > 5
