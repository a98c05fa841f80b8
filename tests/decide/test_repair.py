"""The window of a repair: its end, what the target may have heard of since it began, and when it cannot help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailrace.decide.base import EXPORT_MARGIN_MS
from tailrace.decide.repair import choose_end, is_touched, missing_since, next_window, why_not_window, widened_start
from tailrace.decide.scan import begun
from tailrace.model.exports import Restorable
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Incarnation, Manifest
from tailrace.model.repair import RepairState
from tailrace.model.segments import Segment

BEGUN = 1_790_000_000
REPAIR = RepairState(2, "window", BEGUN * 1000, start=BEGUN - 60)
SOON = BEGUN + EXPORT_MARGIN_MS // 1000 + 1


@pytest.mark.parametrize(
    ("earliest", "latest", "is_chosen"),
    [
        (BEGUN - 86_400, SOON - 2, False),
        (BEGUN - 86_400, SOON, True),
        (SOON - 899, SOON, False),  # recovery was switched on just before: no window of 15 minutes ends here
        (SOON - 900, SOON, True),
    ],
)
def test_the_end_is_chosen_once_a_window_fits_before_it(earliest: int, latest: int, is_chosen: bool) -> None:
    end = choose_end(REPAIR, Restorable(earliest, latest))
    assert end == (latest if is_chosen else None)
    if end is not None:
        assert REPAIR.start is not None
        start = max(widened_start(REPAIR.start, end), earliest)
        assert next_window(start, end).start == start


INCARNATION = Incarnation("1", "eu-west-1", "t", "id", "arn", "NEW_IMAGE", KeySchema(KeyAttribute("pk", "S")))
GAP = Gap("stream_trimmed", "planned", BEGUN * 1000, since_ms=BEGUN * 1000)
WITH_GAP = Manifest(INCARNATION, next_number=9, state="GAP", gaps=(GAP,))
ALL_OF_IT = Restorable(BEGUN - 86_400, BEGUN)


@pytest.mark.parametrize(
    ("read_ms", "helps"), [(-2 * EXPORT_MARGIN_MS - 1000, True), (-2 * EXPORT_MARGIN_MS + 1, False)]
)
def test_a_window_helps_only_where_the_base_was_read_before_it_by_every_clock(read_ms: int, helps: bool) -> None:
    """The clock that says when the base was read may be minutes behind, and the one that says since when changes lack ahead."""
    scan = replace(begun(1, 2, 0), last_number=5, finished_ms=BEGUN * 1000 + read_ms)
    why = why_not_window(replace(WITH_GAP, scan=scan), INCARNATION, ALL_OF_IT, has_base=True, can_export=True)
    assert why == (None if helps else "the base was read after the first of the missing changes may have happened")


@pytest.mark.parametrize(("read_ms", "may_be"), [(-EXPORT_MARGIN_MS - 1001, False), (-EXPORT_MARGIN_MS, True)])
def test_keys_that_an_earlier_repair_may_have_read_in_the_window_are_read_again(read_ms: int, may_be: bool) -> None:
    start = missing_since(WITH_GAP)
    assert start is not None
    read = Segment(3, "base/1/3", "base", 1, 1, "0" * 64, start * 1000 + read_ms)
    assert is_touched(read, RepairState(2, "window", BEGUN * 1000, start=start)) == may_be
