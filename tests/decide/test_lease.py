"""A lease is held for a while and never for ever, whatever clocks say; its fence only grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.lease import LEASE_SECONDS, given_back, is_held, must_be_renewed, renewed, taken
from tailrace.model.lease import Lease

T0 = 1_790_000_000_000
MS = 1000 * LEASE_SECONDS
HELD = taken(Lease(), "a", T0, recorded=0)


def test_it_is_held_until_it_runs_out() -> None:
    assert not is_held(Lease(), T0)
    assert [is_held(HELD, T0 + ms) for ms in (0, MS - 1, MS, MS + 1)] == [True, True, False, False]
    assert is_held(renewed(HELD, T0 + MS - 1), T0 + MS)
    assert not is_held(given_back(HELD), T0)


def test_one_from_the_far_future_holds_nobody_up() -> None:
    assert is_held(HELD, T0 - MS)  # its clock is ahead by a little
    assert not is_held(HELD, T0 - MS - 1)


def test_it_is_renewed_when_half_of_it_is_over_and_when_the_clock_went_back() -> None:
    assert [must_be_renewed(HELD, T0 + ms) for ms in (-1, 0, MS // 2 - 1, MS // 2, MS)] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_fence_is_greater_than_every_one_before() -> None:
    assert HELD.fence == 1
    assert taken(given_back(HELD), "b", T0, recorded=0).fence == 2
    assert taken(HELD, "b", T0, recorded=0).fence == 2
    assert taken(Lease(), "b", T0, recorded=57).fence == 58


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-(10**6), 10**6), st.booleans()), max_size=20))
def test_fences_grow_with_every_taking_and_with_nothing_else(steps: list[tuple[str, int, bool]]) -> None:
    lease, now = Lease(), T0
    for holder, jump, gives_back in steps:
        now += jump
        before = lease
        if lease.holder == holder:
            lease = given_back(lease) if gives_back else renewed(lease, now)
            assert lease.fence == before.fence
        elif not is_held(lease, now):
            lease = taken(lease, holder, now, recorded=0)
            assert lease.fence == before.fence + 1
            assert is_held(lease, now)
