"""Random histories of one table with two workers: writes, splits, crashes, zombies, trims, errors. A seed replays one."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from capture_world import World

from tailrace.errors import IteratorExpired, ServiceUnavailable, TailraceError, Throttled
from tailrace.jobs.capture import Capturer
from tailrace.testing.faults import READ_FAULTS, WRITE_FAULTS, FaultPlan, FaultySource, FaultyStore, SimulatedCrash
from tailrace.testing.source import published, violations

SEEDS = range(int(os.environ.get("TAILRACE_SEEDS_FROM", "0")), int(os.environ.get("TAILRACE_SEEDS_TO", "200")))
EVENTS = 60

Event = Callable[[], object]


class History:
    """Each seed draws which kinds of trouble there are, and how often."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(shards=self.random.randint(1, 4), seed=seed)
        self.source = self.world.source
        self.source.page_records = self.random.choice([1, 3, 1000])
        self.source.repeats = self.random.choice([0, 0, 2])
        self.settings = {
            "flush_seconds": self.random.choice([0.0, 0.5, 30.0]),
            "flush_bytes": self.random.choice([500, 1 << 20]),
            "buffer_bytes": self.random.choice([400, 1 << 20]),
        }
        self.fault_share = self.random.choice([0.0, 0.02, 0.3])
        self.happened: Counter[str] = Counter()
        self.workers = [self.worker(), self.worker()]
        troubles = [self.split, self.roll, self.hide, self.empty, self.poison, self.fail, self.expire, self.deny]
        troubles += [self.unlist, self.sleep, self.age, self.vanish, self.crash]
        self.events: list[Event] = [self.write] * 6 + [self.step] * 12
        self.events += self.random.sample(troubles, self.random.randint(1, len(troubles)))

    def worker(self) -> Capturer:
        plan = FaultPlan()
        if self.random.random() < 3 * self.fault_share:
            plan.at = self.random.randint(1, 60)
            plan.fault = self.random.choice([*WRITE_FAULTS, *READ_FAULTS])
        source, store = FaultySource(self.source, plan), FaultyStore(self.world.store, plan)
        return self.world.capturer(source=source, store=store, **self.settings)

    # ---- what happens

    def step(self) -> None:
        which = self.random.randrange(2)
        try:
            self.workers[which].step()
        except SimulatedCrash:
            self.happened["crash at an effect"] += 1
            self.workers[which] = self.worker()
        except TailraceError as error:
            self.happened[type(error).__name__] += 1
        self.world.clock.ms += self.random.choice([10, 300, 1000, 3000])

    def write(self) -> None:
        for _ in range(self.random.randint(1, 8)):
            self.source.write(
                f"key-{self.random.randrange(6)}", self.random.randrange(10**9), remove=self.random.random() < 0.1
            )

    def poison(self) -> None:
        odd = self.random.choice([{"Keys": None}, {"SequenceNumber": None}, {"eventName": "UPSERT"}])
        self.source.write("poison", self.random.randrange(10**9), **odd)

    def split(self) -> None:
        self.source.split()

    def roll(self) -> None:
        self.source.roll()

    def hide(self) -> None:
        self.source.model.hide_children_seconds = self.random.choice([0, 2, 100])

    def empty(self) -> None:
        self.source.empty_pages = self.random.choice([0, 1, 2])  # three in a row count as the tip

    def fail(self) -> None:
        operation = self.random.choice(["incarnation", "shards", "iterator", "read"])
        kinds = [Throttled, ServiceUnavailable, *([IteratorExpired] if operation == "read" else [])]
        self.source.errors[operation] = [
            self.random.choice(kinds)("planned", hint="It is planned.") for _ in range(self.random.randint(1, 5))
        ]

    def expire(self) -> None:
        self.source.expire_iterators()

    def deny(self) -> None:
        self.source.denied = set() if self.source.denied else {self.random.choice(["shards", "iterator", "read"])}

    def unlist(self) -> None:
        """One listing of each worker lacks some shards."""
        shards = sorted(self.source.model.shards)
        self.source.unlisted = set(self.random.sample(shards, self.random.randint(1, len(shards))))
        self.world.clock.ms += 11_000
        self.step()
        self.source.unlisted = set()

    def sleep(self) -> None:
        self.world.clock.ms += self.random.choice([20_000, 700_000, 3_600_000])

    def age(self) -> None:
        self.happened["age"] += 1
        self.source.age(self.random.choice([13, 25]) * 3600)

    def vanish(self) -> None:
        """The oldest go first."""
        there = {i: s for i, s in self.source.model.shards.items() if i not in self.source.gone}
        closed = [i for i, s in there.items() if s.last is not None and s.parent not in there]
        if closed:
            self.happened["vanish"] += 1
            self.source.gone.add(self.random.choice(closed))

    def crash(self) -> None:
        self.workers[self.random.randrange(2)] = self.worker()

    # ---- how it goes

    def run(self) -> None:
        self.world.run(self.world.capturer(), 1)  # every shard is known from the beginning
        for number in range(EVENTS):
            self.random.choice(self.events)()
            if number % 6 == 0:
                assert violations(self.source, self.world.landing) == []
        self.source.denied, self.source.errors = set(), {}
        self.source.empty_pages, self.source.page_records = 0, 1000  # so that the time that is left is enough
        self.source.model.hide_children_seconds = 0
        self.world.clock.ms += 200_000  # what is hidden is listed, back-offs and leases are over
        survivor = self.random.choice([*self.workers, self.world.capturer()])
        try:
            self.world.run(survivor, 150, pause_ms=500)
        except SimulatedCrash:
            self.happened["crash at an effect"] += 1
        self.world.run(self.world.capturer(), 100, pause_ms=500)
        if not self.world.manifest.gaps:
            self.world.catch_up()
        assert violations(self.source, self.world.landing, settled=True) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_history_loses_nothing_silently_and_repeats_nothing(seed: int) -> None:
    History(seed).run()


def test_the_histories_are_not_empty() -> None:
    """What the seeds are there for does happen in them."""
    happened: Counter[str] = Counter()
    for seed in range(25):
        history = History(seed)
        history.run()
        manifest = history.world.manifest
        happened += history.happened
        happened.update(gap.kind for gap in manifest.gaps)
        happened["published"] += len(published(history.world.landing))
        happened["children"] += sum(shard.parent is not None for shard in manifest.shards.values())
        happened["without a gap"] += not manifest.gaps
    assert {
        *("published", "children", "without a gap", "stream_trimmed", "shard_vanished", "age", "vanish"),
        *("crash at an effect", "PermissionMissing", "ServiceUnavailable", "OutcomeUnknown"),
    } <= happened.keys()
