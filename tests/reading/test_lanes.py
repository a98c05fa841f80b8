"""Side by side and still in order; nothing runs on when nobody asks."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from tailrace.lanes import in_order


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tailrace-read"]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    yield
    assert reading_threads() == []


def source(number: int, items: int) -> Generator[int]:
    yield from (number * 100 + item for item in range(items))


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("bytes_max", [1, 5, 1000])
def test_the_order_is_that_of_one_after_the_other(threads: int, bytes_max: int) -> None:
    lengths = [0, 3, 1, 0, 0, 12, 2, 0]
    found = in_order(
        (source(n, length) for n, length in enumerate(lengths)),
        threads=threads,
        size_of=lambda item: 1,
        bytes_max=bytes_max,
    )
    assert list(found) == [n * 100 + i for n, length in enumerate(lengths) for i in range(length)]


def test_sources_are_advanced_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def waits(number: int) -> Generator[int]:
        meeting.wait()  # passes only when three of them are here
        yield number

    assert list(in_order(map(waits, range(3)), threads=3, size_of=lambda item: 1, bytes_max=10)) == [0, 1, 2]


def test_what_waits_is_bounded() -> None:
    brought: list[int] = []

    def counted(number: int) -> Generator[int]:
        for item in range(50):
            brought.append(item)
            yield number

    taken = 0
    for _ in in_order(map(counted, range(20)), threads=4, size_of=lambda item: 9, bytes_max=100):
        taken += 1
        assert len(brought) - taken <= 10 + 4, "ten items of 9 + 1 bytes, and a step of each thread"
    assert taken == 1000


def test_an_error_is_raised_where_its_item_would_have_stood() -> None:
    def fails(number: int) -> Generator[int]:
        yield number
        if number == 2:
            raise ValueError("two")

    found = in_order(map(fails, range(5)), threads=5, size_of=lambda item: 1, bytes_max=100)
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(ValueError, match="two"):
        next(found)
    assert list(found) == []


def test_who_stops_asking_leaves_no_thread_and_closes_what_was_open() -> None:
    closed: list[int] = []

    def open_file(number: int) -> Generator[int]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    found = in_order(map(open_file, range(9)), threads=3, size_of=lambda item: 1, bytes_max=20)
    assert next(found) == 0
    for thread in reading_threads():
        thread.join(10)
    assert reading_threads() == [], "a step ends by itself, also while the caller only thinks"
    found.close()
    assert closed == [0, 1, 2]
