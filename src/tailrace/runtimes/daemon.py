"""`tailrace run`: calls the ticks from threads, one a table for capture and one a target for loading. No rules of its own."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tailrace.clock import Budget
from tailrace.errors import TailraceError, Transient, UserFault
from tailrace.jobs.capture import CaptureReport
from tailrace.jobs.load import Loader, LoadReport
from tailrace.model.manifest import Manifest

if TYPE_CHECKING:
    from tailrace.pipeline import Pipeline, TableRun

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0  # after the first failure, doubled up to RETRY_SECONDS_MAX
RETRY_SECONDS_MAX: Final = 60.0
SWEEP_SECONDS: Final = 5.0  # between two looks at the manifest when nobody says that something was published


class Daemon:
    """One run. Threads share the newest manifests and the results, both behind one lock."""

    def __init__(
        self,
        pipeline: Pipeline,
        tables: Sequence[str],
        budget: Budget,
        until_caught_up: bool,
        on_change: Callable[[TableRun], None],
    ) -> None:
        from tailrace.pipeline import TableRun

        self._pipeline = pipeline
        self._tables = tables
        self._budget = budget
        self._until_caught_up = until_caught_up
        self._on_change = on_change
        self._lock = threading.Lock()
        self._runs = {table: TableRun(table, CaptureReport()) for table in tables}
        self._manifests: dict[str, Manifest] = {}
        self._published = {target: threading.Event() for table in tables for target in self._targets(table)}
        self._capturing: set[str] = set()

    def run(self, *, capture: bool, load: bool) -> list[TableRun]:
        """Blocks until everything has ended; what was read is published and what is loading is committed first."""
        threads = []
        if capture:
            self._capturing = set(self._tables)
            threads += [threading.Thread(target=self._capture, args=(t,), name=f"capture-{t}") for t in self._tables]
        if load:
            threads += [threading.Thread(target=self._load, args=(n,), name=f"load-{n}") for n in self._published]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [self._runs[table] for table in self._tables]

    # ---- capture

    def _capture(self, table: str) -> None:
        failures = 0
        capturer = None
        try:
            while not self._budget.spent():
                try:
                    capturer = capturer or self._pipeline.capturer(table, lambda m: self._on_published(table, m))
                    report = capturer.step()
                except TailraceError as error:
                    failures += 1
                    if self._failed(table, "capture", error, failures):
                        return
                    continue
                failures = 0
                self._captured(table, report)
                if report.caught_up and self._until_caught_up:
                    return
                self._budget.wait(report.wait_seconds)
        finally:
            if capturer is not None:
                try:
                    self._captured(table, capturer.flush())
                except TailraceError as error:
                    log.error("capture %s: the last flush failed, the next run reads it again: %s", table, error)
                capturer.close()
            with self._lock:
                self._capturing.discard(table)
            self._wake(table)

    def _captured(self, table: str, report: CaptureReport) -> None:
        with self._lock:
            before = self._runs[table].capture
            total = replace(
                report,
                records=before.records + report.records,
                segments=before.segments + report.segments,
                bytes=before.bytes + report.bytes,
                quarantined=before.quarantined + report.quarantined,
            )
            run = self._runs[table] = replace(self._runs[table], capture=total, error=None)
        if report.segments:
            self._on_change(run)

    def _on_published(self, table: str, manifest: Manifest) -> None:
        with self._lock:
            self._manifests[table] = manifest
        self._wake(table)

    def _wake(self, table: str) -> None:
        for target in self._targets(table):
            self._published[target].set()

    # ---- load

    def _load(self, target: str) -> None:
        """All tables of one target in turn: DuckDB, for one, takes one writer."""
        tables = [table for table in self._tables if target in self._targets(table)]
        loaders = {table: self._pipeline.loader(table, target) for table in tables}
        failures = 0
        while not self._budget.spent():
            self._published[target].clear()
            with self._lock:
                capturing = bool(self._capturing)
            more = blocked = False
            for table, loader in loaders.items():
                try:
                    report = self._load_step(table, target, loader)
                except TailraceError as error:
                    failures += 1
                    if self._failed(table, f"load into {target}", error, failures):
                        return
                    more = True
                    continue
                failures = 0
                more |= report.more
                blocked |= report.blocked is not None
            if not more and self._until_caught_up and not capturing:
                return
            if not more or blocked:
                self._wait_for_news(target)

    def _load_step(self, table: str, target: str, loader: Loader) -> LoadReport:
        with self._lock:
            manifest = self._manifests.get(table)
        report = loader.step(manifest)
        with self._lock:
            run = self._runs[table]
            loads = {**run.loads, target: run.loads.get(target, LoadReport()).then(report)}
            run = self._runs[table] = replace(run, loads=loads, error=report.blocked or run.error)
        if report.loads:
            self._on_change(run)
        return report

    def _wait_for_news(self, target: str) -> None:
        """Until something is published, at most a sweep's time; in short pieces, so that a stop is noticed."""
        event = self._published[target]
        waited = 0.0
        while waited < SWEEP_SECONDS and not self._budget.spent() and not event.wait(0.1):
            waited += 0.1

    # ---- trouble

    def _failed(self, table: str, what: str, error: TailraceError, failures: int) -> bool:
        """Record and log a failure and wait before the next try; True where this run should give up on it."""
        with self._lock:
            run = self._runs[table] = replace(self._runs[table], error=error)
        self._on_change(run)
        level = logging.WARNING if isinstance(error, Transient) else logging.ERROR
        log.log(level, "%s %s: %s %s", what, table, error, error.hint)
        if self._until_caught_up and not isinstance(error, Transient):
            return True
        pause = RETRY_SECONDS_MAX if isinstance(error, UserFault) else RETRY_SECONDS * 2 ** min(failures - 1, 10)
        self._budget.wait(min(pause, RETRY_SECONDS_MAX) * random.uniform(0.5, 1.0))
        return False

    def _targets(self, table: str) -> list[str]:
        return self._pipeline.config.targets_of(table)
