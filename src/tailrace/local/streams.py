"""DynamoDB Streams as AWS answers it, over the emulator's change list: four calls and their errors.

Every change is taken over before the write that made it is answered, gets its number and time then, and is dealt to the open
shard that owns its partition key. So a write that was acknowledged is in the stream, and no look at a stream costs more
the longer it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.local.emulator import Emulator, Owner, ServiceError
from tailrace.local.shards import RETENTION_SECONDS, Options, Shard, StoredRecord, StreamModel
from tailrace.local.sizes import item_bytes

ITERATOR_SECONDS: Final = 15 * 60
RECORDS_MAX: Final = 1000
PAGE_BYTES_MAX: Final = 1 << 20
READERS_MAX: Final = 2
READER_SECONDS: Final = 1.0
READER_READS: Final = 3  # who reads less follows nothing: he looks
LIST_MAX: Final = 100
TTL_IDENTITY: Final = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


@dataclass(slots=True)
class Stream:
    """One stream ARN: its model, and how far the emulator's list of changes is taken over."""

    arn: str
    table: str
    label: str
    view_type: str
    key_schema: list[dict[str, str]]
    created: float
    model: StreamModel
    closed: float | None = None
    position: int = 0
    iterator_generation: int = 0  # older iterators are expired
    duplicates: int = 0  # so many pages to come are handed out twice
    readers: dict[str, dict[str, float]] = field(default_factory=dict)  # shard to reader to its last look
    owner: Owner = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Owner.of_arn(self.arn)

    @property
    def enabled(self) -> bool:
        return self.closed is None


class StreamService:
    """All streams of the endpoint. `now` gives the movable clock's Unix seconds."""

    def __init__(self, emulator: Emulator, now: Callable[[], float], options: Options) -> None:
        self._emulator = emulator
        self._now = now
        self._options = options
        self._random = random.Random(options.seed)
        self._streams: dict[str, Stream] = {}
        self._current: dict[tuple[Owner, str], Stream] = {}  # the enabled ones, by table

    # ---- the four calls

    async def list_streams(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        limit, only = _limit(request), request.get("TableName")
        for table in [only] if only else await self._table_names(owner):
            await self.register(table, owner)
        self.settle()
        start = request.get("ExclusiveStartStreamArn")
        found = [
            stream
            for arn, stream in sorted(self._streams.items())
            if stream.owner == owner and only in (None, stream.table) and (start is None or arn > start)
        ]
        streams = [{"StreamArn": s.arn, "TableName": s.table, "StreamLabel": s.label} for s in found[:limit]]
        more = {"LastEvaluatedStreamArn": found[limit - 1].arn} if len(found) > limit else {}
        return {"Streams": streams, **more}

    async def describe_stream(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        limit = _limit(request)
        stream = await self._stream(request)
        shards = list(stream.model.listed(self._now()))
        only = request.get("ShardFilter")
        if only is not None:
            if only.get("Type") != "CHILD_SHARDS" or "ShardId" not in only:
                raise ServiceError("ValidationException", "ShardFilter must be of type CHILD_SHARDS and name a ShardId")
            shards = [shard for shard in shards if shard.parent == only["ShardId"]]
        start = request.get("ExclusiveStartShardId")
        shards = [shard for shard in shards if start is None or shard.shard_id > start]
        more = {"LastEvaluatedShardId": shards[limit - 1].shard_id} if len(shards) > limit else {}
        return {
            "StreamDescription": {
                "StreamArn": stream.arn,
                "StreamLabel": stream.label,
                "StreamStatus": "ENABLED" if stream.enabled else "DISABLED",
                "StreamViewType": stream.view_type,
                "CreationRequestDateTime": stream.created,
                "TableName": stream.table,
                "KeySchema": stream.key_schema,
                "Shards": [_described(shard) for shard in shards[:limit]],
                **more,
            }
        }

    async def get_shard_iterator(self, request: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
        stream = await self._stream(request)
        shard = stream.model.shards.get(str(request.get("ShardId")))
        if shard is None or shard.visible_at > self._now():
            raise ServiceError("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
        after = _start(shard, request, self._now())
        return {"ShardIterator": self._iterator(stream, shard, after, f"{self._random.getrandbits(64):016x}", 0)}

    async def get_records(self, request: Mapping[str, Any], owner: Owner) -> bytes:
        """The answer as JSON: its records are kept as they are sent."""
        limit = request.get("Limit", RECORDS_MAX)
        if not isinstance(limit, int) or limit < 1:
            raise ServiceError("ValidationException", "Limit must be 1 at least")
        if limit > RECORDS_MAX:
            raise ServiceError("LimitExceededException", f"Limit must be {RECORDS_MAX} at most")
        token = _token(request.get("ShardIterator"))
        stream = await self._stream({"StreamArn": token["arn"]})
        if self._now() - token["at"] > ITERATOR_SECONDS or token["generation"] != stream.iterator_generation:
            raise ServiceError("ExpiredIteratorException", "The shard iterator has expired")
        shard, after = stream.model.shards.get(token["shard"]), int(token["after"])
        if shard is None or after < shard.trimmed_to:
            raise ServiceError("TrimmedDataAccessException", "The operation attempted to read past the oldest record")
        reader, reads = token["reader"], token["reads"] + 1
        self._check_readers(stream, shard, reader, reads)
        page = _fitting(shard.after(after, limit))
        if page and self._options.empty_page_share and self._random.random() < self._options.empty_page_share:
            page = []  # and the iterator stays: readers must not take this for the end
        if page and stream.duplicates:
            stream.duplicates -= 1  # the iterator stays: the same records come once more
        elif page:
            after = page[-1].number
        more = b""
        if shard.last is None or shard.newest > after:
            more = f',"NextShardIterator":"{self._iterator(stream, shard, after, reader, reads)}"'.encode()
        return b'{"Records":[' + b",".join(record.body for record in page) + b"]" + more + b"}"

    # ---- what the emulator did

    def take_changes(self) -> None:
        """Take over what was written since the last time, of every table."""
        for stream in self._current.values():
            self.take_changes_of(stream)

    def take_changes_of(self, stream: Stream, expired: Mapping[str, Any] | None = None) -> None:
        """`expired`: the key that TTL has just deleted."""
        while changes := self._emulator.changes_since(stream.owner, stream.table, stream.position, RECORDS_MAX):
            stream.position += len(changes)
            for change in changes:
                self._deal(stream, change, expired)

    async def register(self, table: str, owner: Owner) -> Stream | None:
        """Look the table up: a stream that is new gets a model, one that it no longer has is closed. Its current stream."""
        try:
            described = (await self._emulator.call("DescribeTable", {"TableName": table}, owner))["Table"]
        except ServiceError:
            described = {}
        specification = described.get("StreamSpecification", {})
        arn = described.get("LatestStreamArn") if specification.get("StreamEnabled") else None
        current = self._current.get((owner, table))
        if current is not None and current.arn != arn:
            current.closed = self._now()
            current.model.close(current.closed)
            del self._current[owner, table]
        if arn is not None and (current is None or current.arn != arn):
            label = described.get("LatestStreamLabel") or arn.rpartition("/stream/")[2]
            now = self._now()
            model = StreamModel(self._options, seed=self._random.getrandbits(32), now=now)
            stream = Stream(arn, table, label, specification["StreamViewType"], described["KeySchema"], now, model)
            self._streams[arn] = self._current[owner, table] = stream
        return self._current.get((owner, table))

    def current(self, table: str) -> Stream:
        """The stream of a table, in whichever region. Raises LookupError."""
        for (_, name), stream in self._current.items():
            if name == table:
                return stream
        raise LookupError(f"no table {table!r} with a stream")

    def settle(self) -> None:
        """Bring every stream up to date: changes, then rolling and trimming by the clock."""
        for stream in list(self._streams.values()):
            self._settle(stream)

    def known(self, arn: str) -> Stream | None:
        """A stream that was looked up before, brought up to date."""
        if arn in self._streams:
            self._settle(self._streams[arn])
        return self._streams.get(arn)

    async def find(self, arn: str) -> Stream:
        """A stream by its ARN, brought up to date. Raises ServiceError."""
        if arn.count(":") < 5 or ":table/" not in arn or "/stream/" not in arn:
            raise ServiceError("ValidationException", "Invalid StreamArn")
        if arn not in self._streams:
            await self.register(arn.split(":table/")[1].split("/stream/")[0], Owner.of_arn(arn))
        stream = self.known(arn)
        if stream is None:
            raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
        return stream

    # ---- keeping

    def to_json(self) -> list[dict[str, Any]]:
        names = ("arn", "table", "label", "view_type", "key_schema", "created", "closed")
        return [{n: getattr(s, n) for n in names} | {"model": s.model.to_json()} for s in self._streams.values()]

    async def resume(self, kept: Iterable[Mapping[str, Any]]) -> None:
        """Take up what `to_json` gave; streams whose tables are gone since then are closed."""
        for document in kept:
            model = StreamModel.from_json(self._options, document["model"], seed=self._random.getrandbits(32))
            stream = Stream(**{**document, "model": model})
            self._streams[stream.arn] = stream
            if stream.enabled:
                self._current[stream.owner, stream.table] = stream
        for owner, table in list(self._current):
            await self.register(table, owner)

    # ---- inside

    async def _table_names(self, owner: Owner) -> list[str]:
        names: list[str] = []
        start: dict[str, str] = {}
        while True:
            page = await self._emulator.call("ListTables", start, owner)
            names += page["TableNames"]
            if "LastEvaluatedTableName" not in page:
                return names
            start = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}

    async def _stream(self, request: Mapping[str, Any]) -> Stream:
        return await self.find(str(request.get("StreamArn", "")))

    def _settle(self, stream: Stream) -> None:
        now = self._now()
        if stream.enabled:
            self.take_changes_of(stream)
            stream.model.roll_old(now)
        stream.model.trim(now)
        if stream.closed is not None and stream.closed < now - RETENTION_SECONDS:
            del self._streams[stream.arn]

    def _deal(self, stream: Stream, record: Mapping[str, Any], expired: Mapping[str, Any] | None) -> None:
        change, kind = record["dynamodb"], record["eventName"]
        images = {name: change[name] for name in ("Keys", "NewImage", "OldImage") if name in change}
        sizes = {name: item_bytes(image) for name, image in images.items()}
        if kind == "MODIFY" and sizes.get("NewImage") == sizes.get("OldImage") and _are_equal(images):
            return
        hash_name = next(k["AttributeName"] for k in stream.key_schema if k["KeyType"] == "HASH")
        identity = {"userIdentity": TTL_IDENTITY} if kind == "REMOVE" and change["Keys"] == expired else {}

        def encode(number: int, second: int) -> bytes:
            event = {
                "eventID": hashlib.md5(f"{stream.arn}{number}".encode(), usedforsecurity=False).hexdigest(),
                "eventName": kind,
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": stream.owner.region,
                "dynamodb": {
                    "ApproximateCreationDateTime": second,
                    **images,
                    "SequenceNumber": str(number),
                    "SizeBytes": sum(sizes.values()),
                    "StreamViewType": stream.view_type,
                },
                **identity,
            }
            return json.dumps(event).encode()

        stream.model.append(json.dumps(change["Keys"][hash_name]), sum(sizes.values()), self._now(), encode)

    def _iterator(self, stream: Stream, shard: Shard, after: int, reader: str, reads: int) -> str:
        token = {
            "arn": stream.arn,
            "shard": shard.shard_id,
            "after": str(after),
            "at": self._now(),
            "generation": stream.iterator_generation,
            "reader": reader,
            "reads": reads,
        }
        return base64.urlsafe_b64encode(json.dumps(token).encode()).decode()

    def _check_readers(self, stream: Stream, shard: Shard, reader: str, reads: int) -> None:
        """Two processes may follow a shard. One that follows is a chain of iterators that is read again and again."""
        if reads < READER_READS:
            return
        now = self._now()
        seen = stream.readers.setdefault(shard.shard_id, {})
        for other in [other for other, last in seen.items() if now - last > READER_SECONDS]:
            del seen[other]
        if reader not in seen and len(seen) >= READERS_MAX:
            raise ServiceError("LimitExceededException", f"More than {READERS_MAX} readers of one shard")
        seen[reader] = now


def _start(shard: Shard, request: Mapping[str, Any], now: float) -> int:
    """The number behind which an iterator starts."""
    kind = request.get("ShardIteratorType")
    if kind == "TRIM_HORIZON":
        return shard.trimmed_to
    if kind == "LATEST":
        return shard.newest
    if kind == "AT_TIMESTAMP":
        time = request.get("Timestamp")
        if not isinstance(time, int | float) or time > now:
            raise ServiceError("ValidationException", "Timestamp is missing or in the future")
        older = shard.before_time(time)
        return shard.records[older - 1].number if older else shard.trimmed_to
    if kind not in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        raise ServiceError("ValidationException", f"Unknown ShardIteratorType {kind!r}")
    text = str(request.get("SequenceNumber", ""))
    if not (text.isascii() and text.isdigit() and 21 <= len(text) <= 40):
        raise ServiceError("ValidationException", "SequenceNumber must be 21 to 40 digits")
    number = int(text)
    if not shard.first <= number <= (shard.last or max(shard.first, shard.newest)):
        raise ServiceError("ValidationException", f"SequenceNumber {text} is not of shard {shard.shard_id}")
    after = number if kind == "AFTER_SEQUENCE_NUMBER" else number - 1
    if after < shard.trimmed_to:
        raise ServiceError("TrimmedDataAccessException", "The sequence number is older than the trim horizon")
    return after


def _are_equal(images: Mapping[str, Any]) -> bool:
    """Whether an update changed nothing: the emulator takes a set in another order for another set."""
    return "OldImage" in images and _unordered(images["NewImage"]) == _unordered(images["OldImage"])


def _unordered(value: Any) -> Any:
    """DynamoDB JSON with its sets sorted. What only looks like a set (an attribute named SS) is no list of texts."""
    if isinstance(value, dict):
        return {
            name: sorted(content) if name in ("SS", "NS", "BS") and isinstance(content, list) else _unordered(content)
            for name, content in value.items()
        }
    return list(map(_unordered, value)) if isinstance(value, list) else value


def _token(iterator: Any) -> dict[str, Any]:
    try:
        token: dict[str, Any] = json.loads(base64.urlsafe_b64decode(str(iterator)))
        if not {"arn", "shard", "after", "at", "generation", "reader", "reads"} <= token.keys():
            raise ValueError("not an iterator of ours")
    except (ValueError, AttributeError) as error:
        raise ServiceError("ValidationException", "Invalid ShardIterator") from error
    return token


def table_of_iterator(iterator: Any) -> str | None:
    """The table that an iterator reads, None where it is none."""
    try:
        return str(_token(iterator)["arn"]).split(":table/")[1].split("/stream/")[0]
    except (ServiceError, IndexError):
        return None


def _limit(request: Mapping[str, Any]) -> int:
    limit = request.get("Limit", LIST_MAX)
    if not isinstance(limit, int) or not 1 <= limit <= LIST_MAX:
        raise ServiceError("ValidationException", f"Limit must be 1 to {LIST_MAX}")
    return limit


def _described(shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": str(shard.first)}
    if shard.last is not None:
        numbers["EndingSequenceNumber"] = str(shard.last)
    parent = {} if shard.parent is None else {"ParentShardId": shard.parent}
    return {"ShardId": shard.shard_id, "SequenceNumberRange": numbers, **parent}


def _fitting(records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    """As many as fit one answer of 1 MB, at least one."""
    size = 0
    for count, record in enumerate(records):
        size += record.size
        if count and size > PAGE_BYTES_MAX:
            return records[:count]
    return records
