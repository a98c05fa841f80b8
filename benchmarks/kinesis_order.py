"""How often a rule for the order of Kinesis records gives a wrong last state: every small history of one item, counted.

``python benchmarks/kinesis_order.py``. A history is up to four writes that change something, each in the same tick of the clock
as the one before it or in the next, delivered in any order, one of them perhaps twice. No record is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations, product
from typing import Final, NamedTuple, TypeAlias

WRITES_MAX: Final = 4
IMAGES: Final = ("", "a", "b")  # "" is an item that is not there; that comes first


class Record(NamedTuple):
    """One change as it is told: the tick of its write, and the images before and after."""

    tick: int
    old: str
    new: str


Rule: TypeAlias = Callable[[tuple[Record, ...]], str | None]
"""The last state of an item from its records as they arrive; None where the rule does not decide."""


def histories() -> Iterator[tuple[Record, ...]]:
    for count in range(1, WRITES_MAX + 1):
        for images in product(IMAGES, repeat=count):
            states = ("", *images)
            if any(old == new for old, new in pairwise(states)):
                continue  # a write that changes nothing gives no record
            for steps in product((0, 1), repeat=count - 1):
                ticks = [sum(steps[:place]) for place in range(count)]
                yield tuple(map(Record, ticks, states, images))


def deliveries(history: tuple[Record, ...]) -> Iterator[tuple[Record, ...]]:
    """Every order of arrival, with none or one of the records twice."""
    for twice in (None, *history):
        yield from set(permutations(history if twice is None else (*history, twice)))


def last_to_arrive(arrived: tuple[Record, ...]) -> str:
    return arrived[-1].new


def by_tick_then_arrival(arrived: tuple[Record, ...]) -> str:
    return max(enumerate(arrived), key=lambda each: (each[1].tick, each[0]))[1].new


def by_tick_then_content(arrived: tuple[Record, ...]) -> str:
    return max(arrived).new


def by_tick_unless_tied(arrived: tuple[Record, ...]) -> str | None:
    newest = max(record.tick for record in arrived)
    images = {record.new for record in arrived if record.tick == newest}
    return images.pop() if len(images) == 1 else None


RULES: Final[tuple[Rule, ...]] = (last_to_arrive, by_tick_then_arrival, by_tick_then_content, by_tick_unless_tied)


def main() -> None:
    total, wrong, undecided, wrong_untied = 0, Counter[str](), Counter[str](), Counter[str]()
    untied = 0
    for history in histories():
        is_untied = len({record.tick for record in history}) == len(history)
        for arrived in deliveries(history):
            total += 1
            untied += is_untied
            for rule in RULES:
                found = rule(arrived)
                if found is None:
                    undecided[rule.__name__] += 1
                elif found != history[-1].new:
                    wrong[rule.__name__] += 1
                    wrong_untied[rule.__name__] += is_untied
    print(f"{total} deliveries, {untied} of them without two writes in one tick")
    for rule in RULES:
        name = rule.__name__
        print(f"{name}: {wrong[name]} wrong, {wrong_untied[name]} of the latter; undecided {undecided[name]}")


if __name__ == "__main__":
    main()
