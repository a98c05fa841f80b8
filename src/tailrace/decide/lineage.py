"""Which shards may be read, which are missing: the rules of a stream's lineage. All sequence numbers are integers.

A key's changes lie along one line of shards, parent before child. A child may be read once its parent is finished, that is read
to its end *and* published. Whatever breaks the line is a Gap, recorded before anything is read behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.model.manifest import Gap, ShardState, Start
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

RETENTION_MS: Final = 24 * 3600 * 1000  # of a stream
# One worker counts from another one's look. AWS refuses a clock that is more than five minutes off, so two differ by no more than
# this, and what may have been lost is told: better a gap where nothing is missing than a missing row without a gap.
CLOCKS_MS: Final = 10 * 60 * 1000
UNREAD_MS: Final = RETENTION_MS - CLOCKS_MS
RETIRE_MS: Final = 2 * RETENTION_MS  # a finished shard is remembered so long; forgetting it earlier replays the lineage
ABSENT_MS: Final = (
    60 * 1000
)  # a listing may lack a shard for a moment; what is gone for good is older than a day anyway
YOUNG_MS: Final = ABSENT_MS + CLOCKS_MS  # so long after a shard a listing may first show its sibling
CHILDLESS_MS: Final = 25 * 3600 * 1000  # after that long a child that was never listed has lost records
# Records this much older than `since_ms` are skipped after LATEST; a larger margin only captures more. AWS refuses clocks that
# are more than five minutes off, so no write after `since_ms` looks older than this, which is what a base relies on.
LATEST_MARGIN_MS: Final = 301 * 1000


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known after a look: every shard, and the gaps that this look revealed."""

    shards: Mapping[str, ShardState]
    gaps: tuple[Gap, ...] = ()


def first_discovery(listing: Sequence[ShardInfo], start: Start, now_ms: int) -> Lineage:
    """The shards of a stream that is seen for the first time.

    From TRIM_HORIZON everything that is left is read; a parent that is not listed was trimmed before we came. From LATEST only
    open shards are read, from now on, and closed ones count as finished. Children found later always start at TRIM_HORIZON.
    """
    found = _added({}, {}, listing, now_ms, now_ms)
    if start == "TRIM_HORIZON":
        return found
    shards = {
        shard_id: replace(shard, start="LATEST") if shard.last is None else replace(shard, finished_ms=now_ms)
        for shard_id, shard in found.shards.items()
    }
    return Lineage(shards, found.gaps)


def merge_listing(
    known: Mapping[str, ShardState],
    gaps: Sequence[Gap],
    listing: Sequence[ShardInfo],
    now_ms: int,
    *,
    open_ms: Mapping[str, int],
    absent_since_ms: Mapping[str, int],
    missed: Collection[str],
    captured_through_ms: int | None,
    shown_ms: int,
) -> Lineage:
    """Bring a new listing in; `open_ms` is of `seen_open`, by the listings before this one.

    It was asked for at `now_ms`, the answer came at `shown_ms`, and by then `captured_through_ms` was the watermark.
    A listing may be incomplete. So a shard is gone only when listings have lacked it for a minute, and it is `missed`: reads
    do not find it, or nothing was ever read of it. A parent that nobody knows yet is treated as such a shard.
    """
    listed = {info.shard_id: info for info in listing}
    parents = _parents(known, listing)
    shards: dict[str, ShardState] = {}
    found: list[Gap] = []
    for shard_id, shard in known.items():
        info = listed.get(shard_id)
        if info is not None:
            shards[shard_id] = replace(
                shard,
                listed_ms=shown_ms if shard.listed_ms is None else shard.listed_ms,
                last=shard.last if info.last is None else info.last,
                parent=info.parent if _learns_parent(shard, info, parents) else shard.parent,
            )
        elif now_ms - absent_since_ms.get(shard_id, now_ms) < ABSENT_MS:
            shards[shard_id] = shard
        elif shard.finished_ms is None and shard_id in missed:
            shards[shard_id] = replace(shard, finished_ms=now_ms)
            if shard.mark is None or shard.mark != shard.last:
                reason = "the shard left the listing before it was read to its end"
                found.append(Gap("shard_vanished", reason, now_ms, shard_id, shard.mark))
        elif shard.finished_ms is None or now_ms - shard.finished_ms < RETIRE_MS:
            shards[shard_id] = shard
    fresh = [info for info in listing if info.shard_id not in known]
    added = _added(shards, _began(shards, open_ms, captured_through_ms), fresh, now_ms, shown_ms)
    began_ms = _began(known, open_ms, captured_through_ms)
    heard_of = known.keys() | listed.keys()
    learned = [shard for shard_id, shard in shards.items() if shard.parent != known[shard_id].parent]
    for shard in [*added.shards.values(), *learned]:
        if shard.parent is not None and shard.parent not in heard_of:  # it came and went, or the next listing shows it
            shards[shard.parent] = ShardState(parent=None, since_ms=_born_after(None, known, {}, began_ms, now_ms))
    shards.update(added.shards)
    found.extend(added.gaps)
    found.extend(_lost_with_a_sibling(known, gaps, added.shards, now_ms))
    found.extend(_childless_too_long(shards, gaps, now_ms))
    told = {(gap.kind, gap.shard) for gap in gaps}
    return Lineage(shards, tuple(gap for gap in found if (gap.kind, gap.shard) not in told))


def _parents(known: Mapping[str, ShardState], listing: Sequence[ShardInfo]) -> dict[str, str | None]:
    return {i: s.parent for i, s in known.items()} | {info.shard_id: info.parent for info in listing}


def _learns_parent(shard: ShardState, info: ShardInfo, parents: Mapping[str, str | None]) -> bool:
    """It was heard of as somebody's parent before it was listed itself."""
    return shard.parent is None and info.parent is not None and not _is_own_ancestor(info.shard_id, parents)


def _added(
    known: Mapping[str, ShardState],
    began_ms: dict[str, int],
    listing: Sequence[ShardInfo],
    now_ms: int,
    shown_ms: int,
) -> Lineage:
    """Shards seen for the first time. One that is its own ancestor could never be read: it loses its parent, visibly."""
    parents = _parents(known, listing)
    shards: dict[str, ShardState] = {}
    gaps: list[Gap] = []
    for info in listing:
        parent = info.parent
        if _is_own_ancestor(info.shard_id, parents):
            reason = f"the listing makes it its own ancestor (parent {parent}), so the order of its changes is unknown"
            gaps.append(Gap("lineage_broken", reason, now_ms, info.shard_id))
            parent = None
        since_ms = _born_after(parent, known, parents, began_ms, now_ms)
        shards[info.shard_id] = ShardState(parent=parent, since_ms=since_ms, last=info.last, listed_ms=shown_ms)
    return Lineage(shards, tuple(gaps))


def _began(
    known: Mapping[str, ShardState], open_ms: Mapping[str, int], captured_through_ms: int | None
) -> dict[str, int]:
    """A moment before any child of each shard began, as late as is certain: when it was last seen open, or itself began."""
    began_ms = {i: s.since_ms for i, s in known.items() if s.since_ms is not None}
    if captured_through_ms is not None:
        began_ms |= {i: captured_through_ms for i, s in known.items() if _was_open(s, captured_through_ms)}
    return began_ms | {i: max(ms, began_ms.get(i, ms)) for i, ms in open_ms.items()}


def _born_after(
    parent: str | None,
    known: Mapping[str, ShardState],
    parents: Mapping[str, str | None],
    began_ms: dict[str, int],
    now_ms: int,
) -> int:
    """A moment before a child of `parent` began; `began_ms` is of `_began`.

    How long listings lacked the child says nothing. A parent that nobody knows began behind some shard of which fewer children
    are known than the two of a split.
    """
    passed: set[str] = set()
    while parent is not None and parent not in began_ms and parent not in passed:
        passed.add(parent)
        parent = parents.get(parent)
    if parent in began_ms:
        return began_ms[parent]
    children = Counter(shard.parent for shard in known.values())
    return min((ms for shard_id, ms in began_ms.items() if children[shard_id] < 2), default=now_ms)


def _was_open(shard: ShardState, captured_through_ms: int) -> bool:
    """Its changes before the watermark are captured, and its end was not among them."""
    is_covered = shard.listed_ms is not None and shard.listed_ms + CLOCKS_MS <= captured_through_ms
    return is_covered and shard.finished_ms is None


def whole_before(shards: Mapping[str, ShardState], captured_through_ms: int | None) -> int | None:
    """Every change before this moment is captured, in children, too, that no listing has shown yet; None: not known.

    A listing may show one child of a shard and the other one a little later; until then the watermark passes its changes.
    """
    if captured_through_ms is None:
        return None
    young = (s for s in shards.values() if s.listed_ms is not None and s.listed_ms > captured_through_ms - YOUNG_MS)
    return min([captured_through_ms, *(s.since_ms for s in young if s.parent is not None and s.since_ms is not None)])


def seen_open(
    shards: Mapping[str, ShardState], listing: Sequence[ShardInfo], asked_ms: int, before: Mapping[str, int]
) -> Mapping[str, int]:
    """When the shards were last listed as open, by the moment that was asked at; `before` is what this said the last time."""
    are_open = {info.shard_id for info in listing if info.last is None}
    seen: dict[str, int] = {}
    for shard_id, shard in shards.items():
        if shard_id in are_open and shard.last is None and shard.finished_ms is None:
            seen[shard_id] = asked_ms
        elif shard_id in before:
            seen[shard_id] = before[shard_id]
    return seen


def _is_own_ancestor(shard_id: str, parents: Mapping[str, str | None]) -> bool:
    passed: set[str] = set()
    at = parents[shard_id]
    while at is not None and at != shard_id and at not in passed:
        passed.add(at)
        at = parents.get(at)
    return at == shard_id


def absent_since(
    known: Mapping[str, ShardState],
    listing: Sequence[ShardInfo],
    now_ms: int,
    *,
    before: Mapping[str, int],
    listed_ms: int | None,
) -> Mapping[str, int]:
    """Known shards that a listing lacks, and since when; `before` is what this said after the last one, at `listed_ms`.

    When that is too long ago, the shard may have been listed meanwhile: counting begins anew.
    """
    listed = {info.shard_id for info in listing}
    if listed_ms is None or now_ms - listed_ms > ABSENT_MS:
        before = {}
    return {shard_id: before.get(shard_id, now_ms) for shard_id in known if shard_id not in listed}


def closed_leaves(shards: Mapping[str, ShardState], gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Finished shards whose children are not listed yet: nothing later may be called complete until they are.

    Where a gap says that a shard or its children are missing, nobody waits any longer.
    """
    parents = {shard.parent for shard in shards.values()}
    given_up = {gap.shard for gap in gaps if gap.kind in ("shard_vanished", "lineage_broken")}
    return tuple(
        shard_id
        for shard_id, shard in sorted(shards.items())
        if shard.finished_ms is not None and shard_id not in parents and shard_id not in given_up
    )


def _lost_with_a_sibling(
    known: Mapping[str, ShardState], gaps: Sequence[Gap], added: Mapping[str, ShardState], now_ms: int
) -> list[Gap]:
    """Children that are listed after another one of their parent, of which a gap says that nobody read it in time.

    By then the watermark is that of the first one, and tells no more how long nobody has read these.
    """
    unread = {gap.shard for gap in gaps if gap.kind == "stream_trimmed" and gap.after is None and gap.state != "closed"}
    lost = {shard.parent for shard_id, shard in known.items() if shard_id in unread and shard.parent is not None}
    reason = "nobody read the stream when it began, nor another child of its parent in time"
    return [Gap("stream_trimmed", reason, now_ms, i) for i, shard in added.items() if shard.parent in lost]


def _childless_too_long(shards: Mapping[str, ShardState], gaps: Sequence[Gap], now_ms: int) -> list[Gap]:
    return [
        Gap("lineage_broken", "it closed, and for 25 hours no child of it was listed", now_ms, shard_id, shard.mark)
        for shard_id in closed_leaves(shards, gaps)
        if (shard := shards[shard_id]).finished_ms is not None and now_ms - shard.finished_ms > CHILDLESS_MS
    ]


def unread_beyond_retention(
    shards: Mapping[str, ShardState], gaps: Sequence[Gap], captured_through_ms: int | None, now_ms: int
) -> Lineage | None:
    """Gaps of shards that have no mark to notice trimming with, when nobody has looked for as long as the stream keeps.

    Those shards begin anew, at what is left; the gap's own moment counts as a look at them, but not at the listing, so
    `since_ms` stays. None: there are none.
    """
    told_ms = {gap.shard: gap.detected_ms for gap in gaps if gap.kind == "stream_trimmed"}
    changed: dict[str, ShardState] = {}
    for shard_id, shard in sorted(shards.items()):
        looks = (captured_through_ms, shard.since_ms, told_ms.get(shard_id))
        looked_ms = max((ms for ms in looks if ms is not None), default=now_ms)
        if shard.finished_ms is None and shard.mark is None and now_ms - looked_ms > UNREAD_MS:
            changed[shard_id] = replace(shard, start="TRIM_HORIZON")
    if not changed:
        return None
    reason = "nobody read the stream for the 24 hours that it keeps (less 10 minutes, by which clocks may differ)"
    return Lineage({**shards, **changed}, tuple(Gap("stream_trimmed", reason, now_ms, i) for i in changed))


def ready_shards(shards: Mapping[str, ShardState]) -> tuple[str, ...]:
    """Shards that may be read now, in the order of their ids: not finished, and the parent finished or gone."""
    return tuple(
        shard_id for shard_id, shard in sorted(shards.items()) if shard.finished_ms is None and not waits(shards, shard)
    )


def waits(shards: Mapping[str, ShardState], shard: ShardState) -> bool:
    """Its parent is not finished yet, so it may not be read, and the parent speaks for it."""
    parent = None if shard.parent is None else shards.get(shard.parent)
    return parent is not None and parent.finished_ms is None


def order_violation(shards: Mapping[str, ShardState], shard_id: str, first: SequenceNumber) -> str | None:
    """Why the first record of a shard cannot follow what came before it in its line; None when it does.

    The order of a key's changes rests on numbers that grow along the lineage. AWS does not promise it, so it is checked: against
    every ancestor that is remembered, because a parent that never held a record says nothing of the one before it.
    """
    if shards[shard_id].mark is not None:
        return None
    parent_id, passed = shards[shard_id].parent, {shard_id}
    while parent_id is not None and parent_id in shards and parent_id not in passed:
        passed.add(parent_id)
        parent = shards[parent_id]
        before = max((n for n in (parent.mark, parent.last) if n is not None), default=None)
        if before is not None and first <= before:
            return f"shard {shard_id} begins at {first}, its {_relation(passed)} {parent_id} ended at {before}"
        parent_id = parent.parent
    return None


def _relation(passed: Collection[str]) -> str:
    return "parent" if len(passed) == 2 else "ancestor"
