"""Which shards may be read, which are missing: the rules of a stream's lineage. All sequence numbers are integers.

A key's changes lie along one line of shards, parent before child. A child may be read once its parent is finished, that is read
to its end *and* published. Whatever breaks the line is a Gap, recorded before anything is read behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.model.manifest import Gap, ShardState, Start
from tailrace.model.positions import SequenceNumber
from tailrace.model.shards import ShardInfo

RETENTION_MS: Final = 24 * 3600 * 1000  # of a stream
RETIRE_MS: Final = 2 * RETENTION_MS  # a finished shard is remembered so long; forgetting it earlier replays the lineage
LATEST_MARGIN_MS: Final = (
    60 * 1000
)  # records this much older than `since_ms` are skipped after LATEST; more only repeats


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known after a listing: every shard, and gaps that this listing revealed."""

    shards: Mapping[str, ShardState]
    gaps: tuple[Gap, ...] = ()


def first_discovery(listing: Sequence[ShardInfo], start: Start, now_ms: int) -> Mapping[str, ShardState]:
    """The shards of a stream that is seen for the first time.

    From TRIM_HORIZON everything that is left is read. From LATEST only open shards are, from now on, and closed ones count as
    finished. Children found later always start at TRIM_HORIZON.
    """
    if start == "TRIM_HORIZON":
        return {info.shard_id: ShardState(parent=info.parent, last=info.last) for info in listing}
    return {
        info.shard_id: ShardState(parent=info.parent, start="LATEST", since_ms=now_ms)
        if info.last is None
        else ShardState(parent=info.parent, last=info.last, finished_ms=now_ms)
        for info in listing
    }


def merge_listing(
    known: Mapping[str, ShardState], listing: Sequence[ShardInfo], now_ms: int, absent_before: Collection[str]
) -> Lineage:
    """Bring a new listing in. A shard counts as vanished when two listings in a row lack it: one may be incomplete."""
    listed = {info.shard_id: info for info in listing}
    shards: dict[str, ShardState] = {}
    gaps: list[Gap] = []
    for shard_id, shard in known.items():
        if shard_id in listed:
            shards[shard_id] = replace(shard, last=listed[shard_id].last)
        elif shard.finished_ms is not None:
            if now_ms - shard.finished_ms < RETIRE_MS:
                shards[shard_id] = shard
        elif shard_id not in absent_before:
            shards[shard_id] = shard
        else:
            shards[shard_id] = replace(shard, finished_ms=now_ms)
            if shard.mark is None or shard.mark != shard.last:
                reason = "the shard left the listing before it was read to its end"
                gaps.append(Gap("shard_vanished", reason, now_ms, shard_id, shard.mark))
    for info in listing:
        if info.shard_id in known:
            continue
        shards[info.shard_id] = ShardState(parent=info.parent, last=info.last)
        if info.parent is not None and info.parent not in known and info.parent not in listed:
            reason = f"its parent {info.parent} came and went without being read"
            gaps.append(Gap("shard_vanished", reason, now_ms, info.shard_id))
    return Lineage(shards, tuple(gaps))


def absent(known: Mapping[str, ShardState], listing: Sequence[ShardInfo]) -> frozenset[str]:
    """Known shards that a listing lacks."""
    listed = {info.shard_id for info in listing}
    return frozenset(shard_id for shard_id in known if shard_id not in listed)


def unread_beyond_retention(
    shards: Mapping[str, ShardState], captured_through_ms: int | None, now_ms: int
) -> tuple[Gap, ...]:
    """Gaps of shards that have no mark to notice trimming with, when nobody has looked for longer than the stream keeps."""
    if captured_through_ms is None or now_ms - captured_through_ms <= RETENTION_MS:
        return ()
    reason = "nobody read the stream for longer than the 24 hours it keeps"
    return tuple(
        Gap("stream_trimmed", reason, now_ms, shard_id)
        for shard_id, shard in sorted(shards.items())
        if shard.finished_ms is None and shard.mark is None
    )


def ready_shards(shards: Mapping[str, ShardState]) -> tuple[str, ...]:
    """Shards that may be read now, in the order of their ids: not finished, and the parent finished or gone."""

    def parent_is_done(shard: ShardState) -> bool:
        parent = None if shard.parent is None else shards.get(shard.parent)
        return parent is None or parent.finished_ms is not None

    return tuple(
        shard_id for shard_id, shard in sorted(shards.items()) if shard.finished_ms is None and parent_is_done(shard)
    )


def order_violation(shards: Mapping[str, ShardState], shard_id: str, first: SequenceNumber) -> str | None:
    """Why the first record of a shard cannot follow its parent's last one; None when it does.

    The order of a key's changes rests on numbers that grow along the lineage. AWS does not promise it, so it is checked.
    """
    shard = shards[shard_id]
    parent = None if shard.parent is None else shards.get(shard.parent)
    if shard.mark is not None or parent is None:
        return None
    before = max((n for n in (parent.mark, parent.last) if n is not None), default=None)
    if before is None or first > before:
        return None
    return f"shard {shard_id} begins at {first}, its parent {shard.parent} ended at {before}"
