"""How exports follow one another: whether each begins exactly where those before it end. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """What an export covers, in Unix milliseconds: a window `[start_ms, end_ms)`, or the one moment of a full export."""

    table_arn: str
    table_id: str
    start_ms: int
    end_ms: int

    @property
    def is_full(self) -> bool:
        return self.start_ms == self.end_ms


@dataclass(frozen=True, slots=True)
class Boundary:
    """Between a window and what leads up to it; both are places in what `find_boundaries` was given.

    `gap_ms`: 0 where they tile exactly, positive where changes between them are in neither, negative where they overlap.
    `is_same_table`: the same incarnation of the table.
    """

    before: int
    after: int
    gap_ms: int
    is_same_table: bool


def find_boundaries(spans: Sequence[Span]) -> list[Boundary]:
    """For each window, by time, what covers its table furthest before it begins; none for the first of a table.

    A full export needs nothing before it, so it has no boundary of its own.
    """
    found = []
    furthest: dict[str, int] = {}  # by table: the span that ends last
    for place in sorted(range(len(spans)), key=lambda place: order_of(spans[place])):
        span, before = spans[place], furthest.get(spans[place].table_arn)
        if before is not None and not span.is_full:
            gap_ms = span.start_ms - spans[before].end_ms
            found.append(Boundary(before, place, gap_ms, spans[before].table_id == span.table_id))
        if before is None or span.end_ms >= spans[before].end_ms:
            furthest[span.table_arn] = place
    return found


def order_of(span: Span) -> tuple[str, int, int]:
    """By table and time. Of one second, a full export of "now", which has milliseconds, goes before the window."""
    return span.table_arn, span.start_ms // 1000, span.end_ms
