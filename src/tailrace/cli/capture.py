"""``tailrace capture``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace capture --budget 14m")
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, budget: float | None, tables: str) -> None:
    """Capture what is new into the landing zone, to the streams' tips, and stop."""
    from tailrace.cli.jobs import run_jobs

    run_jobs(context, capture=True, once=True, budget=budget, tables=tables)
