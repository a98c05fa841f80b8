"""Faults at every effect of loads into a target of files, and what must hold behind each of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tailrace.landing import LocalStore
from tailrace.targets.target import Mode, Target
from tailrace.testing.faults import WRITE_FAULTS, FaultPlan, FaultyStore, effects_of, stopped
from tailrace.testing.target_contract import HISTORY, Replica, put


@dataclass(frozen=True)
class Struck:
    """A folder after a load that a fault struck, with what it should show before and after that load."""

    place: Path
    plan: FaultPlan
    replica: Replica
    number: int

    @property
    def what(self) -> str:
        return f"load {self.number}, {self.plan.fault} at {self.plan.effects[self.plan.at - 1][0]}"


def replica_after(target: Target, mode: Mode, loads: int) -> Replica:
    """What a target should show after so many loads of the history."""
    replica = Replica(target, mode)
    replica.applied = dict(HISTORY[:loads])
    return replica


def struck_everywhere(
    open_target: Callable[..., Any], mode: Mode, folder: Path, numbers: tuple[int, ...]
) -> Iterator[Struck]:
    """Each fault at each effect of these loads of the history, in a fresh folder. Yields before anything is repaired."""
    stage = folder / "stage"
    for number in range(max(numbers) + 1):
        before = replica_after(open_target(stage), mode, number)
        load = before.load(HISTORY[number])
        if number in numbers:
            counted = effects_of(partial(_strike, open_target, stage, folder / "counted", load))
            writes = [at for at, (_, is_write) in enumerate(counted, 1) if is_write]
            for at in writes:
                for fault in WRITE_FAULTS:
                    plan, place = FaultPlan(at, fault), folder / "struck"
                    with stopped():
                        _strike(open_target, stage, place, load, plan)
                    assert plan.struck
                    yield Struck(place, plan, replica_after(open_target(place), mode, number), number)
        before.apply(HISTORY[number])


def _strike(open_target: Callable[..., Any], stage: Path, place: Path, load: Any, plan: FaultPlan) -> None:
    shutil.rmtree(place, ignore_errors=True)
    if stage.exists():
        shutil.copytree(stage, place)
    target = open_target(place, FaultyStore(LocalStore(place), plan), plan=plan)
    target.apply(load)


def shows_all_or_nothing(struck: Struck) -> bool:
    """Whether the load is visible; it is so as a whole, or not at all."""
    replica = struck.replica
    is_applied = replica.ledger.holds(HISTORY[struck.number][0])
    if is_applied:
        replica.applied.update([HISTORY[struck.number]])
    if replica.applied:
        replica.check()
    else:
        assert replica.shown() == {}, struck.what
    return is_applied


# ---- two loaders

LATER = (9, [put(90, "z")])
NARROW = [(number, [put(number, key, x={"N": "1"})]) for number, key in enumerate("abc", 1)]


@dataclass
class Interrupting:
    """Lets somebody else work before one of the calls."""

    at: int
    work: Callable[[], Any]
    calls: int = 0
    done: bool = False

    def read(self, name: str, effect: Callable[[], Any]) -> Any:
        return self.write(name, effect)

    def write(self, name: str, effect: Callable[[], Any]) -> Any:
        if self.calls == self.at:
            self.work()
            self.done = True
        self.calls += 1
        return effect()
