"""Shards that change without being told to: by records, by traffic; and pages that are empty without being the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from stream_reader import Account, keys, parents_first, range_of

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


def test_a_shard_rolls_over_after_so_many_records() -> None:
    with LocalAws(roll_records=100) as aws:
        account = Account(aws)
        table = account.table()
        arn = account.arn(table)
        account.put_many(table, 250)
        shards = parents_first(account.shards(arn))
        assert [len(account.read_shard(arn, shard["ShardId"])) for shard in shards] == [100, 100, 50]
        assert [shard.get("ParentShardId") for shard in shards] == [None, *(s["ShardId"] for s in shards[:2])]
        for parent, child in pairwise(shards):
            last = range_of(parent)[1]
            assert last is not None
            assert last < range_of(child)[0]


def test_a_busy_shard_splits_and_a_quiet_one_does_not() -> None:
    with LocalAws(split_records_per_second=50) as aws:
        account = Account(aws)
        busy, quiet = account.table(), account.table()
        for n in range(60):
            account.put(quiet, f"k{n}")
            aws.advance(1)
        assert len(account.shards(account.arn(quiet))) == 1
        for _ in range(20):
            account.put_many(busy, 200, v={"N": str(aws.clock())})  # 200 in far less than four seconds
        shards = account.shards(account.arn(busy))
        assert len(shards) > 2
        assert all(shard.get("ParentShardId") for shard in parents_first(shards)[1:])
        records = account.read(busy)
        assert len(records) == 4000
        for key in ("k0", "k199"):
            mine = [r for r in records if r["dynamodb"]["Keys"]["pk"]["S"] == key]
            versions = [float(r["dynamodb"]["NewImage"]["v"]["N"]) for r in mine]
            assert versions == sorted(versions)
            assert len(versions) == 20


def test_several_shards_from_the_start() -> None:
    with LocalAws(shards=3) as aws:
        account = Account(aws)
        table = account.table()
        arn = account.arn(table)
        account.put_many(table, 150)
        shards = account.shards(arn)
        assert not any(shard.get("ParentShardId") for shard in shards)
        counts = [len(account.read_shard(arn, shard["ShardId"])) for shard in shards]
        assert len(counts) == 3
        assert sum(counts) == 150
        assert min(counts) > 20


def test_an_empty_page_is_not_the_end() -> None:
    with LocalAws(empty_page_share=0.5, seed=1) as aws:
        account = Account(aws)
        table = account.table()
        arn = account.arn(table)
        account.put_many(table, 50)
        (shard,) = account.shards(arn)
        aws.roll(table)
        iterator: str | None = account.iterator(arn, shard["ShardId"])
        pages = []
        while iterator is not None:
            answer = account.streams.get_records(ShardIterator=iterator, Limit=5)
            pages.append(answer["Records"])
            iterator = answer.get("NextShardIterator")
        assert [] in pages
        assert keys([record for page in pages for record in page]) == [f"k{n}" for n in range(50)]
