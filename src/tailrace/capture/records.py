"""A stream record to a segment's line, in DynamoDB's own export form. Checks the envelope only; values are decoded at load.

So a value that nobody can decode never blocks capture, and never costs the 24 hours that the stream keeps.
"""

from __future__ import annotations

import base64
import json
import re
import reprlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from tailrace.errors import RecordInvalid
from tailrace.model.positions import SequenceNumber, parse_sequence_number

TTL_PRINCIPAL: Final = "dynamodb.amazonaws.com"
SECONDS_MAX: Final = 253_402_300_800  # the year 10000: milliseconds taken for seconds lie beyond it
_EVENTS: Final = ("INSERT", "MODIFY", "REMOVE")
_HEAD = re.compile(
    rb'\{"Metadata":\{"WriteTimestampMicros":\{"N":"([0-9]+)"\},"SequenceNumber":\{"S":"([0-9]{1,40})"\},'
    rb'"EventName":\{"S":"[A-Z]+"\}(?:,"Expired":\{"BOOL":true\})?\},"Keys":'
)
_raw_decode = json.JSONDecoder().raw_decode
_FAULTS: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


class Line(NamedTuple):
    """One record ready to land: its position, the moment of the write as the source tells it, and its JSON."""

    sequence_number: SequenceNumber
    created_ms: int
    data: bytes


def line_of(record: Mapping[str, Any]) -> Line:
    """Encode a record as boto3 gives it (or as a Lambda event holds it).

    Raises RecordInvalid when the envelope is wrong; what then happens to it is the caller's to decide.
    """
    try:
        change, event = record["dynamodb"], record["eventName"]
        number = parse_sequence_number(change["SequenceNumber"])
        micros = _micros(change["ApproximateCreationDateTime"])
        images = {"Keys": change["Keys"]}
        if not isinstance(images["Keys"], Mapping) or not images["Keys"]:
            raise ValueError("Keys is no key")
        if event not in _EVENTS:
            raise ValueError(f"unknown event name {event!r:.40}")
        if ("NewImage" in change) == (event == "REMOVE"):
            raise ValueError(f"{event} {'with' if event == 'REMOVE' else 'without'} a new image")
        if "OldImage" in change:
            images["OldImage"] = change["OldImage"]
        if event != "REMOVE":
            images["NewImage"] = change["NewImage"]
        # Nothing in the head needs escaping, so it is put together as text: a third of the time of encoding it.
        head = (
            f'{{"Metadata":{{"WriteTimestampMicros":{{"N":"{micros}"}},"SequenceNumber":{{"S":"{number}"}},'
            f'"EventName":{{"S":"{event}"}}{_expired(record)}}},'
        )
        return Line(number, micros // 1000, (head + _encode(images)[1:]).encode("utf-8"))
    except _FAULTS as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RecordInvalid(
            f"A stream record has a wrong envelope: {reason}", hint="See `tailrace quarantine`."
        ) from error


class Head(NamedTuple):
    """What tells one change from another: its position, the moment of the write, and its key as one text."""

    sequence_number: SequenceNumber
    created_ms: int
    key: str


def head_of(line: bytes) -> Head:
    """The head of what `line_of` made. Raises RecordInvalid for any other line."""
    match = _HEAD.match(line)
    try:
        if match is None:
            raise ValueError("it does not begin as a change does")
        keys, _ = _raw_decode(line[match.end() :].decode("utf-8"))
    except _FAULTS as error:
        raise RecordInvalid(f"A line is no change of a stream: {error}", hint="See docs/formats/segment.md.") from error
    return Head(SequenceNumber(int(match[2])), int(match[1]) // 1000, key_text(keys))


def key_text(keys: Mapping[str, Any]) -> str:
    """A record's key as one text, whichever way its attributes are ordered."""
    return json.dumps(keys, sort_keys=True, default=_bytes_as_base64)


def sequence_number_of(record: Any) -> SequenceNumber | None:
    """The position of a record whose envelope is wrong; None where even that cannot be read."""
    try:
        return parse_sequence_number(record["dynamodb"]["SequenceNumber"])
    except _FAULTS:
        return None


def payload_of(record: Any) -> bytes:
    """A record that cannot land, as it came, for the quarantine."""
    try:
        text = json.dumps(record, ensure_ascii=False, default=_anything, separators=(",", ":"))
    except _FAULTS:
        text = reprlib.repr(record)  # too deep or too odd for JSON, so nothing that a client library gave
    return text.encode("utf-8", "backslashreplace")


def _expired(record: Mapping[str, Any]) -> str:
    """The marker of a delete by TTL."""
    identity = record.get("userIdentity")
    if identity and TTL_PRINCIPAL in (identity.get("PrincipalId"), identity.get("principalId")):
        return ',"Expired":{"BOOL":true}'
    return ""


def record_of(payload: bytes) -> dict[str, Any]:
    """A record out of quarantine, ready for `line_of` again: what `payload_of` wrote. Raises RecordInvalid."""
    try:
        record = json.loads(payload)
        created = record.get("dynamodb", {}).get("ApproximateCreationDateTime")
        if isinstance(created, str):
            record["dynamodb"]["ApproximateCreationDateTime"] = datetime.fromisoformat(created)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RecordInvalid(
            f"A stream record cannot be read back: {error}", hint="See `tailrace quarantine`."
        ) from error
    return dict(record)


def _micros(created: Any) -> int:
    """boto3 gives a datetime, Lambda a number of seconds."""
    if isinstance(created, datetime):
        return int(created.timestamp()) * 1_000_000 + created.microsecond
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 <= created < SECONDS_MAX:
        raise ValueError(f"creation time {created!r:.40} is neither a moment nor a number of seconds")
    return int(created * 1_000_000)


def _bytes_as_base64(value: Any) -> str:
    """boto3 gives bytes where DynamoDB JSON has base64 text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} is no value of DynamoDB JSON")


def _anything(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=_bytes_as_base64, check_circular=False
).encode


def encode(document: Mapping[str, Any]) -> bytes:
    """One line of DynamoDB JSON; binaries as base64."""
    return _encode(document).encode("utf-8")
