"""Capture by PITR exports: one bounded step a call, all state in the manifest, so anybody may call it from anywhere.

plan, published by a compare-and-swap → ask AWS, with a token that follows from the plan → look how it stands → check its files
→ list them and move the chain on, in one compare-and-swap. Whatever is killed or doubled in between repeats the same request.
"""

from __future__ import annotations

import contextlib
import logging
import posixpath
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from tailrace.capture.exports import ExportAnswer, ExportRequest, ExportSource
from tailrace.capture.table import TableSource
from tailrace.clock import Budget, Clock
from tailrace.decide.windows import (
    WindowRule,
    client_token,
    folder_of,
    moment_text,
    next_start,
    overlapping,
    pitr_gap,
    plan_export,
    published,
    published_through,
    reachable,
    retried,
    seconds_until_due,
    stale_before,
    with_plan,
)
from tailrace.errors import (
    ConfigInvalid,
    ExportInvalid,
    PermissionMissing,
    SourceChanged,
    StateContended,
    UserFault,
    WindowMissing,
)
from tailrace.jobs.capture import CaptureReport, counted, totalled
from tailrace.jobs.settle import settled_lines
from tailrace.jobs.source import check_place
from tailrace.landing import Landing, Listed, Published
from tailrace.landing.exports import ExportFile, ExportListing, read_listing
from tailrace.model.exports import ExportPlan, ExportState, PublishedWindow, Restorable
from tailrace.model.manifest import Gap, Incarnation, Manifest, Pause
from tailrace.model.segments import Segment

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 15.0  # between two looks at a running export; it takes five minutes or more
DUE_SECONDS_MAX: Final = 60.0  # a look at what is restorable, at least this often
CHECKERS: Final = 8  # files compared at once
ATTEMPTS_QUIET: Final = 3  # failures in a row before the table shows as PAUSED; it is tried again all the same
TOKEN_LIFE_MS: Final = 7 * 3600 * 1000  # AWS remembers a token for eight hours; later we look for the export first


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How to capture one table by exports. `bucket` and `root` say where its folder is, from the bucket's root."""

    bucket: str
    root: str
    rule: WindowRule = WindowRule()  # noqa: RUF009  (frozen)
    enable_recovery: bool = False
    config_hash: str = ""
    poll_seconds: float = POLL_SECONDS


class Exporter:
    """Asks AWS for exports and checks what came of them. Repeats safely, and publishes nothing: that is its callers' to do."""

    def __init__(
        self,
        source: ExportSource,
        landing: Landing,
        settings: ExportSettings,
        clock: Clock,
        executor: Executor | None = None,
    ) -> None:
        self._source = source
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._executor = executor

    def switch_on(self) -> None:
        """Point-in-time recovery, where it may be. Raises UserFault."""
        self.check_may_switch_on()
        self._source.enable_recovery()

    def check_may_switch_on(self) -> None:
        """Raises UserFault where nobody allowed it."""
        if not self._settings.enable_recovery:
            raise UserFault(
                "Point-in-time recovery is off, so the table cannot be exported",
                hint="Set enable_pitr = true, or: aws dynamodb update-continuous-backups --table-name "
                f"{self._landing.table} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
                table=self._landing.table,
            )

    def begin(self, incarnation: Incarnation, plan: ExportPlan) -> str:
        """Ask AWS; the export's ARN. A request that was sent and forgotten is found again by its token or, later, its prefix."""
        prefix = f"{self._settings.root}/{folder_of(plan)}"
        token = client_token(incarnation, prefix, plan)
        request = ExportRequest(self._settings.bucket, prefix, token, plan.moment, plan.window)
        answer = None
        if self._clock.now_ms() - plan.planned_ms > TOKEN_LIFE_MS:
            answer = self._source.find(prefix, plan.planned_ms)
        answer = answer or self._source.start(request)
        log.info("export of %s to %s began: %s", self._landing.table, prefix, answer.arn)
        return answer.arn

    def checked(
        self, incarnation: Incarnation, plan: ExportPlan, answer: ExportAnswer
    ) -> tuple[ExportListing, Mapping[str, int]]:
        """Both manifests, and every file present with the content that they say; sizes by name. Raises ExportInvalid."""
        store = self._landing.store
        home = f"{self._landing.table}/{folder_of(plan)}/AWSDynamoDB"
        listing = read_listing(store, f"{home}/{posixpath.basename(answer.arn)}")
        window = None if plan.window is None else (plan.window.start, plan.window.end)
        expected = (answer.arn, incarnation.table_id, plan.moment, window)
        found = (listing.export_arn, listing.table_id, listing.moment, listing.window)
        if found != expected:
            raise ExportInvalid(
                f"The export's manifest is about something else: {found} instead of {expected}",
                hint="Do not write into the landing zone; the export is repeated under another prefix.",
                export=listing.folder,
            )
        stored = {found.name: found for found in store.list(f"{home}/")}
        with self._checkers() as pool:
            list(pool.map(lambda file: self._check_file(file, stored.get(file.name)), listing.files))
        return listing, {file.name: stored[file.name].bytes for file in listing.files}

    def _checkers(self) -> contextlib.AbstractContextManager[Executor]:
        if self._executor is not None:
            return contextlib.nullcontext(self._executor)
        return ThreadPoolExecutor(CHECKERS, thread_name_prefix="tailrace-check")

    def _check_file(self, file: ExportFile, stored: Listed | None) -> None:
        if stored is None:
            raise ExportInvalid("A file that the export lists is missing", hint=_REPEATED, file=file.name)
        if stored.etag and stored.etag == file.etag:
            return  # what lies there is what DynamoDB wrote; its bytes are compared when they are loaded
        if self._landing.md5(file.name) != file.md5:
            raise ExportInvalid("A file of the export has another MD5 than listed", hint=_REPEATED, file=file.name)

    def entries(
        self, plan: ExportPlan, listing: ExportListing, sizes: Mapping[str, int], first_number: int, epoch: int
    ) -> list[Segment]:
        """A segment for each file that holds anything, where it lies."""
        inside = f"{self._landing.table}/"
        filled = [file for file in listing.files if file.items]
        return [
            Segment(
                number=number,
                name=file.name.removeprefix(inside),
                kind="base" if plan.window is None else "export",
                rows=file.items,
                bytes=sizes[file.name],
                sha256="",
                md5=file.md5,
                published_ms=self._clock.now_ms(),
                newest_change_ms=None if plan.window is None else plan.moment * 1000,
                window_end=None if plan.window is None else plan.window.end,
                epoch=epoch,
            )
            for number, file in enumerate(filled, start=first_number)
        ]


class ExportCapturer:
    """Captures one table by exports. Keeps nothing between calls but the newest manifest; offers what `Capturer` offers."""

    def __init__(
        self,
        source: ExportSource,
        table: TableSource,
        landing: Landing,
        settings: ExportSettings,
        clock: Clock,
        writer: str,
        *,
        on_published: Callable[[Manifest], None] = lambda manifest: None,
        executor: Executor | None = None,
    ) -> None:
        self._source = source
        self._table = table
        self._landing = landing
        self._settings = settings
        self._clock = clock
        self._writer = writer
        self._on_published = on_published
        self._exporter = Exporter(source, landing, settings, clock, executor)
        self._published: Published | None = None
        self._goal: int | None = None  # what was restorable at the first step, in seconds
        self._report = CaptureReport()

    # ---- what callers use

    def tick(self, budget: Budget) -> CaptureReport:
        """Do all that can be done now, without waiting for AWS. Totals of this call; the next tick goes on."""
        total = CaptureReport()
        while not budget.spent():
            report = self.step()
            total = totalled(total, report)
            if report.wait_seconds > 0:
                break
        return total

    def step(self) -> CaptureReport:
        """One effect on AWS or one publication at most. Raises WindowMissing and SourceChanged once they are recorded.

        Another worker's step at the same time is harmless: one of both publishes, the other reads the manifest again.
        """
        self._report = CaptureReport()
        try:
            wait_seconds = self._step()
        except StateContended:
            log.info("another worker captures %s; going on from what it published", self._landing.table)
            self._published = None
            return replace(self._report, standby=True, wait_seconds=1.0)
        except PermissionMissing as error:
            self._pause(Pause(error.message, str(error.facts.get("operation", "")), self._landing.table))
            raise
        return self._finished(wait_seconds)

    def open(self) -> None:
        """The first step does it."""

    def flush(self) -> CaptureReport:
        """Nothing waits in memory here."""
        self._report = CaptureReport()
        return self._finished(0.0) if self._published is not None else self._report

    def close(self) -> None:
        """Nothing is held open."""

    # ---- one step

    @property
    def _manifest(self) -> Manifest:
        assert self._published is not None
        return self._published.manifest

    @property
    def _state(self) -> ExportState:
        assert self._manifest.exports is not None
        return self._manifest.exports

    def _step(self) -> float:
        """Do the next thing; how many seconds until there may be another one."""
        incarnation = self._source.incarnation()
        self._published = self._landing.load()
        if self._published is None:
            self._open(incarnation)
            return 0.0
        self._check(incarnation)
        restorable = self._restorable()
        if restorable is None:
            return self._settings.poll_seconds
        now_ms = self._clock.now_ms()
        if self._goal is None:
            self._goal = reachable(self._state, restorable, self._settings.rule)
        ready = next((p for p in self._state.under_way if p.arn is None and p.not_before_ms <= now_ms), None)
        if ready is not None:
            return self._start(ready)
        plan = plan_export(self._state, restorable, self._settings.rule, now_ms)
        if plan is not None:
            self._save(replace(self._state, under_way=(*self._state.under_way, plan)))
            return 0.0
        return self._look(restorable)

    def _open(self, incarnation: Incarnation) -> None:
        """The first manifest, once it is sure that the table can be exported at all."""
        if self._source.restorable() is None:
            self._exporter.check_may_switch_on()
        self._publish(Manifest(incarnation=incarnation, config_hash=self._settings.config_hash, exports=ExportState()))

    def _check(self, found: Incarnation) -> None:
        known = self._manifest.incarnation
        if self._manifest.exports is None:
            raise ConfigInvalid(
                "This landing folder was captured from the stream, and one epoch has one kind of source",
                hint='Set capture = "streams" again, or start over with a new landing prefix and target table.',
                table=known.table,
            )
        check_place(found.account, found.region, known)
        if found != known:
            what = ", ".join(n for n in ("table_id", "key_schema") if getattr(found, n) != getattr(known, n))
            if self._manifest.state != "SOURCE_CHANGED":
                gap = Gap("source_replaced", f"another {what} answers under the table's name", self._clock.now_ms())
                self._publish(replace(self._manifest, state="SOURCE_CHANGED", gaps=(*self._manifest.gaps, gap)))
            raise SourceChanged(
                f"The table is not the one that was captured: another {what}",
                hint="`tailrace repair` starts over with a full export of this one.",
                table=known.table,
            )
        if self._manifest.config_hash != self._settings.config_hash:
            raise ConfigInvalid(
                "The window or step is not the one that this table's chain of windows began with",
                hint="Put the old setting back, or start over with a new landing prefix and target table: a chain that "
                "changes its step can leave deleted items behind.",
                table=known.table,
            )

    def _restorable(self) -> Restorable | None:
        """What can be exported; a broken chain is recorded and raised. None: recovery was only now switched on."""
        restorable = self._source.restorable()
        start = next_start(self._state, self._settings.rule)
        if start is not None and self._state.base is not None:  # before the full export nothing can be missing
            gap = pitr_gap(start, restorable, self._clock.now_ms())
            if gap is not None:
                self._gap(gap)
        if restorable is None:
            self._exporter.switch_on()
        return restorable

    def _gap(self, gap: Gap) -> None:
        """Make it durable, then stop: a window laid over a hole would not make the target equal anything."""
        if not any(known.kind == gap.kind for known in self._manifest.open_gaps):
            log.error("changes are missing: %s", gap.reason)
            self._publish(replace(self._manifest, state="GAP", gaps=(*self._manifest.gaps, gap)))
        raise WindowMissing(
            f"Changes are missing: {gap.reason}",
            hint="`tailrace repair` starts over with a new full export. What is loaded stays readable meanwhile.",
            table=self._landing.table,
        )

    def _start(self, plan: ExportPlan) -> float:
        try:
            arn = self._exporter.begin(self._manifest.incarnation, plan)
        except UserFault as error:
            if isinstance(error, PermissionMissing):
                raise
            return self._refused(plan, error)
        self._save(with_plan(self._state, plan, replace(plan, arn=arn)))
        return 0.0

    def _refused(self, plan: ExportPlan, error: UserFault) -> float:
        """AWS took the request for wrong: the moment may have left what is restorable, else try again in a while."""
        start = plan.moment if plan.window is None else plan.window.start
        gap = pitr_gap(start, self._source.restorable(), self._clock.now_ms())
        if plan.window is None and gap is not None:
            self._save(replace(self._state, under_way=()))  # nothing hangs on its moment yet: a later one will do
            return 1.0
        if gap is not None:
            self._gap(gap)
        return self._failed(plan, f"AWS refused the export: {error.message}")

    def _look(self, restorable: Restorable) -> float:
        """Nothing new to begin: see whether what comes next in the chain is there. Later ones wait for it anyway."""
        plan = next(iter(self._state.under_way), None)
        if plan is None:
            due = seconds_until_due(self._state, restorable, self._settings.rule)
            return min(DUE_SECONDS_MAX, max(1.0, due))
        if plan.arn is None:
            return max(0.1, (plan.not_before_ms - self._clock.now_ms()) / 1000)
        answer = self._source.describe(plan.arn)
        if answer.status == "IN_PROGRESS":
            return self._settings.poll_seconds
        if answer.status == "FAILED":
            return self._failed(plan, f"the export failed: {answer.code} {answer.message}".strip())
        try:
            listing, sizes = self._exporter.checked(self._manifest.incarnation, plan, answer)
        except ExportInvalid as error:
            return self._failed(plan, str(error))
        self._take(plan, listing, sizes)
        return 0.0

    def _failed(self, plan: ExportPlan, why: str) -> float:
        """The window is not given up and not skipped: the same one again, under another prefix, after a pause."""
        again = retried(plan, why, self._clock.now_ms())
        log.warning("%s: %s; attempt %d follows", self._landing.table, why, again.attempt)
        manifest = replace(self._manifest, exports=with_plan(self._state, plan, again))
        if plan.attempt >= ATTEMPTS_QUIET and not manifest.open_gaps:
            pause = Pause(why, "see the reason; it is tried again by itself", f"{plan.attempt} attempts")
            manifest = replace(manifest, pause=pause, state="PAUSED")
        self._publish(manifest)
        return self._settings.poll_seconds

    # ---- publishing

    def _take(self, plan: ExportPlan, listing: ExportListing, sizes: Mapping[str, int]) -> None:
        """One swap lists the files and moves the chain on. With sliding windows the settled keys are part of it."""
        entries = self._exporter.entries(plan, listing, sizes, self._manifest.next_number, self._manifest.epoch)
        settled = self._settled(plan, entries)
        if settled is not None:
            entries.append(settled)
        if entries:
            entries[-1] = replace(entries[-1], through_ms=plan.moment * 1000)
        rows, size = sum(e.rows for e in entries), sum(e.bytes for e in entries)
        manifest = self._manifest
        first, last = manifest.next_number, manifest.next_number + len(entries) - 1
        self._publish(
            replace(
                manifest,
                exports=published(self._state, plan, first, last, rows),
                segments=(*manifest.segments, *entries),
                next_number=last + 1,
                captured_through_ms=plan.moment * 1000,
                counters=counted(manifest.counters, rows=rows, bytes=size, segments=len(entries)),
                pause=None,
                state=manifest.state if manifest.open_gaps else "BASE_LOADING",
            )
        )
        log.info("published %s: %d rows in %d segments", moment_text(plan.moment), rows, len(entries))
        self._report = replace(self._report, records=rows, segments=len(entries), bytes=size)

    def _settled(self, plan: ExportPlan, entries: Sequence[Segment]) -> Segment | None:
        """What keys must be read again because this window overlaps the one before; None where it does not."""
        if plan.window is None:
            return None
        before = stale_before(self._state, plan.window)
        earlier = self._segments_of(overlapping(self._state, plan.window))
        if before <= plan.window.start or not earlier:
            return None
        lines = settled_lines(self._landing, self._table, self._manifest, earlier, entries, (plan.window.start, before))
        if not lines:
            return None
        written = self._landing.write_settled(folder_of(plan), lines, plan.window.end)
        number, epoch = self._manifest.next_number + len(entries), self._manifest.epoch
        entry = written.entry(number, self._clock.now_ms(), None, epoch)
        return replace(entry, window_end=plan.window.end)

    def _segments_of(self, windows: Sequence[PublishedWindow]) -> list[Segment]:
        """Windows lie one behind the other, so their segments do."""
        if not windows:
            return []
        first, last = windows[0].first_number, windows[-1].last_number
        return [s for s in self._landing.segments(self._manifest, after=first - 1) if s.number <= last]

    def _save(self, state: ExportState) -> None:
        self._publish(replace(self._manifest, exports=state))

    def _publish(self, manifest: Manifest) -> None:
        self._published = self._landing.save(manifest, self._published, self._writer)
        self._on_published(self._manifest)

    def _pause(self, pause: Pause) -> None:
        if self._published is not None and self._manifest.pause != pause and not self._manifest.open_gaps:
            self._publish(replace(self._manifest, pause=pause, state="PAUSED"))

    def _finished(self, wait_seconds: float) -> CaptureReport:
        """`caught_up`: everything is published that was restorable when this capturer began. `waits`: the rest is AWS's to do."""
        manifest = self._manifest
        through_ms, through = manifest.captured_through_ms, published_through(self._state)
        return replace(
            self._report,
            lag_seconds=None if through_ms is None else max(0.0, (self._clock.now_ms() - through_ms) / 1000),
            state=manifest.state,
            caught_up=through is not None and self._goal is not None and through >= self._goal,
            waits=wait_seconds > 0,
            wait_seconds=wait_seconds,
        )


_REPEATED: Final = "The export is repeated under another prefix by itself."
