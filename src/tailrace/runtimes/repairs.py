"""`tailrace repair`: calls the steps of a repair, and those of the new base that it may need. No rules here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tailrace.clock import Budget
from tailrace.jobs.repair import RepairReport

if TYPE_CHECKING:
    from tailrace.pipeline import Pipeline


def carry_on(
    pipeline: Pipeline, table: str, budget: Budget, full: bool, on_change: Callable[[RepairReport], None]
) -> RepairReport:
    """Begin, or go on, until the repair is complete or the budget is spent."""
    repairer = pipeline.repairer(table)
    report = begun = repairer.begin(full=full)
    on_change(report)
    read_base = _new_base(pipeline, table, budget) if report.kind == "full" and not report.done else lambda: 0.0
    while not report.done and not budget.spent():
        pause = read_base()
        if pause <= 0:
            report = replace(repairer.step(), why=begun.why)
            on_change(report)
            pause = report.wait_seconds
        if not report.done:
            budget.wait(pause)
    return report


def _new_base(pipeline: Pipeline, table: str, budget: Budget) -> Callable[[], float]:
    """What reads a new base for as long as it can; how many seconds until it can read on, 0 once it is complete."""
    if pipeline.config.by_exports(table):
        capturer = pipeline.capturer(table)
        return lambda: capturer.step().wait_seconds
    backfiller = pipeline.backfiller(table)

    def read() -> float:
        report = backfiller.tick(budget)
        return 0.0 if report.done else max(report.wait_seconds, 1.0)

    return read
