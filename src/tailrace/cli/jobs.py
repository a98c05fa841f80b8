"""What run, capture, load and compact do alike: call the pipeline, show what happens, and sum it up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tailrace.cli.options import left_of
from tailrace.cli.output import FAILED, IN_PART, Context, moment, print_json, size, span
from tailrace.clock import Clock, SystemClock
from tailrace.errors import UserFault
from tailrace.pipeline import TableRun


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: work ends at the next border. A second Ctrl-C ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that what was begun is cleaned up; a second of them ends the process at once."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal(number: int, frame: Any) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_jobs(
    context: Context,
    *,
    capture: bool = False,
    backfill: bool = False,
    load: bool = False,
    compact: bool = False,
    load_all: bool = False,
    take_over: bool = False,
    target: str | None = None,
    once: bool,
    budget: float | None,
    tables: str,
) -> None:
    """Run, show and leave with the right exit code."""
    pipeline = context.pipeline()
    remaining = Remaining(SystemClock())
    with stopped_by_signals() as stop:
        runs = pipeline.run(
            tables=tables,
            until_caught_up=once,
            budget_seconds=left_of(budget),
            capture=capture,
            backfill=backfill,
            load=load,
            compact=compact,
            load_all=load_all,
            take_over=take_over,
            target=target,
            stop=stop,
            on_change=lambda run: context.say(_line(run, remaining)),
        )
    if context.as_json:
        print_json([_document(run) for run in runs])
    else:
        for run in runs:
            click.echo(_line(run))
    failed = [run for run in runs if run.error is not None]
    if failed and len(failed) == len(runs):
        error = failed[0].error
        click.get_current_context().exit(2 if isinstance(error, UserFault) else FAILED)
    if failed or any(run.quarantined for run in runs):
        click.get_current_context().exit(IN_PART)


class Remaining:
    """How long loading still takes, judged by the segments a second since this was made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock.monotonic()

    def seconds(self, done: int, left: int) -> float | None:
        """None where nothing is left, or nothing can be said yet."""
        if not done or not left:
            return None
        return (self._clock.monotonic() - self._begun) * left / done


def _line(run: TableRun, remaining: Remaining | None = None) -> str:
    capture, compaction = run.capture, run.compaction
    scan, parts = run.backfill, []
    if capture.state != "NEW":
        parts.append(f"captured {capture.records} changes in {capture.segments} segments ({size(capture.bytes)})")
    if scan is not None:
        done = "done" if scan.done else f"{scan.parts_done} of {scan.parts} parts done"
        parts.append(f"scanned {scan.rows} items in {scan.segments} segments ({size(scan.bytes)}), {done}")
    for name, load in run.loads.items():
        seconds = None if remaining is None else remaining.seconds(load.segments, load.unloaded)
        left = "" if seconds is None else f", about {span(seconds)} left"
        if load.busy is not None:
            parts.append(f"{name}: another loader is at work: {load.busy.facts['holder']}")
        later = "" if load.again_ms is None else f", next load at {moment(load.again_ms)}"
        parts.append(f"{name}: {load.rows} rows applied, {load.unloaded} segments to go{left}{later}")
    if compaction.outputs or compaction.deleted:
        parts.append(
            f"compacted {compaction.segments} segments ({size(compaction.bytes)}) into {compaction.outputs}, "
            f"deleted {compaction.deleted} objects"
        )
    if capture.state != "NEW":
        parts += [f"lag {span(capture.lag_seconds)}", capture.state]
    if run.quarantined:
        parts.append(f"{run.quarantined} quarantined")
    if run.error is not None:
        parts.append(f"{run.error.code} {run.error}")
    return f"{run.table}: {'; '.join(parts) or 'nothing to do'}"


def _document(run: TableRun) -> dict[str, Any]:
    return {
        "table": run.table,
        "state": run.capture.state,
        "captured": {
            "changes": run.capture.records,
            "segments": run.capture.segments,
            "bytes": run.capture.bytes,
            "lag_seconds": run.capture.lag_seconds,
        },
        "scanned": None
        if run.backfill is None
        else {
            "items": run.backfill.rows,
            "pages": run.backfill.pages,
            "segments": run.backfill.segments,
            "bytes": run.backfill.bytes,
            "units": run.backfill.units,
            "parts": run.backfill.parts,
            "parts_done": run.backfill.parts_done,
            "done": run.backfill.done,
        },
        "loaded": {
            name: {
                "rows": load.rows,
                "segments": load.segments,
                "unloaded": load.unloaded,
                "next_load": None if load.again_ms is None else moment(load.again_ms),
                "busy": None if load.busy is None else load.busy.facts["holder"],
            }
            for name, load in run.loads.items()
        },
        "compacted": {
            "segments": run.compaction.segments,
            "bytes": run.compaction.bytes,
            "outputs": run.compaction.outputs,
            "deleted": run.compaction.deleted,
        },
        "quarantined": run.quarantined,
        "error": None
        if run.error is None
        else {"code": run.error.code, "message": str(run.error), "hint": run.error.hint},
    }
