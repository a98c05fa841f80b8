"""Repair: begins a new epoch after changes were lost, and brings it to where nothing is missing. All state is in the manifest.

The decision which repair it is becomes durable before anything is healed; each step repeats safely, and anybody may go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.capture.exports import ExportSource
from tailrace.capture.source import StreamSource
from tailrace.capture.table import TableSource
from tailrace.clock import Clock
from tailrace.decide.base import base_of
from tailrace.decide.lineage import first_discovery
from tailrace.decide.repair import (
    begun,
    choose_end,
    finished,
    is_touched,
    is_under_way,
    needs_repair,
    next_window,
    why_not_window,
    widened_start,
)
from tailrace.decide.windows import retried
from tailrace.errors import ExportInvalid, PermissionMissing, SourceChanged, StateContended, UsageInvalid, UserFault
from tailrace.jobs.capture import CONTENDED_MAX, counted
from tailrace.jobs.exports import Exporter
from tailrace.jobs.settle import key_lines, untold_keys
from tailrace.jobs.source import check_place
from tailrace.landing import Landing, Published
from tailrace.model.exports import ExportPlan, Restorable
from tailrace.model.manifest import Incarnation, Manifest, ShardState
from tailrace.model.repair import RepairKind, RepairState
from tailrace.model.segments import Segment

log = logging.getLogger(__name__)

DUE_SECONDS_MAX: Final = 60.0  # a look at what is restorable, at least this often
BASE_SECONDS: Final = 5.0  # a look whether the new base is complete
KEYS_MAX: Final = 50_000  # in one segment


@dataclass(frozen=True, slots=True)
class RepairReport:
    """How a repair stands; `kind` None: there is none. `why`: why it is no smaller one, known when it begins.

    `rows`: exported ones that were published; `keys`: read from the table itself.
    """

    kind: RepairKind | None = None
    done: bool = False
    epoch: int = 0
    start: int | None = None
    end: int | None = None
    rows: int = 0
    keys: int = 0
    why: str = ""
    wait_seconds: float = 0.0


class Repairer:
    """Repairs one table. Keeps nothing between calls. `stream` None: the table is captured by exports.

    `exporter` None: exports are out of question here. `has_base`: a base was to be read beside the stream.
    """

    def __init__(
        self,
        landing: Landing,
        stream: StreamSource | None,
        backups: ExportSource,
        table: TableSource,
        exporter: Exporter | None,
        clock: Clock,
        writer: str,
        *,
        has_base: bool = True,
        poll_seconds: float = 15.0,
        on_published: Callable[[Manifest], None] = lambda manifest: None,
    ) -> None:
        self._landing = landing
        self._stream = stream
        self._backups = backups
        self._table = table
        self._exporter = exporter
        self._clock = clock
        self._writer = writer
        self._has_base = has_base
        self._poll_seconds = poll_seconds
        self._on_published = on_published

    # ---- what callers use

    def begin(self, *, full: bool = False) -> RepairReport:
        """Begin a repair, where changes are missing or `full` asks for a new base in any case. One under way goes on if it can.

        Raises UsageInvalid where nothing was captured yet, SourceChanged where the keys of the table are others now.
        """
        for _ in range(CONTENDED_MAX):
            published = self._landing.load()
            if published is None:
                raise UsageInvalid("Nothing of this table is captured", hint="Start `tailrace run`.")
            manifest = published.manifest
            if is_under_way(manifest):
                is_wanted = (full and _state(manifest).kind == "window") or self._is_in_vain(manifest)
            else:
                is_wanted = full or needs_repair(manifest)
            if not is_wanted:
                return _report(manifest)
            found, shards = self._found(manifest)
            why = "it was asked for" if full else self._why_not_window(manifest, found)
            kind: RepairKind = "window" if why is None else "full"
            try:
                saved = self._publish(begun(manifest, kind, self._clock.now_ms(), found, shards), published)
            except StateContended:
                continue
            log.info("a repair of %s begins epoch %d: %s", self._landing.table, saved.manifest.epoch, why or kind)
            return replace(_report(saved.manifest), why=why or "")
        raise StateContended("Other workers published first again and again", hint="It is repeated.")

    def step(self) -> RepairReport:
        """One effect on AWS or one publication at most. Another worker's step at the same time is harmless."""
        published = self._landing.load()
        if published is None or not is_under_way(published.manifest):
            return RepairReport() if published is None else _report(published.manifest)
        try:
            wait_seconds = (
                self._full(published) if _state(published.manifest).kind == "full" else self._window(published)
            )
        except StateContended:
            wait_seconds = 0.1
        after = self._landing.load()
        assert after is not None
        return replace(_report(after.manifest), wait_seconds=wait_seconds)

    # ---- beginning

    def _found(self, manifest: Manifest) -> tuple[Incarnation, dict[str, ShardState]]:
        """The table that answers now, with its shards: those we know, or of another stream all that it still has."""
        known = manifest.incarnation
        found = self._backups.incarnation() if self._stream is None else self._stream.incarnation()
        check_place(found.account, found.region, known)
        if found.key_schema != known.key_schema:
            raise SourceChanged(
                "The table has another key than the one that was captured",
                hint="Its rows do not fit into one target table: use a new landing prefix and another `name`.",
                table=known.table,
            )
        if self._stream is None or found == known:
            return found, dict(manifest.shards)
        asked_ms = self._clock.now_ms()
        return found, dict(first_discovery(self._stream.shards(), "TRIM_HORIZON", asked_ms).shards)

    def _is_in_vain(self, manifest: Manifest) -> bool:
        """The source was replaced again: nothing of it is read for this epoch, but what a window lacks of the same table."""
        if manifest.state != "SOURCE_CHANGED":
            return False
        is_other = self._found(manifest)[0].table_id != manifest.incarnation.table_id
        return is_other or _state(manifest).kind == "full"

    def _why_not_window(self, manifest: Manifest, found: Incarnation) -> str | None:
        restorable = self._backups.restorable() if self._exporter is not None else None
        return why_not_window(
            manifest, found, restorable, has_base=self._has_base, can_export=self._exporter is not None
        )

    # ---- a new base

    def _full(self, published: Published) -> float:
        """Once the base is complete, a sweep behind it."""
        manifest = published.manifest
        base = base_of(manifest)
        is_complete = base is not None and base.shows_ms is not None
        if manifest.exports is not None:
            is_complete = manifest.exports.base is not None
        if not is_complete:
            return BASE_SECONDS
        now_ms = self._clock.now_ms()
        entry = self._landing.write_sweep(manifest.epoch).entry(manifest.next_number, now_ms, None, manifest.epoch)
        self._publish(finished(_with_segments(manifest, [entry]), now_ms, entry.number), published)
        return 0.0

    # ---- exports of the missing window

    def _window(self, published: Published) -> float:
        manifest = published.manifest
        repair, exporter = _state(manifest), self._exporter
        if exporter is None:
            raise UserFault(
                "This repair began with a landing zone on S3, and goes on only with one",
                hint="Put the old landing url back; or `tailrace repair --full`.",
                table=self._landing.table,
            )
        if repair.end is None:
            return self._choose_end(published, exporter)
        assert repair.through is not None
        if repair.through >= repair.end:
            return self._read_keys(published)
        plan = repair.plan
        if plan is None:
            window = next_window(repair.through, repair.end)
            self._save(published, replace(repair, plan=ExportPlan(window.end, window, 1, self._clock.now_ms())))
            return 0.0
        if plan.arn is None:
            pause = (plan.not_before_ms - self._clock.now_ms()) / 1000
            return pause if pause > 0 else self._start(published, exporter, plan)
        answer = self._backups.describe(plan.arn)
        if answer.status == "IN_PROGRESS":
            return self._poll_seconds
        if answer.status == "FAILED":
            return self._failed(published, plan, f"the export failed: {answer.code} {answer.message}".strip())
        try:
            listing, sizes = exporter.checked(manifest.incarnation, plan, answer)
        except ExportInvalid as error:
            return self._failed(published, plan, str(error))
        entries = [
            replace(entry, kind="base")
            for entry in exporter.entries(plan, listing, sizes, manifest.next_number, manifest.epoch)
        ]
        rows = sum(entry.rows for entry in entries)
        last = max([repair.last_number, *(entry.number for entry in entries)])
        state = replace(repair, through=plan.moment, plan=None, last_number=last, rows=repair.rows + rows)
        self._publish(replace(_with_segments(manifest, entries), repair=state), published)
        return 0.0

    def _choose_end(self, published: Published, exporter: Exporter) -> float:
        repair = _state(published.manifest)
        assert repair.start is not None
        restorable = self._restorable(repair.start)
        end = choose_end(repair, restorable)
        if end is None:
            return DUE_SECONDS_MAX / 4
        start = max(widened_start(repair.start, end), restorable.earliest)
        self._save(published, replace(repair, start=start, end=end, through=start))
        return 0.0

    def _restorable(self, start: int) -> Restorable:
        """What can be exported. Raises UserFault where a window that begins at `start` cannot be any more."""
        restorable = self._backups.restorable()
        if restorable is None or restorable.earliest > start:
            raise UserFault(
                "Point-in-time recovery no longer covers what is missing",
                hint="Begin anew with a whole base: tailrace repair --full.",
                table=self._landing.table,
            )
        return restorable

    def _start(self, published: Published, exporter: Exporter, plan: ExportPlan) -> float:
        try:
            arn = exporter.begin(published.manifest.incarnation, plan)
        except UserFault as error:
            if isinstance(error, PermissionMissing):
                raise
            assert plan.window is not None
            self._restorable(plan.window.start)
            return self._failed(published, plan, f"AWS refused the export: {error.message}")
        self._save(published, replace(_state(published.manifest), plan=replace(plan, arn=arn)))
        return 0.0

    def _failed(self, published: Published, plan: ExportPlan, why: str) -> float:
        again = retried(plan, why, self._clock.now_ms())
        log.warning("%s: %s; attempt %d follows", self._landing.table, why, again.attempt)
        self._save(published, replace(_state(published.manifest), plan=again))
        return self._poll_seconds

    def _read_keys(self, published: Published) -> float:
        """The keys that the target has heard of and the exports do not tell: as the table has them now. Then it is complete."""
        manifest = published.manifest
        repair, keys = _state(manifest), manifest.incarnation.key_schema
        assert repair.start is not None
        listed = list(self._landing.segments(manifest))
        touched = [segment for segment in listed if is_touched(segment, repair)]
        told = [s for s in listed if s.epoch == repair.epoch and s.kind == "base"]
        wanted = untold_keys(self._landing, touched, told, keys, (repair.start - 1) * 1_000_000)
        lines = key_lines(self._table, keys, wanted)
        now_ms = self._clock.now_ms()
        entries: list[Segment] = []
        for at in range(0, len(lines), KEYS_MAX):
            written = self._landing.write_keys(manifest.epoch, lines[at : at + KEYS_MAX])
            entries.append(written.entry(manifest.next_number + len(entries), now_ms, None, manifest.epoch))
        last = max([repair.last_number, *(entry.number for entry in entries)])
        counted_keys = replace(_with_segments(manifest, entries), repair=replace(repair, keys=len(lines)))
        self._publish(finished(counted_keys, now_ms, last), published)
        return 0.0

    # ---- publishing

    def _save(self, published: Published, repair: RepairState) -> None:
        self._publish(replace(published.manifest, repair=repair), published)

    def _publish(self, manifest: Manifest, published: Published) -> Published:
        saved = self._landing.save(manifest, published, self._writer)
        self._on_published(saved.manifest)
        return saved


def _state(manifest: Manifest) -> RepairState:
    assert manifest.repair is not None
    return manifest.repair


def _report(manifest: Manifest) -> RepairReport:
    repair = manifest.repair
    if repair is None:
        return RepairReport(done=True)
    done = repair.finished_ms is not None
    return RepairReport(repair.kind, done, repair.epoch, repair.start, repair.end, repair.rows, repair.keys)


def _with_segments(manifest: Manifest, entries: Sequence[Segment]) -> Manifest:
    rows, size = sum(e.rows for e in entries), sum(e.bytes for e in entries)
    return replace(
        manifest,
        segments=(*manifest.segments, *entries),
        next_number=manifest.next_number + len(entries),
        counters=counted(manifest.counters, rows=rows, bytes=size, segments=len(entries)),
    )
