"""The function behind a table's stream: a batch becomes a segment, and is acknowledged once that is durable.

Imports the standard library, botocore and Tailrace's own modules of that kind; a test holds it. Its one setting is a variable
of the environment: ``TAILRACE_LANDING``, the landing url, ``s3://bucket/prefix``.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tailrace.aws import Aws, AwsSettings
from tailrace.capture.lambda_events import QUARANTINED, EncodedBatch, StreamBatch, batch_of, encode_batch
from tailrace.clock import Clock, SystemClock
from tailrace.deploy.entry import LANDING
from tailrace.errors import ConfigInvalid, TailraceError, Transient
from tailrace.landing import Landing, SegmentDraft, Store, WrittenSegment, open_store
from tailrace.model.quarantine import QuarantinedRecord
from tailrace.runtimes.aws_lambda.telemetry import RETENTION_SECONDS, measured, say, set_up_logging

log = logging.getLogger(__name__)

RESERVE_SECONDS: Final = 10.0  # left for writing what was encoded; half of the time where that is less
READ_SECONDS: Final = 8.0  # an answer of S3; with its repetitions it stays below the function's minute
ATTEMPTS: Final = 3
WARNINGS_MAX: Final = 10  # of one batch


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Land one batch. Returns Lambda's partial batch response; raises TailraceError when nothing may be acknowledged."""
    set_up_logging()
    batch = batch_of(event)
    try:
        return land(batch, Landing(_store(), batch.table), SystemClock(), seconds_left(context))
    except TailraceError as error:
        log.error("%s: nothing of this batch is acknowledged: %s. %s", batch.table, error, error.hint)
        raise


def land(
    batch: StreamBatch,
    landing: Landing,
    clock: Clock,
    remaining: Callable[[], float],
    tell: Callable[[str], None] = say,
) -> dict[str, Any]:
    """Make a batch durable: set bad records aside, write the segment. `remaining`: seconds until the function is ended.

    `tell` gets the line of metrics. Names come from positions, times and content of the records, so a batch that comes again
    changes nothing.
    """
    reserve = min(RESERVE_SECONDS, remaining() / 2)
    encoded = encode_batch(batch, lambda: remaining() < reserve)
    if encoded.poison:
        _set_aside(landing, batch, encoded.poison)
    segment = _write(landing, batch, encoded)
    tell(_line(batch, encoded, segment, clock.now_ms()))
    return {"batchItemFailures": [] if encoded.left is None else [{"itemIdentifier": encoded.left}]}


def _set_aside(landing: Landing, batch: StreamBatch, records: Sequence[QuarantinedRecord]) -> None:
    """All bad records of a batch in one object: an endless row of them must not take longer than Lambda waits."""
    try:
        published = landing.load()
    except Transient:
        raise
    except TailraceError as error:  # a shard must not wait for somebody to mend a manifest
        log.warning("%s: the epoch cannot be looked up: %s", batch.table, error)
        published = None
    is_known = published is not None and published.manifest.incarnation.stream_arn == batch.stream_arn
    epoch = published.manifest.epoch if published is not None and is_known else 1
    name = f"{QUARANTINED}{records[0].sequence_number or 'unnumbered'}"
    landing.quarantine(name, [replace(record, epoch=epoch) for record in records])
    for record in records[:WARNINGS_MAX]:
        log.warning("%s: record %s is set aside: %s", batch.table, record.sequence_number, record.reason)


def _write(landing: Landing, batch: StreamBatch, encoded: EncodedBatch) -> WrittenSegment | None:
    if encoded.first is None or encoded.last is None or encoded.newest_ms is None:
        return None
    return landing.write_segment(
        SegmentDraft(
            kind="lambda",
            lines=encoded.lines,
            first=encoded.first,
            last=encoded.last,
            at_ms=encoded.newest_ms,
            newest_change_ms=encoded.newest_ms,
            lineage=(batch.stream_arn,),
        )
    )


def _line(batch: StreamBatch, encoded: EncodedBatch, segment: WrittenSegment | None, now_ms: int) -> str:
    metrics: dict[str, float] = {
        "Rows": len(encoded.lines),
        "Bytes": 0 if segment is None else segment.bytes,
        "Quarantined": len(encoded.poison),
    }
    if encoded.oldest_ms is not None and encoded.newest_ms is not None:
        age = max(0.0, (now_ms - encoded.oldest_ms) / 1000)
        metrics |= {
            "LagSeconds": max(0.0, (now_ms - encoded.newest_ms) / 1000),
            "IteratorAgeSeconds": age,
            "HeadroomSeconds": max(0.0, RETENTION_SECONDS - age),
        }
    name = None if segment is None else segment.name
    return measured(batch.table, now_ms, metrics, segment=name, left=encoded.left is not None)


@functools.cache
def _store() -> Store:
    url = os.environ.get(LANDING, "")
    if not url.startswith("s3:"):
        raise ConfigInvalid(
            f"{LANDING} is {url!r:.200}, and a function lands on S3",
            hint=f"Set the function's variable {LANDING} to the landing url, such as s3://acme-lake/tailrace.",
        )
    client = Aws(AwsSettings()).client("s3", attempts=ATTEMPTS, read_seconds=READ_SECONDS)
    return open_store(url, client)


def seconds_left(context: Any) -> Callable[[], float]:
    """Until Lambda ends the call."""
    return lambda: context.get_remaining_time_in_millis() / 1000
