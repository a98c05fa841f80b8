"""Stream records as people hold them, Lambda events and the output of GetRecords, to lines of a segment.

So with what DynamoDB writes to Kinesis, and Firehose from there to S3: without a position, in another unit of time, and with
binaries that are encoded once more. Only the shape changes. What is wrong with a record the decoder says, so every record
becomes one line.
"""

from __future__ import annotations

import base64
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
    rb'(Records|NextShardIterator|dynamodb|awsRegion|userIdentity|tableName|recordFormat|event(ID|Name|Version|Source|SourceARN))"'
)
_SPACE = re.compile(r"[ \t\r\n]*")
_UNITS: Final = {"MILLISECOND": 1000, "MICROSECOND": 1}  # microseconds
_MILLIS_MAX: Final = 253_402_300_800_000  # the year 10000: microseconds taken for milliseconds lie beyond it
_NOT_LOADED: Final = (ValueError, RecursionError)


def is_event(head: bytes) -> bool:
    """Whether plain bytes that begin so are stream records rather than a segment."""
    return _BEGIN.match(head.removeprefix(_BYTE_ORDER_MARK)) is not None


def segment_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The records of JSON documents as a segment: one line a record, in order.

    A document is an event ``{"Records": […]}``, an array of records or a single record. One document a line is read line by
    line, and so are single records without a delimiter, as Firehose writes them; one that goes over several lines is held
    whole. What is not JSON stays a line as it is.
    """
    lines = _split(chunks)
    first = next((line for line in lines if line.strip()), b"").removeprefix(_BYTE_ORDER_MARK)
    begun = _records(first)
    if begun is None:
        whole = [first, *lines]
        begun, lines = _records(b"\n".join(whole)), iter(())
        if begun is None:
            begun, lines = iter(()), iter(whole)
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


def _records(data: bytes) -> Iterator[bytes] | None:
    """The lines of one document's records, or of bare records one after the other; None where it begins with neither.

    What stands behind a bare record and is none becomes one line as it is, with the rest.
    """
    try:
        text = data.decode("utf-8")
        lines, place = _next(text, 0)
    except _NOT_LOADED:
        return None
    return _and_more(lines, text, place)


def _and_more(lines: list[bytes], text: str, place: int) -> Iterator[bytes]:
    yield from lines
    while place < len(text):
        try:
            lines, place = _next(text, place)
        except _NOT_LOADED:
            lines, place = [text[place:].encode() + b"\n"], len(text)
        yield from lines


def _next(text: str, place: int) -> tuple[list[bytes], int]:
    """The lines of the document that begins here, and where the next one begins. Raises what _NOT_LOADED names."""
    document, end = _load(text, place)
    is_bare = isinstance(document, dict) and "dynamodb" in document
    if not is_bare and (place, end) != (0, len(text)):
        raise ValueError("an event does not stand alone")
    return [_dump(_change(_unwrapped(record))) for record in _records_in(document)], end


def _records_in(document: Any) -> list[Any]:
    records = document.get("Records", [document]) if isinstance(document, dict) else document
    return records if isinstance(records, list) else [document]


def _unwrapped(record: Any) -> Any:
    """What a record of Kinesis holds, as Lambda or GetRecords hands it over; any other record as it is."""
    if not isinstance(record, dict) or "dynamodb" in record:
        return record
    kinesis = record.get("kinesis")
    data: Any = kinesis.get("data") if isinstance(kinesis, dict) else record.get("Data")
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8")
        document, end = _load(text, 0)
    except (*_NOT_LOADED, TypeError):
        return record
    return document if end == len(text) else record


def _change(record: Any) -> Any:
    """The export form of a stream record; what does not look like one stays what it is."""
    if not isinstance(record, dict) or not isinstance(change := record.get("dynamodb"), dict):
        return record
    is_of_kinesis = "recordFormat" in record and "SequenceNumber" not in change
    metadata: dict[str, Any] = {"EventName": {"S": record.get("eventName")}}
    if not is_of_kinesis:
        metadata["SequenceNumber"] = {"S": change.get("SequenceNumber")}
    if "ApproximateCreationDateTime" in change:
        created = change["ApproximateCreationDateTime"]
        precision = change.get("ApproximateCreationDateTimePrecision")
        by_unit = is_of_kinesis or precision is not None
        metadata["WriteTimestampMicros"] = {"N": _micros_by(created, precision) if by_unit else _micros(created)}
    if _is_ttl(record.get("userIdentity")):
        metadata["Expired"] = {"BOOL": True}
    images = {name: change[name] for name in ("Keys", "NewImage", "OldImage") if name in change}
    if is_of_kinesis:
        images = {name: _encoded_once(image) for name, image in images.items()}
    return {"Metadata": metadata, **images}


def _encoded_once(value: Any, tag: str = "M") -> Any:
    """What a tag holds, with binaries as DynamoDB JSON has them. What is not of its form stays so, for the decoder to say."""
    match tag, value:
        case "B", str():
            try:
                return base64.b64decode(value, validate=True).decode("latin-1")  # no base64 inside: rejected as such
            except ValueError:
                return value
        case "BS", list():
            return [_encoded_once(member, "B") for member in value]
        case "L", list():
            return [_typed(element) for element in value]
        case "M", dict():
            return {name: _typed(member) for name, member in value.items()}
    return value


def _typed(value: Any) -> Any:
    return {tag: _encoded_once(held, tag) for tag, held in value.items()} if isinstance(value, dict) else value


def _micros_by(created: Any, precision: Any) -> str:
    """A whole number of what the record names; milliseconds, as they all once were, where it names nothing.

    Never guessed: what cannot be so is no number then, and the decoder rejects the record.
    """
    unit = _UNITS["MILLISECOND"] if precision is None else _UNITS.get(precision) if isinstance(precision, str) else None
    is_whole = isinstance(created, Decimal) and created.adjusted() < 20 and created == created.to_integral_value()
    if unit is None or not is_whole or (unit == _UNITS["MILLISECOND"] and created >= _MILLIS_MAX):
        return f"{created} of precision {precision}"
    return str(int(created) * unit)


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


_raw_decode = json.JSONDecoder(object_pairs_hook=_no_repeats, parse_float=_number, parse_int=_number).raw_decode


def _load(text: str, place: int) -> tuple[Any, int]:
    """The document that begins here, and where what is behind it begins. Raises ValueError or RecursionError."""
    document, end = _raw_decode(text, _after_space(text, place))
    return document, _after_space(text, end)


def _after_space(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    assert space is not None, "it matches nothing, too"
    return space.end()


def _dump(value: Any) -> bytes:
    """A line. ASCII, so that a lone surrogate stays an escape. The decoder then rejects it, and bare numbers."""
    return json.dumps(value, separators=(",", ":"), default=float).encode("ascii") + b"\n"
