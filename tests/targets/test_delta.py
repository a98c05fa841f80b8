"""Delta tables as a target: the contract, faults at every commit and call, and what deltalake is known for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tailrace.clock import SystemClock
from tailrace.errors import UserFault
from tailrace.landing import LocalStore, Store
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.lake.location import Location
from tailrace.testing.target_contract import Replica, TargetContract, put


def open_target(place: Path, store: Store | None = None, **options: Any) -> DeltaTarget:
    return DeltaTarget("lake", store or LocalStore(place), Location.local(place), SystemClock(), **options)


def newest_ledger(place: Path) -> Path:
    return max((place / "orders" / "_tailrace" / "ledger").iterdir())


def tamper(place: Path, sql: str) -> None:
    """What somebody else does to a folder, said in SQL."""
    folder = place / "orders"
    if sql.startswith("CREATE TABLE"):
        write_deltalake(folder, pa.table({"pk": ["a"]}))
    elif sql.startswith("CREATE"):
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_bytes(b"PAR1")
    elif sql.startswith("DROP"):
        shutil.rmtree(folder / "_delta_log")
    else:
        assert sql.startswith("DELETE"), sql
        ledger = newest_ledger(place)
        ledger.write_text(json.dumps({**json.loads(ledger.read_bytes()), "tail": []}))


class TestDelta(TargetContract):
    ignores_case = False

    def make_target(self, place: Path) -> DeltaTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        tamper(place, sql)

    def test_what_was_written_before_there_were_fences_is_refused(self, tmp_path: Path) -> None:
        """There was no such format; a newer one is refused."""
        replica = Replica(self.make_target(tmp_path))
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        ledger = newest_ledger(tmp_path)
        ledger.write_text(json.dumps({**json.loads(ledger.read_bytes()), "format": 2}))
        for use in (lambda: replica.target.apply(load), lambda: replica.target.ledger(replica.spec)):
            with pytest.raises(UserFault, match="format 2") as error:
                use()
            assert "Upgrade" in error.value.hint
