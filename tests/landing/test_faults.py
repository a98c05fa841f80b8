"""The tool that all crash tests stand on must itself do what it says."""

from __future__ import annotations

import pytest

from tailrace.errors import NotFound, OutcomeUnknown, ServiceUnavailable
from tailrace.testing.faults import (
    READ_FAULTS,
    WRITE_FAULTS,
    Fault,
    FaultPlan,
    Faulty,
    FaultyStore,
    SimulatedCrash,
    effects_of,
    every_fault,
    stopped,
)
from tailrace.testing.stores import MemoryStore


def scenario(plan: FaultPlan, store: MemoryStore | None = None) -> MemoryStore:
    store = store or MemoryStore()
    faulty = FaultyStore(store, plan)
    faulty.create("a", b"one")
    version = faulty.replace("m", b"one", None)
    faulty.replace("m", faulty.read("m").data + b"!", version)
    assert [entry.name for entry in faulty.list("")] == ["a", "m"]
    with faulty.open("a") as stream:
        assert stream.read() == b"one"
    faulty.delete("a")
    return store


def test_without_a_fault_everything_happens_and_is_counted() -> None:
    assert effects_of(scenario) == [
        ("create a", True),
        ("replace m", True),
        ("read m", False),
        ("replace m", True),
        ("list ", False),
        ("open a", False),
        ("delete a", True),
    ]
    assert scenario(FaultPlan()).objects == {"m": b"one!"}


def test_every_effect_meets_every_fault_that_it_can_meet() -> None:
    plans = every_fault(scenario)
    assert len(plans) == 4 * len(WRITE_FAULTS) + 3 * len(READ_FAULTS)
    assert len({str(plan) for plan in plans}) == len(plans)
    for plan in plans:
        with stopped():
            scenario(plan)
        assert plan.struck
        assert len(plan.effects) == plan.at


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        ("error", ServiceUnavailable, False),
        ("crash_before", SimulatedCrash, False),
        ("crash_after", SimulatedCrash, True),
        ("lost_answer", OutcomeUnknown, True),
        ("lost_request", OutcomeUnknown, False),
    ],
)
def test_each_fault_does_what_it_says(fault: Fault, error: type[BaseException], happened: bool) -> None:
    store = MemoryStore()
    with pytest.raises(error):
        FaultyStore(store, FaultPlan(1, fault)).create("a", b"one")
    assert (store.objects == {"a": b"one"}) is happened


def test_the_dead_do_nothing_more_whatever_they_catch() -> None:
    store = MemoryStore()
    faulty = FaultyStore(store, FaultPlan(1, "crash_before"))

    def stubborn() -> None:
        try:
            faulty.create("a", b"one")
        except Exception:
            faulty.create("b", b"lived on")
        finally:
            faulty.create("c", b"lived on")

    with pytest.raises(SimulatedCrash):
        stubborn()
    assert store.objects == {}


def test_an_error_of_the_port_itself_passes_through() -> None:
    with pytest.raises(NotFound):
        FaultyStore(MemoryStore(), FaultPlan()).read("a")


def test_any_port_can_be_wrapped_by_the_names_of_its_methods() -> None:
    plan = FaultPlan(2, "lost_answer")
    store = MemoryStore()
    faulty = Faulty(store, plan, writes=("create",), reads=("read",))
    faulty.create("a", b"one")
    assert faulty.url == "memory:"
    with pytest.raises(OutcomeUnknown):
        faulty.create(name="b", data=b"two")
    assert faulty.read("b").data == b"two"
    assert plan.effects == [("create", True), ("create", True), ("read", False)]
