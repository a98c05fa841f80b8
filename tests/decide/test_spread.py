"""How the work of a large load is cut."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.lake import FILE_ROWS_MIN, FileRange, Key
from tailrace.decide.spread import RANGES_MAX, parts, range_of, ranges_wanted, share_of, splits
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


def file(rows: int, lower: Key | None, upper: Key | None) -> FileRange:
    return FileRange(rows, rows * 100, lower, upper)


LARGE = FILE_ROWS_MIN


def test_ranges_are_cut_where_the_keys_are() -> None:
    samples = [(n,) for n in range(100)]
    assert splits(samples, 1000, [], 4) == ((25,), (50,), (75,))
    assert splits([(1,)] * 60 + [(2,)] * 40, 1000, [], 4) == ((2,),), "a key is never cut"
    assert splits([], 0, [], 8) == ()


def test_no_range_begins_inside_a_large_file() -> None:
    files = [file(LARGE, (0,), (40,)), file(LARGE, (41,), (80,)), file(10, (0,), (80,))]
    cuts = splits([(n,) for n in range(0, 81, 2)], 41, files, 4)
    assert cuts
    assert set(cuts) <= {(0,), (41,)}


def test_standing_rows_weigh_as_those_that_come() -> None:
    files = [file(LARGE, (n,), (n,)) for n in range(0, 100, 10)]
    assert splits([], 0, files, 5) == ((20,), (40,), (60,), (80,))
    assert splits([(200 + n,) for n in range(9)], 10 * LARGE, files, 2) == ((200,),)


def test_a_file_without_bounds_is_everybodys() -> None:
    files = [file(1, None, None), file(1, (1,), (3,)), file(1, (4,), (9,))]
    assert [share_of(files, [(2,), (4,)], number) for number in range(3)] == [([], [0, 1]), ([], [0, 1]), ([2], [0])]
    assert share_of(files, [], 0) == ([0, 1, 2], [])


keys = st.tuples(st.integers(0, 30), st.sampled_from("abc"))
ranges_of_files = st.tuples(keys, keys, st.sampled_from([1, LARGE, 3 * LARGE])).map(
    lambda f: file(f[2], min(f[0], f[1]), max(f[0], f[1]))
)


@given(st.lists(keys, max_size=30), st.lists(ranges_of_files, max_size=8), st.integers(1, 9))
def test_every_key_of_a_file_is_in_a_range_that_has_the_file(
    samples: list[Key], files: list[FileRange], count: int
) -> None:
    cuts = splits(samples, 10 * len(samples), files, count)
    assert list(cuts) == sorted(set(cuts))
    assert len(cuts) <= count
    shares = [share_of(files, cuts, number) for number in range(len(cuts) + 1)]
    for at, held in enumerate(files):
        whole = [number for number, (mine, _) in enumerate(shares) if at in mine]
        part = [number for number, (_, mine) in enumerate(shares) if at in mine]
        assert (len(whole), len(part)) == (1, 0) or (len(whole) == 0 and len(part) > 1)
        for key in [k for k in samples if held.lower is not None and held.lower <= k <= (held.upper or ())]:
            assert range_of(cuts, key) in whole + part


def test_as_many_ranges_as_there_is_work() -> None:
    assert ranges_wanted(0, 100, 8) == 1
    assert ranges_wanted(10, 100, 8) == 1
    assert ranges_wanted(60, 100, 8) == 5
    assert ranges_wanted(1000, 100, 8) == 10
    assert ranges_wanted(10**9, 100, 8) == RANGES_MAX
