"""What point-in-time recovery remembers of a table: every write, and from it any state and any window. No clock, no network.

Times are Unix microseconds. A state at T holds every write before T and none at it; a window holds its start and not its end.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]
"""An item in DynamoDB JSON, binaries as base64 text."""


@dataclass(frozen=True, slots=True)
class NetChange:
    """What a window did to one key. `new` None: it was deleted; `old` is its image before the window, if it had one."""

    keys: Item
    old: Item | None
    new: Item | None
    written_us: int


@dataclass(slots=True)
class _Versions:
    keys: Item
    times: list[int] = field(default_factory=list)
    images: list[Item | None] = field(default_factory=list)

    def at(self, moment_us: int) -> Item | None:
        """The image that stood just before a moment."""
        place = bisect.bisect_left(self.times, moment_us)
        return self.images[place - 1] if place else None


class TableHistory:
    """All versions of all items of one table, from `begin_us` on."""

    def __init__(self, begin_us: int) -> None:
        self.begin_us = begin_us
        self._keys: dict[str, _Versions] = {}

    def record(self, keys: Item, image: Item | None, written_us: int) -> None:
        """Remember a write; `image` None is a delete. Writes of one key come in order."""
        versions = self._keys.setdefault(json.dumps(keys, sort_keys=True), _Versions(keys))
        assert not versions.times or written_us >= versions.times[-1], "a key's writes come in order"
        versions.times.append(written_us)
        versions.images.append(image)

    def state_at(self, moment_us: int) -> Iterator[Item]:
        """The items that stood just before a moment, in the order of their keys."""
        for _, versions in sorted(self._keys.items()):
            image = versions.at(moment_us)
            if image is not None:
                yield image

    def changes(self, start_us: int, end_us: int, *, equal_images: bool = False) -> Iterator[NetChange]:
        """The net effect on each key written in ``[start, end)``: one change, or none where it came and went.

        `equal_images`: also give keys whose image is the same before and after; AWS does not say which of both it does.
        """
        for _, versions in sorted(self._keys.items()):
            last = bisect.bisect_left(versions.times, end_us) - 1
            if last < 0 or versions.times[last] < start_us:
                continue
            old, new = versions.at(start_us), versions.images[last]
            if (old is None and new is None) or (old == new and not equal_images):
                continue
            yield NetChange(versions.keys, old, new, versions.times[last])
