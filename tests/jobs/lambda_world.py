"""A stream, a function behind it that lands what it is handed, and workers that publish, on one movable clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capture_world import World

from tailrace.capture.lambda_events import batch_of
from tailrace.clock import Budget
from tailrace.jobs.capture import CaptureReport, CaptureSettings
from tailrace.jobs.publish import LambdaCapturer
from tailrace.landing import Landing, Store
from tailrace.runtimes.aws_lambda.capturing import land
from tailrace.testing.source import InlineExecutor, Written, violations


class LambdaWorld(World):
    def event(self, records: Sequence[Written]) -> dict[str, Any]:
        """As Lambda hands them over."""
        arn = self.source.table.stream_arn
        return {"Records": [{**self.source.bodies[r.number], "eventSourceARN": arn} for r in records]}

    def deliver(self, *records: Written, store: Store | None = None) -> str | None:
        """Let the function land a batch; the name of the segment, where there is a new one."""
        before = set(self.landing.changes_between(self.clock.ms, self.clock.ms))
        land(batch_of(self.event(records)), Landing(store or self.store, "orders"), self.clock, lambda: 60.0)
        new = set(self.landing.changes_between(self.clock.ms, self.clock.ms)) - before
        return next(iter(new), None)

    def publisher(self, *, source: Any = None, store: Store | None = None, **settings: Any) -> LambdaCapturer:
        """A new worker process."""
        self.workers += 1
        return LambdaCapturer(
            source or self.source,
            Landing(store or self.store, "orders"),
            CaptureSettings(**settings),
            self.clock,
            f"worker-{self.workers}",
            executor=InlineExecutor(),
        )

    def tick(self, publisher: LambdaCapturer | None = None, seconds: float = 600) -> CaptureReport:
        report = (publisher or self.publisher()).tick(Budget(self.clock, seconds))
        self.check(settled=False)
        return report

    def check(self, *, settled: bool = True) -> None:
        found = violations(self.source, self.landing, settled=settled, delivered=True)
        assert found == [], found
