"""Options and argument types that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tailrace.config import parse_duration

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[Any]):
    """``14m``, ``30s``, ``1h`` or a number of seconds, greater than zero."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
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
