"""What a scan reads next, how fast, and whether it still fits. Values in, values out.

A scan row has no position in the stream. It is right all the same because the stream is captured from before the first page
on, each page is read strongly consistent, and its rows are BASE: any change of their key wins over them, a delete included.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.model.scan import ScanPart, ScanState

SPEED_MIN: Final = 1.0  # units a second, however often the table refuses
SPEED_GROWTH: Final = 1.05  # by each page that was not refused
THROTTLED_SECONDS: Final = 1.0  # refusals so close together are one: every reader meets it
PAGE_UNITS_MAX: Final = 256  # of 1 MB, read strongly consistent


def begun(epoch: int, scan_segments: int, now_ms: int) -> ScanState:
    """A scan before its first page."""
    return ScanState(epoch, (ScanPart(),) * scan_segments, now_ms)


def next_parts(state: ScanState, pages: Mapping[int, int], busy: Collection[int]) -> list[int]:
    """Scan segments that have something left to read, those with the fewest `pages` first: all of them come along alike."""
    left = [part for part, published in enumerate(state.parts) if not published.is_done and part not in busy]
    return sorted(left, key=lambda part: (pages.get(part, state.parts[part].pages), part))


@dataclass(frozen=True, slots=True)
class ReadPages:
    """What was read of one scan segment behind its published position, in order. `after` None: this was the end of it."""

    part: int
    before: ScanPart
    after: ScanPart
    units: int


def with_pages(state: ScanState, read: Sequence[ReadPages], rows: int, size: int, last_number: int) -> ScanState:
    """The state once these pages are published. Each begins where its part stands: a position never moves without bytes."""
    parts = list(state.parts)
    for pages in read:
        assert parts[pages.part] == pages.before, "pages are published in order"
        parts[pages.part] = pages.after
    return replace(
        state,
        parts=tuple(parts),
        last_number=max(state.last_number, last_number),
        rows=state.rows + rows,
        bytes=state.bytes + size,
        units=state.units + sum(pages.units for pages in read),
    )


def is_complete(state: ScanState) -> bool:
    """Every part was read to its end and published."""
    return all(part.is_done for part in state.parts)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a scan may read: capacity units a second. A page may begin while nothing is owed (`balance` above 0).

    It is charged with what the last page cost when it begins, and with what it really cost when it has come. So however many
    readers there are, what is used stays at `limit` on average. `speed` is less than `limit` after the table refused.
    """

    limit: float | None
    speed: float | None = None
    balance: float = 0.0
    at: float = 0.0
    page_units: float = PAGE_UNITS_MAX
    used: float = 0.0
    since: float = 0.0
    refused_at: float | None = None

    @classmethod
    def at_start(cls, limit: float | None, now: float) -> Pace:
        """Nothing used, nothing owed, room for one page."""
        return cls(limit, limit, 1.0, now, since=now)

    def wait_seconds(self, now: float) -> float:
        """How long until the next page may begin."""
        if self.speed is None:
            return 0.0
        balance = self._refilled(now).balance
        return 0.0 if balance > 0 else (1e-3 - balance) / self.speed

    def page_begun(self, now: float) -> Pace:
        filled = self._refilled(now)
        return replace(filled, balance=filled.balance - self.page_units)

    def page_came(self, charged: float, units: int, now: float) -> Pace:
        """`charged`: the `page_units` of when it began."""
        filled = self._refilled(now)
        speed = filled.speed
        if speed is not None:
            speed *= SPEED_GROWTH
            speed = speed if self.limit is None else min(self.limit, speed)
        return replace(
            filled,
            balance=filled.balance + charged - units,
            page_units=float(units),
            used=self.used + units,
            speed=speed,
        )

    def page_failed(self, charged: float, now: float, *, throttled: bool) -> Pace:
        """It cost nothing. Refused by the table, we go half as fast; all readers together count once."""
        filled = self._refilled(now)
        filled = replace(filled, balance=filled.balance + charged)
        if not throttled or (self.refused_at is not None and now - self.refused_at < THROTTLED_SECONDS):
            return filled
        measured = self.used / max(1.0, now - self.since)
        speed = measured if filled.speed is None else min(filled.speed, max(measured, SPEED_MIN))
        slower = max(SPEED_MIN, speed / 2)
        return replace(filled, speed=slower, balance=min(filled.balance, slower), refused_at=now)

    def _refilled(self, now: float) -> Pace:
        """Never more than a second's worth is saved up."""
        if self.speed is None:
            return replace(self, at=now)
        return replace(self, balance=min(self.speed, self.balance + (now - self.at) * self.speed), at=now)
