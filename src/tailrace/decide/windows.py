"""Which export comes next, and when the chain of windows is broken. Values in, values out.

Let the target equal the table's state at `start`. An incremental export of `[start, end)` holds the final state of every
key that changed inside; untouched keys are as they were. So after it the target equals the state at `end`, and windows that
tile exactly keep it exact for ever. A hole or a naive overlap breaks this: a key inserted and deleted inside one window
leaves no record in it.

Sliding windows overlap on purpose, for freshness; `stale_before` says which keys each of them must settle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from tailrace.model.exports import (
    WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN,
    WINDOWS_KEPT,
    ExportPlan,
    ExportState,
    PublishedWindow,
    Restorable,
    Window,
)
from tailrace.model.manifest import Gap, Incarnation

QUARTER_SECONDS: Final = 15 * 60  # full exports and windows end at whole quarters of an hour
UNDER_WAY_MAX: Final = 4  # exports of one table at once: a step of 5 minutes, five to twelve minutes for an export
ATTEMPT_PAUSE_MS: Final = 30_000  # before the second attempt, doubled for each further one
ATTEMPT_PAUSE_MS_MAX: Final = 15 * 60_000


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How windows follow one another: `width` seconds wide, a new one each `step` seconds.

    `step == width` tiles, and after an outage makes wider windows. A smaller step slides; it must divide the width,
    because only then the end of each window is the start of a later one, which deletes what the overlap left behind.
    """

    width: int = QUARTER_SECONDS
    step: int = QUARTER_SECONDS

    def __post_init__(self) -> None:
        if not WINDOW_SECONDS_MIN <= self.width <= WINDOW_SECONDS_MAX:
            raise ValueError("a window is 15 minutes to 24 hours wide")
        if not 0 < self.step <= self.width or self.width % self.step:
            raise ValueError("the step must divide the window's width")

    @property
    def slides(self) -> bool:
        return self.step < self.width


def plan_export(state: ExportState, restorable: Restorable, rule: WindowRule, now_ms: int) -> ExportPlan | None:
    """The next export, as soon as point-in-time recovery covers it; None: nothing is due, or enough is under way."""
    if len(state.under_way) >= UNDER_WAY_MAX:
        return None
    start = next_start(state, rule)
    if start is None:
        moment = floor_quarter(restorable.latest)
        return ExportPlan(moment, None, 1, now_ms) if moment >= restorable.earliest else None
    if rule.slides:
        end = start + rule.width
    else:
        steps = min(restorable.latest - start, WINDOW_SECONDS_MAX) // rule.width
        end = start + max(steps, 1) * rule.width  # an outage is made up with wider windows
    return ExportPlan(end, Window(start, end), 1, now_ms) if end <= restorable.latest else None


def next_start(state: ExportState, rule: WindowRule) -> int | None:
    """Where the next window begins, behind all that is published or under way; None before the full export is planned.

    No start is ever skipped.
    """
    windows = [w.window for w in state.windows] + [p.window for p in state.under_way if p.window is not None]
    if windows:
        return windows[-1].start + rule.step if rule.slides else windows[-1].end
    return state.base if state.base is not None else next((p.moment for p in state.under_way), None)


def published_through(state: ExportState) -> int | None:
    """The moment whose state is published, in seconds; None before the full export is."""
    return state.windows[-1].window.end if state.windows else state.base


def reachable(state: ExportState, restorable: Restorable, rule: WindowRule) -> int:
    """How far what is restorable now will carry the chain: the end of the last window that it covers whole."""
    start = next_start(state, rule)
    if start is None:
        moment = floor_quarter(restorable.latest)
        return moment if moment >= restorable.earliest else moment + QUARTER_SECONDS
    steps = max(0, restorable.latest - start - rule.width + rule.step) // rule.step
    end = start - rule.step + rule.width  # of the window before, or the base's own moment where there is none
    ends = [p.moment for p in state.under_way] + [
        through for through in [published_through(state)] if through is not None
    ]
    return max([*ends, end + steps * rule.step if steps else 0])


def seconds_until_due(state: ExportState, restorable: Restorable, rule: WindowRule) -> int:
    """How long until the next export can be planned, by AWS's clock."""
    start = next_start(state, rule)
    wanted = floor_quarter(restorable.earliest) + QUARTER_SECONDS if start is None else start + rule.width
    return max(0, wanted - restorable.latest)


def pitr_gap(start: int, restorable: Restorable | None, now_ms: int) -> Gap | None:
    """Changes that no export can give any more: recovery was off, or reaches back less far than a window's start."""
    if restorable is None:
        return Gap("pitr_reset", "point-in-time recovery was switched off", now_ms)
    if restorable.earliest > start:
        reason = (
            f"point-in-time recovery begins at {moment_text(restorable.earliest)},"
            f" the next window had to begin at {moment_text(start)}"
        )
        return Gap("pitr_reset", reason, now_ms)
    return None


def retried(plan: ExportPlan, failure: str, now_ms: int) -> ExportPlan:
    """The same export once more, under a new token and prefix, after a pause that grows."""
    pause = min(ATTEMPT_PAUSE_MS_MAX, ATTEMPT_PAUSE_MS * 2 ** min(plan.attempt - 1, 10))
    return replace(
        plan, attempt=plan.attempt + 1, arn=None, failure=failure, planned_ms=now_ms, not_before_ms=now_ms + pause
    )


def published(state: ExportState, plan: ExportPlan, first_number: int, last_number: int, rows: int) -> ExportState:
    """The state once the files of the first plan under way are segments `first_number` to `last_number`."""
    assert plan == state.under_way[0], "exports are published in order"
    rest = state.under_way[1:]
    if plan.window is None:
        return replace(state, base=plan.moment, base_last_number=last_number, under_way=rest)
    window = PublishedWindow(plan.window, first_number, last_number, rows)
    return replace(state, windows=(*state.windows, window)[-WINDOWS_KEPT:], under_way=rest)


def with_plan(state: ExportState, old: ExportPlan, new: ExportPlan) -> ExportState:
    """The state with one plan under way replaced."""
    return replace(state, under_way=tuple(new if plan == old else plan for plan in state.under_way))


def stale_before(state: ExportState, window: Window) -> int:
    """Keys last written from `window.start` up to this moment (excluded), without a record in `window`, must be settled.

    Between `window.start` and the end of the window before it, the target already holds changes that this window
    would undo without a record: inserted before that end, deleted after it. It equals `window.start` where windows tile.
    """
    return max([window.start, *(w.window.end for w in state.windows)])


def overlapping(state: ExportState, window: Window) -> tuple[PublishedWindow, ...]:
    """Published windows that may hold the last write of a key that `window` must settle."""
    return tuple(w for w in state.windows if w.window.end > window.start)


def client_token(incarnation: Incarnation, prefix: str, plan: ExportPlan) -> str:
    """Equal for equal requests and for nothing else, so that repeating a request never starts a second export."""
    start = "" if plan.window is None else plan.window.start
    text = f"{incarnation.table_id}|{prefix}|{start}|{plan.moment}|{plan.attempt}"
    return hashlib.sha256(text.encode()).hexdigest()[:36]


def folder_of(plan: ExportPlan) -> str:
    """Where the export goes below the table's folder: a folder for each attempt, so that they never share ``data/``."""
    name = f"full-{moment_text(plan.moment)}" if plan.window is None else window_text(plan.window)
    return f"exports/{name}" + (f"-attempt{plan.attempt}" if plan.attempt > 1 else "")


def window_text(window: Window) -> str:
    """``20261122T051500Z-20261122T053000Z``."""
    return f"{moment_text(window.start)}-{moment_text(window.end)}"


def moment_text(seconds: int) -> str:
    """``20261122T051500Z``: sorts by time and needs no escape anywhere."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def floor_quarter(seconds: int) -> int:
    """The last whole quarter of an hour, UTC."""
    return seconds - seconds % QUARTER_SECONDS
