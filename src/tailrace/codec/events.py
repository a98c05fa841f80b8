"""Stream records as people hold them, Lambda events and the output of GetRecords, to lines of a segment.

Only the shape changes. What is wrong with a record the decoder says, so every record becomes one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

TTL_PRINCIPAL: Final = "dynamodb.amazonaws.com"
HEAD_BYTES: Final = 64  # that `is_event` has to see, white space not counted
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What an event, a record of one, or an array of these may begin with. A segment begins with Item, Metadata, Keys or an image.
_BEGIN = re.compile(
    rb'\s*(\[\s*)?\{\s*"'
    rb'(Records|NextShardIterator|dynamodb|awsRegion|userIdentity|event(ID|Name|Version|Source|SourceARN))"'
)
_NOT_LOADED: Final = (ValueError, RecursionError)


def is_event(head: bytes) -> bool:
    """Whether plain bytes that begin so are stream records rather than a segment."""
    return _BEGIN.match(head.removeprefix(_BYTE_ORDER_MARK)) is not None


def segment_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The records of JSON documents as a segment: one line a record, in order.

    A document is an event ``{"Records": […]}``, an array of records or a single record. One document a line is read
    line by line; one that goes over several lines is held whole. What is not JSON stays a line as it is.
    """
    lines = _split(chunks)
    first = next((line for line in lines if line.strip()), b"").removeprefix(_BYTE_ORDER_MARK)
    begun = _records(first)
    if begun is None:
        whole = [first, *lines]
        begun, lines = _records(b"\n".join(whole)), iter(())
        if begun is None:
            begun, lines = [], iter(whole)
    yield from begun
    for line in lines:
        records = _records(line)
        yield from [line + b"\n"] if records is None else records


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their newline."""
    pending: list[bytes] = []
    for chunk in chunks:
        head, *rest = chunk.split(b"\n")
        pending.append(head)
        for line in rest:
            yield b"".join(pending)
            pending = [line]
    yield b"".join(pending)


def _records(data: bytes) -> list[bytes] | None:
    """The lines of one document's records; None where it is no document."""
    try:
        document = _load(data)
        records = document.get("Records", [document]) if isinstance(document, dict) else document
        return [_dump(_change(record)) for record in (records if isinstance(records, list) else [document])]
    except _NOT_LOADED:
        return None


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


def _number(text: str) -> Decimal | float:
    """Exact; a float where the exponent is beyond all measure, and then the decoder rejects it as a bare number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


def _load(data: bytes) -> Any:
    text = data.decode("utf-8")
    return json.loads(text, object_pairs_hook=_no_repeats, parse_float=_number, parse_int=_number)


def _dump(value: Any) -> bytes:
    """A line. ASCII, so that a lone surrogate stays an escape. The decoder then rejects it, and bare numbers."""
    return json.dumps(value, separators=(",", ":"), default=float).encode("ascii") + b"\n"
