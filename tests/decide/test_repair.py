"""The end of a repaired window: behind the repair's beginning, and wide enough for AWS."""

from __future__ import annotations

import pytest

from tailrace.decide.base import EXPORT_MARGIN_MS
from tailrace.decide.repair import choose_end, next_window, widened_start
from tailrace.model.exports import Restorable
from tailrace.model.repair import RepairState

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
