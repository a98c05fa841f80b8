"""Firehose to S3: records gathered by size and time into one object, transformed by a function, compressed, under a prefix.

Delivery streams, their settings and PutRecord stay the emulator's, and so do dynamic partitioning and conversion to Parquet,
which it does record by record. Time is the movable clock's.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from tailrace.local.emulator import Emulator, Owner
from tailrace.local.faults import Fault
from tailrace.local.functions.emulated import Functions
from tailrace.local.functions.loop import Loop

BUFFER_MB: Final = 5
BUFFER_SECONDS: Final = 300
TRANSFORM_MB: Final = 1
TRANSFORM_TRIES: Final = 4
AGAIN_SECONDS: Final = 5.0
GIVE_UP_SECONDS: Final = 24 * 3600
COMPRESSIONS: Final = ("UNCOMPRESSED", "GZIP")
EXPRESSIONS: Final = r"timestamp:[^}]*}|firehose:random-string}"

Config: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    record_id: str
    data: bytes
    arrived: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A record that the transformation did not give back."""

    record: Record
    code: str
    message: str
    function_arn: str
    tries: int


@dataclass(slots=True)
class Chunk:
    """What becomes one object. `transformed` is None until it is."""

    records: list[Record] = field(default_factory=list)
    size: int = 0
    transformed: list[Record] | None = None
    failed: list[Failed] = field(default_factory=list)


@dataclass(slots=True)
class Buffer:
    """Of one destination: the chunk that fills, and the full ones in order."""

    stream: Mapping[str, Any]
    destination: Mapping[str, Any]
    filling: Chunk = field(default_factory=Chunk)
    full: list[Chunk] = field(default_factory=list)
    again_at: float = 0.0

    @property
    def config(self) -> Config:
        config: Config = self.destination["config"]
        return config

    def close(self) -> None:
        self.full.append(self.filling)
        self.filling = Chunk()


class Firehose:
    """All delivery streams with a bucket for a destination. What is gathered is kept in memory only."""

    def __init__(
        self,
        emulator: Emulator,
        functions: Functions,
        strike: Callable[[str], Fault | None],
        now: Callable[[], float],
    ) -> None:
        from ministack.services import firehose

        self._emulator = emulator
        self._functions = functions
        self._strike = strike
        self._now = now
        self._service = firehose
        self._buffers: dict[tuple[str, str], Buffer] = {}
        self.loop = Loop(self._look)
        self._deliver_at_once, firehose._deliver_records_to_s3 = firehose._deliver_records_to_s3, self._take
        handlers = firehose._HANDLERS
        for operation in ("CreateDeliveryStream", "UpdateDestination"):
            handlers[operation] = self._checking(handlers[operation])
        self._put_batch, handlers["PutRecordBatch"] = handlers["PutRecordBatch"], self._put_record_batch

    # ---- what the emulator's threads call

    def _checking(self, handler: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        def checked(request: dict[str, Any]) -> Any:
            for name, config in request.items():
                problem = _problem(config) if name.startswith(("S3Dest", "ExtendedS3Dest")) else None
                if problem:
                    return self._service._invalid(problem)
            return handler(request)

        return checked

    def _put_record_batch(self, request: dict[str, Any]) -> Any:
        """PutRecordBatch, of which every second record is refused where that is planned."""
        records = request.get("Records") or []
        if len(records) < 2 or self._strike(str(request.get("DeliveryStreamName"))) is None:
            return self._put_batch(request)
        status, headers, body = self._put_batch({**request, "Records": records[::2]})
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        taken = iter(answer["RequestResponses"])
        refused = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "planned: slow down"}
        answers = [refused if place % 2 else next(taken) for place in range(len(records))]
        count = len(records) // 2 + answer["FailedPutCount"]
        return self._service.json_response({**answer, "FailedPutCount": count, "RequestResponses": answers})

    def _take(self, stream: Mapping[str, Any], destination: Mapping[str, Any], records: Sequence[Any]) -> None:
        config = destination["config"]
        if _is_on(config, "DynamicPartitioningConfiguration") or _is_on(config, "DataFormatConversionConfiguration"):
            self._deliver_at_once(stream, destination, records)
        else:
            self.loop.call(self._add, stream, destination, records)

    # ---- gathering

    def _add(
        self, stream: Mapping[str, Any], destination: Mapping[str, Any], records: Sequence[tuple[str, bytes]]
    ) -> None:
        buffer = self._buffers.setdefault((stream["arn"], destination["id"]), Buffer(stream, destination))
        hints, now = buffer.config.get("BufferingHints") or {}, self._now()
        for record_id, data in records:
            buffer.filling.records.append(Record(record_id, data, now))
            buffer.filling.size += len(data)
            if buffer.filling.size >= hints.get("SizeInMBs", BUFFER_MB) << 20:
                buffer.close()
                self.loop.wake()

    async def _look(self) -> None:
        now = self._now()
        for key, buffer in self._buffers.items():
            hints = buffer.config.get("BufferingHints") or {}
            begun = buffer.filling.records[0].arrived if buffer.filling.records else now
            if buffer.filling.records and now - begun >= hints.get("IntervalInSeconds", BUFFER_SECONDS):
                buffer.close()
            if buffer.full and buffer.again_at <= now and not self.loop.is_busy(key):
                self.loop.begin(key, self._deliver(buffer))

    # ---- delivering

    async def _deliver(self, buffer: Buffer) -> None:
        chunk, config, owner = buffer.full[0], buffer.config, Owner.of_arn(buffer.stream["arn"])
        if chunk.transformed is None:
            chunk.transformed, chunk.failed = await self._transformed(buffer, chunk.records)
        bucket = str(config["BucketARN"]).rpartition(":")[2]
        for key, body in self._objects(buffer, chunk.transformed, chunk.failed):
            status = await self._emulator.put_object(bucket, key, body, owner)
            if status != 200 and self._now() - chunk.records[0].arrived < GIVE_UP_SECONDS:
                buffer.again_at = self._now() + AGAIN_SECONDS
                return
        buffer.full.remove(chunk)

    def _objects(
        self, buffer: Buffer, records: Sequence[Record], failed: Sequence[Failed]
    ) -> Iterator[tuple[str, bytes]]:
        """Key and body of what a chunk becomes: an object with its records, and one with those that failed."""
        config = buffer.config
        if records:
            body, is_gzip = b"".join(record.data for record in records), config.get("CompressionFormat") == "GZIP"
            extension = config.get("FileExtension") or (".gz" if is_gzip else "")
            key = self._key(buffer, records[0].arrived, config.get("Prefix") or "")
            yield key + extension, gzip.compress(body, mtime=0) if is_gzip else body
        if failed:
            now = self._now()
            lines = [json.dumps(_failure(failure, now)) + "\n" for failure in failed]
            prefix = config.get("ErrorOutputPrefix") or f"{config.get('Prefix') or ''}!{{firehose:error-output-type}}/"
            yield self._key(buffer, failed[0].record.arrived, prefix), "".join(lines).encode()

    def _key(self, buffer: Buffer, moment: float, prefix: str) -> str:
        zone: tzinfo = ZoneInfo(buffer.config.get("CustomTimeZone") or "UTC")
        time = datetime.fromtimestamp(moment, zone)
        folder = self._service._evaluate_prefix(prefix, time.timetuple(), error_type="processing-failed")
        name, version = buffer.stream["name"], buffer.stream["version"]
        return f"{folder}{name}-{version}-{time.astimezone(UTC):%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"

    # ---- transforming

    async def _transformed(self, buffer: Buffer, records: list[Record]) -> tuple[list[Record], list[Failed]]:
        """What the destination's function makes of records, and what it does not give back."""
        settings = _transformation(buffer.config)
        if settings is None:
            return records, []
        done: list[Record] = []
        failed: list[Failed] = []
        for part in _parts(records, int(float(settings.get("BufferSizeInMBs", TRANSFORM_MB)) * (1 << 20))):
            for answered in await self._transform(buffer.stream, settings["LambdaArn"], part):
                if isinstance(answered, Failed):
                    failed.append(answered)
                else:
                    done.append(answered)
        return done, failed

    async def _transform(
        self, stream: Mapping[str, Any], function_arn: str, records: Sequence[Record]
    ) -> list[Record | Failed]:
        event = {
            "invocationId": str(uuid.uuid4()),
            "deliveryStreamArn": stream["arn"],
            "region": Owner.of_arn(stream["arn"]).region,
            "records": [
                {
                    "recordId": record.record_id,
                    "approximateArrivalTimestamp": int(record.arrived * 1000),
                    "data": base64.b64encode(record.data).decode(),
                }
                for record in records
            ],
        }
        for _ in range(TRANSFORM_TRIES):
            invocation = await self._functions.invoke(function_arn, event)
            if invocation.status == 200 and invocation.error is None:
                return _answered(invocation.payload, records, function_arn)
        message = invocation.payload.decode(errors="replace") or f"status {invocation.status}"
        return [Failed(record, "Lambda.FunctionError", message, function_arn, TRANSFORM_TRIES) for record in records]


def _problem(config: Config) -> str | None:
    """What AWS refuses in a bucket destination, and what this does not do."""
    if config.get("CompressionFormat", "UNCOMPRESSED") not in COMPRESSIONS:
        return f"tailrace local compresses by {' or '.join(COMPRESSIONS)}"
    hints = config.get("BufferingHints") or {"SizeInMBs": BUFFER_MB, "IntervalInSeconds": BUFFER_SECONDS}
    if not hints.keys() >= {"SizeInMBs", "IntervalInSeconds"}:
        return "BufferingHints has both SizeInMBs and IntervalInSeconds"
    if not 1 <= hints["SizeInMBs"] <= 128 or not 0 <= hints["IntervalInSeconds"] <= 900:
        return "SizeInMBs is 1 to 128, IntervalInSeconds 0 to 900"
    prefix, errors = config.get("Prefix") or "", config.get("ErrorOutputPrefix") or ""
    if "!{" in prefix and not errors:
        return "ErrorOutputPrefix is needed where Prefix has expressions"
    known = f"{EXPRESSIONS}|partitionKeyFrom" if _is_on(config, "DynamicPartitioningConfiguration") else EXPRESSIONS
    for text, allowed in ((prefix, known), (errors, f"{EXPRESSIONS}|firehose:error-output-type}}")):
        for found in re.finditer("!{", text):
            if not re.match(allowed, text[found.end() :]):
                return f"This expression cannot be in a prefix: {text[found.start() :]}"
    try:
        ZoneInfo(config.get("CustomTimeZone") or "UTC")
    except (ValueError, LookupError, OSError):
        return f"There is no time zone {config['CustomTimeZone']}"
    return None


def _is_on(config: Config, name: str) -> bool:
    settings = config.get(name) or {"Enabled": False}
    return bool(settings.get("Enabled", True))


def _transformation(config: Config) -> dict[str, str] | None:
    """The parameters of the function, None where there is none."""
    processing = config.get("ProcessingConfiguration") or {}
    for processor in processing.get("Processors") or () if processing.get("Enabled") else ():
        if processor.get("Type") == "Lambda":
            return {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters") or ()}
    return None


def _parts(records: Sequence[Record], size_max: int) -> Iterator[Sequence[Record]]:
    begin, size = 0, 0
    for place, record in enumerate(records):
        if place > begin and size + len(record.data) > size_max:
            yield records[begin:place]
            begin, size = place, 0
        size += len(record.data)
    yield records[begin:]


def _answered(payload: bytes, records: Sequence[Record], function_arn: str) -> list[Record | Failed]:
    """Every record once: as the function gave it back, or failed. Dropped ones are not there."""
    try:
        document = json.loads(payload)
        answers = {answer["recordId"]: answer for answer in document["records"]}
    except (ValueError, TypeError, KeyError):
        answers = {}
    found: list[Record | Failed] = []
    for record in records:
        answer = answers.get(record.record_id)
        if answer is None:
            found.append(Failed(record, "Lambda.MissingRecordId", "The record is not in the answer", function_arn, 1))
        elif answer.get("result") == "Ok":
            found.append(Record(record.record_id, base64.b64decode(answer.get("data") or ""), record.arrived))
        elif answer.get("result") != "Dropped":
            message = "The function says that the record failed"
            found.append(Failed(record, "Lambda.ProcessingFailedStatus", message, function_arn, 1))
    return found


def _failure(failed: Failed, now: float) -> dict[str, Any]:
    return {
        "attemptsMade": failed.tries,
        "arrivalTimestamp": int(failed.record.arrived * 1000),
        "errorCode": failed.code,
        "errorMessage": failed.message,
        "attemptEndingTimestamp": int(now * 1000),
        "rawData": base64.b64encode(failed.record.data).decode(),
        "lambdaArn": failed.function_arn,
    }
