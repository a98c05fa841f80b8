"""``tailrace verify``"""

from __future__ import annotations

import click

from tailrace.cli.options import Duration, tables_option
from tailrace.cli.output import DIFFERENT, Context, print_json, printable


@click.command(epilog="Example: tailrace verify --tables orders")
@tables_option
@click.option("--target", help="Only this target; default: all of the table's.")
@click.option(
    "--deadline", type=Duration(), default=60.0, help="How long to wait for changes still on their way (default 60s)."
)
@click.pass_obj
def command(context: Context, tables: str, target: str | None, deadline: float) -> None:
    """Compare every item of a table with its targets, key by key. Exit code 4: something is missing, extra or different."""
    reports = list(context.pipeline().verify(tables=tables, target=target, deadline_seconds=deadline))
    if context.as_json:
        documents = [report.to_json() for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for report in reports:
            click.echo("\n".join(lines(report)))
    if any(not report.equal for report in reports):
        click.get_current_context().exit(DIFFERENT)


def lines(report: object) -> list[str]:
    """A report for people; the last line says whether all is equal."""
    r = report.to_json()  # type: ignore[attr-defined]
    if r["missing"] == r["extra"] == r["different"] == 0:
        return [f"verified: {r['keys_source']} keys equal"]
    head = f"{r['table']}: {r['missing']} missing, {r['extra']} extra, {r['different']} different of {r['keys_source']} keys"
    return [head, *(f"  {printable(str(example))}" for example in r["examples"])]
