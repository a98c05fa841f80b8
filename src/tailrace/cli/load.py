"""``tailrace load``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace load --tables orders")
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, budget: float | None, tables: str) -> None:
    """Load what is landed and not yet applied into the targets, and stop."""
    from tailrace.cli.jobs import run_jobs

    run_jobs(context, load=True, once=True, budget=budget, tables=tables)
