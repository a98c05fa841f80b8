"""How a table with a gap becomes whole again. Values in, values out.

A repair begins a new epoch, whose rows win over all that older epochs left. Its changes are those of the stream from the marks on
that stand when it begins; its base shows the table later than that. A ``full`` repair reads a whole new base and then sweeps
what it does not hold. A ``window`` repair exports what changed from the last moment before which nothing is missing: every
key that changed since is in there, except one that was inserted and deleted in between, or written without effect. Of those
only the ones that the target has heard of can be wrong, and these are read from the table itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tailrace.decide.base import EXPORT_MARGIN_MS, base_of
from tailrace.model.exports import WINDOW_SECONDS_MAX, WINDOW_SECONDS_MIN, ExportState, Restorable, Window
from tailrace.model.manifest import Gap, Incarnation, Manifest, ShardState
from tailrace.model.repair import RepairKind, RepairState
from tailrace.model.segments import Segment

# Gaps of the stream: the table lives on, and its backups hold what the stream lost.
REFILLABLE: Final = ("stream_trimmed", "shard_vanished", "lineage_broken", "stream_replaced")


def needs_repair(manifest: Manifest) -> bool:
    """Changes are missing, and nobody repairs that yet."""
    return any(gap.state == "detected" for gap in manifest.gaps) or manifest.state == "SOURCE_CHANGED"


def is_under_way(manifest: Manifest) -> bool:
    return manifest.repair is not None and manifest.repair.finished_ms is None


def why_not_window(
    manifest: Manifest, found: Incarnation, restorable: Restorable | None, *, has_base: bool, can_export: bool
) -> str | None:
    """Why only a whole new base can help; None: exports of the missing window will do."""
    if found.table_id != manifest.incarnation.table_id:
        return "another table answers under the name"
    if manifest.exports is not None:
        return "its chain of windows is broken"
    if not can_export:
        return "the landing zone is not on S3"
    other = next((gap for gap in manifest.open_gaps if gap.kind not in REFILLABLE or gap.since_ms is None), None)
    if other is not None:
        return f"of the gap {other.kind} it is not known since when it is there"
    base = base_of(manifest)
    if (has_base and base is None) or (base is not None and base.shows_ms is None):
        return "the base was not complete"
    start = missing_since(manifest)
    was_read_whole = manifest.epoch_kind == "full"
    # Another worker's clock says when the base was read: to the table's own, it may have been minutes later.
    if (
        base is not None
        and base.shows_ms is not None
        and start is not None
        and was_read_whole
        and base.shows_ms + EXPORT_MARGIN_MS > start * 1000
    ):
        return "the base was read after the first of the missing changes may have happened"
    if restorable is None:
        return "point-in-time recovery is off"
    if start is not None and restorable.earliest > start:
        return "point-in-time recovery does not reach back far enough"
    return None


def missing_since(manifest: Manifest) -> int | None:
    """In Unix seconds: everything written before it was captured, in spite of all open gaps; clocks may be off by minutes."""
    since = [gap.since_ms for gap in manifest.open_gaps if gap.since_ms is not None]
    return (min(since) - EXPORT_MARGIN_MS) // 1000 if since else None


def begun(
    manifest: Manifest,
    kind: RepairKind,
    now_ms: int,
    incarnation: Incarnation,
    shards: dict[str, ShardState],
) -> Manifest:
    """The first manifest of the new epoch. Changes from its marks on belong to it, and all gaps are being repaired."""
    start = missing_since(manifest) if kind == "window" else None
    before = manifest.incarnation.table_id
    predecessors = manifest.predecessors + ((before,) if before != incarnation.table_id else ())
    return replace(
        manifest,
        incarnation=incarnation,
        epoch=manifest.epoch + 1,
        epoch_kind="full" if kind == "full" else "repair",
        state="GAP",
        pause=None,
        shards={shard_id: _freed(shard_id, shard, manifest, now_ms) for shard_id, shard in shards.items()},
        exports=None if manifest.exports is None else ExportState(),
        gaps=tuple(_in_repair(gap) for gap in manifest.gaps),
        repair=RepairState(manifest.epoch + 1, kind, now_ms, start=start, through=start),
        predecessors=predecessors,
    )


def _freed(shard_id: str, shard: ShardState, manifest: Manifest, now_ms: int) -> ShardState:
    """A mark that was trimmed, with nothing read behind it yet, would be the same gap again: begin with what is left."""
    is_trimmed = any(
        gap.kind == "stream_trimmed" and (gap.shard, gap.after) == (shard_id, shard.mark) for gap in manifest.open_gaps
    )
    return replace(shard, mark=None, start="TRIM_HORIZON", since_ms=now_ms) if is_trimmed else shard


def _in_repair(gap: Gap) -> Gap:
    return replace(gap, state="repairing") if gap.state == "detected" else gap


def finished(manifest: Manifest, now_ms: int, last_number: int) -> Manifest:
    """The repair is complete: what it repaired is closed. What is missing since then stays."""
    assert manifest.repair is not None
    gaps = tuple(replace(gap, state="closed") if gap.state == "repairing" else gap for gap in manifest.gaps)
    repair = replace(manifest.repair, plan=None, finished_ms=now_ms, last_number=last_number)
    is_open = any(gap.state != "closed" for gap in gaps)
    return replace(
        manifest,
        gaps=gaps,
        repair=repair,
        state="GAP" if is_open else "CAPTURING",
        oldest_epoch=manifest.epoch if repair.kind == "full" else manifest.oldest_epoch,
    )


def choose_end(repair: RepairState, restorable: Restorable) -> int | None:
    """The newest moment that can be exported, once it lies behind the one when the repair began; None: not yet.

    Nor where the backups are too young for a window of the least width.
    """
    is_behind = restorable.latest * 1000 > repair.begun_ms + EXPORT_MARGIN_MS
    is_wide = restorable.latest - restorable.earliest >= WINDOW_SECONDS_MIN
    return restorable.latest if is_behind and is_wide else None


def widened_start(start: int, end: int) -> int:
    """A window has a least width. One that begins earlier is right as well."""
    return min(start, end - WINDOW_SECONDS_MIN)


def next_window(through: int, end: int) -> Window:
    """The next of the windows that tile `[through, end)`, none wider and none narrower than AWS takes."""
    parts = -(-(end - through) // WINDOW_SECONDS_MAX)
    return Window(through, through + (end - through) // parts)


def is_touched(segment: Segment, repair: RepairState) -> bool:
    """It may hold changes of older epochs that came to the target since the repaired window began."""
    assert repair.start is not None
    newest_ms = segment.newest_change_ms
    if newest_ms is None and segment.kind == "base":
        # Keys that a repair before this one has read; the clock of its worker may have been minutes behind.
        newest_ms = segment.published_ms + EXPORT_MARGIN_MS
    return segment.epoch < repair.epoch and newest_ms is not None and newest_ms >= repair.start * 1000 - 1000
