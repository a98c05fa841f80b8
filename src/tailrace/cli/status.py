"""``tailrace status``"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from tailrace.cli.options import Duration, tables_option
from tailrace.cli.output import DIFFERENT, IN_PART, Context, moment, print_json, printable, size, span
from tailrace.config import Config
from tailrace.decide.load import Every, LoadRule
from tailrace.pipeline import TableStatus, TargetStatus

RETENTION_SECONDS: Final = 24 * 3600.0  # what the stream keeps
WARN_SECONDS: Final = 6 * 3600.0
ALARM_SECONDS: Final = 12 * 3600.0
WAITING_SECONDS: Final = 60.0  # a segment that waits longer to be loaded is worth a word
STALE_SECONDS: Final = 180.0  # or three heartbeats: capture that lives has said something by then
BASE_SECONDS: Final = {"scan": 1800.0, "export": 86_400.0}  # a base that comes no further for so long is stuck
EXPORT_SECONDS: Final = 1800.0  # what backups lag behind and exports take, with room; beside two windows
BROKEN: Final = ("GAP", "SOURCE_CHANGED", "PAUSED")


@click.command(epilog="Example: tailrace status --max-lag 5m")
@tables_option
@click.option(
    "--max-lag",
    type=Duration(),
    help="Lag that is still well (default 3m, or three heartbeats; with cron, its period).",
)
@click.pass_obj
def command(context: Context, tables: str, max_lag: float | None) -> None:
    """Show each table's state, lag, gaps and quarantine.

    Exit code 4: a gap, a pause, a base that comes no further, or more lag than is well, so also when nobody captures;
    3: nothing was captured yet, something is set aside, a target does not answer or is another one, or a table's manifest
    cannot be read; 1: none can.
    """
    pipeline = context.pipeline()
    found, now = pipeline.status(tables=tables), time.time()
    if all(status.problem for status in found):
        raise next(status.problem for status in found if status.problem)
    lags = {s.table: max_lag or _lag_expected(pipeline.config, s) for s in found}
    if context.as_json:
        print_json([document(status, lags[status.table], now) for status in found])
    else:
        for status in found:
            click.echo("\n".join(lines(status, lags[status.table], now)))
    if any(status.state in BROKEN or is_late(status, lags[status.table], now) for status in found):
        click.get_current_context().exit(DIFFERENT)
    if any(
        status.problem
        or status.quarantined
        or status.state == "NEW"
        or any(target.problem for target in status.targets)
        for status in found
    ):
        click.get_current_context().exit(IN_PART)


def _lag_expected(config: Config, status: TableStatus) -> float:
    if status.capture == "exports":
        return 2 * config.windows_of(status.table).width + EXPORT_SECONDS
    return max(STALE_SECONDS, 3 * float(config.rule(status.table, "heartbeat_seconds", 60.0)))


def is_late(status: TableStatus, max_lag: float, now: float) -> bool:
    """Health is progress: capture or a target lags more than it may. A table without a first capture is new, not late.

    A target that waits for its hour, or for a person, is late only with what is due.
    """
    lags = [status.capture_lag_seconds, *(_wait(target, now) for target in status.targets)]
    lags += [target.lag_seconds for target in status.targets if target.load in ("continuous", "on_file")]
    return any(lag is not None and lag > max_lag for lag in lags) or _is_stuck(status, now)


def _is_stuck(status: TableStatus, now: float) -> bool:
    """Capture goes on beside a base that cannot be read, so nothing else shows it."""
    return status.base_since_ms is not None and now - status.base_since_ms / 1000 > BASE_SECONDS[status.base]


def warnings(status: TableStatus, max_lag: float, now: float) -> list[str]:
    """What a person should do something about, beside the state; the worst first."""
    found: list[str] = []
    lag = status.capture_lag_seconds
    if status.capture == "exports":
        pass  # backups reach back for days; a window that leaves them is a gap
    elif lag is not None and lag > RETENTION_SECONDS:
        found.append(f"ALARM: the stream keeps 24 hours, and {span(lag)} are not captured: changes may be lost")
    elif lag is not None and lag > WARN_SECONDS:
        used = "ALARM: half" if lag > ALARM_SECONDS else "WARNING: a quarter"
        left = span(RETENTION_SECONDS - lag)
        found.append(f"{used} of the stream's 24 hours is used up; {left} are left before changes are lost")
    if lag is not None and lag > max_lag:
        found.append(f"nothing was captured for {span(lag)}: is `tailrace run` up?")
    if status.base_since_ms is not None and _is_stuck(status, now):
        found.append(
            f"the base has come no further for {span(now - status.base_since_ms / 1000)}: "
            "the log of whoever reads it, or `tailrace doctor`, says why"
        )
    for target in status.targets:
        if target.problem:
            found.append(f"{target.name}: {target.problem}")
        elif target.due_since_ms is not None and (wait := _wait(target, now)) > WAITING_SECONDS:
            found.append(
                f"{target.segments_unloaded} segments are not loaded into {target.name}, the oldest for {span(wait)}: "
                "is `tailrace run` up? Its log, or `tailrace load`, says what is wrong"
            )
    return found


def _wait(target: TargetStatus, now: float) -> float:
    """For how many seconds the oldest segment has been due."""
    return 0.0 if target.due_since_ms is None else now - target.due_since_ms / 1000


def rule_text(rule: LoadRule) -> str:
    """A load rule as people say it."""
    if not isinstance(rule, Every):
        return {"continuous": "continuous", "on_file": "on file", "by_hand": "by hand"}[rule]
    late = f" and {whole_span(rule.offset)}" if rule.offset else ""
    return f"every {whole_span(rule.seconds)}{late}"


def whole_span(seconds: int) -> str:
    """Seconds as a configuration file has them."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def rule_document(rule: LoadRule) -> Any:
    """A load rule as a configuration file has it."""
    return {"every": whole_span(rule.seconds), "offset": whole_span(rule.offset)} if isinstance(rule, Every) else rule


def _loading(target: TargetStatus) -> str:
    """Who loads, and since when."""
    lease = target.loader
    return "" if lease is None else f"{printable(lease.holder or '')} loads since {moment(lease.since_ms)}"


def _waiting(target: TargetStatus) -> str:
    """What waits, and for what."""
    if not target.segments_unloaded or target.due_since_ms is not None:
        return ""
    count = f"{target.segments_unloaded} segments wait for "
    return count + (
        "`tailrace load`" if target.next_load_ms is None else f"the next load at {moment(target.next_load_ms)}"
    )


def document(status: TableStatus, max_lag: float, now: float) -> dict[str, Any]:
    """The JSON form; scripts depend on it."""
    return {
        "table": status.table,
        "state": status.state,
        "reason": status.reason,
        "warnings": warnings(status, max_lag, now),
        "capture": {
            "mode": status.capture,
            "lag_seconds": status.capture_lag_seconds,
            "position": status.marks,
        },
        "segments": {
            "count": status.segments,
            "bytes": status.segment_bytes,
            "files": status.files,
            "unloaded": status.unloaded,
        },
        "targets": [
            {
                "name": t.name,
                "kind": t.kind,
                "mode": t.mode,
                "load": rule_document(t.load),
                "next_load": None if t.next_load_ms is None else moment(t.next_load_ms),
                "loader": None if t.loader is None else {"holder": t.loader.holder, "since": moment(t.loader.since_ms)},
                "rows": None if t.problem else t.rows,
                "watermark": None if t.watermark_ms is None else moment(t.watermark_ms),
                "lag_seconds": t.lag_seconds,
                "waiting_since": None if t.waiting_since_ms is None else moment(t.waiting_since_ms),
                "problem": t.problem,
                "latency_ms": {"p50": t.latency_ms_p50, "p99": t.latency_ms_p99},
            }
            for t in status.targets
        ],
        "gaps": [gap.to_json() for gap in status.gaps],
        "quarantine": {"count": status.quarantined},
    }


def lines(status: TableStatus, max_lag: float, now: float) -> list[str]:
    """A table for people. A state that nobody has confirmed lately is not shown as if it held."""
    state = f"STALE ({status.state} when last seen)" if is_late(status, max_lag, now) else status.state
    shown = [f"{status.table}  {state}{f'  {printable(status.reason)}' if status.reason else ''}"]
    shown += [f"  {printable(warning)}" for warning in warnings(status, max_lag, now)]
    if status.state not in ("NEW", "FAILED"):
        shown.append(
            f"  captured through {moment(status.captured_through_ms)} ({span(status.capture_lag_seconds)} ago), "
            f"{status.segments} segments in {status.files} files, {size(status.segment_bytes)}, {status.unloaded} not loaded"
        )
    for t in status.targets:
        if t.problem:
            continue
        latency = ""
        if t.latency_ms_p50 is not None and t.latency_ms_p99 is not None:
            latency = f", write to queryable p50 {t.latency_ms_p50 / 1000:.1f} s, p99 {t.latency_ms_p99 / 1000:.1f} s"
        rule = "" if t.load == "continuous" else f", load {rule_text(t.load)}"
        shown.append(
            f"  {t.name} ({t.kind}, {t.mode}{rule}): {t.rows} rows, complete through {moment(t.watermark_ms)} "
            f"({span(t.lag_seconds)} behind){latency}"
        )
        shown += [f"    {line}" for line in [_waiting(t), _loading(t)] if line]
    shown += [
        f"  GAP {gap.kind}: {printable(gap.reason)} (shard {gap.shard}, after {gap.after})" for gap in status.gaps
    ]
    return shown
