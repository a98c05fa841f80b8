"""A model of one DynamoDB stream: shards with lineage, records, trimming. No network, no clock of its own, no asyncio.

It keeps what AWS documents of DynamoDB Streams (`docs/local.md` lists what it does not). `now` is always Unix seconds, passed in.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

RETENTION_SECONDS: Final = 24 * 3600
HASH_SPACE: Final = 1 << 32
# Numbers begin just below 10^21, so that their length grows from 21 to 22 digits after some hundred records.
FIRST_NUMBER: Final = 10**21 - 300_000_000
NUMBER_STEP_MAX: Final = 1_000_000


@dataclass(slots=True)
class StoredRecord:
    """One record of a shard. `created` is rounded down to the second, as AWS does it."""

    number: int
    created: int
    size: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class Shard:
    """`hash_from <= hash(partition key) < hash_to` lands here while it is open (`last` is None)."""

    shard_id: str
    parent: str | None
    hash_from: int
    hash_to: int
    first: int
    created: float
    visible_at: float
    last: int | None = None
    closed: float | None = None
    records: list[StoredRecord] = field(default_factory=list)
    trimmed_to: int = 0  # number of the newest record that was trimmed

    def after(self, number: int) -> Sequence[StoredRecord]:
        return self.records[bisect.bisect_right(self.records, number, key=lambda r: r.number) :]


class StreamModel:
    """The lineage and records of one stream ARN."""

    def __init__(self, *, seed: int, now: float, shards: int = 1, first_number: int = FIRST_NUMBER) -> None:
        self._random = random.Random(seed)
        self.shards: dict[str, Shard] = {}
        self._number = first_number
        self.hide_children_seconds = 0.0
        step = HASH_SPACE // shards
        for i in range(shards):
            hash_to = HASH_SPACE if i == shards - 1 else (i + 1) * step
            self._open(None, i * step, hash_to, now, now)

    # ---- writing

    def append(self, partition_key: str, body: Mapping[str, Any], size: int, now: float) -> StoredRecord:
        """Give a record its shard, number and time."""
        shard = self._owner(partition_key)
        record = StoredRecord(self._next_number(), int(now), size, body)
        shard.records.append(record)
        return record

    def split(self, shard_id: str | None, now: float) -> list[str]:
        """Close an open shard (None: the widest) and open two children, each with half of its keys."""
        shard = self._open_shard(shard_id)
        middle = (shard.hash_from + shard.hash_to) // 2
        return self._replace(shard, [(shard.hash_from, middle), (middle, shard.hash_to)], now)

    def roll(self, shard_id: str | None, now: float) -> list[str]:
        """Close an open shard and open one child in its place, as AWS does it every few hours."""
        shard = self._open_shard(shard_id)
        return self._replace(shard, [(shard.hash_from, shard.hash_to)], now)

    def roll_old(self, older_than_seconds: float, records_max: int, now: float) -> None:
        """Roll every open shard that is older, or holds more records, than allowed."""
        for shard in list(self.shards.values()):
            if shard.last is None and (now - shard.created >= older_than_seconds or len(shard.records) >= records_max):
                self.roll(shard.shard_id, now)

    def close(self, now: float) -> None:
        """The stream was switched off: no shard is open any more."""
        for shard in self.shards.values():
            if shard.last is None:
                self._close(shard, now)

    def trim(self, now: float, *, everything: bool = False) -> None:
        """Drop records older than 24 hours, and closed shards that have none left and closed that long ago."""
        horizon = now - RETENTION_SECONDS
        for shard in list(self.shards.values()):
            keep = (
                len(shard.records)
                if everything
                else bisect.bisect_left(shard.records, horizon, key=lambda r: r.created)
            )
            if keep:
                shard.trimmed_to = shard.records[keep - 1].number
                del shard.records[:keep]
            if not shard.records and shard.closed is not None and shard.closed < horizon:
                del self.shards[shard.shard_id]

    # ---- reading

    def listed(self, now: float) -> Iterator[Shard]:
        """The shards that DescribeStream shows now, oldest first."""
        return (shard for _, shard in sorted(self.shards.items()) if shard.visible_at <= now)

    # ---- inside

    def _owner(self, partition_key: str) -> Shard:
        place = int.from_bytes(hashlib.blake2b(partition_key.encode(), digest_size=4).digest(), "big")
        for shard in self.shards.values():
            if shard.last is None and shard.hash_from <= place < shard.hash_to:
                return shard
        raise LookupError("the stream is closed")

    def _open_shard(self, shard_id: str | None) -> Shard:
        candidates = [s for s in self.shards.values() if s.last is None and shard_id in (None, s.shard_id)]
        if not candidates:
            raise LookupError(f"no open shard {shard_id or ''}")
        return max(candidates, key=lambda s: s.hash_to - s.hash_from)

    def _replace(self, shard: Shard, ranges: Sequence[tuple[int, int]], now: float) -> list[str]:
        self._close(shard, now)
        visible_at = now + self.hide_children_seconds
        return [self._open(shard.shard_id, low, high, now, visible_at).shard_id for low, high in ranges]

    def _close(self, shard: Shard, now: float) -> None:
        shard.last = self._next_number()
        shard.closed = now

    def _open(self, parent: str | None, hash_from: int, hash_to: int, now: float, visible_at: float) -> Shard:
        first = self._next_number()
        shard_id = f"shardId-{int(now * 1000):020d}-{self._random.getrandbits(32):08x}"
        shard = Shard(shard_id, parent, hash_from, hash_to, first, now, visible_at)
        self.shards[shard_id] = shard
        return shard

    def _next_number(self) -> int:
        self._number += self._random.randint(1, NUMBER_STEP_MAX)
        return self._number
