"""What replicating a table will cost, how fresh it will be, and which way fits. Values in, values out; money in exact decimals.

A way is how changes are captured and when they are loaded. Each way has a few settings that trade freshness for money; of those
that are fresh enough the cheapest is shown. Every line of a bill is a quantity times a price, and says where the quantity
comes from, so that a reader can recompute it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal, TypeAlias

from tailrace.model.prices import Price, PriceTable

MONTH: Final = Decimal(730 * 3600)  # seconds, as AWS's own calculator has it
GB: Final = Decimal(10**9)

# Measured, on the machine and with the tools that docs/plan.md names.
RECORD_CPU_US: Final = Decimal(15)  # to capture a record: so much,
BYTE_CPU_US: Final = Decimal("0.1")  # and so much for each byte of its item
LANDED_RECORD_BYTES: Final = Decimal(20)  # of a record in a segment, compressed: so much,
LANDED_SHARE: Final = Decimal("0.5")  # and so much of its item's bytes
LINE_RECORD_BYTES: Final = Decimal(300)  # of a record before compression, also in a Lambda event: so much,
LINE_SHARE: Final = Decimal(2)  # and so many times its item's bytes
FLUSH_WRITES: Final = 2  # S3 requests of a flush of `run`, its load included
FLUSH_READS: Final = 2
LOOK_SECONDS: Final = 10  # how often an idle `run` reads one object
TICK_WRITES: Final = 9  # S3 requests of one `run --until-caught-up` that finds changes
TICK_READS: Final = 9
TICK_POLLS: Final = 5  # its GetRecords calls for each shard
TICK_SECONDS: Final = 5
FUNCTION_RECORD_BYTES: Final = Decimal(530)  # of a record in an event for Lambda, and LINE_SHARE times its item's bytes
OBJECT_WRITES: Final = 6  # S3 requests of a function that is told of a file: lists it and loads it
OBJECT_READS: Final = 7
SCHEDULE_WRITES: Final = 10  # S3 requests of a scheduled function that finds files, which it lists, proves and loads,
SCHEDULE_READS: Final = 12
FILE_READS: Final = 4  # and of each of the files
SCHEDULE_POLLS: Final = 4  # its GetRecords calls for each shard, to prove that nothing is missing
LOAD_MEMORY_GB: Final = Decimal("0.5")  # of a function that loads few records at once (160 to 215 MB were needed),
LOAD_MEMORY_GB_MANY: Final = Decimal(1)  # or more of them
FEW_RECORDS: Final = 10_000
EXPORT_TICK_WRITES: Final = 4  # S3 requests of a tick that looks whether an export is due or done
EXPORT_TICK_READS: Final = 5
EXPORT_WRITES: Final = 12  # S3 requests of an export beside its data files, DynamoDB's and ours
EXPORT_READS: Final = 80
DUCKDB_LOAD_SECONDS: Final = Decimal("0.5")  # of a small load,
DUCKDB_RECORD_US: Final = Decimal(19)  # and so much for each record
DECODED_BYTES_A_SECOND: Final = Decimal(190 * 10**6)  # of lines, to Parquet, on one core: what other targets take
LAKE_WRITES: Final = {"parquet": 3, "delta": 11, "iceberg": 8}  # S3 requests of a small load into a lake on S3
LAKE_READS: Final = {"parquet": 4, "delta": 73, "iceberg": 45}

# Rules of Tailrace: settings and limits.
POLLS_IDLE: Final = 1  # GetRecords calls a second of an idle shard,
POLLS_BUSY: Final = 5  # and at most of a busy one
HEARTBEAT_SECONDS: Final = 60
FLUSH_BYTES: Final = 16 << 20
COMPACT_BYTES: Final = 64 * 10**6
PROVE_SECONDS: Final = 300  # how often files that functions land are proven to be all, where each is loaded by itself
EXPORT_TICK_SECONDS: Final = 300  # how often a tick looks whether an export is due, or done
LAKE_MEMORY_GB: Final = Decimal(3008) / 1024  # of a function that loads a lake
SCAN_UNITS: Final = 500  # read capacity units a second of a backfill
SCAN_GB_MAX: Final = 100  # of a larger table an export is the better base
CORE_SHARE_MAX: Final = Decimal("0.7")  # of one core, which a table's poller may need on average

# Rules and limits of AWS.
SHARD_GB: Final = 10
SHARD_WRITE_UNITS: Final = 1000
SHARDS_LEAST: Final = 4
SCAN_UNIT_BYTES: Final = 4096
EXPORT_GB_LEAST: Final = Decimal("0.01")
EXPORT_LAG_SECONDS: Final = 300
EXPORT_SECONDS: Final = 300  # of a small export, as seen; the slowest that we know of follows
EXPORT_SECONDS_MAX: Final = 720
LAMBDA_RECORDS_MAX: Final = 10_000
LAMBDA_EVENT_BYTES: Final = 6 * 10**6
LAMBDA_POLL_SECONDS: Final = Decimal("0.25")
LAMBDA_CORE_GB: Final = Decimal(1769) / 1024  # the memory that comes with one core
REDSHIFT_SECONDS_LEAST: Final = 60

# Assumed, measured by nobody yet.
CAPTURE_MEMORY_GB: Final = Decimal("0.25")
CAPTURE_WAIT_SECONDS: Final = Decimal("0.1")  # what a capture function waits for S3, each call
TICK_WAIT_SECONDS: Final = Decimal(1)  # of a scheduled function that finds nothing to load
POSTGRES_LOAD_SECONDS: Final = Decimal(1)  # that the loader waits for the target, each load
REDSHIFT_LOAD_SECONDS: Final = Decimal(15)
LAKE_LOAD_SECONDS: Final = Decimal(5)
REDSHIFT_RPU: Final = 8
FARGATE_START_SECONDS: Final = 60

Target: TypeAlias = Literal["duckdb", "postgres", "redshift", "parquet", "delta", "iceberg"]
Part: TypeAlias = Literal["capture", "landing", "load", "machine", "pitr", "redshift", "lake"]
APART: Final[tuple[Part, ...]] = ("pitr", "redshift")  # what the subtotal leaves out


@dataclass(frozen=True, slots=True)
class TableSize:
    """What the bill depends on. `shards`: open shards of its stream, as seen; None where nobody looked."""

    items: int
    item_bytes: int
    writes_per_second: Decimal
    shards: int | None = None

    def __post_init__(self) -> None:
        assert self.items > 0 < self.item_bytes, self
        assert self.writes_per_second >= 0, self

    @property
    def bytes(self) -> int:
        return self.items * self.item_bytes

    @property
    def gb(self) -> Decimal:
        return self.bytes / GB

    @property
    def write_units(self) -> Decimal:
        """Write capacity units a second."""
        return self.writes_per_second * -(-self.item_bytes // 1024)

    @property
    def open_shards(self) -> int:
        if self.shards is not None:
            return self.shards
        by_writes = int(_whole(self.write_units / SHARD_WRITE_UNITS))
        return max(SHARDS_LEAST, int(_whole(self.gb / SHARD_GB)), by_writes)

    @property
    def writes(self) -> Decimal:
        """In a month."""
        return self.writes_per_second * MONTH

    @property
    def changed_gb(self) -> Decimal:
        """Of the items that are written in a month."""
        return self.writes * self.item_bytes / GB

    @property
    def landed_gb(self) -> Decimal:
        """Of a month's changes in the landing zone."""
        return self.writes * (LANDED_RECORD_BYTES + LANDED_SHARE * self.item_bytes) / GB

    @property
    def line_bytes(self) -> Decimal:
        return LINE_RECORD_BYTES + LINE_SHARE * self.item_bytes

    @property
    def record_seconds(self) -> Decimal:
        """Of CPU time, to capture one record."""
        return (RECORD_CPU_US + BYTE_CPU_US * self.item_bytes) / 10**6


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill: `quantity` units of `price`; `how` the quantity comes about."""

    part: Part
    quantity: Decimal
    how: str
    price: Price

    @property
    def amount(self) -> Decimal:
        return self.price.of(self.quantity)


@dataclass(frozen=True, slots=True)
class Way:
    """How to capture and when to load. Seconds from a write until it can be queried, usual and at most, without faults.

    `settings`: of the table in ``tailrace.toml``, in TOML. `runs`: what has to run. `obstacles`: why it does not do, freshness
    aside; empty where it does. `base`: the only base it can have; empty: any.
    """

    name: str
    settings: Mapping[str, str]
    runs: str
    usual_seconds: Decimal
    most_seconds: Decimal
    monthly: tuple[Line, ...]
    obstacles: tuple[str, ...] = ()
    base: str = ""

    @property
    def month(self) -> Decimal:
        return total(self.monthly)

    @property
    def month_apart(self) -> Decimal:
        """Without point-in-time recovery and Redshift."""
        return total(line for line in self.monthly if line.part not in APART)

    def fits(self, freshness_seconds: int) -> bool:
        return not self.obstacles and self.most_seconds <= freshness_seconds


@dataclass(frozen=True, slots=True)
class Base:
    """How what the table holds already is read, once. `hours`: None where AWS decides."""

    name: str
    once: tuple[Line, ...]
    hours: Decimal | None
    note: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`ways`: the best settings of each, cheapest that fit first. `chosen`: None where none fits."""

    table: TableSize
    freshness_seconds: int
    target: Target
    ways: tuple[Way, ...]
    bases: tuple[Base, ...]

    @property
    def chosen(self) -> Way | None:
        return next((way for way in self.ways if way.fits(self.freshness_seconds)), None)

    def base_of(self, way: Way) -> Base:
        """The one it must have, else the scan of a table that is small enough for one, else the export."""
        name = way.base or ("scan" if self.table.gb <= SCAN_GB_MAX else "export")
        return next(base for base in self.bases if base.name == name)


def total(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


def make_plan(table: TableSize, freshness_seconds: int, target: Target, prices: PriceTable) -> Plan:
    """Every way with its best settings for this table and this wish."""
    site = _Site(table, target, prices)
    candidates = (
        [site.streams(flush, every) for flush in (1, 10, 60, 300, 900) for every in (0, *_PERIODS)],
        [site.streams_scheduled(every) for every in _PERIODS],
        [site.lambda_on_file(window) for window in (0, 1, 10, 60, 300)],
        [site.lambda_scheduled(window, every) for window in (10, 60, 120, 240, 300) for every in _PERIODS],
        [site.exports(window, window) for window in (900, 1800, 3600, 7200, 21_600, 86_400)],
        [site.exports(900, step) for step in (300, 450)],
    )
    best = [min(group, key=lambda way: _rank(way, freshness_seconds)) for group in candidates]
    best.sort(key=lambda way: _rank(way, freshness_seconds))
    return Plan(table, freshness_seconds, target, tuple(best), (site.scan(), site.full_export()))


_PERIODS: Final = (60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)


def _rank(way: Way, freshness_seconds: int) -> tuple[bool, bool, Decimal, Decimal]:
    """What fits first, by price; then what is not fresh enough, by freshness; then what does not do."""
    is_fresh = way.most_seconds <= freshness_seconds
    return bool(way.obstacles), not is_fresh, Decimal(0) if is_fresh else way.most_seconds, way.month


@dataclass(frozen=True, slots=True)
class _Site:
    """The bills of one table at one place."""

    table: TableSize
    target: Target
    prices: PriceTable

    # ---- the ways

    def streams(self, flush: int, every: int) -> Way:
        """`tailrace run` all the time; `every` 0: it loads what is there at once."""
        table = self.table
        by_size = table.writes * table.line_bytes / FLUSH_BYTES
        flushes = _whole(max(_cycles(table.writes_per_second, Decimal(flush)), by_size))
        heartbeats = max(Decimal(0), _whole(MONTH / HEARTBEAT_SECONDS - flushes))
        loads = self._one_after_another(_whole(_cycles(table.writes_per_second, Decimal(every))) if every else flushes)
        load_seconds = self._load_seconds(loads)
        rate = min(Decimal(POLLS_BUSY), POLLS_IDLE + (POLLS_BUSY - 1) * table.writes_per_second / table.open_shards)
        shards = table.open_shards
        lines = [
            self._line("capture", "streams_read", _whole(shards * rate * MONTH),
                       f"{shards} shards × {_n(rate)} calls a second × {_n(MONTH)} s"),
            self._line("landing", "s3_write", FLUSH_WRITES * flushes + heartbeats,
                       f"{_n(flushes)} flushes × {FLUSH_WRITES} + {_n(heartbeats)} signs of life"),
            self._line("landing", "s3_read", FLUSH_READS * flushes + _whole(MONTH / LOOK_SECONDS),
                       f"{_n(flushes)} flushes × {FLUSH_READS} + one every {LOOK_SECONDS} s"),
            *self._kept(flushes),
            *self._machine(MONTH / 3600, "730 hours"),
            *self._held(loads),
        ]  # fmt: skip
        settings = {"flush_seconds": str(flush)} | ({"load": f'{{ every = "{duration(every)}" }}'} if every else {})
        return Way(
            "streams",
            settings,
            "tailrace run, all the time",
            Decimal(flush + every) / 2 + load_seconds,
            flush + every + (1 if every else 2) * load_seconds,
            tuple(lines),
            self._too_much_for_one() + self._too_much_to_load(),
        )

    def streams_scheduled(self, every: int) -> Way:
        """A tick that catches up, from cron or a scheduled container."""
        table, shards = self.table, self.table.open_shards
        ticks = _whole(MONTH / every)
        loads = _whole(_cycles(table.writes_per_second, Decimal(every)))
        pages = _whole(table.writes / 1000)
        working = table.writes_per_second * every * (table.record_seconds + self._load_record_seconds)
        busy = working / min(Decimal(1), self._machine_size[0]) + TICK_SECONDS + self._load_wait
        start = 0 if self.target == "duckdb" else FARGATE_START_SECONDS
        hours = ticks * max(busy, Decimal(60)) / 3600
        lines = [
            self._line("capture", "streams_read", ticks * shards * TICK_POLLS + pages,
                       f"{_n(ticks)} ticks × {shards} shards × {TICK_POLLS} + {_n(pages)} full pages"),
            self._line("landing", "s3_write", ticks * TICK_WRITES, f"{_n(ticks)} ticks × {TICK_WRITES}"),
            self._line("landing", "s3_read", ticks * TICK_READS, f"{_n(ticks)} ticks × {TICK_READS}"),
            *self._kept(loads),
            *self._machine(hours, f"{_n(ticks)} ticks × {_n(max(busy, Decimal(60)))} s"),
            *([] if self.target == "duckdb" else [self._line("machine", "scheduler", ticks, f"{_n(ticks)} ticks")]),
            *self._held(loads),
        ]  # fmt: skip
        return Way(
            "streams-scheduled",
            {},
            f"tailrace run --until-caught-up, every {duration(every)}",
            Decimal(every) / 2 + start + busy,
            every + start + busy,
            tuple(lines),
            self._too_much_for_one() + self._too_much_to_load(),
        )

    def lambda_on_file(self, window: int) -> Way:
        """A function on the stream, one on each file that it lands, and one that proves that nothing is missing."""
        calls, lines = self._captured_by_lambda(window)
        load_seconds, ticks = self._load_seconds(calls), _whole(MONTH / PROVE_SECONDS)
        lines += [
            *self._proven(ticks),
            self._line("landing", "s3_write", calls * (1 + OBJECT_WRITES) + ticks * SCHEDULE_WRITES,
                       f"{_n(calls)} files × {1 + OBJECT_WRITES} + {_n(ticks)} ticks × {SCHEDULE_WRITES}"),
            self._line("landing", "s3_read", calls * (OBJECT_READS + FILE_READS) + ticks * SCHEDULE_READS,
                       f"{_n(calls)} files × {OBJECT_READS + FILE_READS} + {_n(ticks)} ticks × {SCHEDULE_READS}"),
            *self._kept(calls),
            *self._loaded_by_lambda(calls + ticks, calls),
            self._line("load", "scheduler", ticks, f"{_n(ticks)} ticks"),
            *self._held(calls),
        ]  # fmt: skip
        obstacles = [*self._no_lambda(), *self._too_much_to_load()]
        if calls * load_seconds > CORE_SHARE_MAX * MONTH:
            obstacles.append(f"loading {_n(calls)} files one by one takes more time than there is")
        return Way(
            "lambda-on-file",
            {"capture": '"lambda"', "load": '"on_file"'},
            f"capture behind the stream, MaximumBatchingWindowInSeconds {window}; on_object behind S3;"
            f" on_schedule every {duration(PROVE_SECONDS)}",
            Decimal(window) / 2 + load_seconds + 1,
            window + 2 * load_seconds + 1,
            tuple(lines),
            tuple(obstacles),
        )

    def lambda_scheduled(self, window: int, every: int) -> Way:
        """A function on the stream, and one that publishes and loads every so often."""
        calls, lines = self._captured_by_lambda(window)
        ticks = _whole(MONTH / every)
        loads = _whole(_cycles(self.table.writes_per_second, Decimal(every)))
        listings = _whole(calls / 1000)
        lines += [
            *self._proven(ticks),
            self._line("landing", "s3_write", calls + ticks * SCHEDULE_WRITES + listings,
                       f"{_n(calls)} files + {_n(ticks)} ticks × {SCHEDULE_WRITES} + {_n(listings)} further listings"),
            self._line("landing", "s3_read", calls * FILE_READS + ticks * SCHEDULE_READS,
                       f"{_n(calls)} files × {FILE_READS} + {_n(ticks)} ticks × {SCHEDULE_READS}"),
            *self._kept(calls),
            *self._loaded_by_lambda(ticks, loads),
            self._line("load", "scheduler", ticks, f"{_n(ticks)} ticks"),
            *self._held(loads),
        ]  # fmt: skip
        return Way(
            "lambda-scheduled",
            {"capture": '"lambda"'},
            f"capture behind the stream, MaximumBatchingWindowInSeconds {window}; on_schedule every {duration(every)}",
            Decimal(window) / 2 + Decimal(every) / 2 + self._load_seconds(loads),
            window + every + self._load_seconds(loads),
            tuple(lines),
            self._no_lambda() + self._too_much_to_load(),
        )

    def exports(self, window: int, step: int) -> Way:
        """Windows of point-in-time recovery, each loaded as it is there."""
        table, shards = self.table, self.table.open_shards
        exports = _whole(MONTH / step)
        changed = table.changed_gb * window / step
        billed = max(changed, exports * EXPORT_GB_LEAST)
        how = f"{_n(exports)} windows × {EXPORT_GB_LEAST} GB, the least" if billed > changed else _windows(window, step)
        loads, ticks = self._one_after_another(exports), _whole(MONTH / EXPORT_TICK_SECONDS)
        name, waits = ("exports", window) if step == window else ("exports-sliding", step)
        landed, ticking = self.table.landed_gb * window / step, 2 * EXPORT_TICK_SECONDS
        lines = [
            self._line("pitr", "pitr", table.gb, "the table's size"),
            self._line("capture", "export_incremental", billed, how),
            self._line("landing", "s3_write", exports * (shards + EXPORT_WRITES) + ticks * EXPORT_TICK_WRITES,
                       f"{_n(exports)} windows × ({shards} data files + {EXPORT_WRITES})"
                       f" + {_n(ticks)} ticks × {EXPORT_TICK_WRITES}"),
            self._line("landing", "s3_read", exports * (shards + EXPORT_READS) + ticks * EXPORT_TICK_READS,
                       f"{_n(exports)} windows × ({shards} data files + {EXPORT_READS})"
                       f" + {_n(ticks)} ticks × {EXPORT_TICK_READS}"),
            self._stored(landed),
        ]  # fmt: skip
        if self.target != "duckdb":
            lines += [
                *self._loaded_by_lambda(ticks, loads),
                self._line("load", "scheduler", ticks, f"{_n(ticks)} ticks"),
            ]
        lines += self._held(loads)
        what = "tailrace run --until-caught-up" if self.target == "duckdb" else "on_schedule"
        settings = {"capture": '"exports"', "window": f'"{duration(window)}"'}
        if step != window:
            settings["step"] = f'"{duration(step)}"'
        return Way(
            name,
            settings,
            f"{what}, every {duration(EXPORT_TICK_SECONDS)}",
            Decimal(waits + ticking) / 2 + EXPORT_LAG_SECONDS + EXPORT_SECONDS + self._load_seconds(loads),
            waits + ticking + EXPORT_LAG_SECONDS + EXPORT_SECONDS_MAX + self._load_seconds(loads),
            tuple(lines),
            self._too_much_to_load(),
            base="export",
        )

    # ---- the base

    def scan(self) -> Base:
        units = _whole(Decimal(self.table.bytes) / SCAN_UNIT_BYTES)
        lines = (
            self._line("capture", "table_read", units, f"{_n(self.table.gb)} GB / {SCAN_UNIT_BYTES} bytes"),
            self._line("landing", "s3_write", 2 * self._base_files, f"{_n(self._base_files)} files × 2"),
        )
        note = (
            f"at backfill_units = {SCAN_UNITS}; a table on provisioned capacity pays nothing more, and needs the room"
        )
        return Base("scan", lines, units / SCAN_UNITS / 3600, note)

    def full_export(self) -> Base:
        files = self.table.open_shards + EXPORT_WRITES
        lines = (
            self._line("capture", "export_full", self.table.gb, "the table's size"),
            self._line("landing", "s3_write", Decimal(files), f"{self.table.open_shards} data files + {EXPORT_WRITES}"),
        )
        return Base("export", lines, None, "needs point-in-time recovery for as long, which is charged for")

    # ---- items of the bill

    def _load_seconds(self, loads: Decimal) -> Decimal:
        """How long one of so many loads a month takes, all equal."""
        return self._load_wait + (self.table.writes / loads if loads else 0) * self._load_record_seconds

    @property
    def _load_wait(self) -> Decimal:
        waits = {"duckdb": DUCKDB_LOAD_SECONDS, "postgres": POSTGRES_LOAD_SECONDS, "redshift": REDSHIFT_LOAD_SECONDS}
        return waits.get(self.target, LAKE_LOAD_SECONDS)

    @property
    def _load_record_seconds(self) -> Decimal:
        """Of CPU time."""
        if self.target == "duckdb":
            return DUCKDB_RECORD_US / 10**6
        return self.table.line_bytes / DECODED_BYTES_A_SECOND

    @property
    def _base_files(self) -> Decimal:
        return _whole(self.table.items * self.table.line_bytes / FLUSH_BYTES)

    def _line(self, part: Part, price: str, quantity: Decimal | int, how: str) -> Line:
        return Line(part, Decimal(quantity), how, self.prices[price])

    def _stored(self, landed_gb: Decimal) -> Line:
        base = self.table.gb * LANDED_SHARE
        how = f"{_n(base)} GB base + {_n(landed_gb)} GB, a month's changes; it grows by as much every month"
        return self._line("landing", "s3_storage", base + landed_gb, how)

    def _kept(self, segments: Decimal) -> Iterator[Line]:
        """Compaction, and what is kept."""
        objects = _whole(self.table.landed_gb * GB / COMPACT_BYTES) + _whole(MONTH / 3600)
        objects = min(objects, segments)
        yield self._line("landing", "s3_read", segments, f"compaction reads {_n(segments)} files once")
        yield self._line("landing", "s3_write", 2 * objects, f"compaction writes {_n(objects)} files × 2")
        yield self._stored(self.table.landed_gb)

    def _machine(self, hours: Decimal, how: str) -> Iterator[Line]:
        """A container of the size that capture needs; a DuckDB file lies on a machine of your own."""
        if self.target == "duckdb":
            return
        cpu, memory = self._machine_size
        yield self._line("machine", "fargate_cpu", hours * cpu, f"{how} × {cpu} vCPU")
        yield self._line("machine", "fargate_memory", hours * memory, f"{how} × {memory} GB")

    @property
    def _machine_size(self) -> tuple[Decimal, Decimal]:
        """vCPU and GB, twice what is needed on average; a machine of one's own has a core."""
        if self.target == "duckdb":
            return Decimal(1), Decimal(4)
        cores = self.table.writes_per_second * (self.table.record_seconds + self._load_record_seconds)
        return next(size for size in _FARGATE if 2 * cores <= size[0] or size == _FARGATE[-1])

    def _captured_by_lambda(self, window: int) -> tuple[Decimal, list[Line]]:
        """How many calls, each of which lands a file; and what they cost."""
        table, shards = self.table, self.table.open_shards
        batch = min(
            Decimal(LAMBDA_RECORDS_MAX), LAMBDA_EVENT_BYTES / (FUNCTION_RECORD_BYTES + LINE_SHARE * table.item_bytes)
        )
        each = max(
            _cycles(table.writes_per_second / shards, max(Decimal(window), LAMBDA_POLL_SECONDS)),
            table.writes / shards / batch,
        )
        calls = _whole(each * shards)
        waiting, working = calls * CAPTURE_WAIT_SECONDS * CAPTURE_MEMORY_GB, table.writes * table.record_seconds
        how = (
            f"{_n(calls)} calls × {CAPTURE_WAIT_SECONDS} s × {CAPTURE_MEMORY_GB} GB"
            f" + {_n(working)} s of CPU × {_n(LAMBDA_CORE_GB)} GB a core"
        )
        lines = [
            self._line("capture", "lambda_request", calls, f"{shards} shards × {_n(each)} batches"),
            self._line("capture", "lambda_compute", waiting + working * LAMBDA_CORE_GB, how),
        ]
        return calls, lines

    def _proven(self, ticks: Decimal) -> Iterator[Line]:
        """The stream is read behind the functions, for positions only."""
        shards, pages = self.table.open_shards, _whole(self.table.writes / 1000)
        how = f"{_n(ticks)} ticks × {shards} shards × {SCHEDULE_POLLS} + {_n(pages)} full pages"
        yield self._line("capture", "streams_read", ticks * shards * SCHEDULE_POLLS + pages, how)

    def _loaded_by_lambda(self, calls: Decimal, loads: Decimal) -> Iterator[Line]:
        yield self._line("load", "lambda_request", calls, f"{_n(calls)} calls")
        waiting, working = (
            calls * TICK_WAIT_SECONDS + loads * self._load_wait,
            self.table.writes * self._load_record_seconds,
        )
        memory = (
            LAKE_MEMORY_GB
            if self.target in LAKE_WRITES
            else LOAD_MEMORY_GB
            if self.table.writes <= loads * FEW_RECORDS
            else LOAD_MEMORY_GB_MANY
        )
        how = (
            f"({_n(calls)} calls × {TICK_WAIT_SECONDS} s + {_n(loads)} loads × {self._load_wait} s) × {memory} GB"
            f" + {_n(working)} s of CPU × {_n(LAMBDA_CORE_GB)} GB a core"
        )
        yield self._line("load", "lambda_compute", waiting * memory + working * LAMBDA_CORE_GB, how)

    def _held(self, loads: Decimal) -> Iterator[Line]:
        """What so many loads cost at the target itself."""
        if self.target == "redshift":
            yield self._awake(loads)
        elif self.target in LAKE_WRITES:
            yield from self._in_lake(loads)

    def _awake(self, loads: Decimal) -> Line:
        least = max(Decimal(REDSHIFT_SECONDS_LEAST), self._load_seconds(loads))
        seconds = min(MONTH, loads * least)
        how = "awake all the time" if seconds == MONTH else f"{_n(loads)} loads × {_n(least)} s"
        return self._line("redshift", "redshift", seconds / 3600 * REDSHIFT_RPU, f"{how} × {REDSHIFT_RPU} RPU")

    def _in_lake(self, loads: Decimal) -> Iterator[Line]:
        writes, reads = LAKE_WRITES[self.target], LAKE_READS[self.target]
        yield self._line("lake", "s3_write", loads * writes, f"{_n(loads)} loads × {writes}")
        yield self._line("lake", "s3_read", loads * reads, f"{_n(loads)} loads × {reads}")
        base, changes = self.table.gb * LANDED_SHARE, self.table.landed_gb
        if self.target == "parquet":
            how = f"{_n(base)} GB base + {_n(changes)} GB, a month's changes; it grows by as much every month"
            yield self._line("lake", "s3_storage", base + changes, how)
        else:
            yield self._line("lake", "s3_storage", base, f"{_n(base)} GB, the table as it is now")

    def _one_after_another(self, loads: Decimal) -> Decimal:
        """As many of these loads as there is time for; what waited goes together."""
        time = MONTH - self.table.writes * self._load_record_seconds
        return min(loads, _whole(max(Decimal(1), time / self._load_wait)))

    # ---- what stands in the way

    def _too_much_for_one(self) -> tuple[str, ...]:
        cores = self.table.writes_per_second * self.table.record_seconds
        if cores <= CORE_SHARE_MAX:
            return ()
        most = _n((CORE_SHARE_MAX / self.table.record_seconds).to_integral_value())
        return (f"one process captures a table, and keeps up with about {most} such writes a second",)

    def _too_much_to_load(self) -> tuple[str, ...]:
        if self.table.writes_per_second * self._load_record_seconds <= CORE_SHARE_MAX:
            return ()
        most = _n((CORE_SHARE_MAX / self._load_record_seconds).to_integral_value())
        return (f"one process loads a table, and keeps up with about {most} such changes a second",)

    def _no_lambda(self) -> tuple[str, ...]:
        if self.target != "duckdb":
            return ()
        return ("a function has no disk that lasts, where a DuckDB file could lie",)


_FARGATE: Final = (
    (Decimal("0.25"), Decimal(1)),
    (Decimal("0.5"), Decimal(2)),
    (Decimal(1), Decimal(4)),
    (Decimal(2), Decimal(8)),
)  # fmt: skip  (vCPU and GB)


def _cycles(rate: Decimal, wait: Decimal) -> Decimal:
    """How often a month something begins that begins with a write and takes in what comes in the next `wait` seconds."""
    return rate * MONTH / (1 + rate * wait)


def _whole(quantity: Decimal) -> Decimal:
    """Requests are charged whole."""
    return quantity.to_integral_value(ROUND_CEILING)


def _windows(window: int, step: int) -> str:
    how = "writes × item size"
    return how if step == window else f"{how} × {window // step}, for windows overlap"


def _n(quantity: Decimal | int) -> str:
    """A number for people: digits in threes, at most four decimals and no more than it has."""
    text = f"{Decimal(quantity):,.4f}"
    return text.rstrip("0").rstrip(".")


def duration(seconds: int) -> str:
    """As the configuration spells it: 90 s, 10m, 24h."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def measured() -> tuple[str, ...]:
    """What the bills take from measurements of Tailrace itself."""
    cpu, landed = _linear(RECORD_CPU_US, BYTE_CPU_US), _linear(LANDED_RECORD_BYTES, LANDED_SHARE)
    line, event = _linear(LINE_RECORD_BYTES, LINE_SHARE), _linear(FUNCTION_RECORD_BYTES, LINE_SHARE)
    return (
        f"capturing a record takes {cpu} microseconds of CPU, where b are the bytes of its item, also in a function",
        f"it lands as {landed} bytes, compressed; {line} before, and {event} in an event for Lambda",
        (
            f"S3 requests: {FLUSH_WRITES} writes and {FLUSH_READS} reads a flush of run, its load included;"
            f" {TICK_WRITES} and {TICK_READS} a run --until-caught-up, which reads each shard {TICK_POLLS} times;"
            f" {EXPORT_TICK_WRITES} and {EXPORT_TICK_READS} where it finds no export due or done"
        ),
        (
            f"a function that is told of a file makes {OBJECT_WRITES} writes and {OBJECT_READS} reads; one that is scheduled"
            f" {SCHEDULE_WRITES} and {SCHEDULE_READS}, {FILE_READS} reads a file, and reads each shard {SCHEDULE_POLLS} times"
        ),
        f"{LOAD_MEMORY_GB} GB are enough for a function that loads {FEW_RECORDS:,} records at once",
        (
            f"a load into DuckDB takes {DUCKDB_LOAD_SECONDS} s and {DUCKDB_RECORD_US} microseconds a record; for other targets"
            f" lines become Parquet at {DECODED_BYTES_A_SECOND // 10**6} MB a second"
        ),
        "S3 requests of a small load into a lake, writes and reads: "
        + ", ".join(f"{writes} and {LAKE_READS[kind]} ({kind})" for kind, writes in LAKE_WRITES.items()),
    )


def assumed() -> tuple[str, ...]:
    """What nobody has measured."""
    return (
        (
            f"a stream has a shard for each {SHARD_GB} GB and each {SHARD_WRITE_UNITS} write units a second, at least"
            f" {SHARDS_LEAST}; writes are spread evenly over shards and hours, and each one changes something"
        ),
        (
            "what begins with a write and takes in w seconds of them happens r × month / (1 + r × w) times at r writes a second:"
            " a flush, a batch of a shard for Lambda, a tick that finds something"
        ),
        "the stream carries new images; with old ones, about twice as much lands",
        (
            f"a capture function has {CAPTURE_MEMORY_GB} GB and waits {CAPTURE_WAIT_SECONDS} s a call; one that loads has"
            f" {LOAD_MEMORY_GB_MANY} GB where it loads more at once, waits {TICK_WAIT_SECONDS} s where there is nothing, and"
            f" {POSTGRES_LOAD_SECONDS} s (PostgreSQL), {REDSHIFT_LOAD_SECONDS} s (Redshift) or {LAKE_LOAD_SECONDS} s (a lake)"
            " a load; a core of Lambda or Fargate is as fast as the one measured"
        ),
        (
            f"an export takes {EXPORT_WRITES} S3 writes and {EXPORT_READS} reads beside its data files, of which there is one"
            f" a shard; ticks look for exports, and prove what functions land file by file, every {PROVE_SECONDS // 60} minutes"
        ),
        (
            f"an export is there after {EXPORT_SECONDS // 60} to {EXPORT_SECONDS_MAX // 60} minutes, and backups lag"
            f" {EXPORT_LAG_SECONDS // 60} minutes behind; it reads as many bytes as the items have that were written"
        ),
        (
            f"Redshift Serverless has {REDSHIFT_RPU} RPU and sleeps after {REDSHIFT_SECONDS_LEAST} s when nothing runs;"
            " what it takes itself for large merges is not in it"
        ),
        (
            f"a container has twice the cores that are needed on average, starts in {FARGATE_START_SECONDS} s and is billed for"
            " at least as long"
        ),
        "a lake's files are as large as what landed; it lies on S3",
        "GB are 10^9 bytes; where AWS counts 2^30, a line is up to 7 % lower",
    )


LEFT_OUT: Final = (
    "free tiers (2.5 million GetRecords calls a month among them), discounts, taxes",
    "CloudWatch logs and metrics, KMS keys of your own, NAT gateways and other traffic, PostgreSQL, Redshift's storage",
    "files of a lake that a load of keys from all over the table writes anew; their old versions; requests to Glue",
    "the table itself: its storage, reads and writes by others",
    "a DuckDB file, and what runs beside it, lie on a machine of yours",
    "one `verify` reads the whole table; a replication that runs all the time does not",
)


def _linear(each: Decimal, share: Decimal) -> str:
    return f"{each} + {share} × b"
