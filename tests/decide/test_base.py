"""When a base is out of the way: not before it is loaded, and not before the stream has come past it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailrace.decide.base import HANDOVER_MARGIN_MS, Base, base_of, base_stage
from tailrace.decide.load import shown_state
from tailrace.decide.scan import begun
from tailrace.model.exports import BaseExport, ExportPlan
from tailrace.model.keys import KeyAttribute, KeySchema
from tailrace.model.manifest import Gap, Incarnation, Manifest, TableState

INCARNATION = Incarnation("1", "eu-west-1", "t", "id", "arn", "NEW_IMAGE", KeySchema(KeyAttribute("pk", "S")))
CAPTURED = Manifest(INCARNATION, next_number=9, state="CONSISTENT", captured_through_ms=10**12)
SCANNING = replace(CAPTURED, scan=replace(begun(1, 2, 0), last_number=5))
SCANNED = replace(CAPTURED, scan=replace(begun(1, 2, 0), last_number=5, finished_ms=1_000_000))
PAST = 1_000_000 + HANDOVER_MARGIN_MS + 1


@pytest.mark.parametrize(
    ("manifest", "applied", "applied_ms", "state"),
    [
        (CAPTURED, 8, PAST, "CAPTURING"),
        (SCANNING, 8, PAST, "BASE_LOADING"),
        (SCANNED, 4, PAST, "BASE_LOADING"),
        (SCANNED, 5, None, "CATCHING_UP"),
        (SCANNED, 8, PAST - 1, "CATCHING_UP"),
        (SCANNED, 8, PAST, "CONSISTENT"),
        (replace(SCANNED, state="CATCHING_UP"), 8, PAST, "CONSISTENT"),
        (replace(SCANNED, epoch=2), 8, PAST, "CAPTURING"),
        (replace(SCANNED, state="PAUSED"), 8, PAST, "PAUSED"),
        (replace(SCANNED, gaps=(Gap("stream_trimmed", "planned", 1),)), 8, PAST, "GAP"),
    ],
)
def test_a_table_with_a_base_is_consistent_when_its_target_has_come_past_it(
    manifest: Manifest, applied: int, applied_ms: int | None, state: TableState
) -> None:
    assert shown_state(manifest, applied, 0, applied_ms=applied_ms, has_base=True) == state


def test_a_table_that_wants_no_base_waits_for_none() -> None:
    assert shown_state(CAPTURED, 8, 0, applied_ms=PAST) == "CONSISTENT"
    assert base_stage(CAPTURED, is_wanted=False, through_ms=None) is None


def test_a_base_that_began_is_waited_for_though_nobody_wants_it_any_more() -> None:
    assert shown_state(SCANNING, 8, 0, applied_ms=PAST) == "BASE_LOADING"


def test_an_export_shows_the_moment_that_it_was_made_of() -> None:
    export = BaseExport(1, 5, ExportPlan(1000, None, 1, 5))
    assert base_of(replace(CAPTURED, base_export=export)) == Base(None, 0)
    done = replace(export, plan=None, moment=1000, last_number=7)
    assert base_of(replace(CAPTURED, base_export=done)) == Base(1_000_000, 7)
    assert base_of(replace(CAPTURED, base_export=done, epoch=2)) is None
