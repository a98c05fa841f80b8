"""What DynamoDB writes to a Kinesis stream of a table: the record as AWS documents it, with binaries encoded twice.

Kinesis, and which tables write there, stay the emulator's. Delivery streams that read there get the record too.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from tailrace.local.faults import Fault
from tailrace.local.sizes import item_bytes

UNITS: Final = {"MILLISECOND": 1000, "MICROSECOND": 1_000_000}  # in a second
IMAGES: Final = ("Keys", "NewImage", "OldImage")

Change: TypeAlias = tuple[Mapping[str, Any], float]
"""A record, and the moment of its write."""


class TableChanges:
    """Hands on every change of a table with a Kinesis destination. `now` gives the movable clock's Unix seconds."""

    def __init__(self, strike: Callable[[str], Fault | None], now: Callable[[], float]) -> None:
        from ministack.services import dynamodb, firehose, kinesis

        self._tables, self._firehose, self._kinesis = dynamodb, firehose, kinesis
        self._strike = strike
        self._now = now
        self._late: dict[str, list[Change]] = {}  # by the table's ARN; they come after its next change
        dynamodb._fan_out_to_kinesis = self._write

    def _write(self, table: str, record: Mapping[str, Any]) -> None:
        fault = self._strike(table)
        kind = None if fault is None else fault.kind
        arn = self._tables._tables[table]["TableArn"]
        if kind == "change_late":
            self._late.setdefault(arn, []).append((record, self._now()))
            return
        change = (record, self._now())
        changes = [change, *([change] if kind == "change_twice" else ()), *self._late.pop(arn, ())]
        for destination in self._tables._kinesis_destinations.get(table, ()):
            if destination.get("DestinationStatus") == "ACTIVE":
                for written in changes:
                    self._put(table, written, destination)

    def _put(self, table: str, change: Change, destination: Mapping[str, Any]) -> None:
        record, moment = change
        precision = destination.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
        data = json.dumps(kinesis_record(record, table, precision, moment)).encode()
        key = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(record["dynamodb"]["Keys"], sort_keys=True)).hex
        if self._kinesis.put_record_internal(destination["StreamArn"], key, data):
            self._firehose.ingest_from_kinesis_source(destination["StreamArn"], [(key, data)])


def kinesis_record(record: Mapping[str, Any], table: str, precision: str, moment: float) -> dict[str, Any]:
    """A stream record in the shape of Kinesis. `moment`: of its write, in Unix seconds."""
    images = {name: record["dynamodb"][name] for name in IMAGES if name in record["dynamodb"]}
    return {
        "awsRegion": record["awsRegion"],
        "eventID": str(uuid.uuid4()),
        "eventName": record["eventName"],
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": int(moment * UNITS[precision]),
            "ApproximateCreationDateTimePrecision": precision,
            **{name: _encoded_twice(image) for name, image in images.items()},
            "SizeBytes": sum(map(item_bytes, images.values())),
        },
        "eventSource": "aws:dynamodb",
    }


def _encoded_twice(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in item.items()}


def _value(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {kind: _again(content)}
        case "BS":
            return {kind: [_again(text) for text in content]}
        case "M":
            return {kind: _encoded_twice(content)}
        case "L":
            return {kind: [_value(element) for element in content]}
        case _:
            return {kind: content}


def _again(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
