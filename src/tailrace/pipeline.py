"""A configuration put to work: what every command calls, as Python with typed results.

>>> from tailrace import Pipeline                                   # doctest: +SKIP
>>> Pipeline.from_config("tailrace.toml").run(until_caught_up=True)  # doctest: +SKIP
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from tailrace.aws import Aws
from tailrace.capture.exports import DynamoDbExportSource
from tailrace.capture.streams import DynamoDbStreamSource
from tailrace.capture.table import DynamoDbTable
from tailrace.clock import Budget, Clock, SystemClock
from tailrace.config import Base, Config, load_config
from tailrace.decide.base import is_base_read
from tailrace.decide.compact import files
from tailrace.decide.lease import is_held
from tailrace.decide.load import (
    BASE_LIMITS,
    Every,
    LoadLimits,
    LoadRule,
    due,
    shown_state,
    watermark,
    weighted_percentile,
    when_told,
)
from tailrace.decide.windows import moment_text, window_text
from tailrace.errors import NotFound, TailraceError, UsageInvalid
from tailrace.jobs.backfill import Backfiller, BackfillReport, BackfillSettings
from tailrace.jobs.base_export import BaseExporter
from tailrace.jobs.capture import Capturer, CaptureReport, CaptureSettings
from tailrace.jobs.compact import Compactor, CompactReport, CompactSettings
from tailrace.jobs.exports import ExportCapturer, Exporter, ExportSettings
from tailrace.jobs.lease import LoaderLease
from tailrace.jobs.load import LoadEngine, Loader, LoadReport, check_zone, table_spec, unloaded
from tailrace.jobs.publish import LOOK_SECONDS, LambdaCapturer
from tailrace.jobs.repair import Repairer, RepairReport
from tailrace.jobs.replay import ReplayReport, replay
from tailrace.jobs.verify import VerifyReport, verify
from tailrace.jobs.why import Destination, SegmentStory, find_orphan, find_segment, tell
from tailrace.landing import Landing, Store, open_store, split_url
from tailrace.model.lease import Lease
from tailrace.model.manifest import Gap, Manifest
from tailrace.opening import open_target
from tailrace.runtimes.holders import is_gone, new_holder
from tailrace.targets.target import Layout, TableSpec, Target

PAGE_SECONDS: Final = 10.0  # an answer of Scan takes a fraction of one

AnyCapturer: TypeAlias = Capturer | LambdaCapturer | ExportCapturer
AnyBackfiller: TypeAlias = Backfiller | BaseExporter
# Of one load on Spark. Its ledger rows, one a segment, lie in the table's own document until the next load.
SPREAD_LIMITS: Final = LoadLimits(segments=10_000, rows=1 << 40, bytes=1 << 50)
WHOLE_LOOKS: Final = ("iceberg", "delta")  # targets whose every load looks at the keys of all rows that stand
NOTHING_YET: Final = (
    "nothing was captured yet: `tailrace run` does, and its log or `tailrace doctor` says what keeps it"
)
READERS: Final = 2  # files that one load reads at once: half of a store's answer is waiting

COMPACT_THREADS: Final = 8  # small objects are read and deleted: it is the waiting that takes long


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How one target stands. `watermark_ms`: every change before it is applied; None while a gap hides it.

    `waiting_since_ms`: when the oldest segment that is not applied was published; `due_since_ms`: since when the table's rule
    lets it be loaded, None where nothing is due. `next_load_ms`: when segments that wait for their time are. `loader`: who
    loads.
    `problem`: why the target could not be asked; then only its name, kind, mode and rule are known.
    """

    name: str
    kind: str
    mode: str
    rows: int = 0
    segments_unloaded: int = 0
    waiting_since_ms: int | None = None
    watermark_ms: int | None = None
    lag_seconds: float | None = None
    latency_ms_p50: int | None = None  # from the write to the committed load, over the newest loads
    latency_ms_p99: int | None = None
    problem: str = ""
    load: LoadRule = "continuous"
    due_since_ms: int | None = None
    next_load_ms: int | None = None
    loader: Lease | None = None


@dataclass(frozen=True, slots=True)
class TableStatus:
    """How one table stands, everywhere. `files`: the objects that its segments lie in.

    `base_since_ms`: when the base that is being read, by `base`, came last one step further; None: none is.
    `problem`: why its manifest could not be read; then its state is FAILED, and only its name and mode are known.
    """

    table: str
    capture: str  # streams, exports or lambda
    state: str
    reason: str
    captured_through_ms: int | None
    capture_lag_seconds: float | None
    marks: dict[str, str | None]
    segments: int
    segment_bytes: int
    unloaded: int
    targets: tuple[TargetStatus, ...]
    gaps: tuple[Gap, ...]
    quarantined: int
    files: int = 0
    base: Base = "none"
    base_since_ms: int | None = None
    problem: TailraceError | None = None


@dataclass(frozen=True, slots=True)
class TableRun:
    """What a run did for one table; `backfill` where its base is scanned.

    `errors`: the last failure of "capture", "backfill", "compact" and of each target that has not recovered since.
    """

    table: str
    capture: CaptureReport
    backfill: BackfillReport | None = None
    loads: dict[str, LoadReport] = field(default_factory=dict)
    compaction: CompactReport = field(default_factory=CompactReport)
    errors: dict[str, TailraceError] = field(default_factory=dict)

    @property
    def error(self) -> TailraceError | None:
        """The first of them."""
        return next(iter(self.errors.values()), None)

    @property
    def quarantined(self) -> int:
        return self.capture.quarantined + sum(load.quarantined for load in self.loads.values())


class Pipeline:
    """One configuration file's tables, landing zone and targets. Opens nothing before it is needed."""

    def __init__(self, config: Config, base: Path, clock: Clock | None = None) -> None:
        self.config = config
        self.base = base
        self.clock = clock or SystemClock()
        self.aws = Aws(config.source.aws())
        self._starting_spark = threading.Lock()  # threads of a run share one session

    @classmethod
    def from_config(cls, path: str | Path, clock: Clock | None = None) -> Pipeline:
        """Read a ``tailrace.toml``; relative paths in it are relative to its folder. Raises ConfigInvalid."""
        path = Path(path)
        return cls(load_config(path), path.absolute().parent, clock)

    # ---- the parts

    def tables(self, pattern: str = "*") -> list[str]:
        """Configured tables that a glob matches, in the file's order. Raises UsageInvalid when it matches none."""
        found = [table for table in self.config.tables if fnmatch.fnmatchcase(table, pattern)]
        if not found:
            raise UsageInvalid(
                f"No configured table matches {pattern!r:.80}", hint=f"Configured are: {', '.join(self.config.tables)}."
            )
        return found

    def table(self, name: str) -> str:
        """A configured table by its whole name. Raises UsageInvalid."""
        if name not in self.config.tables:
            raise UsageInvalid(
                f"There is no table {name!r:.80} in the configuration",
                hint=f"Configured are: {', '.join(self.config.tables)}.",
            )
        return name

    @functools.cached_property
    def store(self) -> Store:
        is_s3 = self.config.landing.url.startswith("s3:")
        store = open_store(self.config.landing.url, self.aws.client("s3") if is_s3 else None, self.base)
        store.probe()
        return store

    @functools.cached_property
    def dynamodb(self) -> Any:
        return self.aws.client("dynamodb", connections=32)

    @functools.cached_property
    def streams(self) -> Any:
        return self.aws.client("dynamodbstreams", connections=32, attempts=2)

    @functools.cache  # noqa: B019  (a pipeline lives as long as its process)
    def landing(self, table: str) -> Landing:
        return Landing(self.store, table)

    @functools.cache  # noqa: B019
    def target(self, name: str) -> Target:
        return open_target(name, self.config.targets[name], self.aws, self.base, self.clock)

    def capturer(self, table: str, on_published: Callable[[Manifest], None] = lambda manifest: None) -> AnyCapturer:
        if self.config.by_exports(table):
            return self._export_capturer(table, on_published)
        defaults = CaptureSettings()
        rule = functools.partial(self.config.rule, table)
        by_lambda = self.config.by_lambda(table)
        settings = CaptureSettings(
            start=rule("start", defaults.start),
            flush_bytes=rule("flush_bytes", defaults.flush_bytes),
            flush_seconds=rule("flush_seconds", LOOK_SECONDS if by_lambda else defaults.flush_seconds),
            heartbeat_seconds=rule("heartbeat_seconds", defaults.heartbeat_seconds),
            workers=rule("workers", defaults.workers),
            has_base=self.config.base_of(table) != "none",
            config_hash=self.config.hash_of(table),
        )
        source = DynamoDbStreamSource(self.dynamodb, self.streams, table)
        kind = LambdaCapturer if by_lambda else Capturer
        return kind(source, self.landing(table), settings, self.clock, secrets.token_hex(8), on_published=on_published)

    def _export_capturer(self, table: str, on_published: Callable[[Manifest], None]) -> ExportCapturer:
        return ExportCapturer(
            DynamoDbExportSource(self.dynamodb, table),
            DynamoDbTable(self.dynamodb, table),
            self.landing(table),
            self._export_settings(table),
            self.clock,
            secrets.token_hex(8),
            on_published=on_published,
        )

    def _export_settings(self, table: str) -> ExportSettings:
        _, bucket, prefix = split_url(self.config.landing.url)
        return ExportSettings(
            bucket=bucket,
            root=f"{prefix}/{table}".lstrip("/"),
            rule=self.config.windows_of(table),
            enable_recovery=self.config.rule(table, "enable_pitr", False),
            config_hash=self.config.hash_of(table),
        )

    def backfiller(self, table: str, on_published: Callable[[Manifest], None] = lambda manifest: None) -> AnyBackfiller:
        """For a table whose base is a scan or an export beside its stream."""
        if self.config.base_of(table) == "export":
            return BaseExporter(
                DynamoDbExportSource(self.dynamodb, table),
                self.landing(table),
                self._export_settings(table),
                self.clock,
                secrets.token_hex(8),
                on_published=on_published,
            )
        defaults = BackfillSettings()
        rule = functools.partial(self.config.rule, table)
        settings = BackfillSettings(
            scan_segments=rule("scan_segments", defaults.scan_segments),
            units=rule("backfill_units", defaults.units),
            flush_bytes=rule("flush_bytes", defaults.flush_bytes),
            flush_seconds=max(rule("flush_seconds", 0.0), defaults.flush_seconds),
            workers=rule("workers", defaults.workers),
        )
        # A client of its own: its scans are raw, it backs off itself, and a page that hangs must not outlive a budget.
        client = self.aws.client("dynamodb", connections=settings.workers + 1, attempts=0, read_seconds=PAGE_SECONDS)
        return Backfiller(
            DynamoDbTable(client, table, raw=True),
            lambda: DynamoDbExportSource(self.dynamodb, table).incarnation().table_id,
            self.landing(table),
            settings,
            self.clock,
            secrets.token_hex(8),
            on_published=on_published,
        )

    def repairer(self, table: str, on_published: Callable[[Manifest], None] = lambda manifest: None) -> Repairer:
        """For a table with a gap; does nothing where none is being repaired."""
        backups, landing = DynamoDbExportSource(self.dynamodb, table), self.landing(table)
        by_exports = self.config.by_exports(table)
        can_export = self.config.landing.url.startswith("s3:")
        return Repairer(
            landing,
            None if by_exports else DynamoDbStreamSource(self.dynamodb, self.streams, table),
            backups,
            DynamoDbTable(self.dynamodb, table),
            Exporter(backups, landing, self._export_settings(table), self.clock) if can_export else None,
            self.clock,
            secrets.token_hex(8),
            has_base=self.config.base_of(table) != "none",
            on_published=on_published,
        )

    def loader(self, table: str, target: str, *, everything: bool = False, take_over: bool = False) -> Loader:
        """`everything`: whatever the table's rule leaves until later, too. `take_over`: beside another one that is at work."""
        rule = self.config.load_rule_of(table)
        lease = LoaderLease(
            self.landing(table), target, new_holder(), self.clock, is_gone=is_gone, takes_over=take_over, keeps=True
        )
        size = self.config.rule(table, "load_bytes", LoadLimits().bytes)
        limits = LoadLimits(bytes=size, base_times=BASE_LIMITS if self.target(target).kind in WHOLE_LOOKS else 1)
        mode = self.config.mode_of(table, target)
        engine = None
        if self.config.engine_of(table, target) == "spark":
            limits, engine = SPREAD_LIMITS, self._spark_loads(table, target)
        return Loader(
            self.landing(table),
            self.target(target),
            self.config.name_of(table),
            mode,
            self.clock,
            limits,
            when_told(rule) if everything else rule,
            lease,
            threads=READERS,
            ahead=ThreadPoolExecutor(1, thread_name_prefix="tailrace-ahead"),
            layout=self._layout(table, target),
            engine=engine,
        )

    def _spark_loads(self, table: str, target: str) -> LoadEngine:
        from tailrace.runtimes.spark.loads import SparkLoads
        from tailrace.runtimes.spark.tasks import Site
        from tailrace.targets.iceberg import IcebergTarget

        place = self.target(target)
        assert isinstance(place, IcebergTarget), "the configuration was checked"
        config = self.config.spark
        site = Site(self.config.landing.url, str(self.base), table, self.config.source.aws())
        return SparkLoads(self._spark, place, site, config.part_bytes, config.range_bytes)

    @functools.cached_property
    def _spark(self) -> Any:
        from tailrace.runtimes.spark.session import session

        with self._starting_spark:
            return session(self.config.spark.settings)

    def _layout(self, table: str, target: str) -> Layout:
        rules = self.config.tables[table]
        sort_key = None if rules.sort_key is None else tuple(rules.sort_key)
        return Layout(self.config.shape_of(table, target), rules.dist_key, sort_key)

    def _spec(self, table: str, target: str, manifest: Manifest) -> TableSpec:
        mode, layout = self.config.mode_of(table, target), self._layout(table, target)
        return table_spec(manifest, self.config.name_of(table), mode, layout)

    def compactor(self, table: str) -> Compactor:
        defaults = CompactSettings()
        settings = CompactSettings(
            target_bytes=self.config.rule(table, "compact_bytes", defaults.target_bytes),
            grace_seconds=self.config.rule(table, "compact_grace", defaults.grace_seconds),
            threads=COMPACT_THREADS,
        )
        return Compactor(self.landing(table), settings, self.clock, secrets.token_hex(8))

    # ---- jobs

    def run(
        self,
        *,
        tables: str = "*",
        until_caught_up: bool = False,
        budget_seconds: float | None = None,
        capture: bool = True,
        backfill: bool = True,
        load: bool = True,
        compact: bool = True,
        load_all: bool = False,
        take_over: bool = False,
        target: str | None = None,
        stop: threading.Event | None = None,
        on_change: Callable[[TableRun], None] = lambda run: None,
    ) -> list[TableRun]:
        """Capture, scan, load and compact until `stop`, the budget's end, or (`until_caught_up`) until nothing is left to do.

        What a table's `load` setting leaves until later is left, except with `load_all`. A loader that is at work elsewhere is
        waited for, except with `take_over`. With `target` only that one is loaded. One table's trouble does not stop the
        others: it is logged, shown in the result, and tried again. Raises UsageInvalid where no table goes to the target.
        """
        from tailrace.runtimes.daemon import Daemon

        budget = Budget(self.clock, budget_seconds, stop)
        chosen = self.tables(tables)
        if target is not None and not any(target in self.config.targets_of(table) for table in chosen):
            raise UsageInvalid(
                f"No table of these goes to a target {target!r:.80}",
                hint=f"Configured are: {', '.join(self.config.targets)}. Which tables go where, each table's `targets` says.",
            )
        daemon = Daemon(
            self,
            chosen,
            budget,
            until_caught_up,
            on_change,
            load_all=load_all,
            take_over=take_over,
            target=target,
        )
        return daemon.run(capture=capture, backfill=backfill, load=load, compact=compact)

    def verify(
        self,
        *,
        tables: str = "*",
        target: str | None = None,
        deadline_seconds: float = 60.0,
        on_progress: Callable[[str, int], None] = lambda what, done: None,
    ) -> Iterator[VerifyReport]:
        """Compare every item of each table with each of its targets; yields a report for each pair.

        Keys that differ are looked at again for at most `deadline_seconds`. `on_progress`: what is done, and how much of it.
        """
        for table in self.tables(tables):
            for name in self._targets_of(table, target):
                yield verify(
                    DynamoDbTable(self.dynamodb, table),
                    self.landing(table),
                    self.target(name),
                    self.config.name_of(table),
                    self.config.mode_of(table, name),
                    self.clock,
                    deadline_seconds=deadline_seconds,
                    on_progress=on_progress,
                    layout=self._layout(table, name),
                )

    def repair(
        self,
        table: str,
        *,
        full: bool = False,
        budget_seconds: float | None = None,
        stop: threading.Event | None = None,
        on_change: Callable[[RepairReport], None] = lambda report: None,
    ) -> RepairReport:
        """Begin the repair that a table needs, or go on with the one under way, until it is complete or the budget is spent.

        `full`: a new base in any case. Targets become whole with the next load. Whoever runs `run` meanwhile helps.
        """
        from tailrace.runtimes.repairs import carry_on

        return carry_on(self, self.table(table), Budget(self.clock, budget_seconds, stop), full, on_change)

    def replay(self, table: str, name: str) -> ReplayReport:
        """Land the records of one quarantine object again; the next load applies them."""
        return replay(self.landing(self.table(table)), name, self.clock, secrets.token_hex(8))

    def query(self, sql: str, target: str | None = None) -> Any:
        """One read-only statement on a target (the first configured one); a pyarrow Table."""
        name = target or next(iter(self.config.targets))
        if name not in self.config.targets:
            raise UsageInvalid(
                f"There is no target {name!r:.80}", hint=f"Configured are: {', '.join(self.config.targets)}."
            )
        return self.target(name).query(sql)

    # ---- how things stand

    def status(self, *, tables: str = "*") -> list[TableStatus]:
        """Every table's state, from its manifest and its targets' ledgers. One table's trouble hides nothing of the others."""
        return [self._status_of(table) for table in self.tables(tables)]

    def _status_of(self, table: str) -> TableStatus:
        capture = self.config.rule(table, "capture", "streams")
        nothing = TableStatus(table, capture, "NEW", NOTHING_YET, None, None, {}, 0, 0, 0, (), (), 0)
        try:
            landing = self.landing(table)
            published, quarantined = landing.load(), landing.quarantine_count()
        except TailraceError as error:
            return replace(nothing, state="FAILED", reason=f"{error} {error.hint}".strip(), problem=error)
        if published is None:
            return replace(nothing, quarantined=quarantined)
        manifest = published.manifest
        targets = tuple(self._target_status(table, name, manifest) for name in self.config.targets_of(table))
        base = self.config.base_of(table)
        has_base = base != "none"
        watermarks = [t.watermark_ms for t in targets if not t.problem]
        applied_ms = None if None in watermarks else min((ms for ms in watermarks if ms is not None), default=None)
        applied = min((manifest.next_number - 1 - t.segments_unloaded for t in targets if not t.problem), default=0)
        return TableStatus(
            table=table,
            capture=capture,
            state=shown_state(manifest, applied, quarantined, applied_ms=applied_ms, has_base=has_base),
            reason=_reason(manifest, quarantined),
            captured_through_ms=manifest.captured_through_ms,
            capture_lag_seconds=self._lag(manifest.captured_through_ms),
            marks=_marks(manifest),
            segments=manifest.next_number - 1,
            segment_bytes=manifest.counters.get("bytes", 0),
            unloaded=max((t.segments_unloaded for t in targets), default=0),
            targets=targets,
            gaps=manifest.open_gaps,
            quarantined=quarantined,
            files=files(manifest),
            base=base,
            base_since_ms=self._base_since_ms(table, manifest) if has_base else None,
        )

    def _base_since_ms(self, table: str, manifest: Manifest) -> int | None:
        scan, export = manifest.scan, manifest.base_export
        if is_base_read(manifest):
            return None
        if scan is not None and scan.epoch == manifest.epoch:
            read = self.landing(table).segments(manifest, after=scan.last_number - 1) if scan.last_number else iter(())
            newest = next(read, None)
            return scan.begun_ms if newest is None else max(scan.begun_ms, newest.published_ms)
        return export.begun_ms if export is not None and export.epoch == manifest.epoch else None

    def _target_status(self, table: str, name: str, manifest: Manifest) -> TargetStatus:
        target, mode, rule = self.target(name), self.config.mode_of(table, name), self.config.load_rule_of(table)
        loader = None
        try:
            loader = self._loader_of(table, name)
            ledger = target.ledger(self._spec(table, name, manifest))
            check_zone(self.landing(table), manifest, ledger)
        except TailraceError as error:  # one target's trouble hides nothing of the others
            problem = f"{error.message} {error.hint}".strip()
            count = manifest.next_number - 1
            return TargetStatus(
                name, target.kind, mode, segments_unloaded=count, problem=problem, load=rule, loader=loader
            )
        listed = self.landing(table).segments(manifest, after=ledger.applied_through)
        unapplied = (segment for segment in listed if not ledger.holds(segment.number))
        waiting = list(unapplied if isinstance(rule, Every) else itertools.islice(unapplied, 1))
        oldest_ms = min((segment.published_ms for segment in waiting), default=None)
        is_due = due(rule, self.clock.now_ms(), waiting, manifest.next_number - 1)
        due_since_ms = None
        if oldest_ms is not None and waiting[0].number <= is_due.through:
            due_since_ms = rule.load_ms(oldest_ms) if isinstance(rule, Every) else oldest_ms
        mark = watermark(manifest, ledger.applied_through, ledger.through_ms).ms
        recent = ledger.recent
        return TargetStatus(
            name=name,
            kind=target.kind,
            mode=mode,
            load=rule,
            rows=ledger.rows,
            segments_unloaded=unloaded(manifest, ledger),
            waiting_since_ms=oldest_ms,
            due_since_ms=due_since_ms,
            next_load_ms=is_due.again_ms,
            loader=loader,
            watermark_ms=mark,
            lag_seconds=self._lag(mark),
            latency_ms_p50=weighted_percentile(
                [(r.lag_ms_p50, r.rows) for r in recent if r.lag_ms_p50 is not None], 0.5
            ),
            latency_ms_p99=weighted_percentile(
                [(r.lag_ms_p99, r.rows) for r in recent if r.lag_ms_p99 is not None], 0.99
            ),
        )

    def _loader_of(self, table: str, target: str) -> Lease | None:
        """The lease of whoever loads now."""
        lease = self.landing(table).lease(target).lease
        return lease if is_held(lease, self.clock.now_ms()) else None

    def why(self, name: str) -> SegmentStory:
        """The life of one segment: by its name in the landing zone, a part that is unique, or the path or URL of its object."""
        tables, name = self._place_of(name)
        for table in tables:
            published = self.landing(table).load()
            segment = None if published is None else find_segment(self.landing(table), published.manifest, name)
            if published is not None and segment is not None:
                places = [
                    self._destination(table, target, published.manifest) for target in self.config.targets_of(table)
                ]
                return tell(self.landing(table), published.manifest, segment, places, self.clock.now_ms())
        for table in tables:
            orphan = find_orphan(self.landing(table), name)
            if orphan is not None:
                return orphan
        raise NotFound(
            f"No manifest lists a segment {name!r:.80}",
            hint="It was never published, so nothing of it counts, or its table is not in this configuration.",
        )

    def _place_of(self, name: str) -> tuple[list[str], str]:
        """The tables that may have a segment of that name, and its name in their folders."""
        if name.startswith(("s3:", "file:", "/")):
            url, place = self.store.url, name
            if not name.startswith("s3:"):
                url = unquote(urlsplit(url).path)
                place = unquote(urlsplit(name).path) if name.startswith("file:") else name
            if not place.startswith(f"{url}/"):
                raise UsageInvalid(f"{name!r:.200} is not in the landing zone", hint=f"That is {self.store.url}.")
            name = place.removeprefix(f"{url}/")
        table, _, rest = name.partition("/")
        return ([table], rest) if table in self.config.tables and rest else (self.tables(), name)

    def _destination(self, table: str, target: str, manifest: Manifest) -> Destination:
        return Destination(self.target(target), self._spec(table, target, manifest), self.config.load_rule_of(table))

    # ---- inside

    def _targets_of(self, table: str, only: str | None) -> Sequence[str]:
        targets = self.config.targets_of(table)
        if only is not None and only not in targets:
            raise UsageInvalid(
                f"{table} does not go to a target {only!r:.80}", hint=f"It goes to: {', '.join(targets)}."
            )
        return targets if only is None else [only]

    def _lag(self, through_ms: int | None) -> float | None:
        return None if through_ms is None else max(0.0, (self.clock.now_ms() - through_ms) / 1000)


def _marks(manifest: Manifest) -> dict[str, str | None]:
    """How far each open shard is captured; of exports the moment of the full one, and the last and the next window."""
    if manifest.exports is None:
        open_shards = {i: s for i, s in manifest.shards.items() if s.finished_ms is None}
        return {i: None if s.mark is None else str(s.mark) for i, s in open_shards.items()}
    exports = manifest.exports
    marks = {"full export": None if exports.base is None else moment_text(exports.base)}
    if exports.windows:
        marks["last window"] = window_text(exports.windows[-1].window)
    if exports.under_way:
        plan = exports.under_way[0]
        what = f"full-{moment_text(plan.moment)}" if plan.window is None else window_text(plan.window)
        marks["under way"] = what + (f", attempt {plan.attempt} after: {plan.failure}" if plan.failure else "")
    return marks


def _reason(manifest: Manifest, quarantined: int) -> str:
    """One sentence behind a state that is not CONSISTENT; empty where there is nothing to say."""
    if manifest.open_gaps:
        gap = manifest.open_gaps[0]
        return f"changes are missing{f' of shard {gap.shard}' if gap.shard else ''}: {gap.reason}"
    if manifest.pause is not None:
        return f"{manifest.pause.reason} ({manifest.pause.action})"
    return f"{quarantined} records are set aside, see `tailrace quarantine list`" if quarantined else ""
