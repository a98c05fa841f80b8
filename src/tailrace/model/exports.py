"""PITR exports as the manifest remembers them: the full export, the windows behind it, and those that are under way.

All moments of exports are whole Unix seconds, as DynamoDB takes them. A window is half-open: `[start, end)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tailrace.model.documents import array, build

WINDOW_SECONDS_MIN: Final = 15 * 60  # of AWS
WINDOW_SECONDS_MAX: Final = 24 * 3600
WINDOWS_KEPT: Final = 300  # newest windows that the manifest lists, as many as may overlap; older ones tile


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval `[start, end)` of one incremental export, in whole seconds."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not WINDOW_SECONDS_MIN <= self.end - self.start <= WINDOW_SECONDS_MAX:
            raise ValueError(f"a window of {self.end - self.start} s; AWS takes 15 minutes to 24 hours")


@dataclass(frozen=True, slots=True)
class Restorable:
    """The range that point-in-time recovery covers now, in whole seconds; both ends may be exported."""

    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """One export that is under way. Published before AWS is asked, so that a crash repeats the same request.

    `window` is None for the full export, which shows the table as it was at `moment`; of a window `moment` is its end.
    `attempt` counts from 1: each has a token and a prefix of its own. `arn` is known once AWS has answered.
    `failure` says why the attempt before this one failed; `not_before_ms` is when this one may start.
    """

    moment: int
    window: Window | None
    attempt: int
    planned_ms: int
    arn: str | None = None
    failure: str = ""
    not_before_ms: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "from": None if self.window is None else self.window.start,
            "to": self.moment,
            "attempt": self.attempt,
            "planned_ms": self.planned_ms,
            "arn": self.arn,
            "failure": self.failure,
            "not_before_ms": self.not_before_ms,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExportPlan:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no plan."""
        rest = {name: member for name, member in value.items() if name not in ("from", "to")}
        window = None if value["from"] is None else build(Window, {"start": value["from"], "end": value["to"]})
        return build(cls, {**rest, "moment": value["to"], "window": window})


@dataclass(frozen=True, slots=True)
class PublishedWindow:
    """A window whose files are segments now. `first_number` to `last_number`: its segments; none when it was empty."""

    window: Window
    first_number: int
    last_number: int
    rows: int

    def to_json(self) -> list[int]:
        return [self.window.start, self.window.end, self.first_number, self.last_number, self.rows]

    @classmethod
    def from_json(cls, value: Any) -> PublishedWindow:
        """Raises TypeError, ValueError where `value` is no window."""
        start, end, first_number, last_number, rows = array(value)
        numbers = {"first_number": first_number, "last_number": last_number, "rows": rows}
        return build(cls, {"window": build(Window, {"start": start, "end": end}), **numbers})


@dataclass(frozen=True, slots=True)
class ExportState:
    """How far a table is captured by exports.

    `base` is the moment of the full export once it is published, `base_last_number` its last segment. `windows` are the
    newest published ones, oldest first. `under_way`: what comes next, in the order in which it will be published; exports
    take minutes, so the next ones begin before the first is there.
    """

    base: int | None = None
    base_last_number: int = 0
    windows: tuple[PublishedWindow, ...] = ()
    under_way: tuple[ExportPlan, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "base_last_number": self.base_last_number,
            "windows": [window.to_json() for window in self.windows],
            "under_way": [plan.to_json() for plan in self.under_way],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExportState:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no state."""
        windows = tuple(map(PublishedWindow.from_json, array(value["windows"])))
        return build(
            cls, {**value, "windows": windows, "under_way": tuple(map(ExportPlan.from_json, array(value["under_way"])))}
        )


@dataclass(frozen=True, slots=True)
class BaseExport:
    """A full export as the base of a table whose changes come from its stream.

    `begun_ms`: when this was put on record, at a time when every shard was; the export's moment lies behind it. `plan`: under
    way, None before there is one and once it is published. `moment`, `last_number`: of the published one.
    """

    epoch: int
    begun_ms: int
    plan: ExportPlan | None = None
    moment: int | None = None
    last_number: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "begun_ms": self.begun_ms,
            "plan": None if self.plan is None else self.plan.to_json(),
            "moment": self.moment,
            "last_number": self.last_number,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BaseExport:
        """Raises KeyError, TypeError, ValueError, AttributeError where `value` is no such state."""
        plan = value["plan"]
        return build(cls, {**value, "plan": None if plan is None else ExportPlan.from_json(plan)})
