"""``tailrace gen``"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tailrace.cli.options import Duration
from tailrace.cli.output import Context, print_json
from tailrace.errors import TailraceError

if TYPE_CHECKING:
    from tailrace.gen.writer import Written

PROFILE_NAMES = ("narrow", "order", "single-table")


class Mix(click.ParamType[Any]):
    """Three whole weights for inserts, updates and deletes: ``70,20,10``."""

    name = "mix"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if len(parts) != 3 or not all(p.isascii() and p.isdigit() for p in parts) or not any(map(int, parts)):
            self.fail("three whole numbers for inserts, updates and deletes, such as 70,20,10", param, context)
        inserts, updates, deletes = map(int, parts)
        return inserts, updates, deletes


@click.command(
    epilog="Example: tailrace gen --table orders --items 20000 --rate 200 --endpoint-url http://127.0.0.1:4566"
)
@click.option("--table", required=True, help="Created with a stream where it is absent.")
@click.option("--items", type=click.IntRange(1), default=1000, show_default=True, help="Changes to write.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="PER_S",
    help="Changes a second; absent: as fast as it goes.",
)
@click.option(
    "--burst",
    type=click.IntRange(1),
    metavar="CHANGES",
    help="With --rate: write so many at once, then pause, instead of steadily.",
)
@click.option("--batch", type=click.IntRange(1, 25), default=25, show_default=True, help="Changes in one request.")
@click.option("--mix", type=Mix(), default="70,20,10", show_default=True, help="Weights of inserts, updates, deletes.")
@click.option("--profile", type=click.Choice(PROFILE_NAMES), default="order", show_default=True)
@click.option("--seconds", type=Duration(), help="Stop after this time at the latest.")
@click.option("--seed", type=int, help="Equal seeds write equal items; absent: another one each time.")
@click.option(
    "--pitr", is_flag=True, help="Switch point-in-time recovery on, so that the table can be exported; AWS bills it."
)
@click.option("--region", help="Default: AWS's own chain.")
@click.option("--endpoint-url", metavar="URL", help="For example http://127.0.0.1:4566, `tailrace local`.")
@click.pass_obj
def command(
    context: Context,
    table: str,
    items: int,
    rate: float | None,
    burst: int | None,
    batch: int,
    mix: tuple[int, int, int],
    profile: str,
    seconds: float | None,
    seed: int | None,
    pitr: bool,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """Write load into a table: inserts, updates and deletes, steadily, in bursts, or as fast as it goes.

    Ctrl-C stops it and shows what was written.
    """
    if burst is not None and rate is None:
        raise click.UsageError("--burst needs --rate")
    import secrets

    from tailrace.aws import Aws, AwsSettings
    from tailrace.cli.jobs import stopped_by_signals
    from tailrace.clock import SystemClock
    from tailrace.gen.profiles import PROFILES
    from tailrace.gen.writer import Plan, Writer, ensure_recovery, ensure_table
    from tailrace.landing.names import check_table

    client = Aws(AwsSettings(region=region, endpoint_url=endpoint_url)).client("dynamodb")
    clock = SystemClock()
    seed = secrets.randbelow(10**6) if seed is None else seed
    writer = Writer(client, check_table(table), Plan(PROFILES[profile], seed, mix), clock, batch=batch)
    with stopped_by_signals() as stop:
        if ensure_table(client, table, PROFILES[profile], clock):
            context.say(f"created table {table} with a stream")
        if pitr:
            ensure_recovery(client, table, clock)
        try:
            with _progress(context, items) as on_progress:
                writer.write(items, rate=rate, burst=burst, seconds=seconds, stop=stop, on_progress=on_progress)
        except TailraceError:
            context.say(_line(writer.written, table, seed))
            raise
    if context.as_json:
        print_json({"table": table, "seed": seed, **asdict(writer.written)})
    else:
        click.echo(_line(writer.written, table, seed))


@contextmanager
def _progress(context: Context, changes: int) -> Iterator[Callable[[Written], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not context.is_live:
        yield lambda written: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("written"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=changes)
        yield lambda written: bar.update(task, completed=written.changes)


def _line(written: Written, table: str, seed: int) -> str:
    rate = written.changes / written.seconds if written.seconds else 0.0
    return (
        f"{written.changes} changes to {table} ({written.inserts} inserts, {written.updates} updates, "
        f"{written.deletes} deletes) in {written.seconds:.1f} s, {rate:.0f} a second; seed {seed}"
    )
