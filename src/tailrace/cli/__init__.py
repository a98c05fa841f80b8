"""The command line. A command's module is imported when it is called, so that ``--help`` answers at once.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 done in part, 4 a check found a difference, 130 interrupted.
"""

from __future__ import annotations

import ctypes
import difflib
import importlib
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import click

from tailrace.cli.options import CONFIG_HELP, JSON_HELP, with_shared_options, with_variables
from tailrace.cli.output import BEGUN, WANTS_JSON, Context, fail, prepare_streams, set_up_logging
from tailrace.errors import UsageInvalid

COMMANDS: Final = {
    "demo": "demo", "local": "local", "gen": "gen", "init": "init", "plan": "plan", "doctor": "doctor",
    "run": "run", "capture": "capture",
    "backfill": "backfill", "repair": "repair", "load": "load", "compact": "compact",
    "status": "status", "why": "why", "verify": "verify", "query": "query", "export": "export", "decode": "decode",
    "quarantine": "quarantine", "dlq": "dlq", "deploy": "deploy", "spark": "spark", "iam": "iam",
}  # fmt: skip
INTERRUPTED: Final = 130
VARIABLES: Final = "TAILRACE"  # of the environment begin so

_M_MMAP_THRESHOLD: Final = -3  # glibc's malloc.h
_MAPPED_BYTES: Final = 1 << 20


class LazyGroup(click.Group):
    """Finds ``tailrace.cli.<name>.command`` on demand, and turns errors into sentences and exit codes."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tailrace.cli.{COMMANDS[name]}").command
        return with_variables(with_shared_options(command), f"{VARIABLES}_{name.upper()}")

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            context.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])

    def main(self, *args: Any, **options: Any) -> Any:
        prepare_streams()
        _give_back_large_blocks()
        return super().main(*args, **options)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        context.meta[BEGUN] = time.monotonic()
        context.meta[WANTS_JSON] = _wants_json(args)  # known before a wrong option ends the reading of options
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            _fail_in_json(context, error)
            raise

    def invoke(self, context: click.Context) -> Any:
        try:
            try:
                return super().invoke(context)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # so that a reader who has gone is noticed here and not at the interpreter's end
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            context.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has gone: that is no failure, and nothing more may be written.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            context.exit(0)
        except click.UsageError as error:
            _fail_in_json(context, error)
            raise
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            fail(context, error)


def _give_back_large_blocks() -> None:
    """Let glibc return every large block when it is freed.

    Left alone it raises this threshold by itself and keeps batches in the heap of the thread that made them, so that a busy
    machine holds half as much memory again. It costs no measurable time. Other C libraries have no such setting.
    """
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


SUMMARIES: Final = {
    "demo": "A live table streams into DuckDB and is verified; no account needed.",
    "local": "Serve the embedded AWS endpoint on this machine.",
    "gen": "Write load into a table: inserts, updates and deletes.",
    "init": "Write a commented tailrace.toml.",
    "doctor": "Check credentials, tables, bucket, targets and rights.",
    "plan": "Which way fits a table, how fresh, for how much money.",
    "run": "Capture, load and compact all tables, continuously.",
    "capture": "Capture what is new into the landing zone.",
    "backfill": "Read what tables already hold into the landing zone.",
    "repair": "Make a table whole again after changes were lost.",
    "load": "Load what is landed into the targets.",
    "compact": "Gather the small files of past hours into few.",
    "status": "State, lag, gaps and quarantine of every table.",
    "why": "One segment's whole life.",
    "verify": "Compare every item of a table with its targets.",
    "query": "Run a read-only statement on a target.",
    "export": "DynamoDB exports by hand: start, list, inspect, read.",
    "decode": "Turn DynamoDB JSON files into Parquet, Arrow, CSV or NDJSON.",
    "quarantine": "Records that were set aside: list, show, replay, drop.",
    "dlq": "Calls of functions that failed for good: list, show, replay, drop.",
    "deploy": "What the tables need on AWS without a server, for SAM, CDK or Terraform.",
    "spark": "Loads of large tables on Spark: jobs for EMR Serverless and Glue.",
    "iam": "What each role on AWS may do, as policies.",
}


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Example: tailrace demo",
)
@click.option("-c", "--config", metavar="FILE", help=CONFIG_HELP)
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.option("-v", "--verbose", count=True, help="More messages; twice for debugging.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", help="Form of the messages on stderr."
)
@click.option("--no-progress", is_flag=True, help="Plain lines instead of live displays.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=lambda c, _, on: _version(c, on))
@click.pass_context
def main(
    context: click.Context,
    config: str | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
    log_format: str,
    no_progress: bool,
    debug: bool,
) -> None:
    """Replicate DynamoDB tables into data lakes and warehouses, exactly."""
    context.obj = Context(config, as_json, quiet, no_progress, debug, log_format)
    if not __debug__:
        raise click.UsageError("Tailrace checks its invariants with assertions and does not run under python -O")
    set_up_logging(quiet=quiet, verbose=verbose, log_format=log_format)


with_variables(main, VARIABLES)


def _wants_json(args: Sequence[str]) -> bool:
    """Whether somebody asks for JSON, on the command line or by the environment."""
    with suppress(click.BadParameter):
        return "--json" in args or bool(click.BOOL.convert(os.environ.get(f"{VARIABLES}_JSON") or "no", None, None))
    return False


def _fail_in_json(context: click.Context, error: click.UsageError) -> None:
    """Wrong usage is one JSON document too where one was asked for; else click explains it."""
    if context.meta[WANTS_JSON]:
        hint = f"See `{error.ctx.command_path if error.ctx else 'tailrace'} --help`."
        fail(context, UsageInvalid(error.format_message(), hint=hint))


def _version(context: click.Context, asked: bool) -> None:
    """``--version`` also says which codec decodes."""
    if not asked or context.resilient_parsing:
        return
    from tailrace import __version__
    from tailrace.codec import engine

    codec = engine()
    click.echo(f"tailrace {__version__} (codec: {codec.name} {codec.version})")
    context.exit(0)
