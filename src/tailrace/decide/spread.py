"""How the work of a large load is cut into tasks. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence

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
