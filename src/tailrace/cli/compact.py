"""``tailrace compact``"""

from __future__ import annotations

import click

from tailrace.cli.options import budget_option, tables_option
from tailrace.cli.output import Context


@click.command(epilog="Example: tailrace compact --tables 'orders*' --budget 10m")
@budget_option
@tables_option
@click.pass_obj
def command(context: Context, budget: float | None, tables: str) -> None:
    """Gather the small files of hours that are over into few, delete what was gathered long enough ago, and stop.

    `tailrace run` does the same by itself.
    """
    from tailrace.cli.jobs import run_jobs

    run_jobs(context, compact=True, once=True, budget=budget, tables=tables)
