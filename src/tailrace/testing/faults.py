"""Faults at a chosen effect: run a scenario once to count its effects, then fail at each of them in each way.

::

    def scenario(plan: FaultPlan) -> None:          # everything from scratch, ports wrapped with the plan
        landing = Landing(FaultyStore(store, plan), "orders")
        ...

    @pytest.mark.parametrize("plan", every_fault(scenario), ids=str)
    def test_nothing_is_lost_wherever_it_fails(plan):
        with stopped():
            scenario(plan)
        ... run again without faults, compare with the plain history
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Literal, Protocol, TypeAlias

from tailrace.capture.source import RecordsPage, StreamSource
from tailrace.errors import OutcomeUnknown, ServiceUnavailable, TailraceError
from tailrace.landing.store import Listed, Store, Stored
from tailrace.model.manifest import Incarnation
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

Fault: TypeAlias = Literal["error", "crash_before", "crash_after", "lost_answer", "lost_request"]
WRITE_FAULTS: Final[tuple[Fault, ...]] = (
    "error",
    "crash_before",
    "crash_after",
    "lost_answer",
    "lost_request",
)
READ_FAULTS: Final[tuple[Fault, ...]] = ("error", "crash_before")


class Effects(Protocol):
    """Lets effects happen, or not: a FaultPlan, or a process of the simulator."""

    def read(self, name: str, effect: Callable[[], Any]) -> Any:
        """Pass an effect that changes nothing."""

    def write(self, name: str, effect: Callable[[], Any]) -> Any:
        """Pass an effect that changes something."""


class SimulatedCrash(BaseException):
    """The process is dead. A BaseException, so that no `except Exception` outlives its own death."""


@dataclass(slots=True)
class FaultPlan:
    """Numbers every effect that passes through it, from 1, and strikes at effect `at` (0: never).

    ``error``: it fails, nothing happened, the caller knows. ``crash_before``, ``crash_after``: the process
    dies at it, and no later effect of this plan happens, not even from a `finally`. ``lost_answer``: it
    happened, and the caller is told that this is unknown. ``lost_request``: the same, but nothing happened.
    """

    at: int = 0
    fault: Fault = "error"
    effects: list[tuple[str, bool]] = field(default_factory=list)  # (name, is it a write) in order
    dead: bool = False

    def __str__(self) -> str:
        return f"{self.at}-{self.fault}"

    @property
    def struck(self) -> bool:
        return 0 < self.at <= len(self.effects)

    def read(self, name: str, effect: Callable[[], Any]) -> Any:
        """Pass an effect that changes nothing."""
        return self._perform(name, effect, is_write=False)

    def write(self, name: str, effect: Callable[[], Any]) -> Any:
        """Pass an effect that changes something."""
        return self._perform(name, effect, is_write=True)

    def _perform(self, name: str, effect: Callable[[], Any], *, is_write: bool) -> Any:
        if self.dead:
            raise SimulatedCrash(f"{name} after death")
        self.effects.append((name, is_write))
        return self._strike(name, effect) if len(self.effects) == self.at else effect()

    def _strike(self, name: str, effect: Callable[[], Any]) -> Any:
        if self.fault in ("crash_after", "lost_answer"):
            effect()
        if self.fault in ("crash_before", "crash_after"):
            self.dead = True
            raise SimulatedCrash(name)
        if self.fault == "error":
            raise ServiceUnavailable(f"planned: {name} failed", hint="It is planned.")
        raise OutcomeUnknown(f"planned: the answer of {name} was lost", hint="It is planned.")


def effects_of(scenario: Callable[[FaultPlan], object]) -> list[tuple[str, bool]]:
    """Run it without a fault; the (name, is it a write) of all its effects in order."""
    plan = FaultPlan()
    scenario(plan)
    return plan.effects


def every_fault(scenario: Callable[[FaultPlan], object]) -> list[FaultPlan]:
    """A fresh plan for every single fault that a scenario can meet, for parametrisation with ``ids=str``."""
    return [
        FaultPlan(at, fault)
        for at, (_, is_write) in enumerate(effects_of(scenario), start=1)
        for fault in (WRITE_FAULTS if is_write else READ_FAULTS)
    ]


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """The process ends here, by a planned crash or by an error that nobody handled; what it did remains."""
    with contextlib.suppress(SimulatedCrash, TailraceError):
        yield


class FaultyStore:
    """A store whose every call passes through a plan."""

    def __init__(self, store: Store, plan: Effects) -> None:
        self._store = store
        self._plan = plan

    @property
    def url(self) -> str:
        return self._store.url

    def read(self, name: str) -> Stored:
        stored: Stored = self._plan.read(f"read {name}", lambda: self._store.read(name))
        return stored

    def open(self, name: str) -> BinaryIO:
        stream: BinaryIO = self._plan.read(f"open {name}", lambda: self._store.open(name))
        return stream

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        data: bytes = self._plan.read(f"read_range {name}", lambda: self._store.read_range(name, offset, size))
        return data

    def create(self, name: str, data: bytes) -> None:
        self._plan.write(f"create {name}", lambda: self._store.create(name, data))

    def replace(self, name: str, data: bytes, expected: str | None) -> str:
        version: str = self._plan.write(f"replace {name}", lambda: self._store.replace(name, data, expected))
        return version

    def list(self, prefix: str) -> Iterator[Listed]:
        yield from self._plan.read(f"list {prefix}", lambda: list(self._store.list(prefix)))

    def delete(self, name: str) -> None:
        self._plan.write(f"delete {name}", lambda: self._store.delete(name))

    def probe(self) -> None:
        self._plan.write("probe", self._store.probe)


class FaultySource:
    """A stream source whose every call passes through a plan; all of them are reads."""

    def __init__(self, source: StreamSource, plan: Effects) -> None:
        self._source = source
        self._plan = plan

    def incarnation(self) -> Incarnation:
        incarnation: Incarnation = self._plan.read("incarnation", self._source.incarnation)
        return incarnation

    def shards(self) -> list[ShardInfo]:
        return list(self._plan.read("shards", self._source.shards))

    def iterator(self, shard_id: str, *, after: SequenceNumber | None = None, latest: bool = False) -> str:
        iterator: str = self._plan.read(
            f"iterator {shard_id}", lambda: self._source.iterator(shard_id, after=after, latest=latest)
        )
        return iterator

    def read(self, iterator: str, limit: int = 1000) -> RecordsPage:
        page: RecordsPage = self._plan.read("read", lambda: self._source.read(iterator, limit))
        return page


class Faulty:
    """Any other port, named methods passed through a plan: ``Faulty(target, plan, writes=("apply",))``."""

    def __init__(self, port: Any, plan: Effects, *, writes: tuple[str, ...] = (), reads: tuple[str, ...] = ()) -> None:
        self._port = port
        self._plan = plan
        self._perform = {**dict.fromkeys(writes, plan.write), **dict.fromkeys(reads, plan.read)}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        perform = self._perform.get(name)
        if perform is None:
            return attribute
        return lambda *args, **kwargs: perform(name, lambda: attribute(*args, **kwargs))
