"""What the commands share: where results, messages and errors go, and in which form."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from tailrace.errors import TailraceError, UserFault

if TYPE_CHECKING:
    from tailrace.pipeline import Pipeline

FAILED: Final = 1
WRONG_USAGE: Final = 2
IN_PART: Final = 3
DIFFERENT: Final = 4


@dataclass(frozen=True, slots=True)
class Context:
    """The global options."""

    config: str | None
    as_json: bool
    quiet: bool
    no_progress: bool
    debug: bool

    def pipeline(self) -> Pipeline:
        """The configured pipeline; raises ConfigInvalid."""
        from tailrace.config import find_config
        from tailrace.pipeline import Pipeline

        return Pipeline.from_config(find_config(self.config))

    @property
    def is_live(self) -> bool:
        """Whether a display that redraws itself may be shown on stderr."""
        import os

        return not (self.no_progress or self.quiet or self.as_json or "CI" in os.environ) and sys.stderr.isatty()

    def say(self, message: str) -> None:
        """A message for the person who waits; not a result."""
        if not self.quiet:
            click.echo(message, err=True)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(document, ensure_ascii=True)


class _TextFormatter(logging.Formatter):
    """One line a message, whatever bytes a record's name or value smuggles in."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def set_up_logging(*, quiet: bool, verbose: int, log_format: str) -> None:
    """Messages to stderr. Other libraries speak from WARNING on only, so that no request's content is logged."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter()
        if log_format == "json"
        else _TextFormatter("%(asctime)sZ %(levelname)s %(message)s", "%H:%M:%S")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.getLogger("tailrace").setLevel(level)


def printable(text: str) -> str:
    """Control characters shown instead of obeyed: names and values may come from an attacker."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def fail(context: click.Context, error: TailraceError) -> NoReturn:
    """Print an error as code, sentence, place and next step, and leave: 2 for a fault of usage or configuration, else 1."""
    options = context.obj
    if options is not None and options.debug:
        traceback.print_exception(error)
    code = WRONG_USAGE if isinstance(error, UserFault) else FAILED
    if options is not None and options.as_json:
        facts = {name: str(value) for name, value in error.facts.items()}
        document = {"error": {"code": error.code, "message": error.message, "hint": error.hint, "facts": facts}}
        click.echo(json.dumps(document, ensure_ascii=False))
    lines = [f"error {error.code}: {printable(error.message)}"]
    lines += [f"  {name}: {printable(str(value))}" for name, value in error.facts.items()]
    lines += [f"  hint: {printable(error.hint)}"] if error.hint else []
    click.echo("\n".join(lines), err=True)
    context.exit(code)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path | datetime):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def moment(ms: int | None) -> str:
    """Unix milliseconds as UTC text."""
    return "-" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def span(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes as people say them."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
