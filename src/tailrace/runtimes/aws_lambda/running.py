"""The functions that publish and load: called by S3 for each object, or by a schedule for everything that is due.

They read the same ``tailrace.toml`` as the command line, named by ``TAILRACE_CONFIG``, and stop in time before Lambda ends them.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tailrace.clock import Budget
from tailrace.config import find_config
from tailrace.errors import TailraceError
from tailrace.jobs.capture import CaptureReport
from tailrace.jobs.publish import LambdaCapturer
from tailrace.landing import split_url
from tailrace.landing.names import is_changes
from tailrace.pipeline import Pipeline, TableRun
from tailrace.runtimes.aws_lambda.objects import created_objects, segment_of
from tailrace.runtimes.aws_lambda.passwords import put_passwords
from tailrace.runtimes.aws_lambda.telemetry import RETENTION_SECONDS, measured, say, set_up_logging
from tailrace.runtimes.daemon import CAPTURE, unexpected

log = logging.getLogger(__name__)

RESERVE_SECONDS: Final = 60.0  # for what is under way when time is up; a quarter of the time where that is less


def on_object(event: Any, context: Any) -> dict[str, Any]:
    """List the segments that an event tells of, and load what is listed of their tables.

    An event may come twice, late, out of order or not at all: the manifest and the ledger know what is done. Raises the first
    failure, when all tables had their turn.
    """
    set_up_logging()
    pipeline = pipeline_here()
    seconds = seconds_for(context)
    budget = Budget(pipeline.clock, seconds)
    segments = _segments(pipeline, event)
    reports: dict[str, CaptureReport] = {}
    failures: dict[str, dict[str, TailraceError]] = {}
    for table, names in segments.items():
        landed = [name for name in names if is_changes(name)]  # not a page of a scan, nor what compaction made
        if landed and pipeline.config.by_lambda(table):
            try:
                reports[table] = _listed(pipeline, table, landed, budget)
            except Exception as error:
                failures[table] = {CAPTURE: error if isinstance(error, TailraceError) else unexpected(error)}
                log.exception("%s: not all of its segments are listed", table)
    runs = [
        replace(run, capture=reports.get(table, run.capture), errors={**failures.get(table, {}), **run.errors})
        for table in segments
        for run in pipeline.run(
            tables=table,
            until_caught_up=True,
            budget_seconds=budget.remaining(),
            capture=False,
            backfill=False,
            compact=False,
        )
    ]
    announced(pipeline, runs)
    return {run.table: {"unloaded": _unloaded(run), "state": run.capture.state} for run in runs}


def _listed(pipeline: Pipeline, table: str, names: Sequence[str], budget: Budget) -> CaptureReport:
    capturer = pipeline.capturer(table)
    assert isinstance(capturer, LambdaCapturer)
    try:
        report = capturer.publish(budget, names)
    finally:
        capturer.close()
    log.info("%s: %d of %d segments were not listed yet", table, report.segments, len(names))
    return report


def on_schedule(event: Any, context: Any) -> dict[str, Any]:
    """All that is due, once: publish or capture, go on with a base or an export, load, compact.

    ``{"tables": "orders*"}`` in the event limits it; any other event means all tables. Raises the first failure, when all
    tables had their turn.
    """
    set_up_logging()
    pipeline = pipeline_here()
    tables = event.get("tables", "*") if isinstance(event, Mapping) else "*"
    runs = pipeline.run(tables=tables, until_caught_up=True, budget_seconds=seconds_for(context))
    announced(pipeline, runs)
    return {run.table: {"unloaded": _unloaded(run), "state": run.capture.state} for run in runs}


def _segments(pipeline: Pipeline, event: Any) -> dict[str, list[str]]:
    """Names of segments by configured table; everything else is left alone, with a word in the log."""
    _, bucket, prefix = split_url(pipeline.config.landing.url)
    found: dict[str, list[str]] = {}
    for created in created_objects(event):
        segment = segment_of(created, bucket, prefix)
        if segment is None or segment[0] not in pipeline.config.tables:
            log.info("s3://%s/%s is no segment of a configured table", created.bucket, created.key)
            continue
        found.setdefault(segment[0], []).append(segment[1])
    if not found:
        log.info("the event tells of no segment")
    return found


def announced(pipeline: Pipeline, runs: Sequence[TableRun]) -> None:
    """A line of metrics for each table. Raises the first failure."""
    for run in runs:
        say(_line(run, pipeline.clock.now_ms(), by_stream=not pipeline.config.by_exports(run.table)))
    failed = [run for run in runs if run.error is not None]
    if failed:
        error = failed[0].error
        assert error is not None
        log.error("%d of %d tables failed: %s", len(failed), len(runs), ", ".join(run.table for run in failed))
        raise _as_answer(error, failed[0].table)


def _as_answer(error: TailraceError, table: str) -> TailraceError:
    """With its code and what to do next in the message, which is all that Lambda shows of an error."""
    return type(error)(f"{error.code} {table}: {error} {error.hint}".strip(), hint=error.hint)


def _line(run: TableRun, now_ms: int, *, by_stream: bool) -> str:
    capture = run.capture
    metrics: dict[str, float] = {
        "Segments": capture.segments,
        "Rows": sum(load.rows for load in run.loads.values()),
        "Quarantined": run.quarantined,
        "Rescued": capture.rescued,
        "UnloadedSegments": _unloaded(run),
        "Failures": len(run.errors),
    }
    if capture.lag_seconds is not None:
        metrics["LagSeconds"] = capture.lag_seconds
        if by_stream:
            metrics["HeadroomSeconds"] = max(0.0, RETENTION_SECONDS - capture.lag_seconds)
    errors = {part: f"{error.code} {error}" for part, error in run.errors.items()}
    return measured(run.table, now_ms, metrics, state=capture.state, errors=errors)


def _unloaded(run: TableRun) -> int:
    return max((load.unloaded for load in run.loads.values()), default=0)


def pipeline_here() -> Pipeline:
    """What the configuration beside the code describes; kept between calls, but for passwords."""
    pipeline = _opened()
    put_passwords(pipeline.aws)
    return pipeline


@functools.cache
def _opened() -> Pipeline:
    path = find_config(None)
    return Pipeline.from_config(
        path if path.is_absolute() else os.path.join(os.environ.get("LAMBDA_TASK_ROOT", ""), path)
    )


def seconds_for(context: Any) -> float:
    """How long a call may take, with what is under way at its end."""
    remaining: float = context.get_remaining_time_in_millis() / 1000
    return remaining - min(RESERVE_SECONDS, remaining / 4)
