"""``tailrace verify``"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tailrace.cli.options import Duration, tables_option
from tailrace.cli.output import DIFFERENT, IN_PART, Context, moment, print_json, printable

if TYPE_CHECKING:
    from tailrace.jobs.verify import VerifyReport


@click.command(epilog="Example: tailrace verify --tables orders")
@tables_option
@click.option("--target", help="Only this target; default: all of the table's.")
@click.option(
    "--deadline", type=Duration(), default=60.0, help="How long to wait for changes still on their way (default 60s)."
)
@click.pass_obj
def command(context: Context, tables: str, target: str | None, deadline: float) -> None:
    """Compare every item of a table with its targets, key by key; also while `run` is up.

    Exit code 4: something is missing, extra or different; 3: landed changes must be loaded first.
    """
    with _progress(context) as on_progress:
        found = context.pipeline().verify(
            tables=tables, target=target, deadline_seconds=deadline, on_progress=on_progress
        )
        reports = list(found)
    if context.as_json:
        documents = [report.to_json() for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        click.echo("\n".join(lines(reports)))
    if any(not report.equal for report in reports):
        click.get_current_context().exit(DIFFERENT)
    if any(not report.verified for report in reports):
        click.get_current_context().exit(IN_PART)


def lines(reports: Sequence[VerifyReport]) -> list[str]:
    """Reports for people; the last line says whether all is equal."""
    shown = [line for report in reports for line in _lines(report, name=len(reports) > 1)]
    if all(report.verified for report in reports):
        shown.append(f"verified: {sum(report.keys_source - report.moving for report in reports)} keys equal")
    return shown


def _lines(report: VerifyReport, *, name: bool) -> list[str]:
    where = f"{report.table} in {report.target}"
    shown = [f"{where}: changes are missing: {printable(gap.reason)}" for gap in report.gaps]
    if report.quarantined:
        shown.append(f"{where}: {report.quarantined} records are set aside, see `tailrace quarantine list`")
    if report.moving:
        shown.append(f"{where}: {report.moving} keys kept changing, the target followed; they are not counted as equal")
    if report.waiting:
        shown.append(
            f"{where}: {report.unloaded} segments are not loaded yet, so {report.waiting} keys cannot be compared; "
            "run `tailrace load`, or `tailrace run`, and verify again"
        )
    if report.equal:
        return [*shown, f"{where}: {report.keys_source - report.moving} keys equal"] if name else shown
    shown.append(
        f"{where}: {report.missing} missing, {report.extra} extra, {report.different} different "
        f"of {max(report.keys_source, report.keys_target)} keys"
    )
    document = report.to_json()
    for example in document["examples"]:
        key = ", ".join(
            f"{attribute}={value}" for attribute, typed in example["key"].items() for value in typed.values()
        )
        attributes = f": {', '.join(example['attributes'])}" if example["attributes"] else ""
        shown.append(f"  {example['kind']:9} {printable(key)}{printable(attributes)}")
    more = report.missing + report.extra + report.different - len(report.examples)
    if more:
        shown.append(f"  and {more} more")
    if report.captured_through_ms is None or report.captured_through_ms < report.begun_ms:
        shown.append(
            f"  captured through {moment(report.captured_through_ms)}; a change after that is missing for no other "
            "reason: is `tailrace run` up?"
        )
    return shown


@contextmanager
def _progress(context: Context) -> Iterator[Callable[[str, int], None]]:
    """One line that redraws itself on a terminal; elsewhere a line as each part of the work begins."""
    if context.is_live:
        from rich.console import Console

        with Console(stderr=True).status("verifying") as status:
            yield lambda what, done: status.update(f"{what}: {done}")
        return
    begun: set[str] = set()

    def say(what: str, done: int) -> None:
        if what not in begun:
            begun.add(what)
            context.say(f"{what} …")

    yield say
