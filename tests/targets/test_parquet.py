"""Parquet files as a target: the contract, faults at every call of the store, loaders that race, other engines that read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lake_faults import LATER, NARROW, Interrupting, shows_all_or_nothing, struck_everywhere
from lake_place import change_document, lakes_where_asked, location_of, store_of

from tailrace.clock import ManualClock, SystemClock
from tailrace.errors import UserFault
from tailrace.landing import LocalStore, Store
from tailrace.targets.lake import duck
from tailrace.targets.lake.ledger import NAME
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.parquet import target as parquet_target
from tailrace.targets.parquet.layout import DAY_MS
from tailrace.targets.target import Mode
from tailrace.testing.faults import FaultPlan, FaultyStore, effects_of, stopped
from tailrace.testing.target_contract import HISTORY, LOADED_MS, Change, Replica, TargetContract, delete, put


def open_target(place: Path, store: Store | None = None) -> ParquetTarget:
    return ParquetTarget("lake", store or store_of(place), location_of(place), SystemClock())


def tamper(place: Path, sql: str) -> None:
    """What somebody else does to a folder, said in SQL."""
    store = store_of(place)
    if sql.startswith("CREATE"):
        store.create("orders/part-0.parquet", b"PAR1")
    elif sql.startswith("DROP"):
        for listed in list(store.list("orders/v")):
            store.delete(listed.name)
    else:
        assert sql.startswith("DELETE"), sql
        change_document(store, f"orders/{NAME}", tail=[])


class TestParquet(TargetContract):
    """On local disk; with LAKES_ON=s3 on S3 of the embedded AWS (``make lake``)."""

    ignores_case = False
    modes: tuple[Mode, ...] = ("changelog",)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _where(cls) -> Iterator[None]:
        with lakes_where_asked():
            yield

    def make_target(self, place: Path) -> ParquetTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        tamper(place, sql)

    def test_what_was_written_before_there_were_fences_is_refused(self, tmp_path: Path) -> None:
        """There was no such format; a newer one is refused."""
        replica = Replica(self.make_target(tmp_path), "changelog")
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        change_document(store_of(tmp_path), f"orders/{NAME}", format=2)
        for use in (lambda: replica.target.apply(load), lambda: replica.target.ledger(replica.spec)):
            with pytest.raises(UserFault, match="format 2") as error:
                use()
            assert "Upgrade" in error.value.hint


# ---- faults at every call of the store


def plain_rows(place: Path) -> Counter[tuple[str, str]]:
    """What a reader sees who opens the newest version's folder as it is: key and place of each row."""
    versions = sorted((place / "orders").glob("v*"), key=lambda folder: int(folder.name[1:]))
    ledger = place / "orders" / NAME
    version = json.loads(ledger.read_bytes())["version"] if ledger.exists() else 1
    files = [file for folder in versions if folder.name == f"v{version}" for file in folder.rglob("*.parquet")]
    tables = [pq.read_table(file, columns=["pk", "_tr_pos"], partitioning=None) for file in files]
    return Counter(place for table in tables for place in zip(*table.to_pydict().values(), strict=True))


def captured(segments: Sequence[tuple[int, Sequence[Change]]]) -> Counter[tuple[str, str]]:
    return Counter((change.item["pk"]["S"], change.order) for _, changes in segments for change in changes)


def open_faulty(place: Path, store: Any = None, plan: Any = None) -> ParquetTarget:
    return open_target(place, store)


def test_a_fault_at_any_call_leaves_the_load_whole_or_absent_and_no_row_twice(tmp_path: Path) -> None:
    for struck in struck_everywhere(open_faulty, "changelog", tmp_path, (0, 1)):
        number, replica = struck.number, struck.replica
        shows_all_or_nothing(struck)
        seen = plain_rows(struck.place)
        assert seen <= captured(HISTORY[: number + 1]), f"a plain reader sees what is not, or twice: {struck.what}"
        assert seen >= captured(HISTORY[:number]), f"a plain reader misses what was complete: {struck.what}"
        if struck.plan.at % 2:
            replica.apply(HISTORY[number])
        else:  # another loader comes with more
            replica.apply(HISTORY[number], HISTORY[number + 1])
        replica.check()
        loads = number + 1 if struck.plan.at % 2 else number + 2
        assert plain_rows(struck.place) == captured(HISTORY[:loads]), f"files are left that nobody lists: {struck.what}"


@pytest.mark.parametrize("history", [NARROW, HISTORY[:3]], ids=["same types", "wider types"])
def test_two_loaders_at_each_others_heels_leave_each_change_once(tmp_path: Path, history: Any) -> None:
    """One is stopped before any of its calls, while the other one loads the same segments with more, and then goes on."""
    calls = 0
    while True:
        place = tmp_path / str(calls)
        first = Replica(open_target(place), "changelog")
        first.apply(history[0])
        load = first.load(history[1])
        other = Replica(open_target(place), "changelog")
        plan = Interrupting(calls, lambda other=other: (other.apply(*history[1:]), other.apply(LATER)))  # type: ignore[misc]
        open_target(place, FaultyStore(LocalStore(place), plan)).apply(load)
        applied = [*history, LATER] if plan.done else history[:2]
        first.applied.update(applied)
        first.check()
        assert plain_rows(place) == captured(applied)
        document = json.loads((place / "orders" / NAME).read_bytes())
        known = {document["version"], *(retired["version"] for retired in document["retired"])}
        assert {file.relative_to(place / "orders").parts[0] for file in place.rglob("*.parquet")} <= {
            f"v{version}" for version in known
        }
        if not plan.done:
            break
        calls += 1
    assert calls >= 4


def test_a_data_file_that_somebody_removed_is_told_with_what_to_do(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path), "changelog")
    replica.apply((1, [put(1)]))
    replica.apply((2, [put(2, "b")]))
    min((tmp_path / "orders" / "v1").rglob("*.parquet"), key=lambda file: file.name).unlink()
    with pytest.raises(UserFault, match="is gone") as caught:
        replica.shown()
    assert "Restore" in caught.value.hint
    replica.target.apply(replica.load((3, [put(3, "c")])))  # which needs none of the older files


def test_a_former_version_stays_as_it_was_for_who_reads_it(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path), "changelog")
    replica.apply(HISTORY[0])

    def first() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in (tmp_path / "orders" / "v1").rglob("*.parquet")}

    before = first()
    for segment in HISTORY[1:]:
        replica.apply(segment)
    assert replica.kinds()["x"] == "number_text"
    assert first() == before != {}


# ---- snapshots


def on_day(replica: Replica, clock: ManualClock, day: int, *segments: tuple[int, Sequence[Change]]) -> None:
    clock.ms = LOADED_MS // DAY_MS * DAY_MS + day * DAY_MS + 1000
    replica.target.apply(replace(replica.load(*segments), loaded_ms=clock.ms))
    replica.applied.update(segments)


def snapshots(place: Path) -> dict[str, list[tuple[str, int]]]:
    """Complete ones: keys and values by day."""
    found = {}
    for success in sorted((place / "orders").glob("snapshots/*/_SUCCESS")):
        tables = [pq.read_table(success.parent / name) for name in json.loads(success.read_bytes())["files"]]
        assert {file.name for file in success.parent.glob("*.parquet")} == set(
            json.loads(success.read_bytes())["files"]
        )
        found[success.parent.name] = [
            row for t in tables for row in zip(*t.select(["pk", "x"]).to_pydict().values(), strict=True)
        ]
    return found


SNAPSHOT_DAYS = (
    [(1, [put(1, x={"N": "1"}), put(2, "b", x={"N": "2"})])],
    [(2, [put(3, x={"N": "3"})])],
    [(3, [delete(4, "b"), put(5, "c", x={"N": "5"})])],
    [(4, [put(6, "d", x={"N": "6"})])],
)
KEPT = {
    "dt=2026-09-21": [("a", 1), ("b", 2)],
    "dt=2026-09-22": [("a", 3), ("b", 2)],
    "dt=2026-09-24": [("a", 3), ("c", 5)],
}


def load_days(place: Path, store: Store, start: int = 0) -> None:
    clock = ManualClock()
    target = ParquetTarget("lake", store, Location.local(place), clock, snapshots=True)
    for day, segments in list(zip((0, 1, 3, 4), SNAPSHOT_DAYS, strict=True))[start:]:
        on_day(Replica(target, "changelog"), clock, day, *segments)


def test_the_first_load_of_a_day_keeps_what_lived_at_the_end_of_the_last_one(tmp_path: Path) -> None:
    load_days(tmp_path, LocalStore(tmp_path))
    assert snapshots(tmp_path) == KEPT
    load_days(tmp_path, LocalStore(tmp_path))  # everything once more: nothing new
    assert snapshots(tmp_path) == KEPT


def test_a_snapshot_that_breaks_off_anywhere_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_target, "SNAPSHOT_ROWS", 1)
    monkeypatch.setattr(duck, "BATCH_ROWS", 1)
    stage = tmp_path / "stage"
    load_days(stage, LocalStore(stage))
    names = effects_of(
        lambda plan: load_days(tmp_path / "counted", FaultyStore(LocalStore(tmp_path / "counted"), plan))
    )
    strikes = [at for at, (name, _) in enumerate(names, 1) if "snapshots/" in name and name.startswith("create")]
    assert len(strikes) >= 6
    for at in strikes:
        for fault in ("crash_after", "lost_answer"):
            place = tmp_path / f"{at}-{fault}"
            with stopped():
                load_days(place, FaultyStore(LocalStore(place), FaultPlan(at, fault)))  # type: ignore[arg-type]
            assert snapshots(place).items() <= KEPT.items()
            load_days(place, LocalStore(place))
            assert snapshots(place) == KEPT


def test_a_folder_that_was_restored_among_newer_files_is_refused_until_they_are_gone(tmp_path: Path) -> None:
    """Who reads the folder as it is would see their rows twice."""
    replica = Replica(open_target(tmp_path), "changelog")
    replica.apply((1, [put(1)]))
    ledger = tmp_path / "orders" / NAME
    backup, files = ledger.read_bytes(), set(tmp_path.rglob("*.parquet"))
    replica.apply((2, [put(2, "b")]))
    ledger.write_bytes(backup)
    later = replica.load((2, [put(2, "b")]))
    later = replace(later, loaded_ms=later.loaded_ms + 1000)
    for _ in range(2):
        with pytest.raises(UserFault, match="holds a file that its ledger does not know: v1/dt=") as caught:
            replica.target.apply(later)
        assert "restored from a backup" in caught.value.hint
    for path in set(tmp_path.rglob("*.parquet")) - files:
        path.unlink()
    assert replica.target.apply(later).segments == 1
    replica.check()
