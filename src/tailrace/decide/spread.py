"""How the work of a large load is cut into tasks. Values in, values out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from tailrace.decide.lake import FILE_ROWS_MIN, FileRange, Key
from tailrace.model.segments import Segment


def parts(groups: Sequence[Sequence[Segment]], part_bytes: int) -> list[list[Sequence[Segment]]]:
    """Neighbours together, in order, until a part has `part_bytes` compressed bytes; a group is never cut."""
    found: list[list[Sequence[Segment]]] = []
    size = 0
    for group in groups:
        more = sum(segment.bytes for segment in group)
        if not found or size + more > part_bytes:
            found.append([])
            size = 0
        found[-1].append(group)
        size += more
    return found


RANGES_MAX: Final = 4096  # of one load


def ranges_wanted(decoded_bytes: int, range_bytes: int, workers: int) -> int:
    """Into how many ranges of keys a load is cut: none larger than `range_bytes`, and work for all, unless there is little."""
    by_size = -(-decoded_bytes // range_bytes)
    by_worker = min(workers, -(-decoded_bytes * 8 // range_bytes))
    return max(1, min(RANGES_MAX, max(by_size, by_worker)))


def splits(samples: Sequence[Key], rows: int, files: Sequence[FileRange], count: int) -> tuple[Key, ...]:
    """Where ranges of keys begin, all but the first: at most `count` ranges of about equal weight.

    `samples`: keys out of `rows` rows that come. `files`: those that stand. No range begins inside a large file, because
    whoever has a part of a file writes that part anew.
    """
    each = max(1, rows // max(1, len(samples)))
    points = sorted([*((key, each) for key in samples), *((f.lower, f.rows) for f in files if f.lower is not None)])
    total, seen, cut, found = sum(weight for _, weight in points), 0, 0, set()
    for key, weight in points:
        full = seen * count // max(1, total)  # as many ranges are filled by what is before this key
        if full > cut and key > points[0][0]:
            cut = full
            found.add(_outside(key, files))
        seen += weight
    return tuple(sorted(found))


def _outside(key: Key, files: Sequence[FileRange]) -> Key:
    """The key, or where the largest of the large files begins that it would cut."""
    cut = [(f.rows, f.lower) for f in files if f.lower is not None and f.upper is not None and f.lower < key <= f.upper]
    large = [(rows, lower) for rows, lower in cut if rows >= FILE_ROWS_MIN]
    return max(large)[1] if large else key


def range_of(splits: Sequence[Key], key: Key) -> int:
    """The number of a key's range."""
    return bisect_right(splits, key)


def share_of(files: Sequence[FileRange], splits: Sequence[Key], number: int) -> tuple[list[int], list[int]]:
    """The files (by number) that lie in one range whole, and those that lie in others, too."""
    whole: list[int] = []
    part: list[int] = []
    for at, file in enumerate(files):
        if file.lower is None or file.upper is None:
            first, last = 0, len(splits)
        else:
            first, last = range_of(splits, file.lower), range_of(splits, file.upper)
        if first <= number <= last:
            (whole if first == last else part).append(at)
    return whole, part
