"""Why: one segment's whole life, from the shards that it came from to the targets that hold it, or what keeps it from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tailrace.decide.lease import is_held
from tailrace.decide.load import LoadRule, due
from tailrace.errors import TailraceError, UsageInvalid
from tailrace.landing import Landing
from tailrace.landing.names import is_segment
from tailrace.model.lease import Lease
from tailrace.model.manifest import Gap, Manifest
from tailrace.model.segments import Segment
from tailrace.targets.target import Ledger, LedgerRow, TableSpec, Target

BEFORE_MAX: Final = 1000  # segments before one that are read to find the one that blocks it

Standing: TypeAlias = Literal["applied", "by_hand", "waits", "blocked", "busy", "due", "unknown"]


@dataclass(frozen=True, slots=True)
class SegmentLoad:
    """Where a segment stands with one target.

    ``applied``: `row` says when. ``by_hand``: it waits for `tailrace load`. ``waits``: for its time, which is `due_ms`.
    ``blocked``: by the damaged or missing `blocker` before it, or by itself. ``busy``: `loader` is at work. ``due``: nothing
    keeps it, as far as could be seen. ``unknown``: the target does not answer. `problem`: what is wrong. `before`: so many
    segments come first.
    """

    target: str
    rule: LoadRule
    standing: Standing
    row: LedgerRow | None = None
    before: int = 0
    due_ms: int | None = None
    blocker: str | None = None
    loader: Lease | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SegmentStory:
    """A segment's whole life, as `tailrace why` tells it.

    Where it is not `published`, an object of the landing zone that no manifest lists: `written_ms` says since when. `gaps`:
    changes that are missing of the shards that it came from. `quarantined`: objects with records of it that were set aside.
    """

    table: str
    name: str
    published: bool
    entry: dict[str, Any] | None = None
    intact: bool | None = None
    problem: str = ""
    loads: tuple[SegmentLoad, ...] = ()
    gaps: tuple[Gap, ...] = ()
    quarantined: tuple[str, ...] = ()
    written_ms: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """A target that a table goes to, and how."""

    target: Target
    table: TableSpec
    rule: LoadRule


def find_segment(landing: Landing, manifest: Manifest, name: str) -> Segment | None:
    """The segment of that name, or the one with that in its name. Raises UsageInvalid where several are meant."""
    segments = list(landing.segments(manifest))
    found = [segment for segment in segments if name in segment.name]
    exact = next((segment for segment in found if segment.name == name), None)
    if exact is not None or len(found) == 1:
        return exact or found[0]
    if found:
        raise UsageInvalid(
            f"{len(found)} segments of {landing.table} match {name!r:.80}", hint=f"For example {found[0].name}"
        )
    inside = [segment for segment in segments if segment.place is not None and name in segment.place.name]
    if inside:
        raise UsageInvalid(
            f"{name!r:.80} holds {len(inside)} segments of {landing.table} that were compacted, "
            f"numbers {inside[0].number} to {inside[-1].number}",
            hint=f"Ask for one of them, for example {inside[0].name}",
        )
    return None


def find_orphan(landing: Landing, name: str) -> SegmentStory | None:
    """An object with that in its name that could be a segment; the manifest was asked before and lists none."""
    for listed in landing.objects():
        if name in listed.name and is_segment(listed.name):
            return SegmentStory(landing.table, listed.name, False, written_ms=listed.modified_ms, bytes=listed.bytes)
    return None


def tell(
    landing: Landing, manifest: Manifest, segment: Segment, destinations: Sequence[Destination], now_ms: int
) -> SegmentStory:
    """The life of a published segment. Reads it whole, to compare it with what was published."""
    problem = _problem(landing, segment)
    loads = [_load(landing, manifest, segment, destination, now_ms, problem) for destination in destinations]
    return SegmentStory(
        table=landing.table,
        name=segment.name,
        published=True,
        entry=segment.to_json(),
        intact=not problem,
        problem=problem,
        loads=tuple(loads),
        gaps=tuple(gap for gap in manifest.open_gaps if gap.shard is None or gap.shard in segment.shards),
        quarantined=tuple(
            file.name for file in landing.quarantined() if any(r.segment == segment.name for r in file.records)
        ),
    )


def _load(
    landing: Landing, manifest: Manifest, segment: Segment, to: Destination, now_ms: int, problem: str
) -> SegmentLoad:
    """`problem`: what is wrong with the segment itself."""
    name, rule = to.target.name, to.rule
    try:
        ledger = to.target.ledger(to.table)
        if ledger.holds(segment.number):
            return SegmentLoad(name, rule, "applied", to.target.applied(to.table, segment.number))
    except TailraceError as error:
        return SegmentLoad(name, rule, "unknown", problem=_sentence(error))
    waiting = list(_waiting(landing, manifest, ledger))
    before = [s for s in waiting if s.number < segment.number]
    count = len(before)
    is_due = due(rule, now_ms, waiting, manifest.next_number - 1)
    blocked = next(((s.name, p) for s in before[:BEFORE_MAX] if (p := _problem(landing, s))), (segment.name, problem))
    if blocked[1]:
        return SegmentLoad(name, rule, "blocked", before=count, blocker=blocked[0], problem=blocked[1])
    if rule == "by_hand":
        return SegmentLoad(name, rule, "by_hand", before=count)
    if segment.number > is_due.through:
        later = due(rule, now_ms, [s for s in waiting if s.number >= segment.number], manifest.next_number - 1)
        return SegmentLoad(name, rule, "waits", before=count, due_ms=later.again_ms)
    try:
        lease = landing.lease(name).lease
    except TailraceError as error:
        return SegmentLoad(name, rule, "blocked", before=count, problem=_sentence(error))
    if is_held(lease, now_ms):
        return SegmentLoad(name, rule, "busy", before=count, loader=lease)
    return SegmentLoad(name, rule, "due", before=count)


def _waiting(landing: Landing, manifest: Manifest, ledger: Ledger) -> Iterator[Segment]:
    return (s for s in landing.segments(manifest, after=ledger.applied_through) if not ledger.holds(s.number))


def _problem(landing: Landing, segment: Segment) -> str:
    """What is wrong with a segment's bytes; empty where they are what was published."""
    try:
        landing.verify_segment(segment)
    except TailraceError as error:
        return _sentence(error)
    return ""


def _sentence(error: TailraceError) -> str:
    return f"{error} {error.hint}".strip()
