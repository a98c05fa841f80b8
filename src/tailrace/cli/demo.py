"""``tailrace demo``"""

from __future__ import annotations

from pathlib import Path

import click

from tailrace.cli.options import Duration
from tailrace.cli.output import DIFFERENT, Context, print_json


@click.command(epilog="Example: tailrace demo --items 50000 --dir ./demo")
@click.option("--mode", type=click.Choice(["streams"]), default="streams", show_default=True)
@click.option("--items", type=click.IntRange(100), default=24_000, show_default=True, help="Changes to write at least.")
@click.option("--seconds", type=Duration(), default=40.0, help="Write for about this long (default 40s).")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Emptied first."
)
@click.option("--keep", is_flag=True, help="Keep the embedded AWS running afterwards, until Ctrl-C, to try things out.")
@click.pass_obj
def command(context: Context, mode: str, items: int, seconds: float, folder: Path, keep: bool) -> None:
    """A DynamoDB table on an embedded AWS, written to while it streams into DuckDB; ends with a verification of every key."""
    from tailrace.runtimes.demo import Demo

    demo = Demo(folder, items, seconds, context.say, live=context.is_live)
    result = demo.run(after=_wait_for_interrupt if keep else None)
    if context.as_json:
        print_json(result)
    else:
        for line in result.lines():
            click.echo(line)
    if not result.equal:
        click.get_current_context().exit(DIFFERENT)


def _wait_for_interrupt(message: str) -> None:
    from tailrace.cli.jobs import stopped_by_signals

    click.echo(message, err=True)
    with stopped_by_signals() as stop:
        stop.wait()
