"""A shard as DescribeStream lists it."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.model.positions import SequenceNumber


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """`last` (EndingSequenceNumber) is set once the shard is closed."""

    shard_id: str
    parent: str | None
    first: SequenceNumber | None
    last: SequenceNumber | None = None
