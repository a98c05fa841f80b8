"""Delta tables as a target: the contract, faults at every commit and call, and what deltalake is known for."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lake_faults import shows_all_or_nothing, struck_everywhere

from tailrace.clock import SystemClock
from tailrace.errors import ServiceUnavailable, TailraceError, UserFault
from tailrace.landing import LocalStore, Store
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.delta import target as delta_target
from tailrace.targets.lake.location import Location
from tailrace.targets.target import Mode
from tailrace.testing.target_contract import HISTORY, MODES, Replica, TargetContract, delete, put


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
    examples = 2

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


# ---- faults at every commit and every call of the store


def open_faulty(place: Path, store: Any = None, plan: Any = None) -> DeltaTarget:
    return open_target(place, store, **({} if plan is None else {"perform": plan.write}))


def test_a_fault_at_any_call_leaves_the_load_whole_or_absent(tmp_path: Path) -> None:
    for struck in struck_everywhere(open_faulty, "current", tmp_path, (0, 2)):
        shows_all_or_nothing(struck)
        struck.replica.apply(HISTORY[struck.number])
        struck.replica.check()


def test_a_commit_whose_answer_was_lost_is_found_in_the_log(tmp_path: Path) -> None:
    def lost(name: str, effect: Any) -> Any:
        effect()
        raise OSError("the connection broke")

    replica = Replica(open_target(tmp_path))
    replica.apply(HISTORY[0])
    load = replica.load(HISTORY[1])
    applied = open_target(tmp_path, perform=lost).apply(load)
    assert (applied.segments, applied.skipped) == (1, 0)
    replica.applied.update([HISTORY[1]])
    replica.check()


def test_a_commit_that_did_not_happen_is_told_so(tmp_path: Path) -> None:
    def never(name: str, effect: Any) -> Any:
        raise OSError("no space left on device\nand more")

    replica = Replica(open_target(tmp_path))
    replica.apply(HISTORY[0])
    with pytest.raises(ServiceUnavailable, match="no space left on device") as caught:
        open_target(tmp_path, perform=never).apply(replica.load(HISTORY[1]))
    assert caught.value.hint
    replica.check()


def test_the_ledger_is_found_in_the_commit_where_the_file_beside_it_is_gone(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply(HISTORY[0])
    before = replica.ledger
    newest_ledger(tmp_path).unlink()
    assert replica.ledger == before
    assert newest_ledger(tmp_path).exists()


def test_a_commit_of_somebody_else_between_reading_and_committing_makes_the_load_look_again(tmp_path: Path) -> None:
    tries = []

    def disturbed(name: str, effect: Any) -> Any:
        tries.append(name)
        if len(tries) == 1:
            DeltaTable(tmp_path / "orders").optimize.compact()
        return effect()

    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, x={"N": "1"}), put(2, "b")]))
    replica.apply((2, [put(3, "c", x={"N": "1"})]))  # two files, so there is something to compact
    segment = (3, [put(4, x={"N": "2"}), delete(5, "b")])
    applied = open_target(tmp_path, perform=disturbed).apply(replica.load(segment))
    replica.applied.update([segment])
    assert (applied.segments, tries) == (1, ["rows", "rows"])
    replica.check()


@pytest.mark.parametrize("first", [(), ((1, [put(1)]),)], ids=["no table", "a new column"])
def test_another_loader_between_the_commit_of_columns_and_that_of_rows_does_the_work_once(
    tmp_path: Path, first: tuple[Any, ...]
) -> None:
    """Both bring the same segment; the slower one has made the columns, and finds the quicker one's rows."""
    replica, other = (Replica(open_target(tmp_path), "changelog") for _ in range(2))
    for each in first:
        replica.apply(each)
    segment = (2, [put(2, "b", x={"N": "1"})])
    load = replica.load(segment)

    def overtaken(name: str, effect: Any) -> Any:
        effect()
        if name == "columns":
            assert other.apply(segment).segments == 1

    applied = open_target(tmp_path, perform=overtaken).apply(load)
    assert (applied.segments, applied.skipped) == (0, 1)
    replica.applied.update([segment])
    replica.check()


def test_a_data_file_that_somebody_removed_is_told_with_what_to_do(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    load = replica.load((2, [put(3)]))
    next((tmp_path / "orders").glob("*.parquet")).unlink()
    for use in (replica.shown, lambda: replica.target.apply(load), lambda: replica.target.query("FROM orders")):
        with pytest.raises(TailraceError) as caught:
            use()
        assert caught.value.hint
    with pytest.raises(UserFault, match="is gone"):
        replica.shown()


# ---- what deltalake is known for


@pytest.mark.parametrize("count", [8_193, 100_001])
def test_files_of_many_rows_are_changed_exactly(tmp_path: Path, count: int) -> None:
    """deltalake's MERGE once reported false duplicates where a file had more than 8,192 rows (delta-rs 4471)."""
    replica = Replica(open_target(tmp_path))
    replica.target.apply(replica.load((1, [put(n, f"k{n:06}", x={"N": str(n)}) for n in range(1, count + 1)])))
    changes = [put(count + n, f"k{n:06}", x={"N": "-1"}) for n in range(1, count, 2)]
    changes += [delete(3 * count + n, f"k{n:06}") for n in range(2, count, 50)]
    changes += [put(5 * count + n, f"z{n:06}", x={"N": "-2"}) for n in range(100)]
    replica.target.apply(replica.load((2, changes)))
    [shown] = replica.target.query(
        "SELECT count(*) AS n, count(DISTINCT pk) AS keys, count(*) FILTER (x = -1) AS updated,"
        " count(*) FILTER (x = -2) AS added, sum(x) FILTER (x > 0) AS kept FROM orders"
    ).to_pylist()
    deleted = len(range(2, count, 50))
    kept = [n for n in range(1, count + 1) if (n % 2 == 0 and n not in range(2, count, 50)) or (n == count and n % 2)]
    assert (shown["n"], shown["keys"]) == (count - deleted + 100, count - deleted + 100)
    assert (shown["updated"], shown["added"], int(shown["kept"])) == (len(range(1, count, 2)), 100, sum(kept))
    assert replica.ledger.rows == shown["n"]


@pytest.mark.parametrize("mode", MODES)
def test_tidying_up_keeps_rows_and_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    monkeypatch.setattr(delta_target, "MAINTAIN_COMMITS", 4)
    monkeypatch.setattr(delta_target, "ENDS_MAX", 2)
    names = []

    def noted(name: str, effect: Any) -> Any:
        names.append(name)
        return effect()

    replica = Replica(open_target(tmp_path, perform=noted), mode)
    for number in range(1, 10):
        replica.apply((number, [put(number, f"k{number}"), delete(100 + number, f"k{number - 1}")]))
    replica.check()
    operations = [commit["operation"] for commit in DeltaTable(tmp_path / "orders").history()]
    assert "OPTIMIZE" in operations or mode == "current", "there each load leaves one row, and so one file"
    assert names.count("vacuum") == names.count("optimize") == 2
    assert len(list((tmp_path / "orders" / "_tailrace" / "ledger").iterdir())) == 7, "of ten"
    assert len(list((tmp_path / "orders" / "_tailrace").glob("ends/*"))) < 9, "of nine loads"
    assert replica.ledger.applied_through == 9
    assert replica.target.applied(replica.spec, 1) is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_vacuum_of_somebody_else_leaves_the_ledger_and_the_deletes(tmp_path: Path, mode: Mode) -> None:
    replica = Replica(open_target(tmp_path), mode)
    for segment in HISTORY[:3]:
        replica.apply(segment)
    beside = sorted((tmp_path / "orders" / "_tailrace").rglob("*.*"))
    removed = DeltaTable(tmp_path / "orders").vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert removed or mode == "changelog"
    assert sorted((tmp_path / "orders" / "_tailrace").rglob("*.*")) == beside
    for segment in HISTORY[3:]:
        replica.apply(segment)
    replica.check()


def test_tidying_up_that_fails_ends_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(name: str, effect: Any) -> Any:
        if name in ("optimize", "vacuum"):
            raise OSError("struck")
        return effect()

    monkeypatch.setattr(delta_target, "MAINTAIN_COMMITS", 1)
    replica = Replica(open_target(tmp_path, perform=failing))
    assert replica.apply((1, [put(1)])).segments == 1
    replica.check()
    assert "struck" in caplog.text


def test_a_reader_who_polls_never_sees_a_part_of_a_load(tmp_path: Path) -> None:
    """Each load moves a sum from one key to another: whoever sees a part of one sees another total."""
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, x={"N": "50"}), put(2, "b", x={"N": "50"})]))
    stop, seen = threading.Event(), []

    def poll() -> None:
        reader = open_target(tmp_path)
        while not stop.is_set():
            seen.append(reader.query("SELECT sum(x) AS total, max(_tr_pos) AS newest FROM orders").to_pylist()[0])

    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll)
        for number in range(2, 30):
            moved = {"N": str(50 - number)}, {"N": str(50 + number)}
            replica.apply((number, [put(10 * number, x=moved[0]), put(10 * number + 1, "b", x=moved[1])]))
        stop.set()
        polling.result()
    assert {int(row["total"]) for row in seen} == {100}
    places = [row["newest"] for row in seen]
    assert places == sorted(places)
    assert len(set(places)) > 5
