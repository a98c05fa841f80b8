"""How the work of a large load is cut."""

from dataclasses import replace

from tailrace.decide.spread import parts
from tailrace.model.segments import Segment

SEGMENT = Segment(1, "base/1", "base", 1, 10, "0" * 64, 0)


def sizes(*groups: list[int]) -> list[list[Segment]]:
    return [[replace(SEGMENT, bytes=size) for size in group] for group in groups]


def test_neighbours_share_a_task_until_it_is_full_and_what_is_read_in_one_stays_together() -> None:
    groups = sizes([10], [10], [15, 15], [1], [40], [5])
    assert parts(groups, 30) == [groups[0:2], groups[2:3], groups[3:4], groups[4:5], groups[5:6]]
    assert parts(groups, 1) == [[group] for group in groups]
    assert parts(groups, 10**9) == [groups]


def test_nothing_to_read_is_no_task() -> None:
    assert parts([], 10) == []
