"""A table with a stream and backups that is repaired after a gap: by exports of the missing window, or by a new base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tailrace.clock import Budget
from tailrace.decide.base import base_stage
from tailrace.errors import PermissionMissing, UserFault
from tailrace.jobs.backfill import Backfiller
from tailrace.jobs.base_export import BaseExporter
from tailrace.jobs.exports import Exporter, ExportSettings
from tailrace.jobs.repair import Repairer
from tailrace.landing import Landing
from tailrace.model.manifest import Gap, Incarnation, Manifest
from tailrace.model.repair import RepairState
from tailrace.model.segments import Segment
from tailrace.targets.target import Load, LoadedSegment
from tailrace.testing.exports import ModelTable
from tailrace.testing.faults import FaultySource, FaultyStore
from tailrace.testing.sim.exports import ExportTroubles
from tailrace.testing.sim.oracles import Fact, Violation, are_same_values, values_of
from tailrace.testing.sim.plan import Bits, Setup
from tailrace.testing.sim.scans import TICK_SECONDS, ScanJudge, ScanWorld
from tailrace.testing.sim.target import Row
from tailrace.testing.sim.world import TABLE, Process, World
from tailrace.testing.source import InlineExecutor, ModelSource

WINDOW_LEAST_MS: Final = 900_000  # that AWS exports
MARGIN_MS: Final = 302_000  # clocks are not further off, and moments are whole seconds
OLD_TURNS: Final = 60
PATIENCE_SECONDS: Final = 5.0  # between turns where nothing but time is missing
LONG_MS: Final = 1_500_000  # by then what lasts minutes is over
LOWER: Final = 1_000_000_000  # the numbers of a new stream are smaller than those of the one before


@dataclass(slots=True)
class RepairJudge(ScanJudge):
    """Beside stream and scan, knows what a repair may read, what it must have healed, and what a sweep may take."""

    backups: ModelTable = field(kw_only=True)
    items: Mapping[str, Mapping[str, Any]] = field(kw_only=True)
    unsure: Collection[str] = field(kw_only=True)
    hits: Counter[str] = field(kw_only=True)
    has_base: bool = field(kw_only=True)
    ended: dict[int, str] = field(default_factory=dict)  # numbers of streams that are no more, and which one it was
    stream: str = ""  # of the newest repair's epoch
    untold_ms: dict[str, int] = field(default_factory=dict)  # when a key was last written without a stream
    born_ms: dict[str, int] = field(default_factory=dict)  # since when a key has been there without a break
    skews: Mapping[str, int] = field(kw_only=True)  # of the clock of each who may begin a repair
    begun_ms: dict[int, int] = field(default_factory=dict)  # when an epoch began, by the world's clock
    earlier: set[int] = field(default_factory=set)  # numbers that were written before the newest repair began
    oldest: int = 1  # the epoch whose base was swept behind last

    def is_lost(self, number: int) -> bool:
        return number in self.ended or ScanJudge.is_lost(self, number)

    def is_excused(self, number: int) -> bool:
        """Nor need one where a repair makes up for it."""
        return ScanJudge.is_excused(self, number) or self._is_made_up_for(number)

    def is_true(self, gap: Gap) -> bool:
        """Also of a stream that is no more, whoever still reads it."""
        after = gap.after or 0
        return any(n > after and self.written[n].shard_id == gap.shard for n in self.ended) or ScanJudge.is_true(
            self, gap
        )

    def check_source(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        repair, was = manifest.repair, None if before is None else before.repair
        is_step = repair is not None and was is not None and repair != was and repair.epoch == was.epoch
        if before is not None and before.epoch != manifest.epoch:
            self._begun(manifest, before)
        if is_step and repair is not None and repair.finished_ms is not None:
            self._check_healed(manifest)
        ScanJudge.check_source(self, manifest, before, added)
        if is_step and repair is not None and was is not None:
            self._check_window(repair, was, added)
        if before is not None and manifest.base_export != before.base_export:
            self._check_export(manifest, added)

    def _begun(self, manifest: Manifest, before: Manifest) -> None:
        """A base is read behind this moment. A window may end soon behind the one when somebody looked at the clock for it."""
        assert manifest.repair is not None
        self.scanned.clear()
        looked_ms = manifest.repair.begun_ms - self.skews[manifest.writer]
        begun_ms = self.clock.ms if manifest.repair.kind == "full" else looked_ms
        self.begun_ms[manifest.epoch] = begun_ms
        self.earlier = {number for number, change in self.changes.items() if change.ms <= begun_ms}
        self.stream = manifest.incarnation.stream_arn
        if manifest.incarnation.table_id != before.incarnation.table_id:
            self.hits["repair of another table"] += 1
        elif manifest.incarnation != before.incarnation:
            self.hits["repair of another stream"] += 1
        start = manifest.repair.start
        lost = [self.changes[n].ms for n in self.lost if n not in self.early and not self.is_set_aside(n)]
        since = [gap.since_ms for gap in manifest.open_gaps if gap.since_ms is not None]
        if start is not None and lost and start * 1000 > min(lost):
            raise Violation("I14", f"a repair from {start} on, and what was written at {min(lost)} is missing")
        if start is not None and since and start * 1000 < min(since) - MARGIN_MS:
            raise Violation("I11", f"a repair from {start} on, and nothing is missing before {min(since)}")

    @property
    def lost(self) -> list[int]:
        """Written, never published, and no longer there."""
        return [n for numbers in self.unpublished.values() for n in numbers if self.is_lost(n)]

    def _check_captured_through(self, manifest: Manifest, before: Manifest | None) -> None:
        """What was lost when a whole new base began is in that base, once it is complete."""
        if manifest.repair is None or manifest.repair.finished_ms is not None:
            ScanJudge._check_captured_through(self, manifest, before)

    # ---- what a base may hold

    def _check_rows(self, segment: Segment) -> None:
        if self.manifest is not None and self.manifest.epoch_kind == "repair":
            self._check_repaired(segment)
        elif segment.md5 is None:
            ScanJudge._check_rows(self, segment)

    def _check_repaired(self, segment: Segment) -> None:
        """Items of single keys, or files of a window: never a scan, never the whole table."""
        if segment.md5 is None and "keys" not in segment.name:
            raise Violation("I11", f"a window is repaired, and {segment.name} is published")
        if segment.md5 is not None and segment.window_end is None:
            raise Violation("I11", f"a window is repaired, and {segment.name} of the whole table is published")
        facts = self.facts[segment.number]
        if segment.md5 is None:
            self.hits["key read by a repair"] += len(facts)
            for fact in facts:
                if fact.op != "d" and fact.values not in self.images[fact.key[0]]:
                    raise Violation("I8", f"the repair read {fact}, which {fact.key} never was")

    def _check_export(self, manifest: Manifest, added: Sequence[Segment]) -> None:
        """A base that is exported is the table of its moment. [I2]"""
        export = manifest.base_export
        if export is None or export.moment is None:
            return
        found = sorted(fact.key[0] for segment in added for fact in self.facts[segment.number])
        wanted = sorted(item["pk"]["S"] for item in self.backups.state_at(export.moment))
        if found != wanted:
            raise Violation("I2", f"the base holds {found}, the table at its moment {wanted}")

    def _check_window(self, repair: RepairState, was: RepairState, added: Sequence[Segment]) -> None:
        """Windows tile what is missing, each whole. [I2, I11]"""
        if repair.through == was.through and repair.end == was.end:
            return
        assert repair.start is not None
        assert repair.end is not None
        assert was.start is not None
        if was.end is None:  # now it is chosen, and the start moved back where the window were too narrow
            is_least = (repair.end - repair.start) * 1000 <= WINDOW_LEAST_MS
            if repair.start > was.start or (repair.start < was.start and not is_least):
                raise Violation("I11", f"the repair {was} became {repair}")
            if repair.end * 1000 <= self.begun_ms[repair.epoch]:
                raise Violation("I11", f"the repair ends at {repair.end}, before it began: {self.begun_ms}")
            return
        window = None if was.plan is None else was.plan.window
        if window is None or window.start != was.through or window.end != repair.through or window.end > repair.end:
            raise Violation("I11", f"window {window} behind {was.through}, then {repair.through}")
        changes = self.backups.history.changes(
            window.start * 1_000_000, window.end * 1_000_000, equal_images=self.backups.equal_images
        )
        wanted = sorted(change.keys["pk"]["S"] for change in changes)
        found = sorted(fact.key[0] for segment in added for fact in self.facts[segment.number])
        if found != wanted:
            raise Violation("I2", f"window {window} holds {found}, the table changed {wanted}")

    # ---- what is healed

    def _check_healed(self, manifest: Manifest) -> None:
        """With all that is published, and what the stream still holds, every key is as it is. [I14]"""
        assert manifest.repair is not None
        begun_ms = self.begun_ms[manifest.epoch]
        self.oldest = manifest.epoch if manifest.repair.kind == "full" else self.oldest
        for numbers in self.unpublished.values():
            numbers -= {n for n in numbers if self.is_lost(n) and self._is_made_up_for(n)}
        late = {self.changes[n].key for n in self.lost} | {k for k, ms in self.untold_ms.items() if ms >= begun_ms}
        if manifest.incarnation.table_id != self.backups.table_id:
            return  # another table has the name now, which the next look will tell
        late |= self.untellable(manifest)
        told = self._told(f"{self.oldest:04d}|")
        rest = sorted(n for numbers in self.unpublished.values() for n in numbers if not self.is_lost(n))
        for number in rest:
            if self.written[number].line is not None:
                change = self.changes[number]
                told[change.key] = (
                    None if change.image is None else values_of({"pk": {"S": change.key}, **change.image})
                )
        for key in sorted((told.keys() | self.items.keys()) - late - set(self.unsure)):
            values, item = told.get(key), self.items.get(key)
            is_same = values is not None and item is not None and are_same_values(values, values_of(item))
            if not is_same and not (values is None and item is None):
                raise Violation("I14", f"{manifest.repair} healed, and {key} is {item}, published is {values}")

    def untellable(self, manifest: Manifest) -> set[str]:
        """Keys of changes that were over before capture began, where no base was ever read."""
        if self.has_base or manifest.oldest_epoch > 1:
            return set()
        return {self.changes[n].key for n in self.early - self.published_in.keys()}

    def _is_made_up_for(self, number: int) -> bool:
        """The newest repair began behind it, and no older change of its key has come behind what the repair read.

        Of a stream that was replaced before it began nothing comes any more, but of one that was replaced since.
        """
        is_over = self.ended.get(number, self.stream) != self.stream
        is_behind = not is_over and 0 < self.newest.get((self.changes[number].key,), 0) < number
        return number in self.earlier and not is_behind

    def _told(self, first: str) -> dict[str, Any]:
        """What all segments make of each key, without those of older epochs where these are swept."""
        newest: dict[str, Fact] = {}
        for facts in self.facts.values():
            for fact in facts:
                standing = newest.get(fact.key[0])
                if fact.is_good and fact.position >= first and (standing is None or fact.position > standing.position):
                    newest[fact.key[0]] = fact
        return {key: None if fact.op == "d" else fact.values for key, fact in newest.items()}

    def committed(self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row]) -> None:
        is_sweep = any(s.segment.kind == "sweep" for s in fresh)
        before = {key for key, fact in self.expected.items() if fact.op != "d"} if is_sweep else set()
        ScanJudge.committed(self, load, fresh, rows)
        for (key,) in before - self.expected.keys():
            self.hits["key swept"] += 1
            if self.born_ms.get(key, self.clock.ms) < self.begun_ms[load.epoch] and key not in self.unsure:
                raise Violation("I7", f"{key} is swept, and was there all the time")


class RepairWorld(ExportTroubles, ScanWorld):
    """Somebody asks for a repair, the workers carry it on, and in the end there is no gap."""

    judge: RepairJudge
    judge_type = RepairJudge
    finale_turns = 500
    sleep_ms = (20_000, 400_000, 3_600_000)

    # ---- its parts

    def make_source(self, setup: Setup) -> None:
        super().make_source(setup)
        self.base = setup.base
        self.asked: str | None = None
        self.is_calm, self.long_calm_ms = False, 0
        self.replacements = 0
        self.has_stream = True
        self.skews: dict[str, int] = {}
        if self.base == "none":
            self.scan = replace(self.scan, items=0)

    def make_table(self) -> ModelTable:
        exports = self.plan.setup.exports
        assert exports is not None
        self.backups = self.make_backups(exports, table_id=self.source.table.table_id, page_items=self.scan.page_items)
        return self.backups

    def make_judge(self, **parts: Any) -> RepairJudge:
        more = {
            "backups": self.backups,
            "items": self.items,
            "unsure": self.unsure,
            "hits": self.hits,
            "skews": self.skews,
            "has_base": self.base != "none",
        }
        judge = super().make_judge(**parts, **more)
        assert isinstance(judge, RepairJudge)
        judge.born_ms.update(dict.fromkeys(self.items, self.clock.ms))
        return judge

    def stream(self) -> Any:
        return _Stream(self)

    def make_jobs(self, process: Process) -> dict[str, Callable[[], None]]:
        backups = self.faulty_backups(process)
        landing = Landing(FaultyStore(self.store, process), TABLE)
        exports = self.plan.setup.exports
        assert exports is not None
        settings = ExportSettings("lake", f"tailrace/{TABLE}", enable_recovery=exports.enable_recovery)
        writer = f"{process.name}-repair"
        self.skews[writer] = process.clock.skew_ms
        repairer = Repairer(
            landing,
            FaultySource(self.stream(), process),
            backups,
            backups,
            Exporter(backups, landing, settings, process.clock, InlineExecutor()),
            process.clock,
            writer,
            has_base=self.base != "none",
            on_published=process.on_published,
        )
        jobs = {**super().make_jobs(process), "repair": lambda: self._repair(repairer, process)}
        if self.base == "export":
            exporter = BaseExporter(
                backups,
                landing,
                settings,
                process.clock,
                f"{process.name}-backfill",
                on_published=process.on_published,
                executor=InlineExecutor(),
            )
            jobs["backfill"] = lambda: self._export(exporter, process)
        return jobs

    def _backfill(self, backfiller: Backfiller, process: Process) -> None:
        """Where no base is wanted, a repair may still need one."""
        manifest = self.judge.manifest
        if self.base != "none" or (manifest is not None and manifest.epoch_kind == "full" and manifest.epoch > 1):
            super()._backfill(backfiller, process)

    def _export(self, exporter: BaseExporter, process: Process) -> None:
        report = exporter.tick(Budget(process.clock, TICK_SECONDS))
        process.wait_seconds = max(process.wait_seconds, report.wait_seconds)
        self.hits["exported base"] += report.segments

    def _repair(self, repairer: Repairer, process: Process) -> None:
        """One step; whoever has asked for it reads what it says."""
        manifest = self.judge.manifest
        if self.is_calm and self.asked is None and manifest is not None and manifest.state in ("GAP", "SOURCE_CHANGED"):
            self.asked = "needed"
        if self.asked is not None:
            report = repairer.begin(full=self.asked == "full")
            self.asked = None
            if report.why:
                self.note(process.name, f"a new base: {report.why}")
        try:
            report = repairer.step()
        except PermissionMissing:
            raise
        except UserFault:
            self.asked = "full"  # as its hint says
            raise
        process.wait_seconds = max(process.wait_seconds, report.wait_seconds, self._patience_seconds())

    def begin_turn(self) -> None:
        super().begin_turn()
        if self._turn == 0 and self.plan.setup.is_old:
            self._grow_old()

    def _grow_old(self) -> None:
        """The table is consistent, and has been for an hour: most gaps are those of tables that went well before."""
        strike, self._strike = self._strike, None
        process = self.processes[0]
        for key in range(3):
            self.do_write(Bits(self.plan.seed + key))
        for pause_ms in (1000, 3_600_000):
            self.clock.ms += pause_ms
            since_ms = self.clock.ms
            for turn in range(OLD_TURNS):
                for name in ("capture", "backfill", "load"):
                    self._step(process.tasks[name])
                self.clock.ms += int(max(process.wait_seconds, PATIENCE_SECONDS) * 1000)
                manifest = self.judge.manifest
                if self.is_settled(turn) and manifest is not None and (manifest.captured_through_ms or 0) >= since_ms:
                    break
        self._strike, self.effects = strike, 0

    def _patience_seconds(self) -> float:
        """A shard that waits for a child which vanished unseen is given up after 25 hours; that is one more repair."""
        if not self.is_calm:
            return 0.0
        manifest = self.judge.manifest
        if manifest is None or manifest.state != "CATCHING_UP" or self.clock.ms <= self.long_calm_ms:
            return PATIENCE_SECONDS
        # Behind a repair, too, many shards take a while, and slower than the five minutes of an iterator none comes to its tip.
        repaired_ms = 0 if manifest.repair is None else manifest.repair.finished_ms or 0
        return (12 if self.clock.ms <= repaired_ms + LONG_MS else 120) * PATIENCE_SECONDS

    # ---- what befalls it

    def record(self, key: str, image: Mapping[str, Any] | None, *, expired: bool) -> str:
        self.begin_effect()
        if image is None:
            del self.judge.born_ms[key]
        else:
            self.judge.born_ms.setdefault(key, self.clock.ms)
        if self.has_stream:
            return super().record(key, image, expired=expired)
        self.judge.untold_ms[key] = self.clock.ms
        self.record_in_table(key, image)
        return "nothing that a stream tells"

    def do_ask(self, bits: Bits) -> None:
        """Where nothing is missing, that changes nothing; except that somebody wants a new base all the same."""
        self.asked = "full" if bits.one_in(10) else "needed"

    def do_replace(self, bits: Bits) -> None:
        """Another stream of the table, after a while without any; or another table altogether."""
        if self.judge.manifest is None or self.replacements == 2:
            return
        self.replacements += 1
        if bits.one_in(3):
            self._replace_table()
        self.source.model.close(self.clock.ms / 1000)
        self.has_stream = False
        for _ in range(bits.below(4)):
            self.do_write(bits)
        self.has_stream = True
        before, setup = self.source, self.plan.setup
        self.source = ModelSource(
            self.clock,
            table=TABLE,
            shards=setup.shards,
            seed=self.plan.seed + self.replacements,
            first_number=setup.first_number - self.replacements * LOWER,
        )
        self.source.page_records, self.source.repeats = setup.page_records, setup.repeats
        self.source.replace_table(stream_arn=before.table.stream_arn + "+", table_id=self.backups.table_id)
        self.judge.source = self.source
        self.judge.ended = dict.fromkeys(self.judge.changes, before.table.stream_arn) | self.judge.ended
        self._note_lineage()

    def _replace_table(self) -> None:
        before = self.backups
        self.table = self.judge.backups = self.make_table()
        self.backups.table_id = before.table_id + "+"
        self.backups.switch_recovery(False)
        self.backups.switch_recovery(True)
        self.items.clear()
        self.judge.born_ms.clear()

    def _note_lost(self) -> None:
        """A repair brings it back."""

    # ---- the end

    def calm(self) -> None:
        super().calm()
        self.calm_exports()
        self.is_calm, self.long_calm_ms = True, self.clock.ms + LONG_MS

    def is_settled(self, turn: int) -> bool:
        return turn >= 2 and self._is_whole()  # a tip that was reached before the last sleep says nothing

    def _is_whole(self) -> bool:
        manifest = self.judge.manifest
        if manifest is None or manifest.state not in self.final_states or manifest.open_gaps:
            return False
        through_ms = manifest.captured_through_ms
        stage = base_stage(manifest, is_wanted=self.base != "none", through_ms=through_ms)
        is_past = stage is None or (stage == "CATCHING_UP" and not self.judge.time_is_exact)
        is_applied = len(self.judge.applied) == manifest.next_number - 1
        return is_past and is_applied and World.is_settled(self, 0)

    def check_end(self, manifest: Manifest) -> None:
        """Whatever was lost, nothing is missing. [I2, I14, I16]"""
        judge = self.judge
        if not self._is_whole():
            raise Violation(
                "I16", f"faults have stopped, and {manifest.state}: {manifest.open_gaps}, {manifest.repair}"
            )
        for numbers in judge.unpublished.values():
            for number in numbers:
                if judge.is_set_aside(number):
                    continue
                if not judge.is_lost(number):
                    raise Violation("I2", f"{number} was never published")
                if not judge.is_excused(number):
                    raise Violation("I14", f"{number} was lost, and no gap tells")
        self.unsure.update(judge.untellable(manifest))


class _Stream:
    """The stream that had the table's name when somebody last looked, as a caller keeps its ARN."""

    def __init__(self, world: RepairWorld) -> None:
        self._world = world
        self._source = world.source

    def incarnation(self) -> Incarnation:
        self._source = self._world.source
        return self._source.incarnation()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
