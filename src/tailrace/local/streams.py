"""DynamoDB Streams as AWS answers it, over the one-shard streams of the emulator behind: four calls and their errors.

The emulator is asked through its own public calls only: its single shard is drained, in order, whenever somebody looks
at a stream or the clock moves, and every record is dealt to the open shard that owns its partition key. So no private
part of it is touched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tailrace.local.shards import Shard, StreamModel

ITERATOR_SECONDS: Final = 15 * 60
RECORDS_MAX: Final = 1000
PAGE_BYTES_MAX: Final = 1 << 20
READERS_MAX: Final = 2
ROLL_SECONDS: Final = 4 * 3600.0
TTL_IDENTITY: Final = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}

Backend: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Calls the emulator: (target such as ``DynamoDB_20120810.Scan``, request) to answer. Raises ServiceError."""


class ServiceError(Exception):
    """An answer with an error code, as AWS gives it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(slots=True)
class Stream:
    """One stream ARN: its model, and how far the emulator's own shard is drained."""

    arn: str
    table: str
    label: str
    view_type: str
    key_schema: list[dict[str, str]]
    model: StreamModel
    created: float
    drained_to: str | None = None
    enabled: bool = True
    expired_keys: set[str] = field(default_factory=set)  # keys that TTL has just deleted
    readers: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Options:
    """How streams behave; `tailrace local` sets none of them, tests do."""

    seed: int = 0
    shards: int = 1
    roll_seconds: float = ROLL_SECONDS
    roll_records: int = 1_000_000
    empty_page_share: float = 0.0
    first_number: int | None = None


class StreamService:
    """All streams of the endpoint. `now` gives the movable clock's Unix seconds."""

    def __init__(self, backend: Backend, now: Callable[[], float], options: Options) -> None:
        self._backend = backend
        self._now = now
        self._options = options
        self._random = random.Random(options.seed)
        self._iterators_valid_from = 0.0
        self.streams: dict[str, Stream] = {}

    # ---- the four calls

    async def list_streams(self, request: Mapping[str, Any]) -> dict[str, Any]:
        table = request.get("TableName")
        names = [table] if table else (await self._backend("DynamoDB_20120810.ListTables", {}))["TableNames"]
        for name in names:
            await self._register(name)
        found = [s for _, s in sorted(self.streams.items()) if table in (None, s.table)]
        start = request.get("ExclusiveStartStreamArn")
        found = [s for s in found if start is None or s.arn > start]
        limit = _limit(request, 100)
        answer: dict[str, Any] = {
            "Streams": [{"StreamArn": s.arn, "TableName": s.table, "StreamLabel": s.label} for s in found[:limit]]
        }
        if len(found) > limit:
            answer["LastEvaluatedStreamArn"] = found[limit - 1].arn
        return answer

    async def describe_stream(self, request: Mapping[str, Any]) -> dict[str, Any]:
        stream = await self._stream(request)
        shards = list(stream.model.listed(self._now()))
        only = request.get("ShardFilter")
        if only:
            shards = [s for s in shards if s.parent == only.get("ShardId")]
        start = request.get("ExclusiveStartShardId")
        shards = [s for s in shards if start is None or s.shard_id > start]
        limit = _limit(request, 100)
        description: dict[str, Any] = {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED" if stream.enabled else "DISABLED",
            "StreamViewType": stream.view_type,
            "CreationRequestDateTime": stream.created,
            "TableName": stream.table,
            "KeySchema": stream.key_schema,
            "Shards": [_described(shard) for shard in shards[:limit]],
        }
        if len(shards) > limit:
            description["LastEvaluatedShardId"] = shards[limit - 1].shard_id
        return {"StreamDescription": description}

    async def get_shard_iterator(self, request: Mapping[str, Any]) -> dict[str, Any]:
        stream = await self._stream(request)
        shard = stream.model.shards.get(str(request.get("ShardId")))
        if shard is None or shard.visible_at > self._now():
            raise ServiceError("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
        after = self._position(shard, request)
        reader = f"{self._random.getrandbits(64):016x}"
        return {"ShardIterator": self._iterator(stream, shard, after, reader)}

    async def get_records(self, request: Mapping[str, Any]) -> dict[str, Any]:
        limit = request.get("Limit", RECORDS_MAX)
        if not isinstance(limit, int) or not 1 <= limit <= RECORDS_MAX:
            raise ServiceError("ValidationException", f"Limit must be 1 to {RECORDS_MAX}")
        token = self._token(request.get("ShardIterator"))
        stream = await self._stream({"StreamArn": token["arn"]})
        shard = stream.model.shards.get(token["shard"])
        after = int(token["after"])
        if shard is None or after < shard.trimmed_to:
            raise ServiceError("TrimmedDataAccessException", "The operation attempted to read past the oldest record")
        self._check_readers(stream, shard, token["reader"])
        records = shard.after(after)
        if self._random.random() < self._options.empty_page_share:
            records = []  # the iterator stays where it is; readers must not take this for the end
            page = []
        else:
            page = _fitting(records[:limit])
        answer: dict[str, Any] = {"Records": [self._record(stream, record) for record in page]}
        after = page[-1].number if page else after
        if shard.last is None or shard.after(after):
            answer["NextShardIterator"] = self._iterator(stream, shard, after, token["reader"])
        return answer

    # ---- draining, time and faults

    async def settle(self) -> None:
        """Bring every known stream up to date: drain, then roll and trim by the clock."""
        for stream in list(self.streams.values()):
            await self._settle(stream)

    async def register_table(self, table: str) -> Stream | None:
        """The table's current stream, None where it has none."""
        return await self._register(table)

    async def split(self, table: str, shard_id: str | None, *, roll: bool) -> list[str]:
        """Split (or roll) a shard of the table's stream; the children's ids."""
        stream = await self._register(table)
        if stream is None:
            raise ServiceError("ResourceNotFoundException", f"Table {table} has no stream")
        await self._settle(stream)
        try:
            return (stream.model.roll if roll else stream.model.split)(shard_id, self._now())
        except LookupError as error:
            raise ServiceError("ResourceNotFoundException", str(error)) from error

    def expire_iterators(self) -> None:
        """Every iterator given out so far is expired now."""
        self._iterators_valid_from = self._now()

    async def _register(self, table: str) -> Stream | None:
        """Look the table up; open a model for a stream that is new and close those it no longer has."""
        try:
            described = (await self._backend("DynamoDB_20120810.DescribeTable", {"TableName": table}))["Table"]
        except ServiceError:
            described = {}
        arn = described.get("LatestStreamArn")
        specification = described.get("StreamSpecification", {})
        enabled = bool(arn) and bool(specification.get("StreamEnabled"))
        for stream in self.streams.values():
            if stream.table == table and stream.enabled and not (enabled and stream.arn == arn):
                await self._drain(stream)
                stream.enabled = False
                stream.model.close(self._now())
        if not enabled:
            return None
        if arn not in self.streams:
            self.streams[arn] = self._new_stream(arn, table, described, specification["StreamViewType"])
        return self.streams[arn]

    def _new_stream(self, arn: str, table: str, described: Mapping[str, Any], view_type: str) -> Stream:
        options: dict[str, Any] = {
            "seed": self._random.getrandbits(32),
            "now": self._now(),
            "shards": self._options.shards,
        }
        if self._options.first_number is not None:
            options["first_number"] = self._options.first_number
        label = described.get("LatestStreamLabel") or arn.rpartition("/stream/")[2]
        return Stream(arn, table, label, view_type, described["KeySchema"], StreamModel(**options), self._now())

    async def _stream(self, request: Mapping[str, Any]) -> Stream:
        arn = str(request.get("StreamArn", ""))
        if ":table/" not in arn or "/stream/" not in arn:
            raise ServiceError("ValidationException", "Invalid StreamArn")
        await self._register(arn.split(":table/")[1].split("/stream/")[0])
        stream = self.streams.get(arn)
        if stream is None:
            raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
        await self._settle(stream)
        return stream

    async def _settle(self, stream: Stream) -> None:
        await self._drain(stream)
        if stream.enabled:
            stream.model.roll_old(self._options.roll_seconds, self._options.roll_records, self._now())
        stream.model.trim(self._now())

    async def _drain(self, stream: Stream) -> None:
        """Take over what the emulator's own stream has, in its order."""
        if not stream.enabled:
            return
        position = {"ShardIteratorType": "TRIM_HORIZON"}
        if stream.drained_to is not None:
            position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": stream.drained_to}
        try:
            described = await self._backend("DynamoDBStreams_20120810.DescribeStream", {"StreamArn": stream.arn})
            shard_id = described["StreamDescription"]["Shards"][0]["ShardId"]
            call = {"StreamArn": stream.arn, "ShardId": shard_id, **position}
            iterator = (await self._backend("DynamoDBStreams_20120810.GetShardIterator", call))["ShardIterator"]
            while iterator:
                answer = await self._backend(
                    "DynamoDBStreams_20120810.GetRecords", {"ShardIterator": iterator, "Limit": RECORDS_MAX}
                )
                for record in answer["Records"]:
                    self._deal(stream, record)
                iterator = answer.get("NextShardIterator") if answer["Records"] else None
        except (ServiceError, LookupError, IndexError):
            return  # the emulator has forgotten this stream: what was dealt stays

    def _deal(self, stream: Stream, record: Mapping[str, Any]) -> None:
        change = record["dynamodb"]
        stream.drained_to = change["SequenceNumber"]
        hash_name = next(k["AttributeName"] for k in stream.key_schema if k["KeyType"] == "HASH")
        key = json.dumps(change["Keys"], sort_keys=True)
        body = {name: change[name] for name in ("Keys", "NewImage", "OldImage") if name in change}
        event: dict[str, Any] = {"eventName": record["eventName"], "dynamodb": body}
        if record["eventName"] == "REMOVE" and key in stream.expired_keys:
            stream.expired_keys.discard(key)
            event["userIdentity"] = TTL_IDENTITY
        size = sum(len(json.dumps(image)) for image in body.values())
        stream.model.append(json.dumps(change["Keys"][hash_name]), event, size, self._now())

    # ---- inside the calls

    def _position(self, shard: Shard, request: Mapping[str, Any]) -> int:
        """The number behind which reading starts."""
        kind = request.get("ShardIteratorType")
        if kind == "TRIM_HORIZON":
            return shard.trimmed_to
        if kind == "LATEST":
            return shard.records[-1].number if shard.records else shard.trimmed_to
        if kind == "AT_TIMESTAMP":
            if request["Timestamp"] > self._now():
                raise ServiceError("ValidationException", "Timestamp is in the future")
            older = [r.number for r in shard.records if r.created < request["Timestamp"]]
            return max(older, default=shard.trimmed_to)
        if kind not in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            raise ServiceError("ValidationException", f"Unknown ShardIteratorType {kind!r}")
        text = str(request.get("SequenceNumber", ""))
        if not text.isdigit() or not 21 <= len(text) <= 40:
            raise ServiceError("ValidationException", "SequenceNumber must be 21 to 40 digits")
        after = int(text) - (kind == "AT_SEQUENCE_NUMBER")
        if after < shard.trimmed_to:
            raise ServiceError("TrimmedDataAccessException", "The sequence number is older than the trim horizon")
        return after

    def _iterator(self, stream: Stream, shard: Shard, after: int, reader: str) -> str:
        token = {"arn": stream.arn, "shard": shard.shard_id, "after": str(after), "at": self._now(), "reader": reader}
        return base64.urlsafe_b64encode(json.dumps(token).encode()).decode()

    def _token(self, iterator: Any) -> dict[str, Any]:
        try:
            token: dict[str, Any] = json.loads(base64.urlsafe_b64decode(str(iterator)))
            given = token["at"]
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceError("ValidationException", "Invalid ShardIterator") from error
        if self._now() - given > ITERATOR_SECONDS or given <= self._iterators_valid_from:
            raise ServiceError("ExpiredIteratorException", "The shard iterator has expired")
        return token

    def _check_readers(self, stream: Stream, shard: Shard, reader: str) -> None:
        """More than two processes on one shard within a second are throttled; each GetShardIterator begins a reader."""
        now = self._now()
        readers = stream.readers.setdefault(shard.shard_id, {})
        for other in [other for other, seen in readers.items() if now - seen > 1]:
            del readers[other]
        if reader not in readers and len(readers) >= READERS_MAX:
            raise ServiceError("LimitExceededException", "More than two readers on a shard")
        readers[reader] = now

    def _record(self, stream: Stream, record: Any) -> dict[str, Any]:
        _, _, _, region, _, _ = stream.arn.split(":", 5)
        change = {
            "ApproximateCreationDateTime": record.created,
            **record.body["dynamodb"],
            "SequenceNumber": str(record.number),
            "SizeBytes": record.size,
            "StreamViewType": stream.view_type,
        }
        event_id = hashlib.md5(f"{stream.arn}{record.number}".encode(), usedforsecurity=False).hexdigest()
        return {
            "eventID": event_id,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": region,
            **record.body,
            "dynamodb": change,
        }


def _limit(request: Mapping[str, Any], most: int) -> int:
    limit = request.get("Limit", most)
    if not isinstance(limit, int) or not 1 <= limit <= most:
        raise ServiceError("ValidationException", f"Limit must be 1 to {most}")
    return limit


def _described(shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": str(shard.first)}
    if shard.last is not None:
        numbers["EndingSequenceNumber"] = str(shard.last)
    parent = {} if shard.parent is None else {"ParentShardId": shard.parent}
    return {"ShardId": shard.shard_id, "SequenceNumberRange": numbers, **parent}


def _fitting(records: Any) -> list[Any]:
    """As many as fit one answer of 1 MB, at least one."""
    page: list[Any] = []
    size = 0
    for record in records:
        size += record.size
        if page and size > PAGE_BYTES_MAX:
            break
        page.append(record)
    return page
