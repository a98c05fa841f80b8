"""DuckDB as a target: the contract, and what only a file can do: be killed, held, full, damaged, and read meanwhile."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tailrace.clock import SystemClock
from tailrace.errors import (
    NotFound,
    OutcomeUnknown,
    ServiceUnavailable,
    TailraceError,
    TargetBusy,
    UsageInvalid,
    UserFault,
)
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.duckdb.file import Perform
from tailrace.targets.target import Mode
from tailrace.testing.target_contract import HISTORY, MODES, Replica, TargetContract, put

FILE = "warehouse.duckdb"


def open_target(place: Path, **options: Any) -> DuckDbTarget:
    return DuckDbTarget("local", place / FILE, SystemClock(), **options)


class TestDuckDb(TargetContract):
    def make_target(self, place: Path) -> DuckDbTarget:
        return open_target(place)

    def tamper(self, place: Path, sql: str) -> None:
        place.mkdir(exist_ok=True)
        with duckdb.connect(str(place / FILE)) as connection:
            connection.execute(sql)


@pytest.fixture(scope="module", params=MODES)
def stages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The file after each load of the history, the first one empty; its mode is the folder's name."""
    folders = []
    for count in range(len(HISTORY) + 1):
        folder = tmp_path_factory.mktemp("stage") / request.param
        folder.mkdir()
        if count:
            shutil.copyfile(folders[-1] / FILE, folder / FILE) if count > 1 else None
            replica = replica_after(folder, count - 1)
            replica.apply(HISTORY[count - 1])
            replica.check()
        folders.append(folder)
    return folders


def replica_after(place: Path, loads: int, **options: Any) -> Replica:
    """What a file in `place` should show after so many loads."""
    mode: Any = place.name
    replica = Replica(open_target(place, **options), mode)
    replica.applied = dict(HISTORY[:loads])
    return replica


def copy_of(stage: Path, folder: Path) -> Path:
    place = folder / stage.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(stage, place)
    return place


# ---- crashes and failures at every statement


def test_what_is_on_disk_after_each_statement_is_the_old_state_or_the_new(stages: list[Path], tmp_path: Path) -> None:
    """A killed process leaves the file and its log as they lie there at that moment; whoever opens them sees one or the other."""
    for number, stage in enumerate(stages[:-1]):
        place = copy_of(stage, tmp_path)
        images: dict[str, tuple[str, Path]] = {}

        def keep(name: str, effect: Callable[[], Any], place: Path = place, images: Any = images) -> Any:
            done = effect()
            files = sorted(place.iterdir())
            digest = hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()
            if digest not in images:
                images[digest] = name, tmp_path / "images" / digest / place.name
                shutil.copytree(place, images[digest][1])
            return done

        load = replica_after(place, number).load(HISTORY[number])
        open_target(place, perform=keep).apply(load)
        names = [name for name, _ in images.values()]
        assert names[-1] == "COMMIT", "nothing else makes a load durable"
        for name, image in images.values():
            replica = replica_after(image, number + (name == "COMMIT"))
            if name == "COMMIT":
                assert (image / f"{FILE}.wal").stat().st_size > 0, "this is what a log is replayed from"
            if (image / FILE).exists() and (number or name == "COMMIT"):
                replica.check()
            replica.apply(HISTORY[number])
            replica.check()


def test_an_error_at_any_statement_leaves_the_old_state_and_the_load_can_be_repeated(
    stages: list[Path], tmp_path: Path
) -> None:
    for number in (2,) if stages[0].name == "current" else (4,):
        place = copy_of(stages[number], tmp_path)
        replica = replica_after(place, number)
        load = replica.load(HISTORY[number])
        statements = statements_of(load, copy_of(stages[number], tmp_path / "counted"))
        assert len(statements) > 10
        for at, statement in list(enumerate(statements))[1:]:  # the first is the opening, which has tests of its own
            error = OutcomeUnknown if statement == "COMMIT" else TailraceError
            with pytest.raises(error) as raised:
                open_target(place, perform=failing(at, before=at % 2 == 0 or statement == "COMMIT")).apply(load)
            assert raised.value.hint
            assert replica.shown() == replica.expected(), statement
        replica.apply(HISTORY[number])
        replica.check()


def test_a_commit_whose_answer_was_lost_is_found_in_the_ledger(stages: list[Path], tmp_path: Path) -> None:
    place = copy_of(stages[1], tmp_path)
    replica = replica_after(place, 1)
    load = replica.load(HISTORY[1])
    at = statements_of(load, copy_of(stages[1], tmp_path / "counted")).index("COMMIT")
    with pytest.raises(OutcomeUnknown) as raised:
        open_target(place, perform=failing(at, before=False)).apply(load)
    assert "ledger" in raised.value.hint
    assert (applied := replica.target.apply(load)).segments == 0
    assert applied.skipped == 1
    replica_after(place, 2).check()


def test_a_connection_that_dies_under_a_load_leaves_the_old_state(stages: list[Path], tmp_path: Path) -> None:
    place = copy_of(stages[2], tmp_path)
    replica = replica_after(place, 2)
    load = replica.load(HISTORY[2])
    connections: list[Any] = []

    def dying(name: str, effect: Callable[[], Any]) -> Any:
        if name.startswith("INSERT INTO _tailrace.ledger"):
            connections[0].close()
        connections.append(done := effect())
        return done

    with pytest.raises(TailraceError):
        open_target(place, perform=dying).apply(load)
    replica.check()


def statements_of(load: Any, place: Path) -> list[str]:
    names: list[str] = []

    def note(name: str, effect: Callable[[], Any]) -> Any:
        names.append(name)
        return effect()

    open_target(place, perform=note).apply(load)
    return names


def failing(at: int, *, before: bool) -> Perform:
    """DuckDB's own error in place of effect `at`, or behind it."""
    count = iter(range(10**6))

    def perform(name: str, effect: Callable[[], Any]) -> Any:
        if next(count) != at:
            return effect()
        if not before:
            effect()
        raise duckdb.IOException("IO Error: planned")

    return perform


# ---- other processes

OTHERS = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_duckdb import HISTORY, open_target, replica_after
    place, number, moment = Path({place!r}), {number}, {moment!r}

    def perform(name, effect):
        if name == "COMMIT" and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = effect()
        if name == "COMMIT" and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    load = replica_after(place, number).load(HISTORY[number])
    open_target(place, perform=perform).apply(load)
"""


@pytest.mark.processes
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_load_killed_around_its_commit_is_whole_or_absent(moment: str, tmp_path: Path) -> None:
    """With a real process and a real signal; the file is then replayed from DuckDB's log by the next one."""
    place = tmp_path / "current"
    place.mkdir()
    for number in (0, 1, 2):
        code = textwrap.dedent(OTHERS).format(
            tests=str(Path(__file__).parent), place=str(place), number=number, moment=moment
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        replica = replica_after(place, number + (moment == "after"))
        if moment == "after" or number:
            replica.check()
        replica.apply(HISTORY[number])
        replica.check()


@contextmanager
def other_process(path: Path, *, read_only: bool) -> Iterator[subprocess.Popen[str]]:
    """A shell or notebook that has the file open until its input ends."""
    code = (
        f"import duckdb; c = duckdb.connect({str(path)!r}, read_only={read_only}); print('open', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def can_read(path: Path) -> bool:
    code = f"import duckdb; duckdb.connect({str(path)!r}, read_only=True).execute('FROM orders')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.processes
def test_others_can_read_between_loads_and_not_within_one(tmp_path: Path) -> None:
    Replica(open_target(tmp_path)).apply((1, [put(1)]))
    within: list[bool] = []

    def look(name: str, effect: Callable[[], Any]) -> Any:
        if name.startswith("INSERT INTO _tailrace.ledger"):
            within.append(can_read(tmp_path / FILE))
        return effect()

    Replica(open_target(tmp_path, perform=look)).apply((2, [put(2)]))
    assert within == [False]
    assert can_read(tmp_path / FILE)
    with other_process(tmp_path / FILE, read_only=True):
        assert open_target(tmp_path).query("SELECT count(*) AS n FROM orders").to_pylist() == [{"n": 1}]


@pytest.mark.processes
@pytest.mark.parametrize("read_only", [True, False], ids=["reader", "writer"])
def test_a_file_that_stays_held_is_reported_with_its_holder(tmp_path: Path, read_only: bool) -> None:
    replica = Replica(open_target(tmp_path, wait_seconds=0.2))
    replica.apply((1, [put(1)]))
    load = replica.load((2, [put(2)]))
    with other_process(tmp_path / FILE, read_only=read_only) as process:
        with pytest.raises(TargetBusy) as error:
            replica.target.apply(load)
        assert "held by another program for 0.2 s" in error.value.message
        assert str(process.pid) in error.value.message
        assert "read_only" in error.value.hint
    replica.target.apply(load)
    assert replica.ledger.applied_through == 2


@pytest.mark.processes
def test_a_loader_waits_for_a_reader_that_is_soon_done(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path, wait_seconds=60))
    replica.apply((1, [put(1)]))
    load = replica.load((2, [put(2)]))
    with other_process(tmp_path / FILE, read_only=True) as process:
        timer = threading.Timer(0.3, process.kill)
        timer.start()
        assert replica.target.apply(load).segments == 1
        timer.join()


def test_a_file_that_this_program_has_open_in_another_way_is_busy(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path, wait_seconds=0.1))
    replica.apply((1, [put(1)]))
    load = replica.load((2, [put(2)]))
    with duckdb.connect(str(tmp_path / FILE), read_only=True), pytest.raises(TargetBusy, match="open in another way"):
        replica.target.apply(load)


# ---- disks and files

FULL = """
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_duckdb import open_target
    from tailrace.errors import TailraceError
    from tailrace.testing.target_contract import Replica, put
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    place, limit = Path({place!r}), {limit}
    replica = Replica(open_target(place))
    large = [put(n, str(n), x={{"S": "".join(chr(33 + (n * k * k) % 90) for k in range(2000))}}) for n in range(3000)]
    load = replica.load((2, large))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        replica.target.apply(load)
    except TailraceError as error:
        sys.exit(repr(error) + error.hint)
"""


@pytest.mark.processes
def test_a_disk_that_is_full_loses_nothing(tmp_path: Path) -> None:
    """The system refuses what goes beyond a length: the file ends where the disk would."""
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    size = (tmp_path / FILE).stat().st_size
    code = textwrap.dedent(FULL).format(tests=str(Path(__file__).parent), place=str(tmp_path), limit=size + 1_000_000)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done
    assert "File too large" in done.stderr
    replica.check()
    replica.apply((2, [put(2, "b")]))
    replica.check()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (duckdb.IOException("IO Error: Could not write: No space left on device"), ServiceUnavailable),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate"), ServiceUnavailable),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), ServiceUnavailable),
        (duckdb.CatalogException("Catalog Error: Table does not exist"), UserFault),
        (duckdb.IOException("IO Error: Permission denied"), UserFault),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_say_whether_to_repeat(tmp_path: Path, error: Exception, expected: type[TailraceError]) -> None:
    def broken(name: str, effect: Callable[[], Any]) -> Any:
        if name.startswith("CREATE TEMP TABLE latest"):
            raise error
        return effect()

    replica = Replica(open_target(tmp_path, perform=broken))
    with pytest.raises(expected) as raised:
        replica.apply((1, [put(1)]))
    assert raised.value.hint
    assert raised.value.facts["path"] == tmp_path / FILE


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    Replica(open_target(tmp_path)).apply((1, [put(1)]))
    good = (tmp_path / FILE).read_bytes()
    newer = bytearray(good)
    newer[12:20] = (10_000).to_bytes(8, "little")
    newer[:8] = checksum(newer[8:4096])
    cut = good[: len(good) // 2]
    for data, words in ((bytes(newer), "version"), (b"something else" * 1000, "not a valid"), (cut, "")):
        (tmp_path / FILE).write_bytes(data)
        replica = Replica(open_target(tmp_path))
        for use in (lambda r=replica: r.ledger, lambda r=replica: r.apply((1, [put(1)]))):
            with pytest.raises(UserFault) as error:
                use()
            assert words in error.value.message
            assert "version" in error.value.hint
        assert (tmp_path / FILE).read_bytes() == data, "a file that we do not understand is left as it is"


def checksum(block: bytes) -> bytes:
    """DuckDB's, so that the version is what it stumbles over."""
    total = 5381
    for at in range(0, len(block), 8):
        total ^= int.from_bytes(block[at : at + 8], "little") * 0xBF58476D1CE4E5B9 % 2**64
    return total.to_bytes(8, "little")


def test_paths_that_cannot_be_files(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    (tmp_path / "file").write_text("")
    for target in (open_target(tmp_path), DuckDbTarget("local", tmp_path / "file" / FILE, SystemClock())):
        replica = Replica(open_target(tmp_path / "elsewhere"))
        with pytest.raises(UserFault) as error:
            target.apply(replica.load((1, [put(1)])))
        assert error.value.facts["path"] == target.path


# ---- what people do to the tables


def test_columns_and_rows_of_others_stay(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1), put(2, "b")]))
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        connection.execute("ALTER TABLE orders ADD COLUMN note VARCHAR; UPDATE orders SET note = 'mine'")
        connection.execute("CREATE VIEW recent AS SELECT pk, note FROM orders; CREATE TABLE own AS SELECT 1 AS a")
    replica.apply((2, [put(3, note={"S": "theirs"})]))
    replica.check()
    assert replica.name_of("note", "S") == "note_2"
    shown = replica.target.query("SELECT pk, note, note_2 FROM orders ORDER BY pk").to_pylist()
    assert shown == [{"pk": "a", "note": None, "note_2": "theirs"}, {"pk": "b", "note": "mine", "note_2": None}]
    assert replica.target.query("SELECT * FROM recent").num_rows == 2
    assert replica.target.query("SELECT * FROM own").num_rows == 1


@pytest.mark.parametrize("wide", ["1.5", "1E-130"], ids=["in place", "rebuilt"])
def test_an_index_that_is_in_the_way_is_named_and_not_lost(tmp_path: Path, wide: str) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, x={"N": "1.25" if wide == "1E-130" else "1"})]))
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        connection.execute(
            'CREATE INDEX "by Key" ON orders (pk); CREATE TABLE own AS SELECT 1 AS a; CREATE INDEX i ON own (a)'
        )
    replica.apply((2, [put(2, new={"S": "a new column is no trouble"})]))
    with pytest.raises(UserFault) as caught:
        replica.apply((3, [put(3, "b", x={"N": wide})]))
    assert str(caught.value).endswith('the table has an index: "by Key" (table=Orders)')
    assert 'DROP INDEX "by Key"' in caught.value.hint
    replica.check()
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        connection.execute('DROP INDEX "by Key"')
    replica.apply((3, [put(3, "b", x={"N": wide})]))
    replica.check()


def test_the_answer_to_a_query_comes_in_batches_that_have_room_for_the_largest_items(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    column = replica.target.query("SELECT repeat('x', 10) AS x FROM orders, range(3000)").column("x")
    assert [len(chunk) for chunk in column.chunks] == [1024, 1024, 952]


def test_a_row_that_was_put_in_by_hand_gives_way(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1)]))
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        connection.execute("INSERT INTO orders (pk) VALUES ('a'), ('b'), ('b')")
    replica.apply((2, [put(2), put(3, "b")]))
    replica.check()


def test_nested_values_can_be_queried_as_json(tmp_path: Path) -> None:
    replica = Replica(open_target(tmp_path))
    replica.apply((1, [put(1, m={"M": {"n": {"N": "1.50"}, "l": {"L": [{"S": "x"}]}}})]))
    [row] = replica.target.query("SELECT m->>'n' AS n, m->'l'->>0 AS x, typeof(m) AS t FROM orders").to_pylist()
    assert row == {"n": "1.5", "x": "x", "t": "JSON"}


# ---- a query may read this file, and nothing else

ATTACKS = (
    "COPY orders TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY orders TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}'",
    "INSTALL httpfs",
    "LOAD '{out}'",
    "SET log_query_path = '{out}'",
    "SET enable_external_access = true",
    "PRAGMA enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "PRAGMA profiling_output = '{out}'",
    "PRAGMA temp_directory = '{out}'",
    "FROM read_csv('{secret}')",
    "FROM '{secret}'",
    "SELECT content FROM read_text('{secret}')",
    "FROM glob('/*')",
    "FROM 'http://127.0.0.1:1/x.csv'",
    "CREATE TABLE x (a INT)",
    "CREATE SCHEMA x",
    "UPDATE orders SET pk = 'x'",
    "INSERT INTO orders (pk) VALUES ('x')",
    "MERGE INTO orders USING (SELECT 'a' AS k) s ON pk = s.k WHEN MATCHED THEN DELETE",
    "TRUNCATE orders",
    "ALTER TABLE orders ADD COLUMN x INT",
    "DELETE FROM _tailrace.ledger",
    "CREATE SECRET s (TYPE s3)",
    "SELECT 1; DELETE FROM orders",
    "BEGIN; DELETE FROM orders; COMMIT",
    "SELECT 1 /* ; */; -- \n DROP TABLE orders",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_query_reaches_nothing_but_the_tables(tmp_path: Path, attack: str, stage_one: bytes) -> None:
    (tmp_path / FILE).write_bytes(stage_one)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sql = attack.format(out=tmp_path / "out", secret=tmp_path / "secret.csv")
    with pytest.raises(UsageInvalid) as error:
        open_target(tmp_path).query(sql)
    assert error.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.fixture(scope="module")
def stage_one(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("one")
    Replica(open_target(place)).apply((1, [put(1)]))
    return (place / FILE).read_bytes()


@pytest.mark.parametrize(
    "sql", ["FROM orders", "DESCRIBE orders", "SHOW TABLES", "SUMMARIZE orders", "EXPLAIN FROM orders", "SELECT 1 -- ;"]
)
def test_a_query_may_look_around(tmp_path: Path, sql: str, stage_one: bytes) -> None:
    (tmp_path / FILE).write_bytes(stage_one)
    assert open_target(tmp_path).query(sql).num_rows >= 1


def test_a_query_before_the_first_load_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist yet"):
        open_target(tmp_path).query("SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_modes_have_the_columns_that_are_documented(tmp_path: Path) -> None:
    columns: dict[Mode, list[str]] = {}
    for mode in MODES:
        (tmp_path / mode).mkdir()
        replica = Replica(open_target(tmp_path / mode), mode)
        replica.apply((1, [put(1)]))
        described = replica.target.query("DESCRIBE orders").to_pylist()
        columns[mode] = [f"{row['column_name']} {row['column_type']}" for row in described[1:]]
    common = ["_tr_op VARCHAR", "_tr_ts BIGINT", "_tr_pos VARCHAR", "_tr_loaded_at TIMESTAMP"]
    assert columns == {
        "current": common,
        "soft_delete": [*common, "_tr_deleted BOOLEAN", "_tr_expired BOOLEAN", "_tr_image_pos VARCHAR"],
        "changelog": [*common, "_tr_expired BOOLEAN"],
        "history": [*common, "_tr_valid_from TIMESTAMP", "_tr_valid_to TIMESTAMP", "_tr_is_current BOOLEAN"],
    }
