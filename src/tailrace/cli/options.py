"""Options and argument types that several commands share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import click

from tailrace.cli.output import BEGUN

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_HELP: Final = "Configuration file (default tailrace.toml, or TAILRACE_CONFIG)."
JSON_HELP: Final = "Print one JSON document instead of text, also for an error."


def with_shared_options(command: click.Command) -> click.Command:
    """Let a command take ``--config`` and ``--json`` behind its name too, as people type them."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_shared_options(below)
    elif not any(option.name == "as_json" for option in command.params):
        command.params += [
            click.Option(["-c", "--config"], metavar="FILE", expose_value=False, callback=_share, help=CONFIG_HELP),
            click.Option(["--json", "as_json"], is_flag=True, expose_value=False, callback=_share, help=JSON_HELP),
        ]
    return command


def _share(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Put an option that was given behind the command where those before it are."""
    if value and option.name is not None:
        root = context.find_root()
        root.obj = context.obj = replace(root.obj, **{option.name: value})


class Duration(click.ParamType[Any]):
    """``14m``, ``30s``, ``1h`` or a number of seconds, greater than zero."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from tailrace.config import parse_duration  # here, because --help needs none of what it brings

        try:
            text = str(value)
            seconds = float(text) if text.replace(".", "", 1).isdigit() and text.isascii() else parse_duration(text)
        except ValueError as error:
            self.fail(str(error), param, context)
        if not 0 < seconds < 10**9:
            self.fail("a duration is greater than zero and shorter than thirty years", param, context)
        return seconds


def tables_option(command: F) -> F:
    return click.option("--tables", metavar="GLOB", default="*", help="Only tables that match, such as 'orders*'.")(
        command
    )


def budget_option(command: F) -> F:
    return click.option("--budget", type=Duration(), help="Stop in time, having published everything read: 14m.")(
        command
    )


def left_of(budget: float | None) -> float | None:
    """What is left of a budget, which counts from the call of the command; at least half of it, so that something is done."""
    if budget is None:
        return None
    begun: float = click.get_current_context().meta[BEGUN]
    return max(budget / 2, budget - (time.monotonic() - begun))
