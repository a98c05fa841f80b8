"""`tailrace run`: calls the ticks from threads: for each table to capture and scan it, for each target to load, one to compact.

No rules of its own. What fails is tried again after a growing pause, each table and target for itself, so one's trouble is
not the others'.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tailrace.clock import Budget
from tailrace.decide.base import base_of, is_past
from tailrace.decide.lease import LEASE_SECONDS
from tailrace.errors import LoaderBusy, TailraceError, TargetBusy, Transient, UserFault
from tailrace.jobs.backfill import BackfillReport
from tailrace.jobs.capture import CaptureReport, totalled
from tailrace.jobs.compact import Compactor, CompactReport
from tailrace.jobs.load import Loader, LoadReport
from tailrace.jobs.repair import Repairer, RepairReport
from tailrace.model.manifest import Manifest

if TYPE_CHECKING:
    from tailrace.pipeline import AnyBackfiller, AnyCapturer, Pipeline, TableRun

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0  # after the first failure, doubled up to RETRY_SECONDS_MAX
RETRY_SECONDS_MAX: Final = 60.0
FAILURES_MAX: Final = 5  # in a row; then a run that is to end at the tip gives up
SWEEP_SECONDS: Final = 10.0  # between two looks at a manifest that nobody here publishes
BUSY_SECONDS: Final = 2.0  # between two looks while another loader is at work
BUSY_SECONDS_MAX: Final = (
    LEASE_SECONDS + 10.0
)  # then a run that is to end stops waiting for it: it lives, and takes its time
NEWS_SECONDS: Final = 0.1  # between two looks at whether to stop, while there is nothing to do
COMPACT_SECONDS: Final = 60.0  # between two looks at whether an hour is over
CAPTURE: Final = "capture"
BACKFILL: Final = "backfill"
HANDOVER_SECONDS: Final = 1.0  # between two looks whether a base is handed over, in a run that is to end
LOOK_SECONDS: Final = 60.0  # between two looks whether somebody has begun a repair
COMPACT: Final = "compact"


@dataclass(slots=True)
class _Pace:
    """How often something failed in a row, and when it may be tried again (monotonic seconds)."""

    failures: int = 0
    again: float = 0.0

    def failed(self, error: TailraceError, now: float) -> float:
        """The pause that is due. What a person must change first is not tried every second."""
        self.failures += 1
        first = RETRY_SECONDS_MAX if _needs_a_person(error) else RETRY_SECONDS
        pause = min(RETRY_SECONDS_MAX, first * 2.0 ** min(self.failures - 1, 10)) * random.uniform(0.5, 1.0)
        self.again = now + pause
        return pause

    def went_well(self) -> None:
        self.failures, self.again = 0, 0.0


@dataclass(slots=True)
class _Turn:
    """A table's place in a target's round, or in compaction's. `more`: something is known to be left to do."""

    table: str
    loader: Loader | None = None
    compactor: Compactor | None = None
    pace: _Pace = field(default_factory=_Pace)
    more: bool = True
    looked: float = 0.0  # when the store was asked for the manifest
    due: float = float("inf")  # when segments that wait for their time may be loaded
    busy: float | None = None  # since when another loader is at work
    done: bool = False


class Daemon:
    """One run. Threads share the newest manifests and the results, both behind one lock.

    `load_all`: a person wants everything loaded, whatever a table's rule leaves until later. `take_over`: also where another
    loader is at work. `target`: only this one is loaded.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        tables: Sequence[str],
        budget: Budget,
        until_caught_up: bool,
        on_change: Callable[[TableRun], None],
        *,
        load_all: bool = False,
        take_over: bool = False,
        target: str | None = None,
    ) -> None:
        from tailrace.pipeline import TableRun

        self._pipeline = pipeline
        self._tables = tables
        self._budget = budget
        self._until_caught_up = until_caught_up
        self._on_change = on_change
        self._load_all = load_all
        self._take_over = take_over
        self._target = target
        self._lock = threading.Lock()
        self._runs = {table: TableRun(table, CaptureReport()) for table in tables}
        targets = sorted({target for table in tables for target in self._targets(table)})
        self._news = {target: threading.Event() for target in targets}
        self._manifests: dict[tuple[str, str], Manifest] = {}  # (target, table): published here, not looked at yet
        self._newest: dict[str, Manifest] = {}
        self._capturing: set[str] = set()
        self._backfilling: set[str] = set()

    def run(self, *, capture: bool, backfill: bool, load: bool, compact: bool) -> list[TableRun]:
        """Blocks until everything has ended; what was read is published and what is loading is committed first."""
        threads = []
        if capture:
            self._capturing = set(self._tables)
            threads += [threading.Thread(target=self._capture, args=(t,), name=f"capture-{t}") for t in self._tables]
        if backfill:
            self._backfilling = set(self._tables)
            threads += [
                threading.Thread(target=self._backfill, args=(t, capture), name=f"base-{t}") for t in self._tables
            ]
        if load:
            threads += [threading.Thread(target=self._load, args=(n,), name=f"load-{n}") for n in self._news]
        if compact:
            threads.append(threading.Thread(target=self._compact, name="compact"))
        for thread in threads:
            thread.start()
        try:
            _join(threads)
        except BaseException:  # Ctrl-C where nobody handles it: no thread may outlive this call
            self._budget.stop.set()
            _join(threads)
            raise
        return [self._runs[table] for table in self._tables]

    # ---- capture

    def _capture(self, table: str) -> None:
        pace = _Pace()
        capturer: AnyCapturer | None = None
        try:
            while not self._budget.spent():
                try:
                    capturer = capturer or self._pipeline.capturer(table, lambda m: self._on_published(table, m))
                    report = capturer.step()
                except Exception as error:
                    ours = self._failed(table, CAPTURE, error, pace)
                    if self._gives_up(ours, pace):
                        return
                    if ours is not error and capturer is not None:  # nobody knows in what state it is
                        capturer.close()
                        capturer = None
                    self._budget.wait(pace.again - self._budget.clock.monotonic())
                    continue
                pace.went_well()
                self._captured(table, report)
                if self._until_caught_up and (
                    report.waits or (report.caught_up and self._is_handed_over(table, report))
                ):
                    return
                # At the tip, a run that is to end waits for a base to be handed over, not for the next look at landed changes.
                is_ending = self._until_caught_up and report.caught_up
                self._budget.wait(min(report.wait_seconds, HANDOVER_SECONDS) if is_ending else report.wait_seconds)
        finally:
            if capturer is not None:
                self._end_capture(table, capturer)
            with self._lock:
                self._capturing.discard(table)
            self._wake(table)

    def _is_handed_over(self, table: str, report: CaptureReport) -> bool:
        """Whether a run that is to end at the tip may end: a base that is complete now must lie behind what is captured."""
        with self._lock:
            if table in self._backfilling:
                return False
            base = None if table not in self._newest else base_of(self._newest[table])
        return base is None or base.shows_ms is None or is_past(base, report.through_ms)

    def _end_capture(self, table: str, capturer: AnyCapturer) -> None:
        try:
            self._captured(table, capturer.flush(), heals=False)
        except Exception as error:
            log.error("capture %s: the last flush failed, the next run reads it again: %s", table, error)
        capturer.close()

    def _captured(self, table: str, report: CaptureReport, *, heals: bool = True) -> None:
        """Add a report up. A step that went well `heals`: what failed before is over; a last flush says nothing of that."""
        with self._lock:
            before = self._runs[table]
            total = totalled(before.capture, report)
            errors = _without(before.errors, CAPTURE) if heals else before.errors
            run = self._runs[table] = replace(before, capture=total, errors=errors)
        if report.segments or run.errors != before.errors:
            self._on_change(run)

    def _on_published(self, table: str, manifest: Manifest) -> None:
        with self._lock:
            self._manifests.update({(target, table): manifest for target in self._targets(table)})
            self._newest[table] = manifest
        self._wake(table)

    def _wake(self, table: str) -> None:
        for target in self._targets(table):
            self._news[target].set()

    # ---- backfill and repair

    def _backfill(self, table: str, is_captured: bool) -> None:
        """Read a table's base to its end, and carry on a repair. `is_captured`: a thread of ours captures the table."""
        pace = _Pace()
        backfiller: AnyBackfiller | None = None
        repairer: Repairer | None = None
        has_base = self._pipeline.config.base_of(table) != "none"
        try:
            while not self._budget.spent():
                try:
                    if has_base and not is_captured:
                        self._put_on_record(table)
                        is_captured = True
                    if has_base and backfiller is None:
                        backfiller = self._pipeline.backfiller(table, lambda m: self._on_published(table, m))
                    if repairer is None:
                        repairer = self._pipeline.repairer(table, lambda m: self._on_published(table, m))
                    report = None if backfiller is None else backfiller.step(self._budget)
                    repair = repairer.step() if report is None or report.done else None
                except Exception as error:
                    ours = self._failed(table, BACKFILL, error, pace)
                    if self._gives_up(ours, pace):
                        return
                    if ours is not error:
                        backfiller = None
                    self._budget.wait(pace.again - self._budget.clock.monotonic())
                    continue
                pace.went_well()
                if report is not None:
                    self._backfilled(table, report)
                    if report.out_of_time or (report.waits_for_capture and self._has_given_up(table)):
                        return
                pause = self._pause_of(report, repair)
                if pause is None:
                    return
                self._budget.wait(pause)
        finally:
            if backfiller is not None:
                self._end_backfill(table, backfiller)
            with self._lock:
                self._backfilling.discard(table)
            self._wake(table)

    def _pause_of(self, report: BackfillReport | None, repair: RepairReport | None) -> float | None:
        """How long until there is something to do for a base or a repair; None: nothing more, in a run that is to end."""
        if repair is not None and (repair.done or repair.kind is None):
            return None if self._until_caught_up else LOOK_SECONDS
        seconds = repair.wait_seconds if repair is not None else report.wait_seconds if report is not None else 0.0
        waits_for_aws = (report is not None and report.waits_for_aws) or (repair is not None and seconds > 1.0)
        return None if waits_for_aws and self._until_caught_up else seconds  # for minutes: the next run goes on

    def _put_on_record(self, table: str) -> None:
        capturer = self._pipeline.capturer(table)
        try:
            capturer.open()
        finally:
            capturer.close()

    def _has_given_up(self, table: str) -> bool:
        with self._lock:
            return CAPTURE in self._runs[table].errors and table not in self._capturing

    def _end_backfill(self, table: str, backfiller: AnyBackfiller) -> None:
        try:
            self._backfilled(table, backfiller.flush(self._budget), heals=False)
        except Exception as error:
            log.error("backfill %s: the last flush failed, the next run reads it again: %s", table, error)

    def _backfilled(self, table: str, report: BackfillReport, *, heals: bool = True) -> None:
        with self._lock:
            before = self._runs[table]
            total = report if before.backfill is None else before.backfill.then(report)
            errors = _without(before.errors, BACKFILL) if heals else before.errors
            run = self._runs[table] = replace(before, backfill=total, errors=errors)
        if report.segments or errors != before.errors:
            self._on_change(run)

    # ---- load

    def _load(self, target: str) -> None:
        """All tables of one target in turn: DuckDB, for one, takes one writer."""
        turns = [_Turn(table) for table in self._tables if target in self._targets(table)]
        try:
            self._load_turns(target, turns)
        finally:
            for turn in turns:
                if turn.loader is not None:
                    turn.loader.give_back()

    def _load_turns(self, target: str, turns: Sequence[_Turn]) -> None:
        news = self._news[target]
        while turns and not self._budget.spent():
            news.clear()
            with self._lock:
                growing = frozenset(self._capturing | self._backfilling)
            for turn in turns:
                if not self._budget.spent():
                    self._load_turn(target, turn, at_end=self._until_caught_up and turn.table not in growing)
            turns = [turn for turn in turns if not turn.done]
            now = self._budget.clock.monotonic()
            if not any(turn.more and turn.pace.again <= now for turn in turns):
                self._wait_for_news(news, turns)

    def _load_turn(self, target: str, turn: _Turn, *, at_end: bool) -> None:
        """One load of one table, if there is anything to load and it is not pausing. `at_end`: nothing more will come."""
        now = self._budget.clock.monotonic()
        if now < turn.pace.again:
            return
        with self._lock:
            manifest = self._manifests.pop((target, turn.table), None)
        if manifest is None and not (turn.more or at_end or now >= min(turn.due, turn.looked + SWEEP_SECONDS)):
            return
        if manifest is None or at_end:
            manifest, turn.looked = None, now  # the store's: another worker may have published
        try:
            turn.loader = turn.loader or self._pipeline.loader(
                turn.table, target, everything=self._load_all, take_over=self._take_over
            )
            report = turn.loader.step(manifest, self._budget)
            self._loaded(turn.table, target, report)
            if report.blocked is not None:
                raise report.blocked
            if report.busy is not None and self._has_waited(turn, now):
                raise report.busy
        except Exception as error:
            ours = self._failed(turn.table, target, error, turn.pace)
            turn.more = True
            turn.done = self._gives_up(ours, turn.pace)
            return
        turn.pace.went_well()
        if report.busy is not None:
            turn.more, turn.pace.again = True, now + BUSY_SECONDS
            return
        turn.busy = None
        turn.more = report.more
        turn.due = self._moment_of(report.again_ms)
        turn.done = at_end and not report.more

    def _has_waited(self, turn: _Turn, now: float) -> bool:
        """Whether a run that is to end has waited for another loader for so long that it is no dead one's lease that holds."""
        turn.busy = now if turn.busy is None else turn.busy
        return self._until_caught_up and now >= turn.busy + BUSY_SECONDS_MAX

    def _moment_of(self, ms: int | None) -> float:
        """A moment of the wall clock on the monotonic one; if the former jumps, the next sweep sees it."""
        clock = self._budget.clock
        return float("inf") if ms is None else clock.monotonic() + max(0, ms - clock.now_ms()) / 1000

    def _loaded(self, table: str, target: str, report: LoadReport) -> None:
        with self._lock:
            before = self._runs[table]
            loads = {**before.loads, target: before.loads.get(target, LoadReport()).then(report)}
            errors = before.errors if report.blocked else _without(before.errors, target)
            run = self._runs[table] = replace(before, loads=loads, errors=errors)
        known = before.loads.get(target, LoadReport())
        waits_anew = report.again_ms != known.again_ms or (report.busy is None) != (known.busy is None)
        if report.loads or waits_anew or errors != before.errors:
            self._on_change(run)

    def _wait_for_news(self, news: threading.Event, turns: Sequence[_Turn]) -> None:
        """Until something is published, a pause is over or a sweep is due; in short pieces, so that a stop is noticed."""
        clock = self._budget.clock
        due = (max(t.pace.again, t.looked if t.more else min(t.due, t.looked + SWEEP_SECONDS)) for t in turns)
        until = min(due, default=0.0)
        while clock.monotonic() < until and not self._budget.spent() and not news.wait(NEWS_SECONDS):
            pass

    # ---- compact

    def _compact(self) -> None:
        """All tables in turn, one output each, until nothing is left; then a long pause."""
        turns = [_Turn(table) for table in self._tables]
        while turns and not self._budget.spent():
            for turn in turns:
                if not self._budget.spent():
                    self._compact_turn(turn)
            turns = [turn for turn in turns if not turn.done]
            due = [max(t.pace.again, t.looked if t.more else t.looked + COMPACT_SECONDS) for t in turns]
            pause = min(due, default=0.0) - self._budget.clock.monotonic()
            if pause > 0:
                self._budget.wait(pause)

    def _compact_turn(self, turn: _Turn) -> None:
        now = self._budget.clock.monotonic()
        if now < turn.pace.again or not (turn.more or now - turn.looked >= COMPACT_SECONDS):
            return
        turn.looked = now
        try:
            turn.compactor = turn.compactor or self._pipeline.compactor(turn.table)
            report = turn.compactor.step(self._budget)
        except Exception as error:
            ours = self._failed(turn.table, COMPACT, error, turn.pace)
            turn.more, turn.done = True, self._gives_up(ours, turn.pace)
            return
        turn.pace.went_well()
        self._compacted(turn.table, report)
        turn.more, turn.done = report.more, self._until_caught_up and not report.more

    def _compacted(self, table: str, report: CompactReport) -> None:
        with self._lock:
            before = self._runs[table]
            errors = _without(before.errors, COMPACT)
            run = self._runs[table] = replace(before, compaction=before.compaction.then(report), errors=errors)
        if report.outputs or report.deleted or errors != before.errors:
            self._on_change(run)

    # ---- trouble

    def _failed(self, table: str, part: str, error: Exception, pace: _Pace) -> TailraceError:
        """Record and log a failure and set the pause; the error, in our words where it was not one of ours."""
        ours = error if isinstance(error, TailraceError) else unexpected(error)
        pause = pace.failed(ours, self._budget.clock.monotonic())
        with self._lock:
            before = self._runs[table]
            run = self._runs[table] = replace(before, errors={**before.errors, part: ours})
        level = logging.WARNING if isinstance(ours, Transient) else logging.ERROR
        what = part if part in (CAPTURE, BACKFILL, COMPACT) else f"load into {part}"
        then = "" if self._gives_up(ours, pace) else f"; again in {pause:.0f} s"
        log.log(level, "%s %s: %s %s%s", what, table, ours, ours.hint, then)
        if ours is not error:
            log.error("unexpected", exc_info=error)
        self._on_change(run)
        return ours

    def _gives_up(self, error: TailraceError, pace: _Pace) -> bool:
        """A run that is to end does not wait for a person, nor for ever; for another loader it has waited already."""
        is_hopeless = not isinstance(error, Transient) or isinstance(error, LoaderBusy)
        return self._until_caught_up and (is_hopeless or pace.failures >= FAILURES_MAX)

    def _targets(self, table: str) -> list[str]:
        return [t for t in self._pipeline.config.targets_of(table) if self._target in (None, t)]


def _join(threads: Sequence[threading.Thread]) -> None:
    """Wait for all, waking up often: a signal may reach another thread, and its handler runs only when this one is awake."""
    for thread in threads:
        while thread.is_alive():
            thread.join(NEWS_SECONDS)


def _needs_a_person(error: TailraceError) -> bool:
    return isinstance(error, UserFault) and not isinstance(error, TargetBusy)


def unexpected(error: Exception) -> TailraceError:
    """An error that is none of ours, as one of ours."""
    return TailraceError(
        f"Unexpected {type(error).__name__}: {error}", hint="Please report it, with the traceback from the log."
    )


def _without(errors: dict[str, TailraceError], part: str) -> dict[str, TailraceError]:
    return {name: error for name, error in errors.items() if name != part}
