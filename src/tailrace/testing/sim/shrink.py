"""The smallest part of a failing history that still fails: fewer actions, fewer strikes, a plainer world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tailrace.testing.sim.plan import Plan, Setup

T = TypeVar("T")


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """A plan of which nothing more can be left out, as far as `fails` says. Deterministic; runs some hundred histories."""
    before = None
    while plan != before:
        before = plan
        for setup in _plainer(plan.setup):
            if fails(replace(plan, setup=setup)):
                plan = replace(plan, setup=setup)
        current = plan
        strikes = _fewer(current.strikes, lambda kept: fails(replace(current, strikes=tuple(kept))))  # noqa: B023
        current = plan = replace(current, strikes=tuple(strikes))
        actions = _fewer(current.actions, lambda kept: fails(replace(current, actions=tuple(kept))))  # noqa: B023
        plan = replace(current, actions=tuple(actions))
    return plan


def _fewer(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Leave out runs of items, long ones first, as long as it still fails."""
    kept = list(items)
    size = len(kept)
    while size:
        at = 0
        while at < len(kept):
            shorter = kept[:at] + kept[at + size :]
            if fails(shorter):
                kept = shorter
            else:
                at += size
        size //= 2
    return kept


def _plainer(setup: Setup) -> Iterator[Setup]:
    """One simplification each; later ones assume nothing of earlier ones."""
    plain: dict[str, Any] = {
        "processes": 1,
        "keys": 1,
        "shards": 1,
        "page_records": 1000,
        "repeats": 0,
        "flush_seconds": 0.0,
        "load_segments": 500,
        "load_rows": 250_000,
        "buffer_bytes": 1 << 20,
        "restarts": False,
        "hands_manifest_on": False,
    }
    for name, value in plain.items():
        if getattr(setup, name) != value:
            changed = replace(setup, **{name: value})
            yield replace(changed, skew_ms=changed.skew_ms[: changed.processes])
