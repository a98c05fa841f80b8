"""When a loader may take a lease, and what becomes of it. Values in, values out.

A lease saves work and decides nothing: what is applied says the ledger, under the target's own lock.
"""

from __future__ import annotations

from typing import Final

from tailrace.model.lease import Lease

LEASE_SECONDS: Final = 30  # how long a loader that died holds others up
_MS: Final = 1000 * LEASE_SECONDS


def is_held(lease: Lease, now_ms: int) -> bool:
    """Whether somebody loads. A lease that has longer to go than two last was written by a wrong clock, and does not count."""
    return lease.holder is not None and 0 < lease.until_ms - now_ms <= 2 * _MS


def taken(lease: Lease, holder: str, now_ms: int, *, recorded: int) -> Lease:
    """The next lease. `recorded`: the greatest fence that the target has seen, in case that the lease was deleted."""
    return Lease(max(lease.fence, recorded) + 1, holder, now_ms, now_ms + _MS)


def must_be_renewed(lease: Lease, now_ms: int) -> bool:
    """Whether half of it is over, or the clock has jumped."""
    return not _MS // 2 < lease.until_ms - now_ms <= _MS


def renewed(lease: Lease, now_ms: int) -> Lease:
    """The same lease, from now on."""
    return Lease(lease.fence, lease.holder, lease.since_ms, now_ms + _MS)


def given_back(lease: Lease) -> Lease:
    """Nobody holds it; its fence stays, so that the next one is greater."""
    return Lease(lease.fence, None, lease.since_ms, lease.until_ms)
