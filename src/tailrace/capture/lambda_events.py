"""What Lambda hands over of a stream, to lines ready to land. A bad record is set aside, so that no shard waits for one.

Standard library only, like everything that the function behind a stream imports. No I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.capture.records import line_of, payload_of, sequence_number_of
from tailrace.errors import RecordInvalid, UsageInvalid
from tailrace.model.positions import SequenceNumber
from tailrace.model.quarantine import QuarantinedRecord

LOOK_EVERY: Final = 256  # records between two looks at the time that is left
QUARANTINED: Final = "lambda-"  # how the names begin of what a function sets aside
_STREAM = re.compile(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/([^/]+)/stream/.+")


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """The records of one invocation: all of one stream, in the order of its shard."""

    stream_arn: str
    table: str
    records: Sequence[Any]


@dataclass(slots=True)
class EncodedBatch:
    """What became of a batch. `lines` cover the positions `first` to `last`; times are those of the records, in Unix ms.

    `left`: the position, as the event spells it, of the first record that nobody looked at, because time was short.
    """

    lines: list[bytes] = field(default_factory=list)
    first: SequenceNumber | None = None
    last: SequenceNumber | None = None
    oldest_ms: int | None = None
    newest_ms: int | None = None
    poison: list[QuarantinedRecord] = field(default_factory=list)
    left: str | None = None

    def take(self, number: SequenceNumber, created_ms: int, data: bytes) -> None:
        self.lines.append(data)
        self.first = number if self.first is None else min(self.first, number)
        self.last = number if self.last is None else max(self.last, number)
        self.oldest_ms = created_ms if self.oldest_ms is None else min(self.oldest_ms, created_ms)
        self.newest_ms = created_ms if self.newest_ms is None else max(self.newest_ms, created_ms)


def batch_of(event: Any) -> StreamBatch:
    """The batch in an event. Raises UsageInvalid for what does not come from one DynamoDB stream."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not records:
        raise _foreign("it has no Records")
    found = {r.get("eventSourceARN") for r in records if isinstance(r, Mapping)} - {None}
    if len(found) != 1:
        raise _foreign(f"its records name {len(found)} event sources")
    stream_arn = str(found.pop())
    match = _STREAM.fullmatch(stream_arn)
    if match is None:
        raise _foreign(f"its records come from {stream_arn:.200}")
    return StreamBatch(stream_arn, match[1], records)


def _foreign(what: str) -> UsageInvalid:
    return UsageInvalid(
        f"This is no event of a DynamoDB stream: {what}",
        hint="Give the function an event source mapping on the table's stream, and no other trigger.",
    )


def encode_batch(batch: StreamBatch, is_out_of_time: Callable[[], bool]) -> EncodedBatch:
    """Encode the records in order, until all are done or time is short.

    It stops only at a record whose position can be read, so that Lambda can be told where to go on.
    """
    encoded = EncodedBatch()
    is_short = False
    for place, record in enumerate(batch.records):
        is_short = is_short or (place > 0 and place % LOOK_EVERY == 0 and is_out_of_time())
        if is_short and sequence_number_of(record) is not None:
            encoded.left = record["dynamodb"]["SequenceNumber"]
            return encoded
        try:
            encoded.take(*line_of(record))
        except RecordInvalid as error:
            number = sequence_number_of(record)
            encoded.poison.append(
                QuarantinedRecord(
                    "bad_envelope",
                    error.message,
                    payload_of(record),
                    sequence_number=None if number is None else str(number),
                )
            )
    return encoded
