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


def with_variables(command: click.Command, prefix: str) -> click.Command:
    """Let every option come from the environment too: from the prefix and its longest name, ``TAILRACE_LOCAL_DIR`` of ``--dir``.

    Click's own rule takes the name of Python's parameter, which is often another. What every command takes and ``--version``
    (`expose_value` is off) have none here: the former come from the variables of the program's own options, and a version
    number in the environment asks for nothing. A variable that an option names for itself comes first.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            own = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
            name = f"{prefix}_{_capitals(max(option.opts, key=len).lstrip('-'))}"
            option.envvar = list(dict.fromkeys([*own, name]))  # each once, however often a command is asked for
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            with_variables(below, f"{prefix}_{_capitals(name)}")
    return command


def _capitals(name: str) -> str:
    return name.replace("-", "_").upper()


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
