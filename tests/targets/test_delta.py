"""Delta tables as a target: the contract, faults at every commit and call, and what deltalake is known for."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lake_faults import LATER, NARROW, Interrupting, shows_all_or_nothing, struck_everywhere
from lake_place import change_document, lakes_where_asked, location_of, store_of

from tailrace.clock import SystemClock
from tailrace.errors import ServiceUnavailable, TailraceError, UserFault
from tailrace.landing import LocalStore, Store
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.delta import target as delta_target
from tailrace.targets.lake import turns
from tailrace.targets.target import Mode
from tailrace.testing.faults import FaultyStore
from tailrace.testing.target_contract import HISTORY, MODES, Replica, TargetContract, delete, put


def open_target(place: Path, store: Store | None = None, **options: Any) -> DeltaTarget:
    return DeltaTarget("lake", store or store_of(place), location_of(place), SystemClock(), **options)


def newest_ledger(place: Path) -> str:
    return max(listed.name for listed in store_of(place).list("orders/_tailrace/ledger/"))


def newest_commit(place: Path) -> str:
    return max(listed.name for listed in store_of(place).list("orders/_delta_log/") if listed.name.endswith(".json"))


def change_ledger(place: Path, **values: Any) -> None:
    """As somebody would who edits a ledger, in the commit and beside it."""
    store, commit = store_of(place), newest_commit(place)
    change_document(store, newest_ledger(place), **values)
    stored, ledger = store.read(commit), store.read(newest_ledger(place)).data
    actions = [json.loads(line) for line in stored.data.splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["tailrace"] = base64.b64encode(zlib.compress(ledger)).decode()
    store.replace(commit, "\n".join(map(json.dumps, actions)).encode(), stored.version)


def commit(place: Path, *actions: dict[str, Any]) -> None:
    """Another writer's commit, action by action."""
    version = DeltaTable(place / "orders").version() + 1
    path = place / "orders" / "_delta_log" / f"{version:020d}.json"
    path.write_text("".join(json.dumps(action) + "\n" for action in actions))


def tamper(place: Path, sql: str) -> None:
    """What somebody else does to a table, said in SQL."""
    store, location = store_of(place), location_of(place)
    if sql.startswith("CREATE TABLE"):
        write_deltalake(f"{location.url}/orders", pa.table({"pk": ["a"]}), storage_options=location.storage_options())
    elif sql.startswith("CREATE"):
        store.create("orders/part-0.parquet", b"PAR1")
    elif sql.startswith("DROP"):
        for listed in list(store.list("orders/_delta_log/")):
            store.delete(listed.name)
    else:
        assert sql.startswith("DELETE"), sql
        change_ledger(place, tail=[])


class TestDelta(TargetContract):
    """On local disk; with LAKES_ON=s3 on S3 of the embedded AWS (``make lake``)."""

    ignores_case = False
    examples = 2

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _where(cls) -> Iterator[None]:
        with lakes_where_asked():
            yield

    def make_target(self, place: Path) -> DeltaTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        tamper(place, sql)

    def test_what_was_written_before_there_were_fences_is_refused(self, tmp_path: Path) -> None:
        """There was no such format; a newer one is refused."""
        replica = Replica(self.make_target(tmp_path))
        replica.apply((1, [put(1)]))
        load = replica.load((2, [put(2)]))
        change_ledger(tmp_path, format=2)
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


@pytest.mark.parametrize("kept", ["commit", "file", "neither"])
def test_the_ledger_is_found_in_the_commit_or_in_the_file_beside_it(tmp_path: Path, kept: str) -> None:
    """A loader may be killed before it writes the file; and logs are not kept for ever."""
    replica = Replica(open_target(tmp_path))
    replica.apply(HISTORY[0])
    before = replica.ledger
    if kept != "file":
        store_of(tmp_path).delete(newest_ledger(tmp_path))
    if kept != "commit":
        table = DeltaTable(tmp_path / "orders")
        table.create_checkpoint()
        for version in range(table.version() + 1):
            store_of(tmp_path).delete(f"orders/_delta_log/{version:020d}.json")
    if kept == "neither":
        with pytest.raises(UserFault, match="has no ledger"):
            replica.target.ledger(replica.spec)
    else:
        assert replica.ledger == before
        replica.check()


# ---- what others do to a table


@pytest.mark.parametrize(
    "protocol",
    [
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"]},
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["columnMapping"]},
        {"minReaderVersion": 2, "minWriterVersion": 5},
    ],
    ids=["deletion vectors", "column mapping", "column mapping of old"],
)
def test_a_table_whose_files_alone_do_not_say_what_its_rows_are_is_refused(
    tmp_path: Path, protocol: dict[str, Any]
) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    load = replica.load((2, [put(3)]))
    features = {"writerFeatures": protocol["readerFeatures"]} if "readerFeatures" in protocol else {}
    commit(tmp_path, {"protocol": {**protocol, **features}})
    for use in (lambda: replica.target.apply(load), replica.shown, lambda: replica.target.query("FROM orders")):
        with pytest.raises(UserFault, match=r"deletionVectors|columnMapping") as caught:
            use()
        assert "DROP FEATURE" in caught.value.hint


@pytest.mark.parametrize("what", ["appendOnly", "rowTracking"])
def test_a_table_that_takes_no_commit_of_ours_is_told_so_at_once(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TRIES", 2)
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    if what == "appendOnly":
        DeltaTable(tmp_path / "orders").alter.set_table_properties({"delta.appendOnly": "true"})
    else:
        features = ["appendOnly", "invariants", "rowTracking", "domainMetadata"]
        commit(tmp_path, {"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}})
    with pytest.raises(UserFault, match=r"append-only|RowTracking") as caught:
        replica.target.apply(replica.load((2, [put(3)])))
    assert "ALTER TABLE" in caught.value.hint
    replica.check()


def test_a_table_that_was_restored_behind_its_ledger_is_refused(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    for number in range(1, 4):
        replica.apply((number, [put(number, f"k{number}")]))
    load = replica.load((4, [put(4)]))
    table = DeltaTable(tmp_path / "orders")
    whole = table.version()
    table.restore(whole - 1)
    DeltaTable(tmp_path / "orders").optimize.compact()  # it is told whatever comes on top
    for use in (lambda: replica.target.apply(load), replica.shown):
        with pytest.raises(UserFault, match=f"by RESTORE, its version {whole + 1}") as caught:
            use()
        assert "version before" in caught.value.hint
    DeltaTable(tmp_path / "orders").restore(whole)
    replica.check()
    replica.apply((4, [put(4)]))
    replica.check()


def test_a_log_that_was_restored_from_a_backup_goes_on_beside_ledgers_that_were_not(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    log = tmp_path / "orders" / "_delta_log"
    replica.apply((1, [put(1)]), (2, [put(2, "b")]))
    shutil.copytree(log, tmp_path / "backup")
    replica.apply((3, [put(3, "c")]))
    replica.apply((4, [put(4, "d")]))
    shutil.rmtree(log)
    shutil.copytree(tmp_path / "backup", log)
    assert replica.ledger.applied_through == 2
    replica.apply((3, [put(3, "c")]), (4, [put(4, "d")]))
    replica.check()
    kept = json.loads(store_of(tmp_path).read(f"orders/_tailrace/ledger/{3:020d}.json").data)
    assert kept["applied_through"] == 4, "as in the log"


def test_a_table_that_was_made_anew_of_other_rows_is_refused(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    commit(tmp_path, {"commitInfo": {"operation": "CREATE OR REPLACE TABLE AS SELECT", "operationParameters": {}}})
    with pytest.raises(UserFault, match="REPLACE TABLE"):
        replica.target.ledger(replica.spec)


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


@pytest.mark.parametrize("history", [NARROW, HISTORY[:3]], ids=["same types", "wider types"])
def test_two_loaders_at_each_others_heels_apply_each_change_once(tmp_path: Path, history: Any) -> None:
    """One is stopped before any of its calls and commits, while the other one loads the same with more, and then goes on."""
    calls = 0
    while True:
        place = tmp_path / str(calls)
        first, other = Replica(open_target(place)), Replica(open_target(place))
        first.apply(history[0])
        load = first.load(history[1])
        plan = Interrupting(calls, lambda other=other: (other.apply(*history[1:]), other.apply(LATER)))  # type: ignore[misc]
        open_target(place, FaultyStore(LocalStore(place), plan), perform=plan.write).apply(load)
        first.applied.update([*history, LATER] if plan.done else history[:2])
        first.check()
        if not plan.done:
            break
        calls += 1
    assert calls >= 4


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


def test_a_load_writes_only_the_files_anew_that_hold_its_keys(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    for number, letter in enumerate("abcd", 1):
        replica.apply((number, [put(10 * number + n, f"{letter}{n}", x={"N": "1"}) for n in range(5)]))
    replica.apply((9, [put(100, "b3", x={"N": "2"}), delete(101, "b4"), put(102, "b9", x={"N": "3"})]))
    replica.check()
    log_file = max((tmp_path / "orders" / "_delta_log").glob("*.json"))
    actions = [next(iter(json.loads(line))) for line in log_file.read_text().splitlines()]
    assert sorted(actions) == ["add", "add", "commitInfo", "remove", "txn"]


def test_keys_longer_than_the_bounds_of_the_log_are_found(tmp_path: Path) -> None:
    """Who puts files together writes bounds of its own, and cuts them."""
    replica = Replica(open_target(tmp_path))
    keys = ["k" * 200 + f"{n:03}" for n in range(9)] + ["\U0001f980" * 50 + str(n) for n in range(3)]
    for number, key in enumerate(keys, 1):
        replica.apply((number, [put(number, key)]))
    DeltaTable(tmp_path / "orders").optimize.compact()
    replica.apply((50, [put(100 + n, key, x={"S": "new"}) for n, key in enumerate(keys)]))
    replica.check()
    assert len(replica.shown()) == len(keys)


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
    monkeypatch.setattr(delta_target, "OPTIMIZE_COMMITS", 2)
    monkeypatch.setattr(delta_target, "VACUUM_COMMITS", 4)
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
    assert (names.count("optimize"), names.count("vacuum")) == (5, 2)
    assert len(list((tmp_path / "orders" / "_tailrace" / "ledger").iterdir())) == 7, "of ten"
    assert len(list((tmp_path / "orders" / "_tailrace").glob("ends/*"))) < 9, "of nine loads"
    assert replica.ledger.applied_through == 9
    assert replica.target.applied(replica.spec, 1) is not None


def test_of_many_deletes_only_those_near_a_load_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_target, "ENDS_MAX", 3)
    monkeypatch.setattr(delta_target, "ENDS_GROUP_ROWS", 10)
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [delete(1000 + n, f"k{n:03}") for n in range(200)]))

    def listed() -> list[str]:
        return [file["path"] for file in json.loads(store_of(tmp_path).read(newest_ledger(tmp_path)).data)["ends"]]

    [many] = listed()
    for number in range(2, 12):
        replica.apply((number, [put(number, f"k{13 * number:03}"), delete(2000 + number, f"d{number}")]))
    replica.apply((12, [put(500 + n, f"k{n:03}") for n in range(0, 200, 7)]))
    assert replica.shown() == {}, "nothing that comes late is brought back"
    assert replica.apply((13, [put(3000, "k077", x={"N": "1"}), put(3001, "d7")])).segments == 1
    replica.check()
    assert many in listed(), "the many are not written again for the sake of a few"
    assert len(listed()) <= 3
    file = tmp_path / "orders" / many
    file.write_bytes(file.read_bytes()[:4] + bytes(600) + file.read_bytes()[604:])  # where the first keys lie
    replica.apply((14, [put(10, "k150")]))
    with pytest.raises(TailraceError):
        replica.apply((15, [put(11, "k001")]))


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

    monkeypatch.setattr(delta_target, "OPTIMIZE_COMMITS", 1)
    replica = Replica(open_target(tmp_path, perform=failing))
    assert replica.apply((1, [put(1)])).segments == 1
    replica.check()
    assert "struck" in caplog.text
