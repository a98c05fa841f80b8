"""A stream, a landing zone and workers on one movable clock: what the capture tests play with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tailrace.clock import Budget, ManualClock
from tailrace.errors import TailraceError
from tailrace.jobs.capture import Capturer, CaptureReport, CaptureSettings
from tailrace.landing import Landing, Store
from tailrace.model.manifest import Manifest
from tailrace.testing.source import InlineExecutor, ModelSource, violations
from tailrace.testing.stores import MemoryStore


class World:
    def __init__(self, *, store: Store | None = None, **source: Any) -> None:
        self.clock = ManualClock()
        self.source = ModelSource(self.clock, **source)
        self.store = MemoryStore() if store is None else store
        self.workers = 0

    @property
    def landing(self) -> Landing:
        """A fresh look at the landing zone, as another process has it."""
        return Landing(self.store, "orders")

    @property
    def manifest(self) -> Manifest:
        found = self.landing.load()
        assert found is not None
        return found.manifest

    def capturer(self, *, source: Any = None, store: Store | None = None, **settings: Any) -> Capturer:
        """A new worker process."""
        self.workers += 1
        return Capturer(
            source or self.source,
            Landing(store or self.store, "orders"),
            CaptureSettings(**settings),
            self.clock,
            f"worker-{self.workers}",
            executor=InlineExecutor(),
        )

    def catch_up(self, capturer: Capturer | None = None, *, seconds: float = 600, **settings: Any) -> CaptureReport:
        """Let a worker (a new one where none is given) tick until it has caught up."""
        capturer = capturer or self.capturer(**settings)
        report = capturer.tick(Budget(self.clock, seconds))
        assert report.caught_up, report
        return report

    def run(
        self, capturer: Capturer, seconds: float, *, until: Callable[[], bool] = lambda: False, pause_ms: int = 10
    ) -> None:
        """Step for so long, as a daemon does it, at least `pause_ms` apart: errors are only waited for."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end and not until():
            try:
                pause = capturer.step().wait_seconds
            except TailraceError:
                pause = 1.0
            self.clock.ms += max(pause_ms, int(pause * 1000))

    def check(self, *, settled: bool = True) -> None:
        assert violations(self.source, self.landing, settled=settled) == []
