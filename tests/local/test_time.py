"""What the movable clock moves: trimming after 24 hours, iterators after 15 minutes, TTL, rolling by age."""

from __future__ import annotations

import pytest
from stream_reader import Account, keys, range_of

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded

HOUR = 3600
TTL_IDENTITY = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


def switch_stream(account: Account, table: str, on: bool) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"} if on else {"StreamEnabled": False}
    account.dynamodb.update_table(TableName=table, StreamSpecification=specification)


def switch_ttl(account: Account, table: str, on: bool = True, attribute: str = "ttl") -> None:
    specification = {"Enabled": on, "AttributeName": attribute}
    account.dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def test_the_clock_runs_and_moves_forward_only(aws: LocalAws) -> None:
    first = aws.clock()
    assert aws.advance(100) >= first + 100
    assert aws.clock() >= first + 100
    aws._call("POST", "clock", {"set": aws.clock() + 500})
    assert 600 <= aws.clock() - first < 660


def test_records_carry_the_clock_of_their_write(aws: LocalAws, account: Account, table: str) -> None:
    account.put(table, "a")
    aws.advance(1000)
    account.put(table, "b")
    aws.advance(1000)
    first, second = (r["dynamodb"]["ApproximateCreationDateTime"].timestamp() for r in account.read(table))
    assert 999 <= second - first <= 1030
    assert 999 <= aws.clock() - second <= 1030


def test_records_are_trimmed_after_24_hours(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    account.put_many(table, 5, prefix="old")
    (shard,) = (s["ShardId"] for s in account.shards(arn))
    old = account.read_shard(arn, shard)
    aws.advance(HOUR)
    account.put_many(table, 5, prefix="new")
    aws.advance(23 * HOUR - 120)
    assert len(account.read(table)) == 10
    waiting = account.iterator(arn, shard)
    aws.advance(240)

    assert sorted(keys(account.read(table))) == [f"new{n}" for n in range(5)]
    with pytest.raises(account.streams.exceptions.TrimmedDataAccessException):
        account.streams.get_records(ShardIterator=waiting)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in old]
    with pytest.raises(account.streams.exceptions.TrimmedDataAccessException):
        account.iterator(arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=numbers[-1])
    with pytest.raises(account.streams.exceptions.TrimmedDataAccessException):
        account.iterator(arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[-2])
    behind_the_last = account.read_shard(arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[-1])
    assert len(behind_the_last) == 5, "nothing between the mark and the horizon was lost"


def test_a_closed_shard_is_gone_a_day_later_and_its_child_keeps_the_name_of_the_parent(
    aws: LocalAws, account: Account, table: str
) -> None:
    arn = account.arn(table)
    account.put(table, "a")
    (parent,) = account.shards(arn)
    aws.split(table)
    aws.advance(23 * HOUR)
    assert parent["ShardId"] in {shard["ShardId"] for shard in account.shards(arn)}
    aws.advance(2 * HOUR)
    shards = account.shards(arn)
    assert parent["ShardId"] not in {shard["ShardId"] for shard in shards}
    assert parent["ShardId"] in {shard["ParentShardId"] for shard in shards}
    with pytest.raises(account.streams.exceptions.ResourceNotFoundException):
        account.iterator(arn, parent["ShardId"])


def test_an_iterator_lives_for_15_minutes(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    account.put(table, "a")
    (shard,) = account.shards(arn)
    iterator = account.iterator(arn, shard["ShardId"])
    aws.advance(14 * 60)
    renewed = account.streams.get_records(ShardIterator=iterator)["NextShardIterator"]
    aws.advance(2 * 60)
    with pytest.raises(account.streams.exceptions.ExpiredIteratorException):
        account.streams.get_records(ShardIterator=iterator)
    account.streams.get_records(ShardIterator=renewed)


def test_an_open_shard_rolls_over_after_four_hours_without_traffic(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    (first,) = account.shards(arn)
    aws.advance(4 * HOUR - 60)
    assert len(account.shards(arn)) == 1
    aws.advance(120)
    parent, child = account.shards(arn)
    assert child["ParentShardId"] == parent["ShardId"] == first["ShardId"]
    assert range_of(parent)[1] is not None
    assert range_of(child)[1] is None


def test_ttl_deletes_carry_the_identity_of_the_service(aws: LocalAws, account: Account, table: str) -> None:
    switch_ttl(account, table)
    now = int(aws.clock())
    account.put(table, "soon", ttl={"N": str(now + 60)})
    account.put(table, "later", ttl={"N": str(now + HOUR * 9)})
    account.put(table, "ancient", ttl={"N": str(now - 6 * 365 * 24 * HOUR)})
    account.put(table, "text", ttl={"S": str(now - 60)})
    account.put(table, "none")
    account.put(table, "by hand", ttl={"N": str(now + 60)})
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "by hand"}})
    aws.advance(2 * HOUR)

    removed = {
        record["dynamodb"]["Keys"]["pk"]["S"]: record
        for record in account.read(table)
        if record["eventName"] == "REMOVE"
    }
    assert set(removed) == {"soon", "by hand"}
    assert removed["soon"]["userIdentity"] == TTL_IDENTITY
    assert removed["soon"]["dynamodb"]["OldImage"]["ttl"] == {"N": str(now + 60)}
    assert "userIdentity" not in removed["by hand"]
    left = {item["pk"]["S"] for item in account.dynamodb.scan(TableName=table)["Items"]}
    assert left == {"later", "ancient", "text", "none"}


def test_a_key_that_expired_may_come_back_and_be_deleted_by_hand(aws: LocalAws, account: Account, table: str) -> None:
    switch_ttl(account, table)
    account.put(table, "a", ttl={"N": str(int(aws.clock()) + 60)})
    aws.advance(120)
    account.put(table, "a")
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    found = [(record["eventName"], record.get("userIdentity")) for record in account.read(table)]
    assert found == [("INSERT", None), ("REMOVE", TTL_IDENTITY), ("INSERT", None), ("REMOVE", None)]


def test_a_table_larger_than_a_page_expires_whole(aws: LocalAws, account: Account) -> None:
    table = account.table(sort=True)
    switch_ttl(account, table)
    expiry = {"N": str(int(aws.clock()) + 60)}
    for n in range(0, 60, 20):
        items = [
            {"pk": {"S": f"p{i % 3}"}, "sk": {"S": str(i)}, "ttl": expiry, "v": {"S": "x" * 50_000}}
            for i in range(n, n + 20)
        ]
        account.dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
    aws.advance(120)
    records = account.read(table)
    assert sum(record.get("userIdentity") == TTL_IDENTITY for record in records) == 60
    assert account.dynamodb.scan(TableName=table)["Count"] == 0


def test_ttl_is_described_and_switched_as_aws_does_it(account: Account, table: str) -> None:
    describe = account.dynamodb.describe_time_to_live
    assert describe(TableName=table)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    switch_ttl(account, table)
    expected = {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert describe(TableName=table)["TimeToLiveDescription"] == expected
    with pytest.raises(account.dynamodb.exceptions.ClientError, match="already enabled"):
        switch_ttl(account, table)
    with pytest.raises(account.dynamodb.exceptions.ClientError, match="different AttributeName"):
        switch_ttl(account, table, on=False, attribute="other")
    switch_ttl(account, table, on=False)
    assert describe(TableName=table)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    with pytest.raises(account.dynamodb.exceptions.ResourceNotFoundException):
        describe(TableName="absent")


def test_a_stream_switched_off_stays_readable_for_a_day_and_comes_back_under_another_arn(
    aws: LocalAws, account: Account, table: str
) -> None:
    old = account.arn(table)
    account.put(table, "before")
    switch_stream(account, table, on=False)
    account.put(table, "between")
    described = account.streams.describe_stream(StreamArn=old)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    (shard,) = described["Shards"]
    assert range_of(shard)[1] is not None
    assert keys(account.read_shard(old, shard["ShardId"])) == ["before"]

    switch_stream(account, table, on=True)
    new = account.arn(table)
    assert new != old
    account.put(table, "after")
    assert keys(account.read(table)) == ["after"]
    assert keys(account.read_shard(old, shard["ShardId"])) == ["before"]
    assert {s["StreamArn"] for s in account.streams.list_streams(TableName=table)["Streams"]} == {old, new}
    aws.advance(25 * HOUR)
    assert [s["StreamArn"] for s in account.streams.list_streams(TableName=table)["Streams"]] == [new]
    with pytest.raises(account.streams.exceptions.ResourceNotFoundException):
        account.shards(old)


def test_a_view_type_never_changes(account: Account, table: str) -> None:
    with pytest.raises(account.dynamodb.exceptions.ClientError, match="already has an enabled stream"):
        switch_stream(account, table, on=True)
    account.dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    account.put(table, "a")
    assert account.read(table)[0]["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_a_table_made_anew_is_another_one(aws: LocalAws, account: Account, table: str) -> None:
    switch_ttl(account, table)
    account.put(table, "old")
    before = account.dynamodb.describe_table(TableName=table)["Table"]
    account.dynamodb.delete_table(TableName=table)
    account.table("KEYS_ONLY", name=table)
    account.put(table, "new", ttl={"N": str(int(aws.clock()) + 60)})
    after = account.dynamodb.describe_table(TableName=table)["Table"]
    assert before["TableId"] != after["TableId"]
    assert before["LatestStreamArn"] != after["LatestStreamArn"]
    assert keys(account.read(table)) == ["new"]
    (shard,) = account.shards(before["LatestStreamArn"])
    assert keys(account.read_shard(before["LatestStreamArn"], shard["ShardId"])) == ["old"]
    aws.advance(HOUR)
    assert len(account.read(table)) == 1, "the TTL setting went with the old table"
