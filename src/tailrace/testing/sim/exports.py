"""A table that is captured by PITR exports: what may befall them, and what the chain of windows must make of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.decide.windows import WindowRule, next_start, published_through
from tailrace.errors import ServiceUnavailable, Throttled
from tailrace.jobs.exports import ExportCapturer, ExportSettings
from tailrace.landing import Landing
from tailrace.model.exports import ExportState, PublishedWindow
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Manifest
from tailrace.model.segments import Segment
from tailrace.targets.target import Load, LoadedSegment
from tailrace.testing.exports import ModelTable
from tailrace.testing.faults import Faulty
from tailrace.testing.sim.oracles import Judge, Violation, are_same_values, values_of
from tailrace.testing.sim.plan import Bits, ExportSetup, Setup
from tailrace.testing.sim.target import Row
from tailrace.testing.sim.world import TABLE, Process, World
from tailrace.testing.source import InlineExecutor

WIDTH: Final = 900
KEYS: Final = KeySchema(KeyAttribute("pk", "S"))
OPERATIONS: Final = ("incarnation", "restorable", "start", "describe", "find", "get_items")


@dataclass(slots=True)
class ExportJudge(Judge):
    """Compares windows, and what a target shows behind each, with all that was ever written."""

    source: ModelTable = field(kw_only=True)
    rule: WindowRule = field(kw_only=True)
    unsure: set[str] = field(kw_only=True)  # keys with a value that nobody can decode
    writes: list[tuple[str, int]] = field(default_factory=list)  # key and microseconds of each
    published_at: dict[int, float] = field(default_factory=dict)  # by a window's end

    def check_source(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        state, was = manifest.exports, before.exports if before is not None else None
        if state is None:
            raise Violation("I11", "a table of exports forgot that it is one")
        if was is None:
            was = ExportState()
        through = published_through(state)
        if manifest.captured_through_ms != (None if through is None else through * 1000):
            raise Violation(
                "I6", f"published is the state at {through}, captured through {manifest.captured_through_ms}"
            )
        if state.base != was.base:
            self._check_base(state, was, added)
        elif len(state.windows) > len(was.windows):
            self._check_window(state, was, added)
            self.published_at[state.windows[-1].window.end] = self.source.now
        elif added or state.windows != was.windows:
            raise Violation("I11", f"segments {[s.number for s in added]} belong to no window")

    def _check_base(self, state: ExportState, was: ExportState, added: Sequence[Segment]) -> None:
        if was.base is not None or state.base is None or state.base_last_number != (added[-1].number if added else 0):
            raise Violation("I11", f"a base at {state.base} after one at {was.base}")
        found = sorted(fact.key[0] for segment in added for fact in self.facts[segment.number])
        wanted = sorted(item["pk"]["S"] for item in self.source.state_at(state.base))
        if found != wanted or any(segment.kind != "base" for segment in added):
            raise Violation("I2", f"the base holds {found}, the table at its moment {wanted}")

    def _check_window(self, state: ExportState, was: ExportState, added: Sequence[Segment]) -> None:
        """The next one of the chain, whole: never a hole, never a start skipped. [I11]"""
        *known, new = state.windows
        window = new.window
        if tuple(known) != was.windows or (new.first_number, new.last_number) != _numbers(added, new):
            raise Violation("I11", f"window {new} with segments {[s.number for s in added]} behind {was.windows}")
        last = was.windows[-1].window if was.windows else None
        start = was.base if last is None else (last.start + self.rule.step if self.rule.slides else last.end)
        if window.start != start or (self.rule.slides and window.end - window.start != self.rule.width):
            raise Violation("I11", f"window {window} begins where {start} was due")
        changes = self.source.history.changes(
            window.start * 1_000_000, window.end * 1_000_000, equal_images=self.source.equal_images
        )
        wanted = sorted(change.keys["pk"]["S"] for change in changes)
        exported = [segment for segment in added if segment.kind == "export"]
        found = sorted(fact.key[0] for segment in exported for fact in self.facts[segment.number])
        if found != wanted or any(segment.window_end != window.end for segment in added):
            raise Violation("I2", f"window {window} holds {found}, the table changed {wanted}")

    def is_true(self, gap: Gap) -> bool:
        if gap.kind == "source_replaced":
            return self.manifest is not None and self.source.table_id != self.manifest.incarnation.table_id
        assert self.manifest is not None
        assert self.manifest.exports is not None
        state, covered = self.manifest.exports, self.source.covered()
        planned = [plan.window.start for plan in state.under_way if plan.window is not None]
        starts = [start for start in (next_start(state, self.rule), *planned) if start is not None]
        return covered is None or not starts or covered.earliest > min(starts)

    # ---- at each commit

    def committed(self, load: Load, fresh: Sequence[LoadedSegment], rows: Sequence[Row]) -> None:
        Judge.committed(self, load, fresh, rows)
        moment = self._shown_moment()
        if moment is not None and not self.rule.slides:
            self.check_state(moment, frozenset())
        elif moment is not None and self.source.equal_images:
            self.check_state(moment, self._moving(moment))

    def _moving(self, moment: int) -> set[str]:
        """Keys written between a window's end and its settling, where a table that is read shows them ahead of it.

        Where equal images leave no record, the time of a key's last write may be an older one, and more keys run ahead.
        """
        settled_us = int(self.published_at.get(moment, moment) * 1_000_000)
        return {key for key, us in self.writes if moment * 1_000_000 <= us <= settled_us}

    def _shown_moment(self) -> int | None:
        """The moment whose state the target must show now; None in the middle of a window, or out of order."""
        assert self.manifest is not None
        state, through = self.manifest.exports, self.applied_through
        if state is None or state.base is None or len(self.applied) != through or through < state.base_last_number:
            return None
        moment, last_number = state.base, state.base_last_number
        for window in state.windows:
            if window.last_number > through:
                break
            moment, last_number = window.window.end, window.last_number
        return moment if last_number == through else None

    def check_state(self, moment: int, moving: Collection[str]) -> None:
        """The target shows the table as it was just before a moment. [I1]"""
        live = {key[0]: row for key, row in self.target.contents.rows.items() if row.op != "d"}
        wanted = {item["pk"]["S"]: item for item in self.source.state_at(moment)}
        for key in sorted((live.keys() | wanted.keys()) - self.unsure - set(moving)):
            if key not in live or key not in wanted or not are_same_values(live[key].values, values_of(wanted[key])):
                raise Violation("I1", f"at {moment} {key} was {wanted.get(key)}, the target shows {live.get(key)}")

    def check_claim(self, claimed_ms: int) -> None:
        """It shows the state of some window, and claims no later one. [8.3, watermark honesty]"""
        assert self.manifest is not None
        state, through = self.manifest.exports, self.applied_through
        assert state is not None
        ends = [window.window.end for window in state.windows if window.last_number <= through]
        if state.base is not None and state.base_last_number <= through:
            ends.append(state.base)
        if not ends or claimed_ms > max(ends) * 1000:
            raise Violation("I6", f"complete through {claimed_ms} is claimed, applied are {ends}")


def _numbers(added: Sequence[Segment], window: PublishedWindow) -> tuple[int, int]:
    """First and last; of a window without a record the first is behind the last."""
    if not added:
        return window.last_number + 1, window.last_number
    return added[0].number, added[-1].number


class Current:
    """Whatever answers under a name now."""

    def __init__(self, now: Callable[[], Any]) -> None:
        self._now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)


class ExportTroubles(World):
    """A table with point-in-time recovery: what may befall its exports."""

    backups: ModelTable

    def make_backups(self, exports: ExportSetup, **more: Any) -> ModelTable:
        return ModelTable(
            self.store,
            TABLE,
            KEYS,
            self.clock.ms / 1000,
            lag_seconds=exports.lag_seconds,
            export_seconds=exports.export_seconds,
            equal_images=exports.equal_images,
            partitions=exports.partitions,
            **more,
        )

    def faulty_backups(self, process: Process) -> Any:
        """As one process sees them."""
        reads = (*(name for name in OPERATIONS if name != "start"), "scan_page")
        return Faulty(Current(lambda: self.backups), process, writes=("start", "enable_recovery"), reads=reads)

    def begin_effect(self) -> None:
        self.backups.now = self.clock.ms / 1000

    def calm_exports(self) -> None:
        self.begin_effect()
        self.backups.failing, self.backups.damaging, self.backups.errors, self.backups.denied = [], [], {}, set()
        self.backups.export_seconds = 60
        self.backups.switch_recovery(True)

    def do_export_fails(self, bits: Bits) -> None:
        self.backups.failing += ["InternalServerError"] * (1 + bits.below(5))

    def do_export_damage(self, bits: Bits) -> None:
        self.backups.damaging.append(bits.of(("missing", "cut", "unfinished")))

    def do_export_slow(self, bits: Bits) -> None:
        self.backups.export_seconds = bits.of((60, 300, 1200, 4000))

    def do_recovery_off(self, bits: Bits) -> None:
        self.begin_effect()
        self.backups.switch_recovery(not self.backups.recovery)

    def do_recovery_short(self, bits: Bits) -> None:
        self.begin_effect()
        self.backups.shorten_recovery(bits.of((600, 1800, 2700, 3600)))

    def do_refuse(self, bits: Bits) -> None:
        kinds = (Throttled, ServiceUnavailable)
        errors = [bits.of(kinds)("simulated", hint="It is simulated.") for _ in range(1 + bits.below(4))]
        self.backups.errors[bits.of(OPERATIONS)] = errors

    def do_forbid(self, bits: Bits) -> None:
        self.backups.denied = set() if self.backups.denied else {bits.of(OPERATIONS)}


class ExportWorld(ExportTroubles):
    """A table with point-in-time recovery."""

    judge: ExportJudge
    step_ms = (1000, 30_000, 120_000, 300_000)
    sleep_ms: Sequence[int] = (60_000, 300_000, 900_000, 2_700_000)
    long_ago_ms = 2_300_000
    finale_turns = 1500

    # ---- its parts

    def make_source(self, setup: Setup) -> None:
        assert setup.exports is not None
        self.exports: ExportSetup = setup.exports
        self.rule = WindowRule(WIDTH, self.exports.step)
        self.source = self.backups = self.make_backups(self.exports)
        if self.rule.slides:  # each hour is a dozen windows
            self.sleep_ms = (60_000, 300_000, 900_000)
        self.is_recreated = False
        self.written_ms = 0

    def make_judge(self, **parts: Any) -> ExportJudge:
        return ExportJudge(**parts, source=self.source, rule=self.rule, unsure=self.unsure)

    def make_capturer(self, process: Process, landing: Landing) -> ExportCapturer:
        table = self.faulty_backups(process)
        return ExportCapturer(
            table,
            table,
            landing,
            ExportSettings(
                "lake", f"tailrace/{TABLE}", self.rule, self.exports.enable_recovery, config_hash=f"{self.rule}"
            ),
            process.clock,
            process.name,
            on_published=process.on_published,
            executor=InlineExecutor(),
        )

    def record(self, key: str, image: Mapping[str, Any] | None, *, expired: bool) -> str:
        self.begin_effect()
        keys = {"pk": {"S": key}}
        if image is None:
            self.source.delete(keys)
        else:
            self.source.put({**keys, **image})
        self.written_ms = self.clock.ms
        self.judge.writes.append((key, self.clock.ms * 1000))
        return f"{self.clock.ms}"

    @property
    def takes_writes(self) -> bool:
        return not self.is_recreated

    # ---- what befalls it

    def do_same(self, bits: Bits) -> None:
        """A write that changes nothing."""
        if self.items and self.takes_writes:
            key = bits.of(sorted(self.items))
            image = {name: value for name, value in self.items[key].items() if name != "pk"}
            self.note("", f"put {key} as it was at {self.record(key, image, expired=False)}")

    def do_recreate(self, bits: Bits) -> None:
        """Another table answers under the name."""
        if self.judge.manifest is not None:
            self.is_recreated = True
            self.source.table_id = "22222222-3333-4444-5555-666666666666"

    # ---- the end

    def calm(self) -> None:
        self.calm_exports()

    def is_settled(self, turn: int) -> bool:
        """Two windows behind the last write are applied: by then an overlap has done its work."""
        manifest = self.judge.manifest
        if manifest is None or len(self.judge.applied) != manifest.next_number - 1:
            return False
        if manifest.state == "SOURCE_CHANGED" or (manifest.open_gaps and not self.is_recreated):
            return True
        through = None if manifest.exports is None else published_through(manifest.exports)
        return through is not None and through * 1000 >= self.written_ms + 2 * WIDTH * 1000 and not self.is_recreated

    def check_end(self, manifest: Manifest) -> None:
        """The chain has gone on to the end, or says why it has not. [I14, I16]"""
        if not self.is_settled(0):
            raise Violation("I16", f"faults have stopped, and {manifest.exports} is as far as it goes")
        if self.is_recreated != (manifest.state == "SOURCE_CHANGED"):
            raise Violation("I14", f"the table is {'' if self.is_recreated else 'not '}another, and {manifest.state}")
        if manifest.open_gaps:
            self.unsure.update(self.items, (key[0] for key in self.target.contents.rows))
