"""``tailrace repair``"""

from __future__ import annotations

from typing import Any

import click

from tailrace.cli.jobs import stopped_by_signals
from tailrace.cli.options import budget_option, left_of
from tailrace.cli.output import IN_PART, Context, moment, print_json
from tailrace.jobs.repair import RepairReport


@click.command(epilog="Example: tailrace repair orders --budget 14m")
@click.argument("table")
@click.option(
    "--full", is_flag=True, help="Read a whole new base in any case, also where nothing is known to be missing."
)
@budget_option
@click.pass_obj
def command(context: Context, table: str, full: bool, budget: float | None) -> None:
    """Make a table whole again after changes were lost.

    Where backups reach back far enough, only what is missing is exported from them, and a few keys are read; else the
    table is read anew. The next call goes on where this one stops. What is loaded stays readable meanwhile.

    Exit code 3: it is not complete yet.
    """
    pipeline = context.pipeline()
    shown = ""

    def show(report: RepairReport) -> None:
        nonlocal shown
        line = _line(table, report)
        if line != shown:
            context.say(line)
            shown = line

    with stopped_by_signals() as stop:
        report = pipeline.repair(table, full=full, budget_seconds=left_of(budget), stop=stop, on_change=show)
    if context.as_json:
        print_json(_document(table, report))
    else:
        click.echo(_line(table, report))
    if not report.done:
        click.get_current_context().exit(IN_PART)


def _line(table: str, report: RepairReport) -> str:
    if report.kind is None:
        return f"{table}: nothing is missing"
    why = f" ({report.why})" if report.why else ""
    if report.kind == "full":
        what = f"epoch {report.epoch}, a new base{why}"
    else:
        span = "the missing window" if report.start is None or report.end is None else _window(report.start, report.end)
        what = f"epoch {report.epoch}, {span}: {report.rows} rows exported, {report.keys} keys read"
    return f"{table}: {what}; {'complete, load what is landed' if report.done else 'under way'}"


def _window(start: int, end: int) -> str:
    return f"{moment(start * 1000)} to {moment(end * 1000)}"


def _document(table: str, report: RepairReport) -> dict[str, Any]:
    return {
        "table": table,
        "kind": report.kind,
        "epoch": report.epoch or None,
        "done": report.done,
        "from": report.start,
        "to": report.end,
        "rows": report.rows,
        "keys": report.keys,
        "why": report.why,
    }
