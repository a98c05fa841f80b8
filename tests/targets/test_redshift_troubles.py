"""Redshift as a target, in the troubles that have a name. docs/redshift.md lists them with what a person sees.

`test_redshift_faults.py` tries unnamed ones at every call and every statement.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redshift_place import Hasty, Kind, Place, Trouble, Troubled

from tailrace.errors import OutcomeUnknown, OutOfTime, ServiceUnavailable, TailraceError, TargetContended, UserFault
from tailrace.local.client import LocalAws
from tailrace.targets.redshift.staging import _parquet
from tailrace.targets.target import Load
from tailrace.targets.warehouse.target import ATTEMPTS_MAX, WarehouseTarget
from tailrace.testing.target_contract import HISTORY, Replica

pytestmark = pytest.mark.embedded

CONNECTIONS: tuple[Kind, ...] = ("data_api", "connector")
FOR_EVER = 10**6


class Scene:
    """Three segments are applied; the fourth, or what `HISTORY[2]` changes in the columns, is to come."""

    def __init__(self, place: Place, kind: Kind, *, evolves: bool) -> None:
        self.place, self.kind = place, kind
        place.run("CREATE SCHEMA kept")
        self._replica = Replica(place.target(kind))
        for segment in HISTORY[: 2 if evolves else 3]:
            self._replica.apply(segment)
        place.keep()
        self.before = place.state()
        self.segment = HISTORY[2 if evolves else 3]
        self.load: Load = self._replica.load(self.segment)

    def fails(self, target: WarehouseTarget | None = None) -> TailraceError:
        """Of a load that must not come to its end."""
        with pytest.raises(TailraceError) as caught:
            (target or self.place.target(self.kind)).apply(self.load)
        assert caught.value.hint
        return caught.value

    def stands_as_before(self) -> None:
        self.place.settle()
        assert self.place.state() == self.before

    def goes_on(self) -> None:
        """The next tick, by a new process, comes to what an undisturbed load comes to."""
        target = self.place.target(self.kind)
        target.apply(self.load)
        assert sum(self.segment[0] == row.number for row in target.ledger(self.load.table).recent) == 1
        self.replica(target).check()
        assert self.place.objects() == []

    def replica(self, target: WarehouseTarget) -> Replica:
        """With what should be there when the load is done."""
        replica = Replica(target)
        replica.applied = dict([*self._replica.applied.items(), self.segment])
        return replica


class Scenes:
    """Each is built once, and begins anew for each test."""

    def __init__(self, aws: LocalAws, clients: dict[str, Any]) -> None:
        self._aws, self._clients = aws, clients
        self._built: dict[tuple[Kind, bool], Scene] = {}

    def begin(self, kind: Kind, *, evolves: bool = False) -> Scene:
        if (kind, evolves) not in self._built:
            self._built[kind, evolves] = Scene(Place(self._aws, self._clients), kind, evolves=evolves)
        scene = self._built[kind, evolves]
        scene.place.reset()
        return scene


@pytest.fixture(scope="module")
def built(aws: LocalAws, clients: dict[str, Any]) -> Scenes:
    return Scenes(aws, clients)


@pytest.fixture
def scenes(built: Scenes, aws: LocalAws) -> Iterator[Scenes]:
    yield built
    aws.clear_faults()


@pytest.fixture(params=CONNECTIONS)
def scene(request: pytest.FixtureRequest, scenes: Scenes) -> Scene:
    return scenes.begin(request.param)


# ---- killed, lost, slow


def test_killed_in_copy(scene: Scene) -> None:
    scene.place.aws.fault("connection_lost", operation="COPY", table=scene.place.name)
    assert isinstance(scene.fails(), ServiceUnavailable)
    scene.stands_as_before()
    scene.goes_on()


@pytest.mark.parametrize("kind", ["connection_lost", "reply_lost"])
def test_killed_before_and_behind_the_commit(scene: Scene, kind: str) -> None:
    scene.place.aws.fault(kind, operation="COMMIT", table=scene.place.name, skip=_commits(scene) - 1)
    error = scene.fails()
    assert isinstance(error, OutcomeUnknown)
    assert "ledger" in error.hint
    assert scene.place.target(scene.kind).ledger(scene.load.table).holds(scene.segment[0]) == (kind == "reply_lost")
    scene.goes_on()


def _commits(scene: Scene) -> int:
    """How many a load has; it is taken back."""
    scene.place.aws.fault("statement_refused", operation="COMMIT", table=scene.place.name, skip=FOR_EVER)
    scene.place.target(scene.kind).apply(scene.load)
    (fault,) = scene.place.aws.faults()
    scene.place.aws.clear_faults()
    scene.place.reset()
    return FOR_EVER - int(fault["skip"])


def test_a_copy_that_outlives_its_loader_is_waited_for(scenes: Scenes) -> None:
    scene = scenes.begin("data_api")
    place = scene.place
    place.aws.fault("statement_slow", operation="COPY", table=place.name, seconds=4)
    error = scene.fails(place.target("data_api", wait_seconds=0.5))
    assert isinstance(error, OutOfTime)
    assert "still at work" in str(error)
    copies = _copies(place)
    scene.goes_on()
    assert _copies(place) == copies, "the COPY was begun once more"


def _copies(place: Place) -> int:
    pages = place.data.get_paginator("list_statements").paginate(WorkgroupName=place.name, Database="dev", Status="ALL")
    requests = [request for page in pages for request in page["Statements"]]
    return sum(any(sql.startswith("COPY") for sql in request.get("QueryStrings", ())) for request in requests)


@pytest.mark.parametrize("operation", ["COPY", "INSERT"])
def test_a_statement_that_somebody_cancels_is_done_again(scene: Scene, operation: str) -> None:
    scene.place.aws.fault("statement_cancelled", operation=operation, table=scene.place.name)
    scene.goes_on()
    assert scene.place.aws.faults() == []


def test_a_result_that_is_gone_is_asked_for_again(scenes: Scenes) -> None:
    scene = scenes.begin("data_api")
    place = scene.place

    class Forgetful(Troubled):
        def get_statement_result(self, **request: Any) -> Any:
            return self._client.get_statement_result(Id="00000000-0000-0000-0000-000000000000")

    target = place.target("data_api")
    target._connection._data = Forgetful(place.data, Trouble())  # type: ignore[attr-defined]
    error = scene.fails(target)
    assert isinstance(error, ServiceUnavailable)
    scene.stands_as_before()
    scene.goes_on()


# ---- conflicts


class Patient(Hasty):
    """Remembers how long it was to wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waits.append(seconds)
        return super().wait(seconds, stop)


@pytest.mark.parametrize("operation", ["LOCK", "INSERT", "COMMIT"])
def test_a_storm_of_1023_is_outlived(scene: Scene, operation: str) -> None:
    scene.place.aws.fault("serialization", operation=operation, table=scene.place.name, count=ATTEMPTS_MAX - 2)
    scene.goes_on()
    assert scene.place.aws.faults() == []


@pytest.mark.parametrize("fault", ["serialization", "statement_timeout"])
def test_a_storm_without_an_end_stops_clearly(scene: Scene, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.place.aws.fault(fault, operation="LOCK", table=scene.place.name, count=FOR_EVER)
    target, clock = scene.place.target(scene.kind), Patient()
    monkeypatch.setattr(target, "_clock", clock)
    monkeypatch.setattr(target._jitter, "random", lambda: 1.0)
    error = scene.fails(target)
    assert isinstance(error, TargetContended)
    assert ("1023" if fault == "serialization" else "timeout") in str(error)
    assert clock.waits == sorted(clock.waits)
    assert len(clock.waits) == ATTEMPTS_MAX - 1
    assert clock.waits[-1] > 20 * clock.waits[0]
    scene.place.aws.clear_faults()
    scene.goes_on()


def test_two_processes_at_once_apply_each_segment_once(aws: LocalAws, clients: dict[str, Any]) -> None:
    place = Place(aws, clients)
    command = [sys.executable, str(Path(__file__).with_name("redshift_loader.py")), place.aws.endpoint_url, place.name]
    loaders = [
        subprocess.Popen(
            [*command, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for kind in (*CONNECTIONS, "data_api")
    ]
    for loader in loaders:
        assert loader.stdout is not None
        assert loader.stdout.readline() == "ready\n"
    for loader in loaders:
        _, told = loader.communicate("go\n", timeout=240)
        assert loader.returncode == 0, told
    replica = Replica(place.target("connector"))
    replica.applied.update(HISTORY)
    replica.check()
    assert sorted(row.number for row in replica.ledger.recent) == [1, 2, 3, 4, 5]
    assert not any(table.startswith("_tailrace_stage") for table in place.tables())


def test_a_lock_that_somebody_holds_ends_in_a_sentence_and_not_in_a_load(scene: Scene) -> None:
    """By the driver the statement ends, through the Data API it goes on; the next tick finds what became of it."""
    session = _session(scene.place, "BEGIN", "LOCK orders")
    error = scene.fails(scene.place.target(scene.kind, wait_seconds=1.0))
    if scene.kind == "connector":
        assert isinstance(error, TargetContended)
        assert "statement timeout" in str(error)
    else:
        assert isinstance(error, OutOfTime)
        assert "still at work" in str(error)
    session("COMMIT")
    scene.goes_on()


def _session(place: Place, *statements: str) -> Callable[[str], None]:
    """A person's session, in which these were carried out; what it gives carries out one more."""
    where = {"WorkgroupName": place.name, "Database": "dev", "SessionKeepAliveSeconds": 600}
    first, *others = statements
    taken = place.data.execute_statement(Sql=first, WaitTimeSeconds=30, **where)

    def run(sql: str) -> None:
        done = place.data.execute_statement(Sql=sql, SessionId=taken["SessionId"], WaitTimeSeconds=30)
        assert done["Status"] == "FINISHED"

    for sql in others:
        run(sql)
    return run


# ---- staged files that are not what they were


class Spoiled(Troubled):
    """S3, where each file that is staged is spoiled as soon as it is there."""

    def __init__(self, client: Any, damage: str) -> None:
        super().__init__(client, Trouble())
        self._damage = damage

    def put_object(self, Key: str, Body: bytes, **request: Any) -> Any:  # noqa: N803
        manifest = Key.endswith(".manifest")
        if manifest and self._damage == "listed twice":
            entries = json.loads(Body)["entries"]
            Body = json.dumps({"entries": entries * 2}).encode()  # noqa: N806
        if not manifest and self._damage in _DAMAGES:
            Body = _DAMAGES[self._damage](Body)  # noqa: N806
        if not manifest and self._damage == "other values":
            Body = _with_other_values(Body)  # noqa: N806
        answer = self._client.put_object(Key=Key, Body=Body, **request)
        if not manifest and self._damage == "missing":
            self._client.delete_object(Bucket=request["Bucket"], Key=Key)
        return answer


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[:-7],
    "longer": lambda data: data + b"\0",
    "not Parquet, same length": lambda data: data[:-4] + b"\0\0\0\0",
    "zeros, same length": lambda data: b"\0" * len(data),
}


@pytest.mark.parametrize("damage", ["listed twice", "missing", *_DAMAGES])
def test_a_spoiled_file_stops_the_load_until_it_is_whole(scene: Scene, damage: str) -> None:
    target = scene.place.target(scene.kind)
    target._connection._staging._s3 = Spoiled(scene.place.s3, damage)  # type: ignore[attr-defined]
    error = scene.fails(target)
    assert isinstance(error, UserFault)
    assert "'orders'" in str(error)
    assert "cannot be loaded" in str(error)
    live = {table: held for table, held in scene.place.state().items() if not table.startswith("_tailrace_stage")}
    assert live == scene.before
    scene.goes_on()


def test_other_values_in_a_file_of_the_same_length_are_not_seen_by_a_load_and_are_seen_by_verify(
    scenes: Scenes,
) -> None:
    """S3 checks what arrives there, and the name holds the content's hash: somebody must have meant to do this."""
    scene = scenes.begin("data_api")
    target = scene.place.target("data_api")
    spoiled = Spoiled(scene.place.s3, "other values")
    target._connection._staging._s3 = spoiled  # type: ignore[attr-defined]
    target.apply(scene.load)
    replica = scene.replica(scene.place.target("data_api"))
    assert replica.shown() != replica.expected()


def _with_other_values(data: bytes) -> bytes:
    """A file of the same length in which the rows have changed their keys with one another."""
    rows = pq.read_table(io.BytesIO(data))
    at = next(at for at, column in enumerate(rows.columns) if pa.types.is_string(column.type))
    other = _parquet(rows.set_column(at, f"c{at}", pa.array(rows[at].to_pylist()[::-1])))
    assert len(other) == len(data)
    assert other != data
    return other


# ---- a person at our tables

_RETYPED = (
    "ALTER TABLE orders ADD COLUMN other {}",
    "ALTER TABLE orders DROP COLUMN x",
    "ALTER TABLE orders RENAME COLUMN other TO x",
)
# What somebody does, how it is undone (None: from a copy), and what Tailrace says.
PERSON: dict[str, tuple[list[str], list[str] | None, str]] = {
    "drops a column": (["ALTER TABLE orders DROP COLUMN m"], None, "no longer has the column 'm'"),
    "drops a column of ours": (["ALTER TABLE orders DROP COLUMN _tr_ts"], None, "no longer has the column '_tr_ts'"),
    "renames a column": (
        ["ALTER TABLE orders RENAME COLUMN x TO price"],
        ["ALTER TABLE orders RENAME COLUMN price TO x"],
        "no longer has the column 'x'",
    ),
    "rounds a column": ([sql.format("DECIMAL(38, 0)") for sql in _RETYPED], None, "a column 'x' of type numeric(38,0)"),
    "makes a column a float": ([sql.format("DOUBLE PRECISION") for sql in _RETYPED], None, "of type double precision"),
    "makes a column shorter": ([sql.format("SMALLINT") for sql in _RETYPED], None, "of type smallint"),
    "renames the table": (["ALTER TABLE orders RENAME TO o"], ["ALTER TABLE o RENAME TO orders"], "is gone"),
    "drops the table": (["DROP TABLE orders"], None, "is gone"),
    "empties the ledger": (["DELETE FROM _tailrace_ledger"], None, "its ledger was emptied"),
    "empties the list of tables": (["DELETE FROM _tailrace_tables"], None, "Tailrace did not make it"),
    "empties the list of columns": (["DELETE FROM _tailrace_columns"], None, "no longer says which columns"),
    "drops the ledger": (["DROP TABLE _tailrace_ledger"], None, "Tailrace did not make it"),
    "drops the list of columns": (["DROP TABLE _tailrace_columns"], None, "cannot be"),
    "drops the tombstones": (["DROP TABLE {tombstones}"], None, "cannot be loaded"),
}


@pytest.mark.parametrize(
    ("deed", "evolves"), [(deed, False) for deed in PERSON] + [(deed, True) for deed in PERSON if "column" in deed]
)
def test_a_person_changes_our_tables_and_undoes_it(scenes: Scenes, deed: str, evolves: bool) -> None:
    scene = scenes.begin(CONNECTIONS[evolves], evolves=evolves)
    place = scene.place
    done, undone, said = PERSON[deed]
    (tombstones,) = [table for table in place.tables() if table.startswith("_tailrace_tombstones")]
    place.run(*(sql.replace("{tombstones}", tombstones) for sql in done))
    error = scene.fails()
    assert isinstance(error, UserFault)
    assert "'orders'" in str(error)
    assert said in str(error)
    if undone is None:
        place.reset()
    else:
        place.run(*undone)
    scene.goes_on()


def test_a_column_that_a_person_adds_is_left_alone(scenes: Scenes) -> None:
    """Also where the table is made anew. In a row that changes it becomes NULL: the whole row is replaced."""
    scene = scenes.begin("connector", evolves=True)
    scene.place.run("ALTER TABLE orders ADD COLUMN note VARCHAR(20)", "UPDATE orders SET note = 'mine' WHERE pk = 'd'")
    scene.goes_on()
    assert scene.place.eyes.rows("SELECT pk, note FROM orders WHERE note IS NOT NULL") == [("d", "mine")]


def test_a_view_on_a_table_that_must_be_made_anew_stops_the_load_until_it_is_gone(scenes: Scenes) -> None:
    scene = scenes.begin("data_api", evolves=True)
    scene.place.run("CREATE VIEW prices AS SELECT pk, x FROM orders")
    error = scene.fails()
    assert isinstance(error, UserFault)
    assert "cannot be loaded" in str(error)
    scene.place.run("DROP VIEW prices")
    scene.goes_on()
