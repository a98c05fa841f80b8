"""Event source mappings on DynamoDB streams: each shard in order, a parent before its children, failures as AWS treats them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from tailrace.local.emulator import Owner, ServiceError
from tailrace.local.functions.batches import Cursor, Limits, Piece, after_failure, event_record, failed_from, next_piece
from tailrace.local.functions.destinations import Destinations, moment_text
from tailrace.local.functions.emulated import Functions, Invocation
from tailrace.local.functions.loop import Loop
from tailrace.local.shards import Shard, StoredRecord
from tailrace.local.streams import Stream, StreamService

RETRY_SECONDS: Final = (
    0.1,
    30.0,
)  # the first pause and the longest, of the movable clock; each is twice the one before


class Mappings:
    """All mappings. `now` gives the movable clock's Unix seconds."""

    def __init__(
        self, functions: Functions, streams: StreamService, destinations: Destinations, now: Callable[[], float]
    ) -> None:
        self._functions = functions
        self._streams = streams
        self._destinations = destinations
        self._now = now
        self._cursors: dict[
            str, dict[str, Cursor]
        ] = {}  # mapping to shard to cursor; a shard without one is read from its start
        self.loop = Loop(self._look)
        functions.on_mapping(lambda uuid, source, start: self.loop.call(self._begin, uuid, source, start))

    # ---- keeping

    def to_json(self) -> dict[str, Any]:
        return {
            uuid: {shard: asdict(cursor) for shard, cursor in cursors.items()}
            for uuid, cursors in self._cursors.items()
        }

    def resume(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what `to_json` gave."""
        for uuid, cursors in kept.items():
            self._cursors[uuid] = {
                shard: Cursor(**{**cursor, "pieces": [Piece(**piece) for piece in cursor["pieces"]]})
                for shard, cursor in cursors.items()
            }

    # ---- looking

    def _begin(self, uuid: str, source: str, start: str) -> None:
        """A mapping is new: LATEST begins behind what is there now."""
        stream = self._streams.known(source)
        if stream is not None:  # else it begins with the first look
            shards = stream.model.shards if start == "LATEST" else {}
            self._cursors[uuid] = {name: Cursor(shard.newest) for name, shard in shards.items()}
        self.loop.wake()

    async def _look(self) -> None:
        there = set()
        for mapping in list(self._functions.mappings()):
            uuid = mapping["UUID"]
            there.add(uuid)
            if str(mapping.get("Enabled", True)).lower() != "true":
                continue
            try:
                stream = await self._streams.find(mapping["EventSourceArn"])
            except ServiceError as error:
                mapping["LastProcessingResult"] = f"PROBLEM: {error}"
                continue
            if uuid not in self._cursors:
                self._begin(uuid, stream.arn, mapping.get("StartingPosition", "LATEST"))
            self._look_at_shards(mapping, stream)
        for uuid in self._cursors.keys() - there:
            del self._cursors[uuid]

    def _look_at_shards(self, mapping: dict[str, Any], stream: Stream) -> None:
        cursors, limits, now = self._cursors[mapping["UUID"]], Limits.of(mapping), self._now()
        shards = stream.model.shards
        for gone in cursors.keys() - shards.keys():
            del cursors[gone]
        for shard in list(stream.model.listed(now)):
            key = (mapping["UUID"], shard.shard_id)
            parent = None if shard.parent is None else shards.get(shard.parent)
            if self.loop.is_busy(key) or (parent is not None and not _is_finished(parent, cursors)):
                continue
            cursor = cursors.setdefault(shard.shard_id, Cursor(0))
            if cursor.retry_at > now:
                continue
            if not cursor.pieces:
                piece = next_piece(shard, cursor, limits, now)
                if piece is None:
                    continue
                cursor.pieces.append(piece)
            self.loop.begin(key, self._work(mapping, stream, shard, cursor, limits))

    # ---- one piece

    async def _work(
        self, mapping: dict[str, Any], stream: Stream, shard: Shard, cursor: Cursor, limits: Limits
    ) -> None:
        piece = cursor.pieces[0]
        records = [r for r in shard.after(piece.first - 1, len(shard.records)) if r.number <= piece.last]
        if not records:  # trimmed meanwhile
            _advance(cursor, piece, [])
            return
        fresh = next((n for n, r in enumerate(records) if not self._is_too_old(r, limits)), len(records))
        if fresh:
            await self._give_up(mapping, stream, shard, piece, records[:fresh], "RecordAgeExceeded", None)
            left = [replace(piece, first=records[fresh].number)] if fresh < len(records) else []
            _advance(cursor, piece, left)
            return
        event = {"Records": [event_record(record, stream.arn) for record in records]}
        invocation = await self._functions.invoke(mapping["FunctionArn"], event)
        if invocation.status != 200:  # it may have run, and counts as no retry
            mapping["LastProcessingResult"] = f"PROBLEM: Function call failed with status {invocation.status}"
            self._pause(cursor)
            return
        piece = replace(piece, calls=piece.calls + 1)
        numbers = [record.number for record in records]
        failed = 0 if invocation.error else failed_from(invocation.payload, numbers) if limits.reports else None
        if failed is None:
            mapping["LastProcessingResult"] = "OK"
            if stream.duplicates:
                stream.duplicates -= 1
            else:
                _advance(cursor, piece, [])
            cursor.failures, cursor.retry_at = 0, 0.0
            return
        mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        left, given_up = after_failure(piece, numbers, failed, limits)
        if given_up is not None:
            given = records[failed:]
            await self._give_up(mapping, stream, shard, given_up, given, "RetryAttemptsExhausted", invocation)
        is_smaller = given_up is not None or failed > 0 or len(left) > 1
        _advance(cursor, piece, left)
        if is_smaller:
            cursor.failures, cursor.retry_at = 0, 0.0
        else:
            self._pause(cursor)

    def _is_too_old(self, record: StoredRecord, limits: Limits) -> bool:
        return limits.age_seconds > 0 and self._now() - record.created > limits.age_seconds

    def _pause(self, cursor: Cursor) -> None:
        shortest, longest = RETRY_SECONDS
        cursor.retry_at = self._now() + min(longest, shortest * 2 ** min(cursor.failures, 20))
        cursor.failures += 1

    async def _give_up(
        self,
        mapping: Mapping[str, Any],
        stream: Stream,
        shard: Shard,
        piece: Piece,
        records: Iterable[StoredRecord],
        condition: str,
        invocation: Invocation | None,
    ) -> None:
        """Tell the destination, if there is one. To a bucket the records go too."""
        destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if not destination:
            return
        records = list(records)
        context: dict[str, Any] = {
            "functionArn": mapping["FunctionArn"],
            "condition": condition,
            "approximateInvokeCount": piece.calls,
        }
        told: dict[str, Any] = {"requestContext": context}
        if invocation is not None:
            context["requestId"] = invocation.request_id
            told["responseContext"] = invocation.response_context()
        now = self._now()
        told |= {
            "version": "1.0",
            "timestamp": moment_text(now),
            "DDBStreamBatchInfo": {
                "shardId": shard.shard_id,
                "startSequenceNumber": str(records[0].number),
                "endSequenceNumber": str(records[-1].number),
                "approximateArrivalOfFirstRecord": moment_text(records[0].created, milliseconds=False),
                "approximateArrivalOfLastRecord": moment_text(records[-1].created, milliseconds=False),
                "batchSize": len(records),
                "streamArn": stream.arn,
            },
        }
        if destination.startswith("arn:aws:s3:"):
            told["payload"] = json.dumps({"Records": [event_record(record, stream.arn) for record in records]})
        folder = f"aws/lambda/{mapping['UUID']}/{shard.shard_id}"
        owner = Owner.of_arn(mapping["FunctionArn"])
        await self._destinations.send(destination, told, owner, folder=folder, now=now)


def _is_finished(shard: Shard, cursors: Mapping[str, Cursor]) -> bool:
    cursor = cursors.get(shard.shard_id)
    return cursor is not None and shard.last is not None and not cursor.pieces and not shard.after(cursor.taken, 1)


def _advance(cursor: Cursor, piece: Piece, left: list[Piece]) -> None:
    """`left` takes the place of the first piece."""
    cursor.pieces[0:1] = left
    cursor.taken = max(cursor.taken, piece.last)
