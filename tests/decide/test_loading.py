"""What to load next, and what may be said about a target: never more than is true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.load import (
    WINDOW_LIMITS,
    LoadLimits,
    Watermark,
    order_class,
    pending,
    shown_state,
    watermark,
    weighted_percentile,
)
from tailrace.model.exports import ExportState, PublishedWindow, Window
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Incarnation, Manifest, TableState
from tailrace.model.segments import Segment, SegmentKind

INCARNATION = Incarnation("1", "eu-west-1", "t", "id", "arn", "NEW_IMAGE", KeySchema(KeyAttribute("pk", "S")))
EMPTY = Manifest(INCARNATION)
GAP = Gap("stream_trimmed", "planned", 1)


def segment(
    number: int, rows: int = 1, size: int = 1, kind: SegmentKind = "stream", through_ms: int | None = None
) -> Segment:
    return Segment(number, f"changes/{number}", kind, rows, size, "0" * 64, 1, through_ms)


def numbers(segments: tuple[Segment, ...]) -> list[int]:
    return [s.number for s in segments]


# ---- pending


def test_pending_is_what_is_not_applied_in_publish_order() -> None:
    segments = [segment(n) for n in range(1, 8)]
    assert numbers(pending(segments, 0, (), LoadLimits())) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(pending(segments, 2, {4, 6}, LoadLimits())) == [3, 5, 7]
    assert pending(segments, 7, (), LoadLimits()) == ()
    assert pending([], 0, (), LoadLimits()) == ()


def test_a_load_that_was_begun_ends_where_it_did() -> None:
    segments = [segment(n) for n in range(1, 8)]
    assert numbers(pending(segments, 2, {4}, LoadLimits(), begun_through=5)) == [3, 5]
    assert numbers(pending(segments, 2, (), LoadLimits(segments=2), begun_through=5)) == [3, 4]
    assert numbers(pending(segments, 5, (), LoadLimits(), begun_through=5)) == [6, 7], "it is applied"
    assert numbers(pending(segments, 2, (), LoadLimits(), begun_through=99)) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        (LoadLimits(segments=2), [1, 2]),
        (LoadLimits(rows=29), [1, 2]),
        (LoadLimits(rows=30), [1, 2, 3]),
        (LoadLimits(bytes=299), [1, 2]),
        (LoadLimits(bytes=300), [1, 2, 3]),
        (LoadLimits(rows=1), [1]),
        (LoadLimits(bytes=1), [1]),
    ],
)
def test_a_load_keeps_its_limits_and_is_never_empty(limits: LoadLimits, taken: list[int]) -> None:
    assert numbers(pending([segment(n, 10, 100) for n in range(1, 5)], 0, (), limits)) == taken


def test_of_base_rows_a_load_may_take_more() -> None:
    limits = LoadLimits(rows=20, base_times=2)
    assert numbers(pending([segment(n, 10, kind="base") for n in range(1, 7)], 0, (), limits)) == [1, 2, 3, 4]
    assert numbers(pending([segment(n, 10) for n in range(1, 7)], 0, (), limits)) == [1, 2]


def test_applied_segments_do_not_count_towards_the_limits() -> None:
    segments = [segment(n, 10) for n in range(1, 7)]
    assert numbers(pending(segments, 0, {1, 2, 3}, LoadLimits(rows=20))) == [4, 5]


def test_a_load_ends_where_the_order_class_changes() -> None:
    kinds: list[SegmentKind] = ["base", "base", "stream", "export", "replay", "base"]
    segments = [segment(n, kind=kind) for n, kind in enumerate(kinds, 1)]
    assert numbers(pending(segments, 0, (), LoadLimits())) == [1, 2]
    assert numbers(pending(segments, 2, (), LoadLimits())) == [3, 4, 5]
    assert numbers(pending(segments, 5, (), LoadLimits())) == [6]
    assert [order_class(s) for s in segments] == [0, 0, 1, 1, 1, 0]


def test_no_more_is_read_than_needed() -> None:
    def endless() -> Iterator[Segment]:
        number = 0
        while True:
            number += 1
            assert number <= 4, "read on behind the load"
            yield segment(number)

    assert numbers(pending(endless(), 0, (), LoadLimits(segments=3))) == [1, 2, 3]


def test_a_window_is_one_load_far_beyond_the_limits_and_shares_it_with_no_other() -> None:
    ends = [900] * 2 + [1800] * 20 + [2700]
    segments = [replace(segment(n, 10, 100, "export"), window_end=end) for n, end in enumerate(ends, 1)]
    for limits in (LoadLimits(segments=2), LoadLimits(rows=20), LoadLimits(bytes=200)):
        assert numbers(pending(segments, 0, (), limits)) == [1, 2]
        assert numbers(pending(segments, 2, (), limits)) == list(range(3, 3 + 2 * WINDOW_LIMITS))
        assert numbers(pending(segments, 2 + 2 * WINDOW_LIMITS, (), limits)) == [19, 20, 21, 22]


def test_a_window_that_is_applied_in_part_is_no_consistent_state() -> None:
    windows = (PublishedWindow(Window(0, 900), 4, 3, 0), PublishedWindow(Window(900, 1800), 4, 9, 60))
    exports = ExportState(base=0, base_last_number=3, windows=windows)
    manifest = replace(EMPTY, exports=exports, next_number=10)
    states = [shown_state(manifest, applied, 0) for applied in range(10)]
    assert states == ["BASE_LOADING"] * 3 + ["CATCHING_UP" if 4 <= n < 9 else "CONSISTENT" for n in range(3, 10)]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["stream", "base"])), max_size=12),
    st.builds(LoadLimits, st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    st.sets(st.integers(1, 12)),
)
def test_loads_one_after_another_apply_everything_once(
    shapes: list[tuple[int, int, SegmentKind]], limits: LoadLimits, beyond: set[int]
) -> None:
    segments = [segment(n, *shape) for n, shape in enumerate(shapes, 1)]
    applied = {n for n in beyond if n <= len(segments)}
    left = len(segments) - len(applied)
    while chosen := pending(segments, 0, applied, limits):
        assert not applied & {s.number for s in chosen}
        assert numbers(chosen) == sorted(numbers(chosen))
        assert len({order_class(s) for s in chosen}) == 1
        assert len(chosen) == 1 or sum(s.rows for s in chosen) <= limits.rows
        assert len(chosen) == 1 or sum(s.bytes for s in chosen) <= limits.bytes
        assert len(chosen) <= limits.segments
        assert all(n in applied or n in numbers(chosen) for n in range(1, chosen[-1].number)), "skipped one"
        applied |= {s.number for s in chosen}
        left -= len(chosen)
    assert left == 0


# ---- the watermark


def test_a_table_that_is_wholly_applied_is_as_fresh_as_its_capture() -> None:
    manifest = replace(EMPTY, next_number=4, captured_through_ms=900)
    assert watermark(manifest, 3, 300) == Watermark(900)
    assert watermark(manifest, 2, 200) == Watermark(200)
    assert watermark(manifest, 0, None) == Watermark(None)
    assert watermark(EMPTY, 0, None) == Watermark(None)


def test_a_gap_hides_the_watermark_until_it_is_closed() -> None:
    manifest = replace(EMPTY, next_number=2, captured_through_ms=900, gaps=(replace(GAP, state="closed"), GAP))
    assert watermark(manifest, 1, 100) == Watermark(None, hidden_by=GAP)
    repairing = replace(manifest, gaps=(replace(GAP, state="repairing"),))
    assert watermark(repairing, 1, 100).ms is None
    closed = replace(manifest, gaps=(replace(GAP, state="closed"),))
    assert watermark(closed, 1, 100) == Watermark(900)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.sets(st.integers(1, 8)), st.integers(0, 50))
def test_a_watermark_never_claims_a_change_that_is_not_applied(steps: list[int], applied: set[int], idle: int) -> None:
    """Segment n holds every change of [through of n-1, through of n): its last moment is the one before its end."""
    throughs = [sum(steps[: n + 1]) for n in range(len(steps))]
    manifest = replace(EMPTY, next_number=len(steps) + 1, captured_through_ms=throughs[-1] + idle)
    contiguous = next(n for n in range(len(steps) + 1) if n + 1 not in applied or n == len(steps))
    through_ms = throughs[contiguous - 1] if contiguous else None
    claimed = watermark(manifest, contiguous, through_ms).ms
    for number, (start, end) in enumerate(zip([0, *throughs], throughs, strict=False), 1):
        if number > contiguous:
            assert claimed is None or claimed <= start, f"segment {number} has changes from {start} to {end}"
    assert (claimed or 0) >= (through_ms or 0)


# ---- the state that is shown


@pytest.mark.parametrize(
    ("state", "has_gap", "quarantined", "applied", "published", "shown"),
    [
        ("CAPTURING", True, 1, 1, 1, "GAP"),
        ("PAUSED", True, 0, 1, 1, "GAP"),
        ("SOURCE_CHANGED", False, 1, 1, 1, "SOURCE_CHANGED"),
        ("PAUSED", False, 1, 1, 1, "PAUSED"),
        ("GAP", False, 1, 1, 1, "GAP"),
        ("CAPTURING", False, 1, 1, 1, "QUARANTINE"),
        ("BASE_LOADING", False, 1, 1, 1, "QUARANTINE"),
        ("BASE_LOADING", False, 0, 1, 1, "BASE_LOADING"),
        ("CAPTURING", False, 0, 0, 1, "CAPTURING"),
        ("CAPTURING", False, 0, 1, 1, "CONSISTENT"),
        ("CAPTURING", False, 0, 0, 0, "CONSISTENT"),
    ],
)
def test_what_is_worse_hides_what_is_better(
    state: TableState, has_gap: bool, quarantined: int, applied: int, published: int, shown: TableState
) -> None:
    manifest = replace(EMPTY, state=state, gaps=(GAP,) if has_gap else (), next_number=published + 1)
    assert shown_state(manifest, applied, quarantined) == shown


def test_a_table_without_a_manifest_is_new() -> None:
    assert shown_state(None, 0, 0) == "NEW"


# ---- percentiles


def test_percentiles_are_weighed() -> None:
    assert weighted_percentile([], 0.5) is None
    assert weighted_percentile([(5, 0)], 0.5) is None
    assert weighted_percentile([(7, 3)], 0.99) == 7
    assert weighted_percentile([(9, 1), (1, 99)], 0.5) == 1
    assert weighted_percentile([(9, 1), (1, 99)], 0.99) == 1
    assert weighted_percentile([(9, 2), (1, 98)], 0.99) == 9
    assert weighted_percentile([(4, 1), (2, 1), (3, 2)], 1.0) == 4


@given(st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 5)), max_size=8), st.floats(0.01, 1.0))
def test_a_percentile_is_that_of_the_values_written_out(values: list[tuple[int, int]], fraction: float) -> None:
    written = sorted(value for value, weight in values for _ in range(weight))
    found = weighted_percentile(values, fraction)
    if not written:
        assert found is None
        return
    assert found in written
    assert sum(value <= found for value in written) >= fraction * len(written) - 1e-9
    assert sum(value < found for value in written) < fraction * len(written) + 1e-9
