"""Iceberg as a target: faults at every effect, other writers, readers meanwhile, killed loaders, upkeep."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from iceberg_place import NAMESPACE, At, catalog_of, open_target, orders
from pyiceberg.manifest import DataFileContent, ManifestContent, ManifestEntry, write_manifest, write_manifest_list
from pyiceberg.table import Table
from pyiceberg.table.update import AddSnapshotUpdate

from tailrace.decide import lake
from tailrace.errors import OutcomeUnknown, TailraceError, TargetContended, UserFault
from tailrace.model.keys import KeySchema
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.iceberg import IcebergTarget, pages
from tailrace.targets.iceberg.commit import Writer, head_of
from tailrace.targets.iceberg.found import STATE
from tailrace.targets.target import LedgerRow
from tailrace.testing.target_contract import (
    BINARY,
    HISTORY,
    MIXED,
    NUMBER,
    PK,
    Change,
    Replica,
    delete,
    put,
)

# ---- faults at every effect


def replica_after(place: Path, loads: int, **options: Any) -> Replica:
    """What a lake in `place` should show after so many loads; the mode is the folder's name."""
    mode: Any = place.name
    replica = Replica(open_target(place, threads=1, **options), mode)
    replica.applied = dict(HISTORY[:loads])
    return replica


@pytest.fixture(scope="module", params=["current", "history"])
def stages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lake after two loads of the history; a third one widens columns, deletes, and comes with a hole before it."""
    place = tmp_path_factory.mktemp("stage") / request.param
    replica = replica_after(place, 0)
    for load in HISTORY[:2]:
        replica.apply(load)
    replica.check()
    kept = place.with_name(f"kept-{request.param}")
    shutil.copytree(place, kept)
    yield place
    shutil.rmtree(kept)


def fresh(stage: Path) -> Path:
    """The lake as it was: paths in its metadata are whole, so it lies where it lay."""
    shutil.rmtree(stage)
    shutil.copytree(stage.with_name(f"kept-{stage.name}"), stage)
    return stage


def striking(at: int, names: list[str], *, before: bool) -> Perform:
    """Effect number `at` fails, before it is done or after."""

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        names.append(name)
        if len(names) - 1 != at:
            return effect()
        if not before:
            effect()
        raise OSError(f"struck at {name}")

    return perform


def lying_about(place: Path) -> set[Path]:
    """Files of the table that no snapshot of it refers to."""
    table = orders(place)
    held = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.metadata.snapshots:
        held.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            held.add(manifest.manifest_path)
            held.update(e.data_file.file_path for e in manifest.fetch_manifest_entry(table.io, discard_deleted=False))
    files = {path for path in (place / "warehouse").rglob("*") if path.is_file()}
    return {path for path in files if f"file://{path}" not in held}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_fault_at_any_effect_leaves_the_old_state_or_the_new_and_no_file_behind(stages: Path, before: bool) -> None:
    number = 2
    load = replica_after(fresh(stages), number).load(HISTORY[number])
    effects: list[str] = []
    open_target(stages, threads=1, perform=striking(-1, effects, before=True)).apply(load)
    assert {"load table", "commit"} <= set(effects)
    assert sum(name.startswith("write ") for name in effects) >= 3
    known = lying_about(fresh(stages))
    for at, effect in enumerate(effects):
        place = fresh(stages)
        names: list[str] = []
        struck = open_target(place, threads=1, perform=striking(at, names, before=before))
        if effect == "commit" and not before:
            assert struck.apply(load).segments == 1, "its mark is found in the summary"
        else:
            with pytest.raises(TailraceError) as raised:
                struck.apply(load)
            assert raised.value.hint
            assert isinstance(raised.value, OutcomeUnknown) == (effect == "commit")
            replica_after(place, number).check()
            if effect != "commit":  # after it nobody knows, so files stay
                assert lying_about(place) == known, effect
        replica = replica_after(place, number)
        replica.apply(HISTORY[number])
        replica.check()
        assert replica.ledger.holds(HISTORY[number][0])


def test_an_unknown_commit_that_cannot_be_looked_up_is_found_in_the_ledger(stages: Path) -> None:
    load = replica_after(fresh(stages), 2).load(HISTORY[2])

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if perform.committed:  # type: ignore[attr-defined]
            raise OSError("the network is gone")
        done = effect()
        if name == "commit":
            perform.committed = True  # type: ignore[attr-defined]
            raise OSError("the answer was lost")
        return done

    perform.committed = False  # type: ignore[attr-defined]
    with pytest.raises(OutcomeUnknown) as raised:
        open_target(stages, threads=1, perform=perform).apply(load)
    assert "ledger" in raised.value.hint
    replica = replica_after(stages, 3)
    replica.check()
    assert (applied := replica.target.apply(load)).segments == 0
    assert applied.skipped == 1


def test_a_first_load_may_fail_anywhere(tmp_path: Path) -> None:
    effects: list[str] = []
    first = (1, [put(1), delete(2, "b")])
    target = open_target(tmp_path / "count", threads=1, perform=striking(-1, effects, before=True))
    target.apply(Replica(target).load(first))
    assert {"create namespace", "create table"} <= set(effects)
    for at in range(len(effects)):
        for before in (True, False):
            place = tmp_path / f"{at}-{before}"
            load = Replica(open_target(place)).load(first)
            with suppress(TailraceError):
                open_target(place, threads=1, perform=striking(at, [], before=before)).apply(load)
            replica = Replica(open_target(place))
            assert replica.shown() in ({}, {'["a"]': ("u", put(1).order, {("pk", "S"): "a"})})
            replica.apply(first)
            replica.check()


# ---- other writers


def interrupted(place: Path, other: Callable[[], Any], times: int = 1) -> IcebergTarget:
    """A target before whose commits something else happens."""
    left = iter(range(times))

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if name == "commit" and next(left, None) is not None:
            other()
        return effect()

    return open_target(place, threads=1, perform=perform)


def elsewhere(effect: Callable[[], Any]) -> None:
    """As another process would: not behind this one's locks."""
    from tailrace.targets.iceberg import loading

    held, loading._locks = loading._locks, {}
    try:
        effect()
    finally:
        loading._locks = held


def test_a_load_that_meets_another_one_is_made_anew_against_its_snapshot(stages: Path) -> None:
    other = replica_after(fresh(stages), 2)
    load = other.load(HISTORY[2])
    known = lying_about(stages)
    target = interrupted(stages, lambda: elsewhere(lambda: other.apply(HISTORY[3])))
    assert target.apply(load).segments == 1
    other.applied.update([HISTORY[2]])
    other.check()
    assert lying_about(stages) == known, "what the first attempt wrote is taken back"


def test_the_same_segments_in_two_loaders_count_once(stages: Path) -> None:
    other = replica_after(fresh(stages), 2)
    load = other.load(HISTORY[2])
    target = interrupted(stages, lambda: elsewhere(lambda: other.apply(HISTORY[2])))
    applied = target.apply(load)
    assert (applied.segments, applied.skipped) == (0, 1)
    other.check()


def test_who_is_always_second_gives_up_for_now(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    load = replica.load((2, [put(2)]))
    numbers = iter(range(10, 100))

    def other() -> None:
        number = next(numbers)
        elsewhere(lambda: replica.apply((number, [put(number, f"k{number}")])))

    with pytest.raises(TargetContended) as raised:
        interrupted(tmp_path, other, times=100).apply(load)
    assert raised.value.hint
    replica.apply((2, [put(2)]))
    replica.check()


def test_what_another_engine_rewrote_meanwhile_stays(tmp_path: Path) -> None:
    """A compaction by somebody else moves rows into other files; the load is made anew against them."""
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b", x={"N": "1"})]))

    def compact() -> None:
        table = orders(tmp_path)
        table.overwrite(table.scan().to_arrow())

    load = replica.load((2, [put(3, "b", x={"N": "2"}), delete(4)]))
    assert interrupted(tmp_path, compact).apply(load).segments == 1
    replica.applied[2] = [put(3, "b", x={"N": "2"}), delete(4)]
    replica.check()


# ---- other processes

LOADER = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_iceberg_faults import HISTORY, replica_after
    place, moment = Path({place!r}), {moment!r}

    def perform(name, effect):
        is_struck = name == {name!r} or ({name!r} == "write" and name.startswith("write "))
        if is_struck and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = effect()
        if is_struck:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    replica_after(place, 2, perform=perform).apply(HISTORY[2])
"""


@pytest.mark.processes
@pytest.mark.parametrize(("name", "moment"), [("write", "after"), ("commit", "before"), ("commit", "after")])
def test_a_loader_that_is_killed_leaves_the_old_state_or_the_new(stages: Path, name: str, moment: str) -> None:
    place = fresh(stages)
    script = textwrap.dedent(LOADER).format(
        tests=str(Path(__file__).parent), place=str(place), name=name, moment=moment
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    replica = replica_after(place, 3 if (name, moment) == ("commit", "after") else 2)
    replica.check()
    replica.apply(HISTORY[2])
    replica.check()


def test_old_ledger_rows_are_kept_in_a_table_of_their_own(tmp_path: Path) -> None:
    replica, target = Replica(open_target(tmp_path), "changelog"), open_target(tmp_path)
    for first in (1, 151, 301, 302):
        last = min(first + 149, 301) if first < 301 else first
        replica.apply(*[(number, [put(number)]) for number in range(first, last + 1)])
    assert len(replica.ledger.recent) == 100
    assert target.query("SELECT count(DISTINCT number) AS n, min(number) AS m FROM tailrace_ledger").to_pylist() == [
        {"n": 200, "m": 1}
    ]
    for number in (1, 100, 200, 201, 302):
        row = target.applied(replica.spec, number)
        assert row is not None
        assert (row.number, row.segment, row.rows) == (number, f"changes/{number}", 1)
    assert target.applied(replica.spec, 303) is None
    state = json.loads(orders(tmp_path).properties[STATE])
    assert len(state["recent"]) == 102
    catalog_of(tmp_path).drop_table((*NAMESPACE, "tailrace_ledger"))
    with pytest.raises(UserFault, match="no longer has the ledger row of segment 1"):
        target.applied(replica.spec, 1)


def test_the_table_of_old_ledger_rows_does_not_keep_a_snapshot_of_each_append(tmp_path: Path) -> None:
    target = open_target(tmp_path)
    Replica(target).apply((1, [put(1)]))
    lake, table = target.lake, orders(tmp_path)
    now_ms = lake.clock.now_ms()
    for number in range(1, 26):
        row = LedgerRow(number, f"changes/{number}", 1, "0" * 64, 1, 0, 100, 1, 1, 1, 1)
        pages.put_aside(lake.tables, table, [row], lake.perform, now_ms + (number == 25) * 25 * 3_600_000)
    ledger = lake.tables.load(pages.NAME)
    assert ledger is not None
    assert len(ledger.metadata.snapshots) == 1
    folder = tmp_path / "warehouse" / "lake" / pages.NAME / "metadata"
    assert len(list(folder.glob("*.metadata.json"))) == 21
    assert len(list(folder.glob("snap-*"))) == 1
    assert target.query(f"SELECT count(DISTINCT number) AS n FROM {pages.NAME}").to_pylist() == [{"n": 25}]
    found = pages.find_row(lake.tables, table, 7, lake.perform)
    assert found is not None
    assert found.segment == "changes/7"


# ---- many files


@pytest.mark.parametrize("keys", [PK, NUMBER, BINARY, MIXED], ids=["S", "N", "B", "NB"])
@pytest.mark.parametrize("mode", ["current", "history"])
def test_rows_are_found_in_the_file_that_holds_them_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any, keys: KeySchema
) -> None:
    """With files of one or two rows every bound of a file is a key, and every merge and cut has its turn."""
    monkeypatch.setattr(lake, "FILE_ROWS_MIN", 1)
    monkeypatch.setattr(lake, "FILES_WANTED", 1000)
    chance = random.Random(f"{mode}{keys}")
    replica = Replica(open_target(tmp_path), mode, keys)
    position, made = 10**21, [_key(chance, keys) for _ in range(40)]
    for number in range(1, 9):
        changes = []
        for _ in range(12):
            position += chance.randrange(1, 10**20)
            key = chance.choice(made)
            op = chance.choice("uuud")
            values = {} if op == "d" else {"x": {"N": chance.choice(["1", "2.5", "-7", "1E-130"][: number // 3 + 1])}}
            changes.append(Change(op, {**key, **values}, position))  # type: ignore[arg-type]
        replica.apply((number, changes))
        assert replica.shown() == replica.expected()
    replica.check()
    assert len(list(orders(tmp_path).scan().plan_files())) > 5


def _key(chance: random.Random, keys: KeySchema) -> dict[str, dict[str, str]]:
    numbers = ("0", "-0.5", "7", "-20", "100", "1E-7", "12345678901234567890", "0.25", "-1", "9.99", "1.5", "3", "-300")
    made: dict[str, Callable[[], str]] = {
        "S": lambda: "".join(chance.choices("aé\0\U0001f980zZ", k=chance.randrange(1, 4))),
        "N": lambda: chance.choice(numbers),
        "B": lambda: base64.b64encode(bytes(chance.choices([0, 65, 127, 128, 255], k=chance.randrange(1, 4)))).decode(),
    }
    return {a.name: {a.tag: made[a.tag]()} for a in keys.attributes}


# ---- upkeep


def test_old_snapshots_go_with_what_only_they_held(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    for number in range(1, 31):
        replica.apply((number, [put(10 * number, f"k{number % 3}"), delete(10 * number + 1, f"d{number}")]))
    before = orders(tmp_path)
    assert len(before.metadata.snapshots) == 60
    reader = before.scan()
    replica.target = open_target(tmp_path, At(25))
    replica.apply((31, [put(1000, "k0")]))
    table = orders(tmp_path)
    assert len(table.metadata.snapshots) == 3, "the newest of each branch, and the one that was just made"
    assert lying_about(tmp_path) == set()
    replica.check()
    replica.apply((32, [put(5, "d7")]))
    replica.check()
    assert reader.to_arrow().num_rows == 3, "who reads the newest snapshot can go on"


def test_nothing_goes_where_somebody_has_a_tag(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    for number in range(1, 31):
        replica.apply((number, [put(10 * number, f"k{number % 3}")]))
    table = orders(tmp_path)
    table.manage_snapshots().create_tag(table.metadata.snapshots[3].snapshot_id, "audit").commit()
    replica.target = open_target(tmp_path, At(25))
    replica.apply((31, [put(1000, "k0")]))
    table = orders(tmp_path)
    assert len(table.metadata.snapshots) == 31
    assert table.scan(snapshot_id=table.metadata.refs["audit"].snapshot_id).to_arrow().num_rows == 3


def test_what_nothing_refers_to_goes_after_days(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    load = replica.load((2, [put(2, "b"), delete(3)]))

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if name == "commit":
            raise OSError("nobody knows")
        return effect()

    with pytest.raises(OutcomeUnknown):
        open_target(tmp_path, perform=perform).apply(load)
    left = lying_about(tmp_path)
    assert len(left) >= 4, "data and manifests of both branches"
    others = tmp_path / "warehouse" / "lake" / "orders" / "data" / "somebody-elses.parquet"
    others.write_bytes(b"")
    replica.target = open_target(tmp_path, At(2 * 24))
    replica.apply((2, [put(2, "b"), delete(3)]))
    assert lying_about(tmp_path) == {*left, others}, "it is looked for, and too young"
    replica.target = open_target(tmp_path, At(2 * 24 + 1))
    replica.apply((3, [put(4, "c")]))
    replica.target = open_target(tmp_path, At(5 * 24))
    replica.apply((4, [put(5, "d")]))
    assert lying_about(tmp_path) == {others}
    replica.check()


def test_rows_that_another_engine_deleted_by_a_file_of_deletes_are_not_brought_back(tmp_path: Path) -> None:
    """Such a file is more than a load understands, so it says so and changes nothing."""
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    load = replica.load((2, [put(3)]))
    delete_rows(orders(tmp_path))
    for use in (lambda: replica.target.apply(load), lambda: replica.target.query("SELECT 1")):
        with pytest.raises(UserFault, match="file of deletes") as error:
            use()
        assert error.value.hint
    assert replica.ledger.applied_through == 1


def delete_rows(table: Table) -> None:
    """As an engine does that deletes rows by their place: a snapshot with a manifest of deletes."""
    head = table.current_snapshot()
    assert head is not None
    [manifest] = head.manifests(table.io)
    [entry] = manifest.fetch_manifest_entry(table.io)
    writer = Writer(table, table.schema(), "f" * 32, lambda name, effect: effect())
    updates, conditions = writer.snapshot(head_of(table.metadata, "main", table.io, lambda n, e: e()), [], [], {}, 0, 0)
    added = next(update.snapshot for update in updates if isinstance(update, AddSnapshotUpdate))
    deletes = copy(entry.data_file)
    deletes._data = [DataFileContent.POSITION_DELETES, *entry.data_file._data[1:]]
    path = table.location_provider().new_metadata_location("deletes.avro")
    with write_manifest(
        2, table.spec(), table.schema(), table.io.new_output(path), added.snapshot_id, "deflate"
    ) as out:
        out.add_entry(ManifestEntry.from_args(status=1, snapshot_id=added.snapshot_id, data_file=deletes))
    listed = out.to_manifest_file()
    listed._data[3] = ManifestContent.DELETES
    with write_manifest_list(
        2,
        table.io.new_output(added.manifest_list),
        added.snapshot_id,
        head.snapshot_id,
        added.sequence_number,
        "deflate",
    ) as manifests:
        manifests.add_manifests([manifest, listed])
    table.catalog.commit_table(table, conditions, updates)


def test_small_files_become_one(tmp_path: Path) -> None:
    for mode in ("current", "changelog"):
        replica = Replica(open_target(tmp_path / mode), mode)  # type: ignore[arg-type]
        counts = []
        for number in range(1, 41):
            replica.apply((number, [put(10 * number, f"k{number}")]))
            table = orders(tmp_path / mode)
            counts.append(len(list(table.scan().plan_files())))
        replica.check()
        assert max(counts) <= 17, "however many loads there were"


def test_a_changelog_stays_in_its_hours_whatever_is_written_anew(tmp_path: Path) -> None:
    """Columns that widen write every file anew, and small files are gathered: no row may leave its partition."""
    replica, hour = Replica(open_target(tmp_path), "changelog"), 3_600_000
    for number in range(1, 41):
        numbers = {"x": {"N": "0.5" if number == 20 else "1E-130" if number == 30 else str(number)}}
        load = replica.load((number, [put(number, **numbers)]))
        loaded_ms = 1_790_000_000_000 + (number % 2) * hour
        replica.target.apply(dataclasses.replace(load, loaded_ms=loaded_ms))
        replica.applied[number] = [put(number, **numbers)]
    replica.check()
    table = orders(tmp_path)
    for file in (task.file for task in table.scan().plan_files()):
        rows = pq.read_table(file.file_path.removeprefix("file://"), columns=["_tr_loaded_at"], partitioning=None)
        assert {moment.timestamp() // 3600 for moment in _utc(rows)} == {file.partition[0]}
    assert len(list(table.scan().plan_files())) < 40
    assert table.scan("_tr_loaded_at = '2026-09-21T14:13:20'").to_arrow().num_rows == 20


def _utc(rows: pa.Table) -> list[datetime]:
    return [moment.replace(tzinfo=UTC) for moment in rows["_tr_loaded_at"].to_pylist()]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_ledger_rows_that_could_not_be_put_aside_are_put_aside_by_the_next_load(tmp_path: Path, before: bool) -> None:
    replica = Replica(open_target(tmp_path), "changelog")
    replica.apply(*[(number, [put(number)]) for number in range(1, 211)])
    load, names = replica.load((211, [put(211)])), list[str]()

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        names.append(name)
        done = None if before and name == "append ledger rows" else effect()
        if name == "append ledger rows":
            raise OSError("struck")
        return done

    with pytest.raises(TailraceError):
        open_target(tmp_path, perform=perform).apply(load)
    assert "append ledger rows" in names
    assert replica.ledger.applied_through == 210
    replica.apply((211, [put(211)]))
    rows = [replica.target.applied(replica.spec, number) for number in (1, 110, 111, 211)]
    assert [row and row.number for row in rows] == [1, 110, 111, 211]


def test_a_load_counts_although_old_files_could_not_be_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replica = Replica(open_target(tmp_path))
    for number in range(1, 24):
        replica.apply((number, [put(number)]))

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if name.startswith("delete "):
            raise OSError("struck")
        return effect()

    replica.target = open_target(tmp_path, At(25), perform=perform)
    replica.apply((24, [put(24)]))
    replica.check()
    assert len(orders(tmp_path).metadata.snapshots) == 2
    assert len(lying_about(tmp_path)) > 20


def test_a_table_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    for number in (1, 2, 3):
        replica.apply((number, [put(number)]))
    table = orders(tmp_path)
    newest = table.metadata.current_snapshot_id
    table.manage_snapshots().rollback_to_snapshot(table.metadata.snapshots[0].snapshot_id).commit()
    with pytest.raises(UserFault, match="was rolled back"):
        replica.target.ledger(replica.spec)
    assert newest is not None
    table.refresh().manage_snapshots().set_current_snapshot(snapshot_id=newest).commit()
    replica.check()
