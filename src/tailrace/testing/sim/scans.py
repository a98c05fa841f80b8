"""A table with a stream that held items before: its base is scanned while it is written to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.clock import Budget
from tailrace.decide.base import base_stage
from tailrace.errors import ServiceUnavailable, Throttled
from tailrace.jobs.backfill import Backfiller, BackfillSettings
from tailrace.landing import Landing
from tailrace.model.manifest import Manifest
from tailrace.model.segments import Segment
from tailrace.testing.faults import Faulty, FaultyStore
from tailrace.testing.sim.exports import KEYS, Current
from tailrace.testing.sim.oracles import Violation, values_of
from tailrace.testing.sim.plan import Bits, ScanSetup, Setup
from tailrace.testing.sim.streams import StreamJudge, StreamWorld
from tailrace.testing.sim.target import Values
from tailrace.testing.sim.world import TABLE, Process
from tailrace.testing.source import InlineExecutor
from tailrace.testing.tables import MemoryTable

TICK_SECONDS: Final = 20.0


@dataclass(slots=True)
class ScanJudge(StreamJudge):
    """Beside the stream, compares base rows with what each key has ever been."""

    images: dict[str, list[Values]] = field(default_factory=lambda: defaultdict(list))
    scanned: set[str] = field(default_factory=set)

    def check_source(self, manifest: Manifest, before: Manifest | None, added: Sequence[Segment]) -> None:
        StreamJudge.check_source(self, manifest, before, added)
        for segment in added:
            if segment.kind == "base":
                self._check_rows(segment)
        was, scan = None if before is None else before.scan, manifest.scan
        if was is not None and (scan is None or (scan.epoch, len(scan.parts)) < (was.epoch, len(was.parts))):
            raise Violation("I11", f"a scan of {len(was.parts)} segments became {scan}")
        if scan is not None and was is not None and scan.epoch == was.epoch:
            for old, new in zip(was.parts, scan.parts, strict=True):
                if new.pages < old.pages or (old.is_done and new != old):
                    raise Violation("I3", f"a scan segment goes back from {old} to {new}")

    def _check_rows(self, segment: Segment) -> None:
        """A page is published once, and holds what the table held at some time. [I8]"""
        for fact in self.facts[segment.number]:
            key = fact.key[0]
            if key in self.scanned:
                raise Violation("I8", f"{key} is in the base twice")
            self.scanned.add(key)
            if fact.values not in self.images[key]:
                raise Violation("I8", f"the base holds {fact}, which {key} never was")


class ScanWorld(StreamWorld):
    """The table's items are there to be scanned; some of them no stream ever told of."""

    judge: ScanJudge

    def make_source(self, setup: Setup) -> None:
        super().make_source(setup)
        assert setup.scan is not None
        self.scan: ScanSetup = setup.scan
        self.table = self.make_table()
        self.scan_errors: list[Any] = []

    def make_table(self) -> MemoryTable:
        """What is scanned."""
        return MemoryTable(KEYS, self.scan.page_items)

    judge_type: type[ScanJudge] = ScanJudge

    def make_judge(self, **parts: Any) -> ScanJudge:
        parents = {shard_id: shard.parent for shard_id, shard in self.source.model.shards.items()}
        judge = self.judge_type(**parts, source=self.source, parents=parents)
        for number in range(self.scan.items):
            key = f"key-{number}"
            item = {"pk": {"S": key}, "value": {"N": f"{10**12 + number}"}}
            self.items[key] = item
            self.table.put(item)
            judge.images[key].append(values_of(item))
        return judge

    def make_jobs(self, process: Process) -> dict[str, Callable[[], None]]:
        table: Any = Faulty(Current(lambda: self.table), process, reads=("scan_page",))
        backfiller = Backfiller(
            _Failing(table, self.scan_errors),  # type: ignore[arg-type]
            lambda: str(process.read("table id", lambda: self.source.table.table_id)),
            Landing(FaultyStore(self.store, process), TABLE),
            BackfillSettings(scan_segments=self.scan.segments, flush_seconds=self.scan.flush_seconds, workers=2),
            process.clock,
            f"{process.name}-backfill",
            on_published=process.on_published,
            executor=InlineExecutor(),
        )
        return {**super().make_jobs(process), "backfill": lambda: self._backfill(backfiller, process)}

    def _backfill(self, backfiller: Backfiller, process: Process) -> None:
        report = backfiller.tick(Budget(process.clock, TICK_SECONDS))
        self.hits["scanned page"] += report.pages

    def record(self, key: str, image: Mapping[str, Any] | None, *, expired: bool) -> str:
        self.record_in_table(key, image)
        return super().record(key, image, expired=expired)

    def record_in_table(self, key: str, image: Mapping[str, Any] | None) -> None:
        keys = {"pk": {"S": key}}
        if image is None:
            self.table.delete(keys)
        else:
            self.table.put({**keys, **image})
            self.judge.images[key].append(values_of({**keys, **image}))

    def do_scan_fails(self, bits: Bits) -> None:
        kinds = (Throttled, ServiceUnavailable)
        self.scan_errors += [bits.of(kinds)("simulated", hint="It is simulated.") for _ in range(1 + bits.below(4))]

    def calm(self) -> None:
        super().calm()
        self.scan_errors.clear()

    def is_settled(self, turn: int) -> bool:
        manifest = self.judge.manifest
        if manifest is None or manifest.scan is None or self.is_replaced:
            return super().is_settled(turn) and self.is_replaced
        is_past = base_stage(manifest, is_wanted=True, through_ms=manifest.captured_through_ms) is None
        is_read = manifest.scan.finished_ms is not None
        return super().is_settled(turn) and (is_past or (is_read and not self.judge.time_is_exact))

    def check_end(self, manifest: Manifest) -> None:
        """The base is complete. [I16]"""
        super().check_end(manifest)
        if self.is_replaced:  # nothing more of this table is read
            self.unsure.update(self.items, (key[0] for key in self.target.contents.rows))
            return
        scan = manifest.scan
        if scan is None or scan.finished_ms is None or not all(part.is_done for part in scan.parts):
            raise Violation("I16", f"faults have stopped, and the base is {manifest.scan}")
        self.hits["base complete"] += 1


class _Failing:
    """A table that refuses as many scans as there are errors."""

    def __init__(self, table: Any, errors: list[Any]) -> None:
        self._table = table
        self._errors = errors

    def scan_page(self, *where: Any) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        return self._table.scan_page(*where)
