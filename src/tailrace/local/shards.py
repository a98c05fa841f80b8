"""A model of one DynamoDB stream: shards with lineage, records, trimming. No network, no clock of its own, no asyncio.

It keeps what AWS documents of DynamoDB Streams (`docs/local.md` lists what it does not). `now` is always Unix seconds, passed in,
and never goes back.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

RETENTION_SECONDS: Final = 24 * 3600
HASH_SPACE: Final = 1 << 32
# Numbers begin just below 10^21, so that their length grows from 21 to 22 digits after some hundred records.
FIRST_NUMBER: Final = 10**21 - 300_000_000
NUMBER_STEP_MAX: Final = 1_000_000
OPEN_SHARDS_MAX: Final = 64  # one hot key splits its shard no further


@dataclass(frozen=True, slots=True)
class Options:
    """When shards change by themselves, and what streams look like; `tailrace local` sets seed and shards only.

    A shard rolls over after `roll_seconds` or `roll_records`, and splits when one second brings it more than
    `split_records_per_second` (AWS splits a partition that takes more than 1000 writes a second); 0 never splits.
    `empty_page_share` of the answers to GetRecords are empty although there are records.
    """

    seed: int = 0
    shards: int = 1
    roll_seconds: float = 4 * 3600.0
    roll_records: int = 100_000
    split_records_per_second: int = 1000
    empty_page_share: float = 0.0
    first_number: int = FIRST_NUMBER
    export_seconds: float = 300.0  # how long an export takes, of the movable clock


@dataclass(slots=True)
class StoredRecord:
    """One record of a shard. `created` is rounded down to the second, as AWS does; `body` is the JSON that GetRecords gives."""

    number: int
    created: int
    size: int
    body: bytes


@dataclass(slots=True, eq=False)
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
    taken: int = 0  # records, the trimmed ones too
    trimmed_to: int = 0  # number of the newest record that was trimmed
    records: list[StoredRecord] = field(default_factory=list)

    def after(self, number: int, limit: int) -> Sequence[StoredRecord]:
        """At most `limit` records behind a number, oldest first."""
        start = bisect.bisect_right(self.records, number, key=_number)
        return self.records[start : start + limit]

    @property
    def newest(self) -> int:
        """The number of the last record that was taken, 0 before the first."""
        return self.records[-1].number if self.records else self.trimmed_to

    def before_time(self, seconds: float) -> int:
        """How many records are older."""
        return bisect.bisect_left(self.records, seconds, key=_created)

    def taken_in(self, second: int) -> int:
        """How many records one second brought, for a second not yet over."""
        return len(self.records) - self.before_time(second)


class StreamModel:
    """The lineage and records of one stream ARN."""

    def __init__(self, options: Options, *, seed: int, now: float) -> None:
        self._options = options
        self._random = random.Random(seed)
        self._number = options.first_number
        self._open: list[Shard] = []  # by hash_from, without holes
        self.shards: dict[str, Shard] = {}
        self.hide_children_seconds = 0.0
        borders = [HASH_SPACE * i // options.shards for i in range(options.shards + 1)]
        for low, high in pairwise(borders):
            self._open_shard(None, low, high, now, now)

    # ---- writing

    def append(self, partition_key: str, size: int, now: float, encode: Callable[[int, int], bytes]) -> None:
        """Give a record its shard, number and second; `encode(number, second)` makes its body. Too busy a shard splits."""
        place = int.from_bytes(hashlib.blake2b(partition_key.encode(), digest_size=4).digest(), "big")
        shard = self._open[bisect.bisect_right(self._open, place, key=_hash_from) - 1]
        number, second = self._next_number(), int(now)
        shard.records.append(StoredRecord(number, second, size, encode(number, second)))
        shard.taken += 1
        most = self._options.split_records_per_second
        if most and shard.taken > most and shard.taken_in(second) > most and len(self._open) < OPEN_SHARDS_MAX:
            self.split(shard.shard_id, now)
        elif shard.taken >= self._options.roll_records:
            self.roll(shard.shard_id, now)

    def split(self, shard_id: str | None, now: float) -> list[str]:
        """Close an open shard (None: the widest) and open two children, each with half of its keys. Raises LookupError."""
        shard = self._find_open(shard_id)
        middle = (shard.hash_from + shard.hash_to) // 2
        return self._replace(shard, [(shard.hash_from, middle), (middle, shard.hash_to)], now)

    def roll(self, shard_id: str | None, now: float) -> list[str]:
        """Close an open shard and open one child in its place, as AWS does it every few hours. Raises LookupError."""
        shard = self._find_open(shard_id)
        return self._replace(shard, [(shard.hash_from, shard.hash_to)], now)

    def roll_old(self, now: float) -> None:
        """Roll every open shard that is old enough."""
        for shard in list(self._open):
            if now - shard.created >= self._options.roll_seconds:
                self.roll(shard.shard_id, now)

    def close(self, now: float) -> None:
        """The stream was switched off: no shard is open any more."""
        for shard in self._open:
            self._close(shard, now)
        self._open.clear()

    def trim(self, now: float, *, everything: bool = False) -> None:
        """Drop records older than 24 hours, and closed shards that have none left and closed that long ago."""
        horizon = now - RETENTION_SECONDS
        for shard in list(self.shards.values()):
            count = len(shard.records) if everything else shard.before_time(horizon)
            if count:
                shard.trimmed_to = shard.records[count - 1].number
                del shard.records[:count]
            if not shard.records and shard.closed is not None and (everything or shard.closed < horizon):
                del self.shards[shard.shard_id]

    def skip_to(self, number: int) -> None:
        """Numbers go on from here, as they do when AWS changes their length."""
        self._number = number

    # ---- reading

    def listed(self, now: float) -> Iterator[Shard]:
        """The shards that DescribeStream shows now, oldest first."""
        return (shard for _, shard in sorted(self.shards.items()) if shard.visible_at <= now)

    # ---- keeping

    def to_json(self) -> dict[str, Any]:
        shards = [
            {name: getattr(shard, name) for name in Shard.__slots__ if name != "records"}
            | {"records": [[r.number, r.created, r.size, r.body.decode()] for r in shard.records]}
            for shard in self.shards.values()
        ]
        return {"number": self._number, "shards": shards}

    @classmethod
    def from_json(cls, options: Options, document: Mapping[str, Any], *, seed: int) -> StreamModel:
        model = cls(options, seed=seed, now=0.0)
        model._number = document["number"]
        model._random.seed(f"{seed}:{model._number}")
        model.shards = {kept["shard_id"]: _shard(kept) for kept in document["shards"]}
        model._open = sorted((s for s in model.shards.values() if s.last is None), key=_hash_from)
        return model

    # ---- inside

    def _find_open(self, shard_id: str | None) -> Shard:
        candidates = [shard for shard in self._open if shard_id in (None, shard.shard_id)]
        if not candidates:
            raise LookupError(f"there is no open shard {shard_id}" if shard_id else "no shard is open")
        return max(candidates, key=lambda shard: shard.hash_to - shard.hash_from)

    def _replace(self, shard: Shard, ranges: Sequence[tuple[int, int]], now: float) -> list[str]:
        self._close(shard, now)
        self._open.remove(shard)
        # No listing shows a child before its parent.
        visible_at = max(shard.visible_at, now + self.hide_children_seconds)
        return [self._open_shard(shard.shard_id, low, high, now, visible_at).shard_id for low, high in ranges]

    def _close(self, shard: Shard, now: float) -> None:
        shard.last = self._next_number()
        shard.closed = now

    def _open_shard(self, parent: str | None, hash_from: int, hash_to: int, now: float, visible_at: float) -> Shard:
        shard_id = f"shardId-{int(now * 1000):020d}-{self._random.getrandbits(32):08x}"
        shard = Shard(shard_id, parent, hash_from, hash_to, self._next_number(), now, visible_at)
        self.shards[shard_id] = shard
        bisect.insort(self._open, shard, key=_hash_from)
        return shard

    def _next_number(self) -> int:
        self._number += self._random.randint(1, NUMBER_STEP_MAX)
        return self._number


def _number(record: StoredRecord) -> int:
    return record.number


def _created(record: StoredRecord) -> int:
    return record.created


def _hash_from(shard: Shard) -> int:
    return shard.hash_from


def _shard(kept: Mapping[str, Any]) -> Shard:
    records = [StoredRecord(number, created, size, body.encode()) for number, created, size, body in kept["records"]]
    return Shard(**{**kept, "records": records})
