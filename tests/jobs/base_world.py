"""A table whose every write also stands in its stream and its backups, and the jobs that replicate it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import pyarrow as pa

from tailrace.clock import Budget, ManualClock
from tailrace.decide.load import shown_state, watermark
from tailrace.jobs.backfill import Backfiller, BackfillSettings
from tailrace.jobs.base_export import BaseExporter
from tailrace.jobs.capture import Capturer, CaptureSettings
from tailrace.jobs.exports import Exporter, ExportSettings
from tailrace.jobs.load import Loader, table_spec
from tailrace.jobs.repair import Repairer
from tailrace.jobs.verify import verify
from tailrace.landing import Landing, Store
from tailrace.model.manifest import Manifest
from tailrace.targets.duckdb import DuckDbTarget
from tailrace.targets.target import Mode
from tailrace.testing.exports import ModelTable
from tailrace.testing.source import InlineExecutor, ModelSource
from tailrace.testing.stores import MemoryStore
from tailrace.testing.tables import MemoryTable

Kind: TypeAlias = Literal["scan", "export"]
Baser: TypeAlias = Backfiller | BaseExporter


class World:
    """A table whose every write also stands in its stream and its backups, and the jobs that replicate it."""

    def __init__(self, kind: Kind = "scan", start: Literal["TRIM_HORIZON", "LATEST"] = "TRIM_HORIZON") -> None:
        self.kind = kind
        self.start: Literal["TRIM_HORIZON", "LATEST"] = start
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.source = ModelSource(self.clock)
        self.source.page_records = 2
        self.keys = self.source.table.key_schema
        self.table = MemoryTable(self.keys, page_items=2)
        self.backups = ModelTable(self.store, "orders", self.keys, self.clock.ms / 1000)
        self.backups.table_id = self.source.table.table_id
        self.values = 0
        self.writers = 0

    def advance(self, seconds: float) -> None:
        self.clock.ms += int(seconds * 1000)
        self.backups.now = self.clock.ms / 1000

    def write(self, key: str, *, remove: bool = False) -> None:
        self.backups.now = self.clock.ms / 1000
        self.values += 1
        item = {"pk": {"S": key}, "value": {"N": str(self.values)}}
        if remove:
            self.table.delete({"pk": {"S": key}})
            self.backups.delete({"pk": {"S": key}})
        else:
            self.table.put(item)
            self.backups.put(item)
        self.source.write(key, self.values, remove=remove)

    @property
    def landing(self) -> Landing:
        return Landing(self.store, "orders")

    @property
    def manifest(self) -> Manifest:
        found = self.landing.load()
        assert found is not None
        return found.manifest

    def _writer(self) -> str:
        self.writers += 1
        return f"writer-{self.writers}"

    def capturer(self) -> Capturer:
        settings_ = CaptureSettings(start=self.start, flush_seconds=0.5, has_base=True)
        return Capturer(self.source, self.landing, settings_, self.clock, self._writer(), executor=InlineExecutor())

    def baser(self, store: Store | None = None, source: Any = None) -> Baser:
        landing = Landing(store or self.store, "orders")
        if self.kind == "export":
            settings_ = ExportSettings("lake", "tailrace/orders", enable_recovery=True)
            return BaseExporter(source or self.backups, landing, settings_, self.clock, self._writer())
        rules = BackfillSettings(scan_segments=2, units=None, flush_seconds=1.0, workers=1)
        return Backfiller(
            self.table,
            lambda: self.source.table.table_id,
            landing,
            rules,
            self.clock,
            self._writer(),
            executor=InlineExecutor(),
        )

    def repairer(self, store: Store | None = None, backups: Any = None, *, can_export: bool = True) -> Repairer:
        landing = Landing(store or self.store, "orders")
        rules = ExportSettings("lake", "tailrace/orders")
        exporter = Exporter(backups or self.backups, landing, rules, self.clock) if can_export else None
        return Repairer(
            landing,
            self.source,
            backups or self.backups,
            self.table,
            exporter,
            self.clock,
            self._writer(),
        )

    def lose(self) -> None:
        """Nobody captures for longer than the stream keeps."""
        self.source.age(25 * 3600)
        self.advance(0)

    def recreate(self, *, table: bool) -> None:
        """Another stream of the same table, or another table altogether, which is empty."""
        before = self.source.table
        self.source = ModelSource(self.clock, seed=len(before.stream_arn))
        self.source.page_records = 2
        self.source.replace_table(stream_arn=before.stream_arn + "+", table_id=before.table_id)
        if table:
            self.source.replace_table(table_id=before.table_id + "+")
            self.table = MemoryTable(self.keys, page_items=2)
            self.backups = ModelTable(self.store, "orders", self.keys, self.clock.ms / 1000)
            self.backups.switch_recovery(False)
            self.backups.switch_recovery(True)
            self.backups.table_id = self.source.table.table_id

    def target(self, folder: Any, mode: Mode) -> DuckDbTarget:
        return DuckDbTarget(mode, folder / f"{mode}.duckdb", self.clock)

    def loader(self, target: DuckDbTarget, mode: Mode) -> Loader:
        return Loader(self.landing, target, "orders", mode, self.clock)

    def finish(self) -> None:
        """Nobody writes any more: the base is read to its end, and the stream captured past it."""
        capturer, baser = self.capturer(), self.baser()
        for _ in range(300):
            capturer.step()
            report = baser.step(Budget(self.clock))
            if report.done:
                break
            self.advance(report.wait_seconds + 0.1)
        self.advance(5)
        capturer = self.capturer()
        assert capturer.tick(Budget(self.clock, 60)).caught_up

    def state(self, target: DuckDbTarget, mode: Mode) -> str:
        manifest = self.manifest
        ledger = target.ledger(table_spec(manifest, "orders", mode))
        applied_ms = watermark(manifest, ledger.applied_through, ledger.through_ms).ms
        return shown_state(manifest, ledger.applied_through, 0, applied_ms=applied_ms, has_base=True)

    def check(self, target: DuckDbTarget, mode: Mode) -> None:
        assert self.state(target, mode) == "CONSISTENT"
        report = verify(self.table, self.landing, target, "orders", mode, self.clock, deadline_seconds=1)
        assert report.verified, report.to_json()


def shown(target: DuckDbTarget, manifest: Manifest, mode: Mode) -> dict[str, int]:
    """Key to value, as a reader sees it."""
    batches = list(target.rows(table_spec(manifest, "orders", mode)))
    if not batches:
        return {}
    return {row["pk"]: int(row["value"]) for row in pa.Table.from_batches(batches).to_pylist()}
