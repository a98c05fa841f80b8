"""The ledger of a table of files: what is written can be read, and what is older lies on pages and is found there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailrace.clock import SystemClock
from tailrace.errors import UserFault
from tailrace.landing import LocalStore
from tailrace.model.schema import Column, ColumnType, NumberRange
from tailrace.targets.delta import DeltaTarget
from tailrace.targets.lake import ledger as lake_ledger
from tailrace.targets.lake.ledger import (
    Begun,
    DataFile,
    Entry,
    LakeLedger,
    Page,
    Retired,
    checked,
    from_bytes,
    read_page,
    spilled,
    to_bytes,
)
from tailrace.targets.lake.location import Location
from tailrace.targets.parquet import ParquetTarget
from tailrace.targets.planning import identity
from tailrace.targets.target import LedgerRow, TableSpec
from tailrace.testing.target_contract import PK, Replica, put

GOLDEN = Path(__file__).parent / "golden" / "lake-ledger-1.json"
SPEC = TableSpec("Orders", "orders", "changelog", PK, "table-id-1")


def row(number: int) -> LedgerRow:
    return LedgerRow(number, f"changes/{number}", 1, "ab" * 32, 3, 0, 77, 1000 + number, 900 + number, 5, 9, 2)


def entry(*numbers: int) -> Entry:
    place = f"0001|1|{numbers[0]:040d}"
    return Entry(tuple(map(row, numbers)), (DataFile(f"dt=2026-11-22/hr=05/{numbers[0]}.parquet", 3, place, place),))


def a_ledger(loads: int = 0) -> LakeLedger:
    ledger = LakeLedger(identity(SPEC))
    for number in range(1, loads + 1):
        ledger = ledger.applied(SPEC, entry(number), (), 3, 2)
    return ledger


EVERYTHING = replace(
    a_ledger(2),
    columns=(
        Column("pk", "S", "pk", ColumnType("string")),
        Column("Preis €", "N", "Preis €", ColumnType("decimal", 2), NumberRange(False, 3, 2)),
    ),
    counter=7,
    beyond={5: None, 6: 17},
    pages=(Page("_tailrace/pages/000000000003-0-0123abcd.json", 0, (1, 9), "0001|1|", "0001|2|"),),
    version=2,
    version_last=3,
    begun=Begun("cd" * 32, 3, 12, 8, ("dt=2026-11-22/hr=06/8-8-7.parquet",)),
    abandoned=("v2/dt=2026-11-22/hr=06/8-9-6.parquet",),
    retired=(Retired(1, 99),),
    ends=(DataFile("_tailrace/ends/00000000000000000007-0123abcd.parquet", 1, "0001|1|", "0001|1|"),),
)


def test_what_is_written_is_read() -> None:
    for ledger in (a_ledger(), a_ledger(3), EVERYTHING):
        assert from_bytes(to_bytes(ledger), "orders") == ledger


def test_the_golden_document_loads_for_ever() -> None:
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_bytes(to_bytes(EVERYTHING))
    assert from_bytes(GOLDEN.read_bytes(), "orders") == EVERYTHING
    assert to_bytes(EVERYTHING) == GOLDEN.read_bytes()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"nonsense", b'{"format": 1}', b"\xff"])
def test_what_is_no_ledger_is_refused(data: bytes) -> None:
    with pytest.raises(UserFault, match="cannot be read") as caught:
        from_bytes(data, "orders")
    assert "Restore" in caught.value.hint


def test_a_ledger_whose_entries_are_gone_is_refused() -> None:
    checked(SPEC, a_ledger(3))
    with pytest.raises(UserFault, match="emptied"):
        checked(SPEC, replace(a_ledger(3), tail=()))


def test_a_short_ledger_needs_no_page() -> None:
    ledger = a_ledger(lake_ledger.TAIL_ROWS_MAX)
    assert spilled(ledger) == (ledger, ())


def test_of_a_long_one_all_but_the_newest_rows_go_to_a_page() -> None:
    count = lake_ledger.TAIL_ROWS_MAX + 1
    ledger = a_ledger(count)
    after, [(page, data)] = spilled(ledger)
    assert sum(len(e.rows) for e in after.tail) == lake_ledger.RECENT_MAX
    assert (page.level, page.numbers) == (0, (1, count - lake_ledger.RECENT_MAX))
    assert (page.first, page.last) == (ledger.tail[0].files[0].first, ledger.tail[count - 101].files[0].last)
    assert read_page(data) == (ledger.tail[: -lake_ledger.RECENT_MAX], ())
    assert after.as_ledger().recent == ledger.as_ledger().recent
    assert checked(SPEC, after) is after


def test_so_many_pages_become_one_of_the_next_level() -> None:
    pages = tuple(Page(f"p{n}", 0, (n, n), f"{n:02}", f"{n:02}") for n in range(lake_ledger.PAGES_MAX - 1))
    ledger = replace(a_ledger(lake_ledger.TAIL_ROWS_MAX + 1), pages=pages)
    after, [(first, _), (second, data)] = spilled(ledger)
    assert after.pages == (second,)
    assert (second.level, second.numbers) == (1, (0, lake_ledger.TAIL_ROWS_MAX + 1 - lake_ledger.RECENT_MAX))
    assert read_page(data) == ((), (*pages, first))


@pytest.mark.parametrize("kind", [ParquetTarget, DeltaTarget])
def test_a_target_finds_old_segments_and_files_on_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    for name, value in (("TAIL_ROWS_MAX", 4), ("RECENT_MAX", 2), ("PAGES_MAX", 2)):
        monkeypatch.setattr(lake_ledger, name, value)
    replica = Replica(kind("lake", LocalStore(tmp_path), Location.local(tmp_path), SystemClock()), "changelog")
    for number in range(1, 20):
        replica.apply((number, [put(number, f"k{number}")]))
    replica.check()
    found = [replica.target.applied(replica.spec, number) for number in range(1, 21)]
    assert [None if one is None else one.number for one in found] == [*range(1, 20), None]
    pages = [json.loads(page.read_bytes()) for page in (tmp_path / "orders" / "_tailrace" / "pages").iterdir()]
    assert any("pages" in page for page in pages), "there are levels"
    assert replica.apply((3, [put(3, "k3")])).skipped == 1
    load = replica.load((20, [put(3, "k3"), put(20, "k20")]))
    repeated = replace(load.segments[0], segment=replace(load.segments[0].segment, kind="replay"))
    replica.target.apply(replace(load, segments=[repeated]))
    replica.applied[20] = [put(20, "k20")]
    replica.check()
