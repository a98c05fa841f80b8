"""A loader's hold on one table in one target, kept in the landing zone by conditional writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from tailrace.clock import Clock
from tailrace.decide.lease import LEASE_SECONDS, given_back, is_held, must_be_renewed, renewed, taken
from tailrace.errors import LoaderBusy, StateContended, TailraceError
from tailrace.landing import Landing, Leased
from tailrace.model.lease import Lease

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = (
    5.0  # without work, after which it is given back: continuous loading does not take it for each file
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that is ours. `is_fresh`: nobody else has held it since we last looked."""

    fence: int
    is_fresh: bool


class LoaderLease:
    """One process's side of a lease. Safe to share between the thread that loads and the one that renews.

    `holder` is this process and differs from every other. `is_gone` knows of some holders that they live no more.
    `takes_over`: the first taking asks nobody. `keeps`: while the loader works, another thread renews.
    """

    def __init__(
        self,
        landing: Landing,
        target: str,
        holder: str,
        clock: Clock,
        *,
        is_gone: Callable[[str], bool] = lambda holder: False,
        takes_over: bool = False,
        keeps: bool = False,
    ) -> None:
        self._landing = landing
        self._target = target
        self._holder = holder
        self._clock = clock
        self._is_gone = is_gone
        self._takes_over = takes_over
        self._keeps = keeps
        self._lock = threading.Lock()
        self._seen: Leased | None = None  # when we last looked or wrote
        self._worked = 0.0
        self._is_working = False
        self._let_go: threading.Event | None = None  # set, it ends the thread that renews; None: there is none

    def look(self) -> None:
        """Remember how the lease stands, before the ledger is read: if it is ours then, the ledger is as it was read."""
        with self._lock:
            if not self._is_ours:
                self._seen = self._landing.lease(self._target)

    def take(self, recorded: int) -> Hold:
        """Take the lease, or keep it. `recorded`: the fence in the target's ledger. Raises LoaderBusy."""
        with self._lock:
            self._worked = self._clock.monotonic()
            is_fresh = self._seen is not None
            seen = self._seen or self._landing.lease(self._target)
            while True:
                now_ms = self._clock.now_ms()
                if seen.lease.holder == self._holder and not must_be_renewed(seen.lease, now_ms):
                    self._seen = seen
                    return Hold(seen.lease.fence, is_fresh)
                lease = seen.lease
                if lease.holder == self._holder:
                    lease = renewed(lease, now_ms)
                elif self._is_free(lease, now_ms):
                    lease = taken(lease, self._holder, now_ms, recorded=recorded)
                elif is_fresh:  # as it was when we looked, which may be long ago
                    seen, is_fresh = self._landing.lease(self._target), False
                    continue
                else:
                    self._forget()
                    raise self._busy(lease)
                try:
                    self._seen = seen = self._landing.save_lease(self._target, lease, seen.version)
                    self._takes_over = False
                except StateContended:
                    self._forget()
                    seen, is_fresh = self._landing.lease(self._target), False

    def _is_free(self, lease: Lease, now_ms: int) -> bool:
        if self._takes_over or not is_held(lease, now_ms):
            return True
        return lease.holder is not None and self._is_gone(lease.holder)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Held while the caller works, however long that takes. One thread serves all the loads of a hold."""
        with self._lock:
            self._is_working = True
            if self._keeps and self._let_go is None:
                self._let_go = threading.Event()
                threading.Thread(target=self._keep, args=(self._let_go,), name="tailrace-lease", daemon=True).start()
        try:
            yield
        finally:
            self._is_working = False
            self._worked = self._clock.monotonic()

    def _keep(self, let_go: threading.Event) -> None:
        while not let_go.wait(LEASE_SECONDS / 3):
            with self._lock:
                if let_go.is_set():
                    return
                if self._seen is None or not (self._is_working and self._is_ours):
                    continue
                try:
                    lease = renewed(self._seen.lease, self._clock.now_ms())
                    self._seen = self._landing.save_lease(self._target, lease, self._seen.version)
                except StateContended:
                    log.warning("the loader lease of %s was taken over", self._landing.table)
                    self._forget()
                except TailraceError as error:
                    log.warning("the loader lease of %s was not renewed: %s", self._landing.table, error)

    def lost(self) -> None:
        """Somebody with a greater fence has loaded."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._seen = None
        if self._let_go is not None:
            self._let_go.set()
            self._let_go = None

    def rest(self) -> None:
        """There is nothing to load: after a while of that, give the lease back."""
        if self._clock.monotonic() >= self._worked + IDLE_SECONDS:
            self.give_back()

    def give_back(self) -> None:
        """Let others load at once. Where it fails the lease runs out by itself."""
        with self._lock, suppress(TailraceError):
            if self._seen is not None and self._is_ours:
                seen = self._seen
                self._forget()
                self._seen = self._landing.save_lease(self._target, given_back(seen.lease), seen.version)

    @property
    def _is_ours(self) -> bool:
        return self._seen is not None and self._seen.lease.holder == self._holder

    def _busy(self, lease: Lease) -> LoaderBusy:
        return LoaderBusy(
            "Another loader is at work",
            hint="What is published it loads; if it hangs, `tailrace load --take-over` loads beside it.",
            table=self._landing.table,
            target=self._target,
            holder=lease.holder,
        )
