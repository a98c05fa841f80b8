"""What follows from the answer of a function to a batch of stream records. No I/O, no clock.

A batch is a `Piece`: the records of one shard from one sequence number to another. A failure makes it smaller, counts a retry, or
gives it up. Where AWS does not say which, this takes what `docs/local.md` states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tailrace.local.emulator import ServiceError
from tailrace.local.shards import Shard, StoredRecord

BATCH_SIZE: Final = 100
PAYLOAD_BYTES_MAX: Final = 6 << 20
EXTRA_BYTES: Final = 200  # what an event adds to a record, at most
ENDLESS: Final = -1
RANGES: Final = {
    "BatchSize": (1, 10_000),
    "MaximumBatchingWindowInSeconds": (0, 300),
    "ParallelizationFactor": (1, 10),
    "MaximumRetryAttempts": (-1, 10_000),
    "MaximumRecordAgeInSeconds": (-1, 604_800),
}
DEFAULTS: Final = {
    "BatchSize": BATCH_SIZE,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "MaximumRetryAttempts": ENDLESS,
    "MaximumRecordAgeInSeconds": ENDLESS,
    "BisectBatchOnFunctionError": False,
    "FunctionResponseTypes": [],
    "DestinationConfig": {"OnFailure": {}},
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of a mapping. `retries` and `age_seconds`: -1 is endless."""

    batch_size: int
    window_seconds: int
    retries: int
    age_seconds: int
    bisects: bool
    reports: bool

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Limits:
        """Of a mapping as GetEventSourceMapping shows it; templates give numbers and truth as text."""
        settings = {**DEFAULTS, **mapping}
        return cls(
            batch_size=int(settings["BatchSize"]),
            window_seconds=int(settings["MaximumBatchingWindowInSeconds"]),
            retries=int(settings["MaximumRetryAttempts"]),
            age_seconds=int(settings["MaximumRecordAgeInSeconds"]),
            bisects=str(settings["BisectBatchOnFunctionError"]).lower() == "true",
            reports="ReportBatchItemFailures" in (settings["FunctionResponseTypes"] or ()),
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of one shard, both ends included. `retries`: those used up; `calls`: how often it, or what held it, was tried."""

    first: int
    last: int
    retries: int = 0
    calls: int = 0


@dataclass(slots=True)
class Cursor:
    """How far a mapping is with one shard: everything up to `taken` is done, except for the pieces under way, in order."""

    taken: int
    pieces: list[Piece] = field(default_factory=list)
    failures: int = 0  # in a row
    retry_at: float = 0.0  # seconds of the movable clock
    waiting_since: float | None = None  # for a batch to fill


def next_piece(shard: Shard, cursor: Cursor, limits: Limits, now: float) -> Piece | None:
    """The batch that is due, None while one fills. It is full by count or bytes, or the window or the shard has ended."""
    records = shard.after(cursor.taken, limits.batch_size)
    if not records:
        cursor.waiting_since = None
        return None
    fitting = _fitting(records)
    if cursor.waiting_since is None:
        cursor.waiting_since = now
    is_full = len(fitting) < len(records) or len(records) == limits.batch_size or shard.last is not None
    if not is_full and now - cursor.waiting_since < limits.window_seconds:
        return None
    cursor.waiting_since = None
    return Piece(fitting[0].number, fitting[-1].number)


def failed_from(answer: bytes, numbers: Sequence[int]) -> int | None:
    """The place of the first record that failed, by a partial batch response; None if all is done.

    What cannot be understood is a failure of everything: 0.
    """
    try:
        document = json.loads(answer or b"null")
    except ValueError:
        return 0
    if document is None:
        return None
    if not isinstance(document, dict):
        return 0
    failures = document.get("batchItemFailures") or []
    if not isinstance(failures, list):
        return 0
    places = {str(number): place for place, number in enumerate(numbers)}
    named = [str(failure.get("itemIdentifier")) if isinstance(failure, dict) else "" for failure in failures]
    return min((places.get(name, 0) for name in named), default=None)


def after_failure(
    piece: Piece, numbers: Sequence[int], failed: int, limits: Limits
) -> tuple[list[Piece], Piece | None]:
    """What is still to do of a piece, in order, and what is given up. `failed`: the place of the first record that failed.

    Where the mapping bisects, a piece of several is split, which counts as no retry: behind what succeeded, else in the middle.
    """
    left = replace(piece, first=numbers[failed])
    if limits.bisects and failed:
        return [left], None
    if limits.bisects and len(numbers) > 1:
        middle = len(numbers) // 2
        return [replace(left, last=numbers[middle - 1]), replace(left, first=numbers[middle])], None
    left = replace(left, retries=left.retries + 1)
    if limits.retries != ENDLESS and left.retries > limits.retries:
        return [], left
    return [left], None


def checked(request: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """A CreateEventSourceMapping or UpdateEventSourceMapping for a stream, a new one with what AWS sets by itself.

    Raises ServiceError for what AWS refuses, and for what this does not do.
    """
    for name, (low, high) in RANGES.items():
        value = request.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _invalid(f"Value {value!r} at '{name}' failed to satisfy constraint: {low} to {high}")
    if 0 <= request.get("MaximumRecordAgeInSeconds", ENDLESS) < 60:
        raise _invalid("MaximumRecordAgeInSeconds is -1, or 60 to 604800")
    if is_new and request.get("StartingPosition") not in ("TRIM_HORIZON", "LATEST"):
        raise _invalid("StartingPosition of a DynamoDB stream is TRIM_HORIZON or LATEST")
    if (request.get("FilterCriteria") or {}).get("Filters") or request.get("TumblingWindowInSeconds"):
        raise _invalid("tailrace local has no FilterCriteria and no TumblingWindowInSeconds for streams")
    destination = ((request.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    if destination and not destination.startswith(("arn:aws:sqs:", "arn:aws:sns:", "arn:aws:s3:::")):
        raise _invalid(f"A destination is a queue, a topic or a bucket, not {destination}")
    return {**DEFAULTS, **request} if is_new else dict(request)


def event_record(record: StoredRecord, stream_arn: str) -> dict[str, Any]:
    """A stream record as a function gets it."""
    event: dict[str, Any] = {**json.loads(record.body), "eventSourceARN": stream_arn}
    identity = event.get("userIdentity")
    if identity:
        event["userIdentity"] = {"principalId": identity["PrincipalId"], "type": identity["Type"]}
    return event


def _fitting(records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    size = 0
    for count, record in enumerate(records):
        size += len(record.body) + EXTRA_BYTES
        if count and size > PAYLOAD_BYTES_MAX:
            return records[:count]
    return records


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)
