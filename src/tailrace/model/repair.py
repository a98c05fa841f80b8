"""A repair as the manifest remembers it: what makes the present epoch whole after changes were lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tailrace.model.documents import build
from tailrace.model.exports import ExportPlan

RepairKind: TypeAlias = Literal["full", "window"]


@dataclass(frozen=True, slots=True)
class RepairState:
    """The repair that began `epoch`; `finished_ms` None: under way.

    ``full``: a new base, then a sweep of what older epochs left. ``window``: exports of exactly `[start, end)`, in Unix
    seconds, laid over what is there, and the items of the few keys that these cannot tell. `end` is chosen once it lies behind
    `begun_ms`; `through`: up to here the exports are published; `plan`: the one under way. `last_number`: its last segment.
    `rows`: exported ones; `keys`: those read from the table itself.
    """

    epoch: int
    kind: RepairKind
    begun_ms: int
    start: int | None = None
    end: int | None = None
    through: int | None = None
    plan: ExportPlan | None = None
    last_number: int = 0
    rows: int = 0
    keys: int = 0
    finished_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "kind": self.kind,
            "begun_ms": self.begun_ms,
            "start": self.start,
            "end": self.end,
            "through": self.through,
            "plan": None if self.plan is None else self.plan.to_json(),
            "last_number": self.last_number,
            "rows": self.rows,
            "keys": self.keys,
            "finished_ms": self.finished_ms,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RepairState:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no state."""
        plan = value["plan"]
        return build(cls, {**value, "plan": None if plan is None else ExportPlan.from_json(plan)})
