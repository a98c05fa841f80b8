"""A short run of capture with everything in it, failed at every single effect in every way: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from capture_world import World

from tailrace.errors import TailraceError
from tailrace.jobs.capture import Capturer
from tailrace.testing.faults import FaultPlan, FaultySource, FaultyStore, SimulatedCrash, every_fault
from tailrace.testing.source import published, violations


def story(world: World) -> list[Callable[[], object]]:
    """What happens in the world, between the steps of whoever captures it."""
    source = world.source

    def write(*numbers: int) -> Callable[[], object]:
        return lambda: [source.write(f"key-{number % 4}", number, remove=number % 7 == 6) for number in numbers]

    return [
        write(0, 1, 2, 3),
        source.split,
        write(4, 5, 6, 7),
        lambda: setattr(source, "empty_pages", 1),
        lambda: source.write("poison", 8, Keys=None),
        write(9, 10, 11),
        source.expire_iterators,
        source.roll,
        write(12, 13),
        lambda: source.write("poison", 14, SequenceNumber=None),
        lambda: setattr(world.source.model, "hide_children_seconds", 2),
        source.split,
        write(15, 16, 17, 18),
    ]


def run(plan: FaultPlan) -> World:
    """The whole story; whoever dies is followed by a worker without faults, who also tidies up at the end."""
    world = World()
    world.source.page_records = 3

    def worker(plan: FaultPlan) -> Capturer:
        source, store = FaultySource(world.source, plan), FaultyStore(world.store, plan)
        return world.capturer(source=source, store=store, flush_seconds=0.5)

    capturer = worker(plan)
    for event in [*story(world), lambda: None]:
        event()
        for _ in range(3):
            try:
                capturer.step()
            except TailraceError:
                pass  # a daemon logs it and steps on
            except SimulatedCrash:
                capturer = worker(FaultPlan())
            world.clock.ms += 600
        assert violations(world.source, world.landing) == []
    if plan.struck:
        world.clock.ms += 20_000
        world.catch_up(capturer)
        world.catch_up(worker(FaultPlan()))
    return world


PLANS = every_fault(run)


def test_the_story_has_everything_in_it() -> None:
    plan = FaultPlan()
    world = run(plan)
    names = [name for name, _ in plan.effects]
    assert sum(name.startswith("create orders/changes/") for name in names) >= 5
    assert sum(name.startswith("create orders/quarantine/") for name in names) == 2
    assert sum(name.startswith("replace") for name in names) >= 12
    assert len(world.manifest.shards) == 6
    assert world.manifest.gaps == ()
    assert len(PLANS) > 200


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_whatever_fails_nothing_is_lost_and_nothing_comes_twice(plan: FaultPlan) -> None:
    world = run(plan)
    assert plan.struck
    assert violations(world.source, world.landing, settled=True) == []
    good = [written.number for written in world.source.log if written.line is not None]
    assert sorted(number for number, _ in published(world.landing)) == good
    assert (world.manifest.state, world.manifest.gaps) == ("CONSISTENT", ())
