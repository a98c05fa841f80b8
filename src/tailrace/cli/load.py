"""``tailrace load``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace load --tables orders --target lake")
@click.option("--due", is_flag=True, help="Only what each table's `load` setting lets be loaded now. For cron.")
@click.option(
    "--take-over", is_flag=True, help="Do not wait for another loader that is at work, or hangs: load beside it."
)
@click.option("--target", help="Only this target; default: all of a table's.")
@budget_option
@tables_option
@click.pass_obj
def command(
    context: Context, due: bool, take_over: bool, target: str | None, budget: float | None, tables: str
) -> None:
    """Load what is landed and not yet applied into the targets now, whatever the `load` setting says, and stop."""
    from tailrace.cli.jobs import run_jobs

    run_jobs(
        context,
        load=True,
        load_all=not due,
        take_over=take_over,
        target=target,
        once=True,
        budget=budget,
        tables=tables,
    )
