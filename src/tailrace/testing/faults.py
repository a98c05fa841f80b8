"""Faults at a chosen effect: run a scenario once to count its effects, then again failing at each of them in each way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tailrace.errors import OutcomeUnknown, ServiceUnavailable

Fault: TypeAlias = Literal["error", "crash_before", "crash_after", "lost_answer", "lost_request"]
FAULTS: Final[tuple[Fault, ...]] = ("error", "crash_before", "crash_after", "lost_answer", "lost_request")


class SimulatedCrash(BaseException):
    """The process is dead. A BaseException, so that no `except Exception` lives on after its own death."""


@dataclass(slots=True)
class FaultPlan:
    """Numbers every effect that passes through it, from 1, and strikes at effect `at`.

    ``error``: it fails and nothing happened. ``crash_before`` and ``crash_after``: the process dies around it.
    ``lost_answer``: it happened and the caller is told that the outcome is unknown; ``lost_request``: the same, but it did not happen.
    """

    at: int = 0
    fault: Fault = "error"
    effects: int = 0
    struck: str = ""

    def perform(self, name: str, effect: Callable[[], Any]) -> Any:
        """Count one effect and let it happen, or strike."""
        self.effects += 1
        if self.effects != self.at:
            return effect()
        self.struck = name
        if self.fault == "error":
            raise ServiceUnavailable(f"planned: {name} failed")
        if self.fault == "crash_before":
            raise SimulatedCrash(name)
        if self.fault == "crash_after":
            effect()
            raise SimulatedCrash(name)
        if self.fault == "lost_answer":
            effect()
        raise OutcomeUnknown(f"planned: the answer of {name} was lost")


class Faulty:
    """Any port, with the named methods passed through a plan: ``Faulty(store, plan, "create", "replace")``."""

    def __init__(self, port: Any, plan: FaultPlan, *effects: str) -> None:
        self._port = port
        self._plan = plan
        self._effects = effects

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if name not in self._effects:
            return attribute
        return lambda *args, **kwargs: self._plan.perform(name, lambda: attribute(*args, **kwargs))


def every_fault(effects: int) -> Iterator[tuple[int, Fault]]:
    """All single faults of a scenario with so many effects."""
    for at in range(1, effects + 1):
        for fault in FAULTS:
            yield at, fault
