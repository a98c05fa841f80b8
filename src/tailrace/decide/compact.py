"""Which small segments are gathered next. Values in, values out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tailrace.model.manifest import Manifest
from tailrace.model.segments import Segment

HOUR_MS: Final = 3_600_000
ENTRIES_MAX: Final = 10_000  # looked at for one output
KINDS: Final = ("stream", "lambda", "base")  # what we write often and small; what DynamoDB wrote stays where it lies


@dataclass(frozen=True, slots=True)
class Choice:
    """`inputs` become one object; none: nothing to do among those looked at. Up to number `through` nothing else is left.

    `more`: not all entries of the hours that are over were looked at, or some are left for the next choice.
    """

    inputs: tuple[Segment, ...]
    through: int
    more: bool


def hour_began_ms(now_ms: int) -> int:
    """When the present UTC hour began: everything published before is of an hour that is over."""
    return now_ms - now_ms % HOUR_MS


def choose(segments: Iterable[Segment], after: int, target_bytes: int, before_ms: int) -> Choice:
    """The next segments to gather, of one kind and folder, in publish order, at most `target_bytes` together.

    `segments`: entries in publish order beyond number `after`; those from `before_ms` on are of an hour that goes on, and
    wait. The same entries give the same choice, whoever asks. A segment that finds no neighbour to go with stays alone.
    """
    groups: dict[tuple[str, str], list[Segment]] = {}
    sizes: dict[tuple[str, str], int] = {}
    through, more = after, False
    for looked, segment in enumerate(segments):
        if segment.published_ms >= before_ms:
            break
        if looked == ENTRIES_MAX:
            more = True
            break
        if is_loose(segment, target_bytes):
            place = (segment.kind, posixpath.dirname(segment.name))
            if sizes.get(place, 0) + segment.bytes > target_bytes:
                return _chosen(groups.pop(place), groups.values(), through)
            groups.setdefault(place, []).append(segment)
            sizes[place] = sizes.get(place, 0) + segment.bytes
        through = segment.number
    several = sorted((g for g in groups.values() if len(g) > 1), key=lambda group: group[0].number)
    return _chosen(several[0], several[1:], through) if several else Choice((), through, more)


def is_loose(segment: Segment, target_bytes: int) -> bool:
    """Ours, in an object of its own, and so small that at least two of its like fit."""
    is_ours = segment.kind in KINDS and segment.md5 is None
    return is_ours and segment.place is None and 2 * segment.bytes <= target_bytes


def files(manifest: Manifest) -> int:
    """The objects that all segments of a table lie in."""
    counters = manifest.counters
    return manifest.next_number - 1 - counters.get("compacted", 0) + counters.get("outputs", 0)


def _chosen(group: list[Segment], others: Iterable[list[Segment]], through: int) -> Choice:
    begun = [other[0].number - 1 for other in others if len(other) > 1]
    return Choice(tuple(group), min([through, *begun]), more=True)
