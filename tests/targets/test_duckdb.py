"""DuckDB as a target: the contract, and what only a file can do."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tailrace.clock import SystemClock
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.testing.target_contract import TargetContract

FILE = "warehouse.duckdb"


class TestDuckDb(TargetContract):
    def make_target(self, place: Path) -> DuckDbTarget:
        return DuckDbTarget("local", place / FILE, SystemClock())

    def tamper(self, place: Path, sql: str) -> None:
        place.mkdir(exist_ok=True)
        with duckdb.connect(str(place / FILE)) as connection:
            connection.execute(sql)
