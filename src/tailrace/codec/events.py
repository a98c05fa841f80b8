"""Stream records as people hold them, Lambda events and the output of GetRecords, to lines of a segment.

Only the shape changes. What is wrong with a record the decoder says, so every record becomes one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

TTL_PRINCIPAL: Final = "dynamodb.amazonaws.com"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What an event, or a record of one, may begin with. A segment begins with Item, Metadata, Keys or an image.
_BEGIN = re.compile(
    rb'\s*\{\s*"(Records|NextShardIterator|dynamodb|awsRegion|userIdentity|event(ID|Name|Version|Source|SourceARN))"'
)


def is_event(head: bytes) -> bool:
    """Whether plain bytes that begin so are stream records rather than a segment."""
    return _BEGIN.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def segment_of(data: bytes) -> bytes:
    """The records of one JSON document, or of one document a line, as a segment: one line a record, in order.

    A document is an event ``{"Records": […]}`` or a single record. What is not JSON stays a line as it is.
    """
    return b"".join(line + b"\n" for line in _lines(data.removeprefix(b"\xef\xbb\xbf")))


def _lines(data: bytes) -> Iterator[bytes]:
    try:
        yield from _lines_of(_load(data))
        return
    except (ValueError, RecursionError):
        pass
    for text in data.split(b"\n"):
        try:
            yield from _lines_of(_load(text))
        except (ValueError, RecursionError):
            yield text


def _lines_of(document: Any) -> list[bytes]:
    records = document.get("Records", [document]) if isinstance(document, dict) else [document]
    if not isinstance(records, list):
        raise ValueError("Records is not an array")
    return [_dump(_change(record)) for record in records]


def _change(record: Any) -> Any:
    """The export form of a stream record; what does not look like one stays what it is."""
    if not isinstance(record, dict) or not isinstance(change := record.get("dynamodb"), dict):
        return record
    metadata: dict[str, Any] = {
        "SequenceNumber": {"S": change.get("SequenceNumber")},
        "EventName": {"S": record.get("eventName")},
    }
    if "ApproximateCreationDateTime" in change:
        metadata["WriteTimestampMicros"] = {"N": _micros(change["ApproximateCreationDateTime"])}
    if _is_ttl(record.get("userIdentity")):
        metadata["Expired"] = {"BOOL": True}
    images = {name: change[name] for name in ("Keys", "NewImage", "OldImage") if name in change}
    return {"Metadata": metadata, **images}


def _is_ttl(identity: Any) -> bool:
    """Lambda writes ``principalId``, the Streams API ``PrincipalId``."""
    return isinstance(identity, Mapping) and TTL_PRINCIPAL in (
        identity.get("principalId"),
        identity.get("PrincipalId"),
    )


def _micros(created: Any) -> str:
    """Lambda gives seconds as a number, the AWS command line a moment in ISO 8601."""
    if isinstance(created, str):
        try:
            moment = datetime.fromisoformat(created)
        except ValueError:
            return created
        elapsed = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
        return str((elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds)
    if isinstance(created, Decimal):
        return str(int(created.scaleb(6))) if abs(created.adjusted()) < 20 else str(created)
    return str(created)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def _load(data: bytes) -> Any:
    text = data.decode("utf-8")
    return json.loads(text, object_pairs_hook=_no_repeats, parse_float=Decimal, parse_int=Decimal)


def _dump(value: Any) -> bytes:
    """ASCII, so that a lone surrogate stays an escape. The decoder then rejects it, and bare numbers."""
    return json.dumps(value, separators=(",", ":"), default=float).encode("ascii")
