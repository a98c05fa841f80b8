"""Side by side and still in order; nothing runs on when nobody asks."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from tailrace.lanes import LANES_MAX, side_by_side


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tailrace-read"]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    yield
    for thread in reading_threads():  # it may be on its way out, having brought its item
        thread.join(10)
        assert not thread.is_alive()


def source(number: int, items: int) -> Generator[int, None, None]:
    yield from (number * 100 + item for item in range(items))


@pytest.mark.parametrize("threads", [0, 1, 2, 7])
@pytest.mark.parametrize("bytes_max", [1, 5, 1000])
def test_the_order_is_that_of_one_after_the_other(threads: int, bytes_max: int) -> None:
    lengths = [0, 3, 1, 0, 0, 12, 2, 0]
    found = side_by_side(
        (source(n, length) for n, length in enumerate(lengths)),
        threads=threads,
        size_of=lambda item: 1,
        bytes_max=bytes_max,
    )
    assert list(found) == [n * 100 + i for n, length in enumerate(lengths) for i in range(length)]


@pytest.mark.parametrize("bytes_max", [1, 5, 1000])
def test_without_order_every_item_comes_once_and_those_of_a_source_in_order(bytes_max: int) -> None:
    lengths = [0, 3, 1, 0, 40, 12, 2, 0]
    found = list(
        side_by_side(
            (source(n, length) for n, length in enumerate(lengths)),
            threads=3,
            size_of=lambda item: 1,
            bytes_max=bytes_max,
            keep_order=False,
        )
    )
    for number, length in enumerate(lengths):
        assert [item for item in found if item // 100 == number] == [number * 100 + i for i in range(length)]
    assert len(found) == sum(lengths)


def test_without_order_a_source_that_takes_its_time_holds_nobody_up() -> None:
    others_done = threading.Event()

    def slow_or_not(number: int) -> Generator[int, None, None]:
        if number == 0:
            assert others_done.wait(10)
        for _ in range(50):
            yield number

    found = side_by_side(map(slow_or_not, range(3)), threads=2, size_of=lambda item: 1, bytes_max=4, keep_order=False)
    assert {next(found) for _ in range(100)} == {1, 2}
    others_done.set()
    assert list(found) == [0] * 50


def test_sources_are_advanced_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def waits(number: int) -> Generator[int, None, None]:
        meeting.wait()  # passes only when three of them are here
        yield number

    assert list(side_by_side(map(waits, range(3)), threads=3, size_of=lambda item: 1, bytes_max=10)) == [0, 1, 2]


def test_what_waits_is_bounded() -> None:
    brought: list[int] = []

    def counted(number: int) -> Generator[int, None, None]:
        for item in range(50):
            brought.append(item)
            yield number

    taken = 0
    for _ in side_by_side(map(counted, range(20)), threads=4, size_of=lambda item: 9, bytes_max=100):
        taken += 1
        assert len(brought) - taken <= 12 + 4, "twelve items of 9 bytes, and a step of each thread"
    assert taken == 1000


def test_so_many_small_sources_wait_and_no_more() -> None:
    begun: list[int] = []

    def small(number: int) -> Generator[int, None, None]:
        begun.append(number)
        yield number

    for taken, _ in enumerate(side_by_side(map(small, range(500)), threads=4, size_of=lambda item: 0, bytes_max=10)):
        assert len(begun) - taken <= LANES_MAX


def test_an_error_is_raised_where_its_item_would_have_stood() -> None:
    def fails(number: int) -> Generator[int, None, None]:
        yield number
        if number == 2:
            raise ValueError("two")

    found = side_by_side(map(fails, range(5)), threads=5, size_of=lambda item: 1, bytes_max=100)
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(ValueError, match="two"):
        next(found)
    assert list(found) == []


def test_who_stops_asking_leaves_no_thread_and_closes_what_was_open() -> None:
    closed: list[int] = []

    def open_file(number: int) -> Generator[int, None, None]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    found = side_by_side(map(open_file, range(9)), threads=3, size_of=lambda item: 1, bytes_max=20)
    assert next(found) == 0
    for thread in reading_threads():
        thread.join(10)
    assert reading_threads() == [], "a step ends by itself, also while the caller only thinks"
    found.close()
    assert closed == [0, 1, 2]
