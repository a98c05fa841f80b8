"""Iterators advanced side by side by threads, in bounded memory. Knows nothing of what they bring."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LANES_MAX: Final = 64  # sources that are open, or whose items wait; looking through them is cheap
TURN_SECONDS: Final = 0.2  # who waits in the main thread wakes up so often, and heeds Ctrl-C


def side_by_side(
    sources: Iterable[Generator[T, None, None]],
    *,
    threads: int,
    size_of: Callable[[T], int],
    bytes_max: int,
    keep_order: bool = True,
) -> Generator[T, None, None]:
    """The items of all sources, of which up to `threads` (at least one) are advanced at once.

    In order: all of the first source, then all of the second, and so on. Otherwise those of one source stay in order, and
    what is ready comes first, so that long sources, too, are advanced at once. What waits to be taken is about `bytes_max`,
    by `size_of`. A thread brings one item, or a few small ones, and ends, so nothing runs on, and no thread is left, when
    the caller stops asking. An error is raised where its item would have stood.
    """
    waiting = (_Lane(source, size_of, bytes_max // LANES_MAX) for source in sources)
    lanes: list[_Lane[T]] = []
    try:
        while True:
            _advance(lanes, waiting, max(1, threads), bytes_max)
            if not lanes:
                return
            lane = lanes[0]
            if not keep_order:
                lane = next((lane for lane in lanes if lane.ready or lane.has_ended), lane)
            if lane.ready:
                yield lane.take()
            elif lane.has_ended:
                lanes.remove(lane)
                if lane.error is not None:
                    raise lane.error
            else:
                wait([lane.step for lane in lanes if lane.step is not None], TURN_SECONDS, FIRST_COMPLETED)
    finally:
        wait([lane.step for lane in lanes if lane.step is not None])  # a generator that runs cannot be closed
        for lane in lanes:
            lane.source.close()


class _Lane(Generic[T]):
    """One source that was begun: what it gave and nobody took, how large that is, and the step that is under way."""

    def __init__(self, source: Generator[T, None, None], size_of: Callable[[T], int], step_bytes: int) -> None:
        self.source = source
        self.size_of = size_of
        self.step_bytes = step_bytes
        self.ready: deque[tuple[T, int]] = deque()  # items and their sizes
        self.bytes = 0
        self.step: Future[tuple[list[tuple[T, int]], BaseException | None]] | None = None
        self.has_ended = False
        self.error: BaseException | None = None

    def begin(self) -> None:
        """Let a thread bring the next item, or several small ones."""
        step: Future[tuple[list[tuple[T, int]], BaseException | None]] = Future()

        def run() -> None:
            brought: list[tuple[T, int]] = []
            left, error = self.step_bytes, None
            try:
                while left >= 0:
                    item = next(self.source)
                    brought.append((item, size := self.size_of(item)))
                    left -= 1 + size
            except BaseException as end:
                error = end
            step.set_result((brought, error))

        self.step = step
        threading.Thread(target=run, name="tailrace-read").start()

    def collect(self) -> None:
        """Take what a step that is over has brought."""
        if self.step is None or not self.step.done():
            return
        brought, end = self.step.result()
        self.step = None
        self.ready.extend(brought)
        self.bytes += sum(size for _, size in brought)
        self.has_ended = end is not None
        self.error = None if isinstance(end, StopIteration) else end

    def take(self) -> T:
        """The next item that is ready."""
        item, size = self.ready.popleft()
        self.bytes -= size
        return item


def _advance(lanes: list[_Lane[T]], waiting: Iterator[_Lane[T]], threads: int, bytes_max: int) -> None:
    """Collect what was brought, and begin steps: the first lanes first, and the one whose turn it is even without room."""
    for lane in lanes:
        lane.collect()
    has_room = sum(lane.bytes for lane in lanes) < bytes_max
    if has_room:
        active = sum(not lane.has_ended for lane in lanes)
        lanes.extend(itertools.islice(waiting, max(0, min(threads - active, LANES_MAX - len(lanes)))))
    for place, lane in enumerate(lanes):
        may = has_room or (place == 0 and not lane.ready)
        if may and lane.step is None and not lane.has_ended:
            lane.begin()
