"""A stream record to a segment's line, in DynamoDB's own export form. Checks the envelope only; values are decoded at load.

So a value that nobody can decode never blocks capture, and never costs the 24 hours that the stream keeps.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tailrace.errors import RecordInvalid
from tailrace.model.positions import SequenceNumber, parse_sequence_number

TTL_PRINCIPAL: Final = "dynamodb.amazonaws.com"
_EVENTS: Final = ("INSERT", "MODIFY", "REMOVE")


@dataclass(frozen=True, slots=True)
class Line:
    """One record ready to land: its position, the moment of the write as the source tells it, and its JSON."""

    sequence_number: SequenceNumber
    created_ms: int
    data: bytes


def line_of(record: Mapping[str, Any]) -> Line:
    """Encode a record as boto3 gives it (or as a Lambda event holds it).

    Raises RecordInvalid when the envelope is wrong; what then happens to it is the caller's to decide.
    """
    try:
        change = record["dynamodb"]
        event = record["eventName"]
        number = parse_sequence_number(change["SequenceNumber"])
        micros = _micros(change["ApproximateCreationDateTime"])
        metadata: dict[str, Any] = {
            "WriteTimestampMicros": {"N": str(micros)},
            "SequenceNumber": {"S": str(number)},
            "EventName": {"S": event},
        }
        if event not in _EVENTS:
            raise ValueError(f"unknown event name {event!r:.40}")
        if ("NewImage" in change) == (event == "REMOVE"):
            raise ValueError(f"{event} {'with' if event == 'REMOVE' else 'without'} a new image")
        identity = record.get("userIdentity")
        if identity and TTL_PRINCIPAL in (identity.get("PrincipalId"), identity.get("principalId")):
            metadata["Expired"] = {"BOOL": True}
        document = {"Metadata": metadata, "Keys": change["Keys"]}
        if "OldImage" in change:
            document["OldImage"] = change["OldImage"]
        if event != "REMOVE":
            document["NewImage"] = change["NewImage"]
        return Line(number, micros // 1000, encode(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RecordInvalid(
            f"A stream record has a wrong envelope: {reason}", hint="See `tailrace quarantine`."
        ) from error


def payload_of(record: Mapping[str, Any]) -> bytes:
    """A record that cannot land, as it came, for the quarantine."""
    return json.dumps(record, ensure_ascii=False, default=_anything, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


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
        return int(created.timestamp() * 1_000_000)
    if isinstance(created, bool) or not isinstance(created, int | float):
        raise ValueError(f"creation time {created!r:.40} is neither a moment nor a number")
    return int(created * 1_000_000)


def _bytes_as_base64(value: Any) -> str:
    """boto3 gives bytes where DynamoDB JSON has base64 text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} is no value of DynamoDB JSON")


def _anything(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


_to_json = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=_bytes_as_base64, check_circular=False
).encode


def encode(document: Mapping[str, Any]) -> bytes:
    """One line of DynamoDB JSON; binaries as base64."""
    return _to_json(document).encode("utf-8")
