"""``tailrace demo``"""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tailrace.cli.options import Duration
from tailrace.cli.output import DIFFERENT, Context, print_json

if TYPE_CHECKING:
    from tailrace.runtimes.demo import DemoResult
    from tailrace.runtimes.export_demo import ExportDemoResult

KEPT: Final = """
The embedded AWS goes on at {url}; Ctrl-C ends it. In another shell, for example:

  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  tailrace -c {folder}/tailrace.toml run
  tailrace gen --table orders --rate 200 --items 10000 --region us-east-1 --endpoint-url {url}
  tailrace -c {folder}/tailrace.toml verify"""


@click.command(epilog="Example: tailrace demo --items 50000 --dir ./demo")
@click.option("--mode", type=click.Choice(["streams", "exports"]), default="streams", show_default=True)
@click.option("--items", type=click.IntRange(100), default=20_000, show_default=True, help="Changes to write.")
@click.option("--seconds", type=Duration(), default=30.0, help="Write for about this long (default 30s).")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Emptied first."
)
@click.option("--keep", is_flag=True, help="Keep the embedded AWS running afterwards, until Ctrl-C, to try things out.")
@click.pass_obj
def command(context: Context, mode: str, items: int, seconds: float, folder: Path, keep: bool) -> None:
    """A DynamoDB table on an embedded AWS, written to while it streams into DuckDB; ends with a verification of every key."""
    from tailrace.cli.jobs import terminated_as_interrupted
    from tailrace.runtimes.demo import Demo
    from tailrace.runtimes.export_demo import ExportDemo

    def show(result: DemoResult | ExportDemoResult, url: str) -> None:
        if context.as_json:
            print_json(document(result))
        else:
            click.echo("\n".join(lines(result)))
        if keep:
            click.echo(KEPT.format(folder=folder, url=url), err=True)
            threading.Event().wait()

    demo: Demo | ExportDemo = Demo(folder, items, seconds, context.say, live=context.is_live)
    if mode == "exports":
        demo = ExportDemo(folder, items, context.say)
    with terminated_as_interrupted():
        result = demo.run(after=show)
    if not result.verified:
        click.get_current_context().exit(DIFFERENT)


def document(result: DemoResult | ExportDemoResult) -> dict[str, Any]:
    """The JSON form."""
    from tailrace.runtimes.export_demo import ExportDemoResult

    if isinstance(result, ExportDemoResult):
        return {**asdict(result), "reports": [report.to_json() for report in result.reports]}
    return {**asdict(result), "report": result.report.to_json()}


def lines(result: DemoResult | ExportDemoResult) -> list[str]:
    """For people; the last line is the verdict."""
    from tailrace.cli.verify import lines as verdict
    from tailrace.runtimes.export_demo import ExportDemoResult

    if isinstance(result, ExportDemoResult):
        done = f"{result.changes} changes, a full export and {result.windows} windows, {result.rows} rows in DuckDB"
        return [f"{done} after {result.seconds:.0f} s, compared at the end of each", *verdict([result.report])]
    latency = ""
    if result.latency_ms_p50 is not None and result.latency_ms_p99 is not None:
        latency = (
            f"; write to queryable p50 {result.latency_ms_p50 / 1000:.1f} s, p99 {result.latency_ms_p99 / 1000:.1f} s"
        )
    done = f"{result.changes} changes over {result.shards} shards, {result.segments} segments, {result.rows} rows in DuckDB"
    query = (
        f'tailrace -c {result.folder}/tailrace.toml query "SELECT status, count(*), sum(total) FROM orders GROUP BY 1"'
    )
    return [f"{done} after {result.seconds:.0f} s{latency}", f"look at them: {query}", *verdict([result.report])]
