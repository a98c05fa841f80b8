"""``tailrace status``"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from tailrace.cli.options import Duration, tables_option
from tailrace.cli.output import DIFFERENT, IN_PART, Context, moment, print_json, printable, size, span
from tailrace.pipeline import TableStatus

WARN_SECONDS: Final = 6 * 3600.0  # of capture lag: a quarter of what the stream keeps is gone
WAITING_SECONDS: Final = 60.0  # a segment that waits longer to be loaded is worth a word
BROKEN: Final = ("GAP", "SOURCE_CHANGED", "PAUSED")


@click.command(epilog="Example: tailrace status --max-lag 5m")
@tables_option
@click.option("--max-lag", type=Duration(), help="Leave with exit code 4 when a table lags more than this.")
@click.pass_obj
def command(context: Context, tables: str, max_lag: float | None) -> None:
    """Show each table's state, lag, gaps and quarantine.

    Exit code 3: something is set aside; 4: a gap, a pause, or too much lag.
    """
    found = context.pipeline().status(tables=tables)
    if context.as_json:
        print_json([document(status) for status in found])
    else:
        for status in found:
            click.echo("\n".join(_lines(status)))
    if any(s.state in BROKEN or _lags(s, max_lag) or any(t.problem for t in s.targets) for s in found):
        click.get_current_context().exit(DIFFERENT)
    if any(status.quarantined for status in found):
        click.get_current_context().exit(IN_PART)


def document(status: TableStatus) -> dict[str, Any]:
    """The JSON form; scripts depend on it."""
    return {
        "table": status.table,
        "state": status.state,
        "reason": status.reason,
        "capture": {
            "mode": "streams",
            "lag_seconds": status.capture_lag_seconds,
            "position": status.marks,
            "captured_through_ms": status.captured_through_ms,
        },
        "segments": {"count": status.segments, "bytes": status.segment_bytes, "unloaded": status.unloaded},
        "targets": [
            {
                "name": t.name,
                "kind": t.kind,
                "mode": t.mode,
                "rows": t.rows,
                "unloaded": t.segments_unloaded,
                "watermark": moment(t.watermark_ms) if t.watermark_ms is not None else None,
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


def _lags(status: TableStatus, max_lag: float | None) -> bool:
    lags = [status.capture_lag_seconds, *(target.lag_seconds for target in status.targets)]
    return max_lag is not None and any(lag is None or lag > max_lag for lag in lags)


def _lines(status: TableStatus) -> list[str]:
    lines = [f"{status.table}  {status.state}{f'  {printable(status.reason)}' if status.reason else ''}"]
    lines.append(
        f"  captured through {moment(status.captured_through_ms)} ({span(status.capture_lag_seconds)} ago), "
        f"{status.segments} segments, {size(status.segment_bytes)}, {status.unloaded} not loaded"
    )
    if status.capture_lag_seconds is not None and status.capture_lag_seconds > WARN_SECONDS:
        left = 24 * 3600 - status.capture_lag_seconds
        lines.append(f"  WARNING: the stream keeps 24 hours; {span(max(0.0, left))} are left before changes are lost")
    for t in status.targets:
        if t.problem:
            lines.append(f"  {t.name} ({t.kind}, {t.mode}): {printable(t.problem)}")
            continue
        latency = ""
        if t.latency_ms_p50 is not None and t.latency_ms_p99 is not None:
            latency = f", write to queryable p50 {t.latency_ms_p50 / 1000:.1f} s, p99 {t.latency_ms_p99 / 1000:.1f} s"
        lines.append(
            f"  {t.name} ({t.kind}, {t.mode}): {t.rows} rows, complete through {moment(t.watermark_ms)} "
            f"({span(t.lag_seconds)} behind){latency}"
        )
        waits = 0.0 if t.waiting_since_ms is None else time.time() - t.waiting_since_ms / 1000
        if waits > WAITING_SECONDS:
            lines.append(
                f"  WARNING: {t.segments_unloaded} segments are not loaded, the oldest for {span(waits)}; "
                "is `tailrace run` up? Its log, or `tailrace load`, says what is wrong"
            )
    lines += [
        f"  GAP {gap.kind}: {printable(gap.reason)} (shard {gap.shard}, after {gap.after})" for gap in status.gaps
    ]
    return lines
