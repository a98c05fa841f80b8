"""A short run, capture to target, that fails at every single effect in every way; then a run without faults.

Whatever happened, `current` is the fold of the history and `changelog` is the history: nothing lost, nothing twice.
"""

from __future__ import annotations

import copy
import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tailrace.capture.source import RecordsPage
from tailrace.clock import Budget, ManualClock
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.jobs.lease import LoaderLease
from tailrace.jobs.load import Loader
from tailrace.jobs.verify import verify
from tailrace.landing import Landing
from tailrace.landing.local import LocalStore
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Mode
from tailrace.testing.faults import (
    WRITE_FAULTS,
    Fault,
    FaultPlan,
    Faulty,
    FaultySource,
    FaultyStore,
    effects_of,
    stopped,
)
from tailrace.testing.source import InlineExecutor
from tailrace.testing.tables import MemoryTable

KEYS = KeySchema(KeyAttribute("pk", "S"))
INCARNATION = Incarnation("111122223333", "eu-west-1", "orders", "id-1", "arn:aws:s", "NEW_IMAGE", KEYS)
PAGE_RECORDS = 2
MODES: tuple[Mode, ...] = ("current", "changelog")


@dataclass(slots=True)
class Shard:
    parent: str | None
    first: int
    last: int | None = None
    records: list[dict[str, Any]] = field(default_factory=list)


class World:
    """A table, its stream of two generations of shards, and the history that both come from. It survives every crash."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.items: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, str, str]] = []  # (position, operation, key)
        self._numbers = itertools.count(10**21 - 3)  # its length grows on the way
        self.shards = {"shard-0": Shard(None, next(self._numbers))}
        self._open = ["shard-0"]

    def write(self, key: str, value: int | None) -> None:
        """Put (or, for None, delete) an item."""
        number = next(self._numbers)
        keys = {"pk": {"S": key}}
        change: dict[str, Any] = {"Keys": keys, "SequenceNumber": str(number), "ApproximateCreationDateTime": 1}
        if value is None:
            self.items.pop(key, None)
        else:
            change["NewImage"] = {**keys, "value": {"N": str(value)}}
            self.items[key] = change["NewImage"]
        shard = self.shards[self._open[ord(key[0]) % len(self._open)]]
        shard.records.append({"eventName": "REMOVE" if value is None else "MODIFY", "dynamodb": change})
        self.history.append((number, "d" if value is None else "u", key))

    def split(self) -> None:
        for shard_id in self._open:
            self.shards[shard_id].last = next(self._numbers)
        children = {f"{shard_id}-{n}": Shard(shard_id, next(self._numbers)) for shard_id in self._open for n in (0, 1)}
        self.shards |= children
        self._open = list(children)

    @property
    def table(self) -> MemoryTable:
        table = MemoryTable(KEYS)
        for item in self.items.values():
            table.put(item)
        return table

    # ---- the stream port

    def incarnation(self) -> Incarnation:
        return INCARNATION

    def shards_listed(self) -> list[ShardInfo]:
        return [
            ShardInfo(i, s.parent, SequenceNumber(s.first), None if s.last is None else SequenceNumber(s.last))
            for i, s in self.shards.items()
        ]


class Source:
    """The world's stream as capture sees it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def incarnation(self) -> Incarnation:
        return self._world.incarnation()

    def shards(self) -> Sequence[ShardInfo]:
        return self._world.shards_listed()

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        return f"{shard_id}/{after or 0}"

    def read(self, iterator: str, limit: int = 1000) -> RecordsPage:
        shard_id, _, after = iterator.rpartition("/")
        shard = self._world.shards[shard_id]
        rest = [r for r in shard.records if int(r["dynamodb"]["SequenceNumber"]) > int(after)]
        page = rest[:PAGE_RECORDS]
        if page:
            after = page[-1]["dynamodb"]["SequenceNumber"]
        ended = shard.last is not None and len(rest) <= PAGE_RECORDS
        return RecordsPage(page, None if ended else f"{shard_id}/{after}")


class Process:
    """One life of a pipeline on the world: it remembers nothing of its predecessors, and every effect passes the plan."""

    lives = itertools.count()

    def __init__(self, world: World, folder: Path, modes: Sequence[Mode], plan: FaultPlan) -> None:
        self.clock = world.clock
        landing = Landing(FaultyStore(LocalStore(folder / "landing"), plan), "orders")
        self.capturer = Capturer(
            FaultySource(Source(world), plan),
            landing,
            CaptureSettings(),
            world.clock,
            f"writer-{next(self.lives)}",
            executor=InlineExecutor(),
        )
        self.loaders = [
            Loader(
                landing,
                Faulty(target_of(folder, mode, world), plan, writes=("apply",), reads=("ledger",)),  # type: ignore[arg-type]
                "orders",
                mode,
                world.clock,
                lease=LoaderLease(landing, mode, f"loader-{next(self.lives)}", world.clock),
            )
            for mode in modes
        ]

    def work(self) -> None:
        """Capture to the tip and load everything."""
        budget = Budget(self.clock, 60)
        self.capturer.tick(budget)
        for loader in self.loaders:
            loader.tick(budget)


def target_of(folder: Path, mode: Mode, world: World) -> DuckDbTarget:
    return DuckDbTarget(mode, folder / f"{mode}.duckdb", world.clock)


@dataclass(slots=True)
class Scene:
    """What is there before a run, and the changes that it is to bring over. Each run gets a copy of its own."""

    folder: Path
    world: World
    copies: Iterator[int] = field(default_factory=itertools.count)

    def copy(self) -> tuple[World, Path]:
        folder = self.folder.with_name(f"{self.folder.name}-{next(self.copies)}")
        shutil.copytree(self.folder, folder)
        return copy.deepcopy(self.world), folder

    def effects(self) -> list[tuple[str, bool]]:
        world, folder = self.copy()
        return effects_of(lambda plan: Process(world, folder, MODES, plan).work())


@pytest.fixture(scope="module", params=["first", "later"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The very first run, or one that finds everything made, and a shard that has ended with two children behind it."""
    folder, world = tmp_path_factory.mktemp("scenes") / "scene", World()
    folder.mkdir()
    for value, key in enumerate("abc"):
        world.write(key, value)
    if request.param == "later":
        Process(world, folder, MODES, FaultPlan()).work()
        world.clock.ms += 60_000
        world.write("a", 4)
        world.split()
        world.write("b", None)
        world.write("a", 5)
        world.write("d", 6)
        world.write("c", None)
        world.write("c", 7)
    return Scene(folder, world)


def check(world: World, folder: Path, modes: Sequence[Mode]) -> None:
    """Against the history itself, and by verification."""
    landing = Landing(LocalStore(folder / "landing"), "orders")
    published = landing.load()
    assert published is not None
    assert sum(segment.rows for segment in landing.segments(published.manifest)) == len(world.history)
    for mode in modes:
        target = target_of(folder, mode, world)
        report = verify(world.table, landing, target, "orders", mode, world.clock, deadline_seconds=1)
        assert report.verified, report.to_json()
        assert report.gaps == ()
        if mode == "changelog":
            rows = target.query("SELECT _tr_pos, _tr_op, pk FROM orders ORDER BY _tr_pos").to_pylist()
            assert [(int(r["_tr_pos"].rpartition("|")[2]), r["_tr_op"], r["pk"]) for r in rows] == world.history


def strike(scene: Scene, plan: FaultPlan, modes: Sequence[Mode]) -> None:
    """A run with one fault, a change more, and a run without: of the same process where it survived, else of another one."""
    world, folder = scene.copy()
    process = Process(world, folder, modes, plan)
    with stopped():
        process.work()
    assert plan.struck, "the fault was never met"
    world.write("a", 99)
    world.clock.ms += 60_000  # a worker that found another one at work stands by
    (Process(world, folder, modes, FaultPlan()) if plan.dead else process).work()
    check(world, folder, modes)
    shutil.rmtree(folder)


def worth_striking(effects: Sequence[tuple[str, bool]], fault: Fault) -> Iterator[int]:
    """Every write. Between two writes each kind of read once with an error, and one crash, because all leave the same."""
    seen: set[str] = set()
    for at, (name, is_write) in enumerate(effects, start=1):
        kind = name.split()[0]
        if is_write:
            seen = set()
            yield at
        elif (fault == "error" and kind not in seen) or (fault == "crash_before" and not seen):
            seen.add(kind)
            yield at


def test_without_a_fault(scene: Scene) -> None:
    world, folder = scene.copy()
    Process(world, folder, MODES, FaultPlan()).work()
    check(world, folder, MODES)
    names = Counter(name.split()[0] for name, _ in scene.effects())
    assert {"read", "create", "replace", "open", "apply", "ledger", "shards", "iterator"} <= names.keys()
    assert names["replace"] >= 2 + 2 * len(MODES)  # leases are taken and given back
    assert names["apply"] == 2


@pytest.mark.parametrize("fault", WRITE_FAULTS)
def test_wherever_a_run_is_struck_nothing_is_lost_and_nothing_doubled(scene: Scene, fault: Fault) -> None:
    effects = scene.effects()
    first_of_target = min(at for at, (name, _) in enumerate(effects, start=1) if name in ("ledger", "apply"))
    for at in worth_striking(effects, fault):
        modes: Sequence[Mode] = MODES if at >= first_of_target else MODES[1:]
        try:
            strike(scene, FaultPlan(at, fault), modes)
        except AssertionError as error:
            raise AssertionError(f"{fault} at effect {at}, {effects[at - 1][0]}: {error}") from error
