"""Bills by hand, and what holds for every table."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decide.plan import MONTH, Line, Plan, TableSize, Target, Way, make_plan, total
from tailrace.prices import load_prices

PRICES = load_prices()
QUIET = TableSize(1_000_000, 1000, Decimal("0.1"))
BUSY = TableSize(100_000_000, 1000, Decimal(500))
HUGE = TableSize(10_000_000_000, 1000, Decimal(20_000))

sizes = st.builds(
    TableSize,
    items=st.integers(1, 10**11),
    item_bytes=st.integers(1, 400 * 1024),
    writes_per_second=st.decimals(0, 10**5, places=3),
    shards=st.none() | st.integers(1, 5000),
)
targets = st.sampled_from(get_args(Target))
wishes = st.integers(1, 30 * 86_400)


def way_of(plan: Plan, name: str) -> Way:
    return next(way for way in plan.ways if way.name == name)


def amounts(lines: tuple[Line, ...]) -> list[tuple[str, Decimal, Decimal]]:
    return [(line.price.name, line.quantity, line.amount) for line in lines]


def test_a_quiet_table_on_a_machine_of_ones_own_by_hand() -> None:
    way = way_of(make_plan(QUIET, 900, "duckdb", PRICES), "streams-scheduled")
    assert way.runs == "tailrace run --until-caught-up, every 10m"
    # 4,380 times 10 minutes are 730 hours; 262.8 thousand writes; 4 shards
    assert amounts(way.monthly) == [
        ("streams_read", 87_863, Decimal("0.0175726")),  # 4,380 × 4 × 5 + 263 pages of a thousand
        ("s3_write", 39_420, Decimal("0.1971")),  # × 9
        ("s3_read", 39_420, Decimal("0.015768")),
        ("s3_read", 4_309, Decimal("0.0017236")),  # ticks that find a change: 0.1 × 2,628,000 / (1 + 0.1 × 600)
        ("s3_write", 1_466, Decimal("0.00733")),  # 3 files of 64 MB and one an hour, twice
        ("s3_storage", Decimal("0.636656"), Decimal("0.014643088")),  # half of 1 GB, and 262,800 × 520 bytes
    ]
    assert way.month == way.month_apart == Decimal("0.254137288")


def test_exports_pay_for_ten_megabytes_at_least() -> None:
    quiet = way_of(make_plan(QUIET, 3600, "duckdb", PRICES), "exports")
    assert quiet.settings == {"capture": '"exports"', "window": '"30m"'}
    assert [(q, a) for name, q, a in amounts(quiet.monthly) if name == "export_incremental"] == [
        (Decimal("14.60"), Decimal("1.46"))
    ]
    busy = way_of(make_plan(BUSY, 3600, "duckdb", PRICES), "exports")  # 500 × 2,628,000 × 1,000 bytes
    assert [q for name, q, _ in amounts(busy.monthly) if name == "export_incremental"] == [Decimal(1314)]
    assert [a for name, _, a in amounts(busy.monthly) if name == "pitr"] == [Decimal(20)]


def test_windows_that_overlap_read_what_changed_once_each() -> None:
    plan = make_plan(BUSY, 2400, "duckdb", PRICES)
    tiling, sliding = way_of(plan, "exports"), way_of(plan, "exports-sliding")
    read = {way.name: line.quantity for way in (tiling, sliding) for line in way.monthly if line.part == "capture"}
    width, step = sliding.settings["window"], sliding.settings["step"]
    assert (width, step) == ('"15m"', '"450s"')
    assert read["exports-sliding"] == 2 * read["exports"]
    assert sliding.most_seconds < tiling.most_seconds


def test_a_lake_costs_requests_and_what_it_holds() -> None:
    way = way_of(make_plan(QUIET, 900, "parquet", PRICES), "lambda-scheduled")
    loads = next(line.quantity for line in way.monthly if line.part == "lake") / 3
    assert [(line.price.name, line.quantity) for line in way.monthly if line.part == "lake"] == [
        ("s3_write", loads * 3),
        ("s3_read", loads * 4),
        ("s3_storage", Decimal("0.636656")),  # half of 1 GB, and 262,800 × 520 bytes, of a changelog
    ]
    assert loads > 1000
    held = way_of(make_plan(QUIET, 900, "iceberg", PRICES), "lambda-scheduled").monthly
    assert [line.quantity for line in held if line.part == "lake"][2] == Decimal("0.5")
    assert not any(line.part == "lake" for line in way_of(make_plan(QUIET, 900, "redshift", PRICES), way.name).monthly)


def test_a_redshift_that_is_never_left_alone_is_awake_all_month() -> None:
    way = way_of(make_plan(BUSY, 60, "redshift", PRICES), "streams")
    assert [(line.quantity, line.amount) for line in way.monthly if line.part == "redshift"] == [
        (Decimal(5840), Decimal(2190))
    ]


def test_one_process_does_not_capture_what_takes_more_than_a_core() -> None:
    plan = make_plan(HUGE, 3600, "redshift", PRICES)
    for name in ("streams", "streams-scheduled"):
        assert (
            "one process captures a table, and keeps up with about 6,087 such writes" in way_of(plan, name).obstacles[0]
        )
    assert plan.chosen is not None
    assert plan.chosen.name == "lambda-scheduled"


def test_a_function_cannot_keep_a_duckdb_file() -> None:
    plan = make_plan(QUIET, 900, "duckdb", PRICES)
    assert all(bool(way.obstacles) == way.name.startswith("lambda") for way in plan.ways)


def test_nothing_is_chosen_where_nothing_fits() -> None:
    plan = make_plan(HUGE, 10, "redshift", PRICES)
    assert plan.chosen is None
    assert not plan.ways[0].fits(10)


def test_the_base_of_a_large_table_is_an_export() -> None:
    for size, name in ((QUIET, "scan"), (BUSY, "scan"), (HUGE, "export")):
        plan = make_plan(size, 3600, "redshift", PRICES)
        assert plan.base_of(way_of(plan, "streams")).name == name
        assert plan.base_of(way_of(plan, "exports")).name == "export"
    scan, export = make_plan(HUGE, 3600, "redshift", PRICES).bases
    assert scan.once[0].quantity == 2_441_406_250  # 10^13 bytes / 4,096
    assert scan.hours == Decimal(2_441_406_250) / 500 / 3600
    assert export.once[0].amount == 1000


@pytest.mark.parametrize(
    ("size", "shards"),
    [
        (QUIET, 4),
        (BUSY, 10),
        (HUGE, 1000),
        (TableSize(1000, 100, Decimal(4500)), 5),
        (TableSize(1000, 1500, Decimal(4500)), 9),
        (dataclasses.replace(HUGE, shards=7), 7),
    ],
)
def test_a_shard_is_ten_gigabytes_or_a_thousand_write_units(size: TableSize, shards: int) -> None:
    assert size.open_shards == shards


def test_a_table_that_nobody_writes_to_has_a_bill_too() -> None:
    plan = make_plan(TableSize(1, 1, Decimal(0)), 900, "redshift", PRICES)
    assert way_of(plan, "lambda-on-file").month < 1
    assert all(line.quantity == 0 for line in way_of(plan, "streams").monthly if line.part == "redshift")


@given(sizes, wishes, targets)
def test_the_cheapest_that_fits_comes_first(size: TableSize, wish: int, target: Target) -> None:
    plan = make_plan(size, wish, target, PRICES)
    fitting = [way for way in plan.ways if way.fits(wish)]
    assert list(plan.ways[: len(fitting)]) == fitting
    assert fitting == sorted(fitting, key=lambda way: way.month)
    assert plan.chosen == (fitting[0] if fitting else None)


@given(sizes, wishes, targets)
def test_every_bill_is_its_lines(size: TableSize, wish: int, target: Target) -> None:
    plan = make_plan(size, wish, target, PRICES)
    for way in plan.ways:
        assert 0 < way.usual_seconds <= way.most_seconds
        assert way.month == total(way.monthly) >= way.month_apart >= 0
        for line in way.monthly:
            assert line.quantity >= 0
            assert line.amount == line.quantity * line.price.amount / line.price.per
            if line.price.unit in ("requests", "calls", "GetRecords calls"):
                assert line.quantity == line.quantity.to_integral_value()
            if line.part == "redshift":
                assert line.quantity <= 8 * MONTH / 3600


@given(sizes, wishes, wishes, targets)
def test_patience_costs_nothing(size: TableSize, wish: int, other: int, target: Target) -> None:
    soon, late = (make_plan(size, w, target, PRICES).chosen for w in sorted((wish, other)))
    if soon is not None:
        assert late is not None
        assert late.month <= soon.month


@given(sizes, targets)
def test_more_writes_never_cost_less(size: TableSize, target: Target) -> None:
    more = dataclasses.replace(size, writes_per_second=2 * size.writes_per_second + 1, shards=size.open_shards)
    size = dataclasses.replace(size, shards=size.open_shards)
    less_plan, more_plan = make_plan(size, 900, "postgres", PRICES), make_plan(more, 900, "postgres", PRICES)
    for name in ("exports", "lambda-scheduled"):
        a, b = way_of(less_plan, name), way_of(more_plan, name)
        if a.runs == b.runs and a.settings == b.settings:
            assert a.month <= b.month
