"""Which of the segments that functions have landed are listed, and where they are looked for. Values in, values out.

A function writes under a name that follows from what is inside and from the stream it comes from. It knows no epoch, may
write the same again with other borders, and may come late.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tailrace.decide.base import EXPORT_MARGIN_MS
from tailrace.model.manifest import Manifest
from tailrace.model.segments import Segment

HOUR_MS: Final = 3_600_000
LOOK_BACK_MS: Final = 26 * HOUR_MS  # a stream keeps 24 hours, so nothing older is delivered for the first time
SKEW_MS: Final = HOUR_MS  # what clocks of publishers may differ by, and much more
DUE_MS: Final = 15 * 60_000  # a change that no function has landed for so long is landed by whoever publishes


@dataclass(frozen=True, slots=True)
class Look:
    """Folders of the hours from `first_ms` to `last_ms` are listed; entries older than `known_ms` name nothing in there."""

    first_ms: int
    last_ms: int

    @property
    def known_ms(self) -> int:
        return self.first_ms - self.first_ms % (24 * HOUR_MS) - SKEW_MS


def look(manifest: Manifest, now_ms: int) -> Look:
    """From 26 hours before the moment up to which everything is known to be listed, so that no pause loses anything."""
    known = [shard.since_ms for shard in manifest.shards.values() if shard.since_ms is not None]
    through_ms = manifest.captured_through_ms
    if through_ms is None:
        through_ms = min(known, default=now_ms)
    return Look(min(through_ms, now_ms) - LOOK_BACK_MS, now_ms + SKEW_MS)


def known_names(newest_first: Iterable[tuple[int, str]], since_ms: int) -> frozenset[str]:
    """Of entries by moment of publication and name, the names from `since_ms` on. Reads no more of them than it needs."""
    names: set[str] = set()
    for published_ms, name in newest_first:
        if published_ms < since_ms:
            break
        names.add(name)
    return frozenset(names)


def unproven(newest_first: Iterable[Segment], manifest: Manifest) -> list[Segment]:
    """Entries of functions' segments that may hold changes behind the marks of the present epoch."""
    through_ms = manifest.captured_through_ms
    found: list[Segment] = []
    for segment in newest_first:
        if through_ms is not None and segment.published_ms < through_ms - SKEW_MS:
            break
        if (
            segment.kind == "lambda"
            and segment.epoch == manifest.epoch
            and may_be_unproven(segment.newest_change_ms or 0, through_ms)
        ):
            found.append(segment)
    return found


def may_be_unproven(newest_ms: int, through_ms: int | None) -> bool:
    """Whether changes up to `newest_ms` by the source's clock may lie behind `through_ms`, which is a moment of ours."""
    return through_ms is None or newest_ms >= through_ms - EXPORT_MARGIN_MS


def is_of_this_epoch(manifest: Manifest, oldest_ms: int) -> bool:
    """Whether a function's segment, whose oldest change is of this moment, may be listed in the present epoch.

    The base of a repair is newer than everything before it, and must not lose to it. What is left out was captured before, or
    is read from the stream again, because the marks have not passed it.
    """
    if manifest.epoch == 1:
        return True
    repair = manifest.repair
    assert repair is not None, "only a repair begins an epoch"
    return oldest_ms >= repair.begun_ms + EXPORT_MARGIN_MS
