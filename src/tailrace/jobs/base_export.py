"""A full export as the base beside a stream: one bounded step a call, all state in the manifest.

The export shows the table at a moment behind the one when every shard of the stream was on record. So each write is in the
export, in the stream, or in both, and where it is in both the change wins over the exported row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final

from tailrace.capture.exports import ExportAnswer, ExportSource
from tailrace.clock import Budget, Clock
from tailrace.decide.base import EXPORT_MARGIN_MS, base_of, is_base_read
from tailrace.decide.windows import moment_text, retried
from tailrace.errors import ConfigInvalid, ExportInvalid, PermissionMissing, StateContended, UserFault
from tailrace.jobs.backfill import CAPTURE_SECONDS, BackfillReport
from tailrace.jobs.capture import counted
from tailrace.jobs.exports import Exporter, ExportSettings
from tailrace.jobs.source import check_source
from tailrace.landing import Landing, Published
from tailrace.model.exports import BaseExport, ExportPlan
from tailrace.model.manifest import Manifest

log = logging.getLogger(__name__)

DUE_SECONDS_MAX: Final = 60.0  # a look at what is restorable, at least this often


class BaseExporter:
    """Exports one table's base. Keeps nothing between calls but the newest manifest; offers what `Backfiller` offers."""

    def __init__(
        self,
        source: ExportSource,
        landing: Landing,
        settings: ExportSettings,
        clock: Clock,
        writer: str,
        *,
        on_published: Callable[[Manifest], None] = lambda manifest: None,
        executor: Executor | None = None,
    ) -> None:
        self._source = source
        self._exporter = Exporter(source, landing, settings, clock, executor)
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._on_published = on_published
        self._published: Published | None = None
        self._report = BackfillReport()

    # ---- what callers use

    def tick(self, budget: Budget) -> BackfillReport:
        """Do all that can be done now, without waiting for AWS. Totals of this call; the next tick goes on."""
        total = BackfillReport()
        while not budget.spent():
            report = self.step(budget)
            total = total.then(report)
            if report.done or report.wait_seconds > 0:
                break
        return total

    def step(self, budget: Budget) -> BackfillReport:
        """One effect on AWS or one publication at most. Raises UserFault, SourceChanged and Transient errors.

        Another worker's step at the same time is harmless: one of both publishes, the other reads the manifest again.
        """
        self._report = BackfillReport(parts=1)
        try:
            self._published = self._landing.load()
            if self._published is None:
                return replace(self._report, waits_for_capture=True, wait_seconds=CAPTURE_SECONDS)
            wait_seconds = self._step()
        except StateContended:
            wait_seconds = 0.1
        done = self._is_done()
        waits = not done and wait_seconds >= 1.0
        return replace(
            self._report,
            parts_done=int(done),
            done=done,
            waits_for_aws=waits,
            wait_seconds=0.0 if done else wait_seconds,
        )

    def flush(self, budget: Budget) -> BackfillReport:
        """Nothing waits in memory here."""
        done = self._published is not None and self._is_done()
        return BackfillReport(parts=1, parts_done=int(done), done=done)

    # ---- one step

    @property
    def _manifest(self) -> Manifest:
        assert self._published is not None
        return self._published.manifest

    @property
    def _state(self) -> BaseExport:
        assert self._manifest.base_export is not None
        return self._manifest.base_export

    def _is_done(self) -> bool:
        return is_base_read(self._manifest)

    def _step(self) -> float:
        """Do the next thing; how many seconds until there may be another one."""
        if self._is_done():
            return 0.0
        check_source(self._source.incarnation().table_id, self._manifest)
        if base_of(self._manifest) is None:
            self._save(BaseExport(self._manifest.epoch, self._clock.now_ms()))
            return 0.0
        if self._manifest.base_export is None or self._state.epoch != self._manifest.epoch:
            raise ConfigInvalid(
                "The base of this table is being scanned",
                hint='Set base = "scan" until it is done.',
                table=self._landing.table,
            )
        plan = self._state.plan
        if plan is None:
            return self._plan()
        if plan.arn is None:
            pause = (plan.not_before_ms - self._clock.now_ms()) / 1000
            return pause if pause > 0 else self._start(plan)
        answer = self._source.describe(plan.arn)
        if answer.status == "IN_PROGRESS":
            return self._settings.poll_seconds
        if answer.status == "FAILED":
            return self._failed(plan, f"the export failed: {answer.code} {answer.message}".strip())
        return self._take(plan, answer)

    def _plan(self) -> float:
        """The newest moment that can be exported, once it lies behind the one when capture was on record."""
        restorable = self._source.restorable()
        if restorable is None:
            self._exporter.switch_on()
            return self._settings.poll_seconds
        early = (self._state.begun_ms + EXPORT_MARGIN_MS) / 1000 - restorable.latest
        if early >= 0 or restorable.latest < restorable.earliest:
            return min(DUE_SECONDS_MAX, max(1.0, early + 1.0))
        self._save(replace(self._state, plan=ExportPlan(restorable.latest, None, 1, self._clock.now_ms())))
        return 0.0

    def _start(self, plan: ExportPlan) -> float:
        try:
            arn = self._exporter.begin(self._manifest.incarnation, plan)
        except UserFault as error:
            if isinstance(error, PermissionMissing):
                raise
            restorable = self._source.restorable()
            if restorable is None or plan.moment < restorable.earliest:
                self._save(replace(self._state, plan=None))  # its moment is gone: a later one will do
                return 1.0
            return self._failed(plan, f"AWS refused the export: {error.message}")
        self._save(replace(self._state, plan=replace(plan, arn=arn)))
        return 0.0

    def _failed(self, plan: ExportPlan, why: str) -> float:
        """The same once more, under another prefix, after a pause."""
        again = retried(plan, why, self._clock.now_ms())
        log.warning("%s: %s; attempt %d follows", self._landing.table, why, again.attempt)
        self._save(replace(self._state, plan=again))
        return self._settings.poll_seconds

    def _take(self, plan: ExportPlan, answer: ExportAnswer) -> float:
        """One swap lists the files where they lie and says that the base is complete."""
        manifest = self._manifest
        try:
            listing, sizes = self._exporter.checked(manifest.incarnation, plan, answer)
        except ExportInvalid as error:
            return self._failed(plan, str(error))
        entries = self._exporter.entries(plan, listing, sizes, manifest.next_number, manifest.epoch)
        last = manifest.next_number + len(entries) - 1
        rows, size = sum(e.rows for e in entries), sum(e.bytes for e in entries)
        self._publish(
            replace(
                manifest,
                base_export=replace(self._state, plan=None, moment=plan.moment, last_number=last),
                segments=(*manifest.segments, *entries),
                next_number=last + 1,
                counters=counted(manifest.counters, rows=rows, bytes=size, segments=len(entries)),
            )
        )
        log.info("the base of %s: %d rows as of %s", self._landing.table, rows, moment_text(plan.moment))
        self._report = replace(self._report, rows=rows, segments=len(entries), bytes=size)
        return 0.0

    def _save(self, state: BaseExport) -> None:
        self._publish(replace(self._manifest, base_export=state))

    def _publish(self, manifest: Manifest) -> None:
        self._published = self._landing.save(manifest, self._published, self._writer)
        self._on_published(self._manifest)
