"""What the commands share: where results, messages and errors go, and in which form."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
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

from tailrace.errors import TailraceError, UsageInvalid, UserFault
from tailrace.outputs import FULL_OR_FAILING, unwritable

if TYPE_CHECKING:
    from tailrace.pipeline import Pipeline

FAILED: Final = 1
WRONG_USAGE: Final = 2
IN_PART: Final = 3
DIFFERENT: Final = 4
BEGUN: Final = "tailrace.begun"  # in a context's meta: when the command was called, on the monotonic clock
WANTS_JSON: Final = "tailrace.wants_json"  # in a context's meta: somebody asks for JSON


@dataclass(frozen=True, slots=True)
class Context:
    """The global options."""

    config: str | None
    as_json: bool
    quiet: bool
    no_progress: bool
    debug: bool
    log_format: str = "text"

    def pipeline(self) -> Pipeline:
        """The configured pipeline; raises ConfigInvalid."""
        from tailrace.config import find_config
        from tailrace.pipeline import Pipeline

        return Pipeline.from_config(find_config(self.config))

    @property
    def is_live(self) -> bool:
        """Whether a display that redraws itself may be shown on stderr."""
        wanted = not (self.no_progress or self.quiet or self.as_json or self.log_format == "json" or "CI" in os.environ)
        return wanted and sys.stderr.isatty()

    def say(self, message: str) -> None:
        """A message for the person who waits; not a result."""
        if not self.quiet:
            click.echo(_json_line("INFO", message) if self.log_format == "json" else message, err=True)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _json_line(record.levelname, record.getMessage(), at=record.created, logger=record.name)


def _json_line(level: str, message: str, *, at: float | None = None, **more: Any) -> str:
    """One message as one line of JSON, in ASCII: no name or value can break it."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return json.dumps({"time": moment.isoformat(timespec="milliseconds"), "level": level, "message": message, **more})


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


def is_confirmed(question: str) -> bool:
    """The answer of whoever is at the terminal. Raises UsageInvalid where nobody is."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        raise UsageInvalid("There is nobody to ask", hint="Say --yes where no terminal is.") from None


def prepare_streams() -> None:
    """Output that cannot fail on a character, and no descriptor below 3 that a database file or a socket could take."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def fail(context: click.Context, error: Exception) -> NoReturn:
    """Print an error as code, sentence, place and next step, and leave: 2 for a fault of usage or configuration, else 1."""
    options: Context = context.obj or Context(None, False, False, False, False)
    if options.debug:
        traceback.print_exception(error)
    ours = error if isinstance(error, TailraceError) else _unexpected(error)
    facts = {name: str(value) for name, value in ours.facts.items()}
    document = {"code": ours.code, "message": ours.message, "hint": ours.hint, "facts": facts}
    if options.as_json or context.meta.get(WANTS_JSON):
        with contextlib.suppress(OSError):  # a full disk behind stdout must not hide the error
            print_json({"error": document})
    if options.log_format == "json":
        click.echo(_json_line("ERROR", ours.message, code=ours.code, hint=ours.hint, facts=facts), err=True)
    else:
        lines = [f"error {ours.code}: {_indented(ours.message)}"]
        lines += [f"  {name}: {_indented(value)}" for name, value in facts.items()]
        lines += [f"  hint: {_indented(ours.hint)}"] if ours.hint else []
        click.echo("\n".join(lines), err=True)
    context.exit(WRONG_USAGE if isinstance(ours, UserFault) else FAILED)


def _unexpected(error: Exception) -> TailraceError:
    if isinstance(error, OSError) and error.errno in FULL_OR_FAILING:
        return unwritable("A file, or standard output, cannot be read or written", error, file=error.filename)
    return TailraceError(
        f"Unexpected {type(error).__name__}: {error}",
        hint="This is a defect of Tailrace: please report it with what --debug shows.",
    )


def _indented(text: str) -> str:
    """Lines stay lines, but none can pass for one of ours."""
    return "\n    ".join(printable(line) for line in text.rstrip("\n").split("\n"))


def print_json(value: Any) -> None:
    """One JSON document on stdout, in ASCII."""
    click.echo(json.dumps(value, indent=2, default=_plain))


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
