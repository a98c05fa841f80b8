"""When to load, what to load next, and what may be said about a target afterwards. Values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from tailrace.decide.base import base_of, base_stage
from tailrace.model.exports import ExportState
from tailrace.model.manifest import Gap, Manifest, TableState
from tailrace.model.positions import CLASS_BASE, CLASS_CHANGE, order_prefix
from tailrace.model.segments import Place, Segment

WINDOW_LIMITS: Final = 8  # times as much as other loads: memory has an end
BASE_LIMITS: Final = 4  # the same for base rows, where each load looks at the keys of all rows that stand
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """How much one load takes at most; a single segment is taken whatever its size. `bytes` are compressed ones.

    `base_times`: of base rows a load takes so many times as much.
    """

    segments: int = 500
    rows: int = 250_000
    bytes: int = 10 << 20
    base_times: int = 1


@dataclass(frozen=True, slots=True)
class Every:
    """At each whole multiple of `seconds` since 1970 in UTC, `offset` seconds late: what was published before that multiple."""

    seconds: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.seconds < 1 or (DAY_SECONDS % self.seconds and self.seconds % DAY_SECONDS):
            raise ValueError(f"{self.seconds} s neither divide a day nor make whole days")
        if not 0 <= self.offset < self.seconds:
            raise ValueError(f"an offset of {self.offset} s is not less than the {self.seconds} s that it is added to")

    def load_ms(self, published_ms: int) -> int:
        """When a segment that was published at this moment is to be loaded. Both in Unix milliseconds."""
        ms = self.seconds * 1000
        return (published_ms // ms + 1) * ms + self.offset * 1000


LoadRule: TypeAlias = Literal["continuous", "on_file", "by_hand"] | Every
"""When a table's segments are loaded: at once, many together; at once, each alone; at whole hours; or when a person says so."""


@dataclass(frozen=True, slots=True)
class Due:
    """Segments up to number `through` may be loaded. `again_ms`: when the next one will be, None where no time brings it."""

    through: int
    again_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every change before `ms` is in the target; None: nothing can be said, `hidden_by` says why where a gap is why."""

    ms: int | None
    hidden_by: Gap | None = None


def order_class(segment: Segment) -> int:
    """The class of all order keys of a segment: base rows lose to changes."""
    return CLASS_BASE if segment.kind == "base" else CLASS_CHANGE


def order_prefix_of(segment: Segment) -> str:
    """How the order keys of a segment's records begin: of an export's window its end comes before the record's own time."""
    prefix = order_prefix(segment.epoch, order_class(segment))
    return prefix if segment.window_end is None else f"{prefix}{segment.window_end:020d}"


def due(rule: LoadRule, now_ms: int, waiting: Iterable[Segment], last: int) -> Due:
    """Which of the segments that wait to be loaded may be, by the clock. They come in publish order and end with number `last`.

    A segment was published no later than any one behind it, whatever the clocks of those who published them said: so one
    that a wrong clock dated into the future holds nothing up for longer than until the next one. It is always a beginning
    of what waits. Reads `waiting` only where the answer depends on it.
    """
    if rule == "by_hand":
        return Due(0)
    if not isinstance(rule, Every):
        return Due(last)
    through, first_ms = 0, None
    for segment in waiting:
        if rule.load_ms(segment.published_ms) <= now_ms:
            through, first_ms = segment.number, None
        elif first_ms is None or segment.published_ms < first_ms:
            first_ms = segment.published_ms
    return Due(through, None if first_ms is None else rule.load_ms(first_ms))


def when_told(rule: LoadRule) -> LoadRule:
    """The rule while a person loads: nothing waits for a time. What is a load of its own stays one."""
    return rule if rule == "on_file" else "continuous"


def pending(
    segments: Iterable[Segment],
    applied_through: int,
    applied_beyond: Collection[int],
    limits: LoadLimits,
    *,
    one_each: bool = False,
    begun_through: int = 0,
) -> tuple[Segment, ...]:
    """The next load: segments that are not applied, in publish order, of one order prefix, within the limits.

    Those of one export's window belong together, because half a window is no state the table ever had: for them limits are
    `WINDOW_LIMITS` times as high. `one_each`: every other segment is a load of its own. `begun_through`: where a load ended
    that was begun before, so that this one is the same. Reads no more of `segments` than it needs. Empty: everything is applied.
    """
    chosen: list[Segment] = []
    rows = size = 0
    for segment in segments:
        if segment.number <= applied_through or segment.number in applied_beyond:
            continue
        rows, size = rows + segment.rows, size + segment.bytes
        times = limits.base_times if segment.kind == "base" else 1 if segment.window_end is None else WINDOW_LIMITS
        full = len(chosen) >= times * limits.segments or rows > times * limits.rows or size > times * limits.bytes
        is_begun = bool(chosen) and chosen[0].number <= begun_through < segment.number
        if chosen and (full or is_begun or _company(segment, one_each) != _company(chosen[0], one_each)):
            break
        chosen.append(segment)
    return tuple(chosen)


def _company(segment: Segment, one_each: bool) -> tuple[str, int]:
    """Segments that agree in this go into one load. A sweep goes alone."""
    is_alone = segment.kind == "sweep" or (one_each and segment.window_end is None)
    return order_prefix_of(segment), segment.number if is_alone else 0


def side_by_side(segments: Sequence[Segment]) -> list[tuple[Segment, ...]]:
    """The same segments, in order, grouped where one read of one object gives the bytes of several."""
    groups: list[list[Segment]] = []
    place_behind: Place | None = None
    for segment in segments:
        if segment.place is not None and segment.place == place_behind:
            groups[-1].append(segment)
        else:
            groups.append([segment])
        here = segment.place
        place_behind = None if here is None else replace(here, offset=here.offset + segment.bytes)
    return [tuple(group) for group in groups]


def watermark(manifest: Manifest, applied_through: int, through_ms: int | None) -> Watermark:
    """How far a target is known to be complete. `through_ms` belongs to the last segment without a hole before it.

    Once everything published is applied it moves on with capture, so that an idle table does not seem to fall behind.
    """
    if manifest.open_gaps:
        return Watermark(None, manifest.open_gaps[0])
    if applied_through == manifest.next_number - 1:
        return Watermark(manifest.captured_through_ms)
    return Watermark(through_ms)


def shown_state(
    manifest: Manifest | None,
    applied_through: int,
    quarantined: int,
    *,
    applied_ms: int | None = None,
    has_base: bool = False,
) -> TableState:
    """The one state to show for a table and a target: what is worse hides what is better.

    `applied_ms` is the target's watermark. `has_base`: the configuration wants a base beside the stream.
    """
    if manifest is None:
        return "NEW"
    if manifest.open_gaps:
        return "GAP"
    if manifest.state in ("SOURCE_CHANGED", "PAUSED", "GAP"):
        return manifest.state
    if quarantined > 0:
        return "QUARANTINE"
    if manifest.exports is not None:
        return _export_state(manifest.exports, applied_through)
    stage = base_stage(manifest, is_wanted=has_base, through_ms=applied_ms, applied_through=applied_through)
    if stage is not None:
        return stage
    if manifest.state in ("BASE_LOADING", "CATCHING_UP") and base_of(manifest) is not None:
        return "CONSISTENT"  # what capture wrote when it last looked
    if manifest.state == "CAPTURING" and (applied_through > 0 or manifest.next_number == 1):
        return "CONSISTENT"
    return manifest.state


def _export_state(exports: ExportState, applied_through: int) -> TableState:
    """Once its full export is applied, a target shows the table as it was at the end of a window.

    Except within one so large that it takes several loads.
    """
    if exports.base is None:
        return "CAPTURING"
    if applied_through < exports.base_last_number:
        return "BASE_LOADING"
    inside = any(w.first_number <= applied_through < w.last_number for w in exports.windows)
    return "CATCHING_UP" if inside else "CONSISTENT"


def weighted_percentile(values: Sequence[tuple[int, int]], fraction: float) -> int | None:
    """The smallest value that at least `fraction` of the weight does not exceed; `values` are (value, weight)."""
    left = fraction * sum(weight for _, weight in values)
    for value, weight in sorted(values):
        left -= weight
        if left <= 0 and weight > 0:
            return value
    return None
