"""Sixteen writers and four readers at once, while shards split and roll: every write is there once, each key in order."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from stream_reader import Account, Record

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

WRITERS = 16
READERS = 4
ROUNDS = 30
OPTIONS = {"shards": 4}


class Follower:
    """Reads a table's whole stream while it grows; a child only after its parent's end."""

    def __init__(self, account: Account, table: str) -> None:
        self.records: list[Record] = []
        self._account = account
        self._arn = account.arn(table)
        self._iterators: dict[str, str] = {}
        self._ended: set[str] = set()

    def step(self) -> int:
        """How many records one look at every readable shard brought."""
        shards = self._account.shards(self._arn)
        known = {shard["ShardId"] for shard in shards}
        before = len(self.records)
        for shard in shards:
            shard_id, parent = shard["ShardId"], shard.get("ParentShardId")
            if shard_id in self._ended or (parent in known and parent not in self._ended):
                continue
            iterator = self._iterators.get(shard_id) or self._account.iterator(self._arn, shard_id)
            answer = self._account.streams.get_records(ShardIterator=iterator, Limit=100)
            self.records += answer["Records"]
            if answer.get("NextShardIterator"):
                self._iterators[shard_id] = answer["NextShardIterator"]
            else:
                self._ended.add(shard_id)
        return len(self.records) - before

    def follow(self, written: threading.Event) -> None:
        while not written.is_set() or self.step():
            self.step()


def test_nothing_is_lost_doubled_or_disordered(aws: LocalAws, account: Account) -> None:
    tables = [account.table() for _ in range(2)]

    def write(writer: int) -> None:
        for round_ in range(ROUNDS):
            for table in tables:
                version = {"N": str(round_)}
                items = [{"pk": {"S": f"{writer}-{n}"}, "v": version} for n in range(4)]
                requests = [{"PutRequest": {"Item": item}} for item in items]
                account.dynamodb.batch_write_item(RequestItems={table: requests})
            account.put(tables[0], f"{writer}-single", v={"N": str(round_)})

    written = threading.Event()
    followers = [Follower(account, tables[number % 2]) for number in range(READERS)]
    with ThreadPoolExecutor(WRITERS + READERS) as pool:
        reading = [pool.submit(follower.follow, written) for follower in followers]
        writing = [pool.submit(write, writer) for writer in range(WRITERS)]
        try:
            for _ in range(5):
                aws.split(tables[0])
                aws.roll(tables[1])
            for task in writing:
                task.result(timeout=120)
        finally:
            written.set()
        for task in reading:
            task.result(timeout=120)

    for number, follower in enumerate(followers):
        singles = [] if number % 2 else [f"{writer}-single" for writer in range(WRITERS)]
        names = singles + [f"{writer}-{n}" for writer in range(WRITERS) for n in range(4)]
        seen = Counter(
            (r["dynamodb"]["Keys"]["pk"]["S"], r["dynamodb"]["NewImage"]["v"]["N"]) for r in follower.records
        )
        assert seen == Counter((name, str(round_)) for name in names for round_ in range(ROUNDS))
        for name in names:
            mine = [r for r in follower.records if r["dynamodb"]["Keys"]["pk"]["S"] == name]
            assert [int(r["dynamodb"]["NewImage"]["v"]["N"]) for r in mine] == list(range(ROUNDS))
