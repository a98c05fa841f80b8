"""Parquet files as a target: the contract, faults at every call of the store, loaders that race, other engines that read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tailrace.clock import SystemClock
from tailrace.errors import UserFault
from tailrace.landing import LocalStore, Store
from tailrace.targets.lake.ledger import NAME
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.target import Mode
from tailrace.testing.target_contract import Replica, TargetContract, put


def open_target(place: Path, store: Store | None = None) -> ParquetTarget:
    return ParquetTarget("lake", store or LocalStore(place), Location.local(place), SystemClock())


def tamper(place: Path, sql: str) -> None:
    """What somebody else does to a folder, said in SQL."""
    folder = place / "orders"
    if sql.startswith("CREATE"):
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_bytes(b"PAR1")
    elif sql.startswith("DROP"):
        for version in folder.glob("v*"):
            shutil.rmtree(version)
    else:
        assert sql.startswith("DELETE"), sql
        document = json.loads((folder / NAME).read_bytes())
        (folder / NAME).write_text(json.dumps({**document, "tail": []}))


class TestParquet(TargetContract):
    ignores_case = False
    modes: tuple[Mode, ...] = ("changelog",)

    def make_target(self, place: Path) -> ParquetTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        tamper(place, sql)

    def test_what_was_written_before_there_were_fences_is_refused(self, tmp_path: Path) -> None:
        """There was no such format; a newer one is refused."""
        replica = Replica(self.make_target(tmp_path), "changelog")
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        ledger = tmp_path / "orders" / NAME
        ledger.write_text(json.dumps({**json.loads(ledger.read_bytes()), "format": 2}))
        for use in (lambda: replica.target.apply(load), lambda: replica.target.ledger(replica.spec)):
            with pytest.raises(UserFault, match="format 2") as error:
                use()
            assert "Upgrade" in error.value.hint
