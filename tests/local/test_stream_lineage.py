"""Shards as DescribeStream shows them: split, roll, parents before children, paging; always through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stream_reader import Account, keys, numbers, parents_first, range_of

from tailrace.local.client import LocalAws

pytestmark = pytest.mark.embedded


def test_a_new_stream_has_one_open_shard_without_parent(account: Account, table: str) -> None:
    (shard,) = account.shards(account.arn(table))
    assert "ParentShardId" not in shard
    assert range_of(shard)[1] is None
    assert 28 <= len(shard["ShardId"]) <= 65


def test_a_split_closes_the_parent_and_shares_its_keys_between_two_children(
    aws: LocalAws, account: Account, table: str
) -> None:
    arn = account.arn(table)
    account.put_many(table, 60, prefix="before")
    (parent,) = account.shards(arn)
    children = aws.split(table)
    account.put_many(table, 60, prefix="after")

    by_id = {shard["ShardId"]: shard for shard in account.shards(arn)}
    assert set(by_id) == {parent["ShardId"], *children}
    assert [by_id[child]["ParentShardId"] for child in children] == [parent["ShardId"]] * 2
    first, last = range_of(by_id[parent["ShardId"]])
    old = account.read_shard(arn, parent["ShardId"])
    assert last is not None
    assert sorted(keys(old)) == sorted(f"before{n}" for n in range(60))
    assert first < min(numbers(old)) <= max(numbers(old)) < last
    halves = [account.read_shard(arn, child) for child in children]
    assert sorted(keys(halves[0]) + keys(halves[1])) == sorted(f"after{n}" for n in range(60))
    assert all(len(half) > 10 for half in halves), "one child took nearly everything"
    for child, half in zip(children, halves, strict=True):
        assert last < range_of(by_id[child])[0] < min(numbers(half))


def test_a_key_stays_on_one_line_of_shards_and_in_order(aws: LocalAws, account: Account, table: str) -> None:
    for round_ in range(6):
        for key in range(10):
            account.put(table, f"k{key}", v={"N": str(round_)})
        if round_ == 2:
            aws.roll(table)
        elif round_ < 5:
            aws.split(table)
    records = account.read(table)
    for key in range(10):
        mine = [r for r in records if r["dynamodb"]["Keys"]["pk"]["S"] == f"k{key}"]
        assert [r["dynamodb"]["NewImage"]["v"]["N"] for r in mine] == ["0", "1", "2", "3", "4", "5"]
        assert numbers(mine) == sorted(numbers(mine))


def test_a_named_shard_is_split_and_the_widest_otherwise(aws: LocalAws, account: Account, table: str) -> None:
    left, right = aws.split(table)
    children = aws.split(table, right)
    by_id = {shard["ShardId"]: shard for shard in account.shards(account.arn(table))}
    assert {by_id[child]["ParentShardId"] for child in children} == {right}
    assert {shard["ParentShardId"] for shard in (aws.split(table), account.shards(account.arn(table)))[1][-2:]} == {
        left
    }


def test_a_roll_has_one_child(aws: LocalAws, account: Account, table: str) -> None:
    (parent,) = account.shards(account.arn(table))
    (child,) = aws.roll(table)
    shards = account.shards(account.arn(table))
    assert [(s["ShardId"], s.get("ParentShardId")) for s in parents_first(shards)] == [
        (parent["ShardId"], None),
        (child, parent["ShardId"]),
    ]


def test_a_closed_leaf_shows_no_child_for_a_moment(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    (parent,) = account.shards(arn)
    aws.shards("hide_children", table, seconds=20)
    children = aws.split(table)
    account.put_many(table, 25)
    (leaf,) = account.shards(arn)
    assert range_of(leaf)[1] is not None
    assert account.read_shard(arn, parent["ShardId"]) == []
    with pytest.raises(account.streams.exceptions.ResourceNotFoundException):
        account.iterator(arn, children[0])
    aws.advance(21)
    assert {shard["ShardId"] for shard in account.shards(arn)} == {parent["ShardId"], *children}
    assert len(account.read(table)) == 25


def test_more_than_a_hundred_shards_come_in_pages(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    for _ in range(60):
        aws.split(table)
    first = account.streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert len(first["Shards"]) == 100
    assert first["LastEvaluatedShardId"] == first["Shards"][-1]["ShardId"]
    shards = account.shards(arn)
    assert len({shard["ShardId"] for shard in shards}) == len(shards) == 121
    assert account.shards(arn, Limit=7) == shards
    assert len(parents_first(shards)) == 121
    with pytest.raises(account.streams.exceptions.ClientError, match="Limit must be 1 to 100"):
        account.streams.describe_stream(StreamArn=arn, Limit=101)


def test_the_children_of_a_shard_alone(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    (parent,) = account.shards(arn)
    children = aws.split(table)
    aws.split(table, children[0])
    found = account.shards(arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]})
    assert {shard["ShardId"] for shard in found} == set(children)


def test_the_end_is_null_only_on_a_closed_shard_read_to_its_end(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    account.put_many(table, 10)
    (parent,) = account.shards(arn)
    iterator = account.iterator(arn, parent["ShardId"])
    answer = account.streams.get_records(ShardIterator=iterator)
    assert len(answer["Records"]) == 10
    for _ in range(3):  # an open shard goes on, however empty
        answer = account.streams.get_records(ShardIterator=answer["NextShardIterator"])
        assert answer["Records"] == []
        assert answer["NextShardIterator"]
    (child,) = aws.roll(table)
    half = account.streams.get_records(ShardIterator=iterator, Limit=4)
    assert half["NextShardIterator"], "closed, but six records are left"
    rest = account.streams.get_records(ShardIterator=half["NextShardIterator"])
    assert len(rest["Records"]) == 6
    assert "NextShardIterator" not in rest
    assert "NextShardIterator" not in account.streams.get_records(ShardIterator=answer["NextShardIterator"])
    assert account.streams.get_records(ShardIterator=account.iterator(arn, child))["NextShardIterator"]


def test_iterators_of_every_type(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    for n in range(6):
        account.put(table, f"k{n}")
        aws.advance(10)
    (shard,) = (s["ShardId"] for s in account.shards(arn))
    everything = account.read_shard(arn, shard)
    third = everything[2]["dynamodb"]
    assert keys(everything) == [f"k{n}" for n in range(6)]
    assert keys(account.read_shard(arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=third["SequenceNumber"])) == [
        "k2",
        "k3",
        "k4",
        "k5",
    ]
    assert keys(account.read_shard(arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=third["SequenceNumber"])) == [
        "k3",
        "k4",
        "k5",
    ]
    assert account.read_shard(arn, shard, "LATEST") == []
    latest = account.iterator(arn, shard, "LATEST")
    account.put(table, "new")
    assert keys(account.streams.get_records(ShardIterator=latest)["Records"]) == ["new"]


def test_an_iterator_at_a_time(aws: LocalAws, account: Account, table: str) -> None:
    """Asked without botocore: the pinned one does not know AT_TIMESTAMP yet."""
    arn = account.arn(table)
    for n in range(4):
        account.put(table, f"k{n}")
        aws.advance(10)
    (shard,) = (s["ShardId"] for s in account.shards(arn))
    everything = account.read_shard(arn, shard)
    third = everything[2]["dynamodb"]["ApproximateCreationDateTime"].timestamp()

    def ask(seconds: float | None) -> tuple[int, dict[str, Any]]:
        request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": seconds}
        return account.raw("DynamoDBStreams_20120810.GetShardIterator", json.dumps(request).encode())

    def read(seconds: float) -> list[str]:
        return keys(next(account.pages(ask(seconds)[1]["ShardIterator"])))

    assert read(third) == ["k2", "k3"]
    assert read(third + 1) == ["k3"]
    assert read(0) == keys(everything)
    for wrong in (aws.clock() + 60, None):
        status, answer = ask(wrong)
        assert (status, answer["__type"].rpartition("#")[2]) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("kind", "position", "message"),
    [
        ("AT_SEQUENCE_NUMBER", {}, "21 to 40 digits"),
        ("AFTER_SEQUENCE_NUMBER", {"SequenceNumber": "x" * 21}, "21 to 40 digits"),
        ("AFTER_SEQUENCE_NUMBER", {"SequenceNumber": "9" * 40}, "is not of shard"),
        ("AFTER_SEQUENCE_NUMBER", {"SequenceNumber": "0" * 20 + "1"}, "is not of shard"),
        ("SOMEWHERE", {}, "Unknown ShardIteratorType"),
    ],
)
def test_a_wrong_position_is_refused(
    account: Account, table: str, kind: str, position: dict[str, str], message: str
) -> None:
    arn = account.arn(table)
    (shard,) = (s["ShardId"] for s in account.shards(arn))
    with pytest.raises(account.streams.exceptions.ClientError, match=message):
        account.iterator(arn, shard, kind, **position)


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:dynamodb:us-east-1:000000000000:table/nothing/stream/2026-01-01T00:00:00.000", "ResourceNotFound"),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/nothing/stream/2026-01-01T00:00:00.000", "ResourceNotFound"),
        ("arn:aws:s3:::" + "x" * 40, "Validation"),
        ("x" * 40, "Validation"),
    ],
)
def test_a_stream_that_is_none(account: Account, arn: str, code: str) -> None:
    with pytest.raises(account.streams.exceptions.ClientError, match=code):
        account.streams.describe_stream(StreamArn=arn)


@pytest.mark.parametrize("iterator", ["x", "bm90IGpzb24=", "e30=", "W10=", "MQ==", "ünicode"])
def test_an_iterator_that_is_none(account: Account, iterator: str) -> None:
    with pytest.raises(account.streams.exceptions.ClientError, match="Invalid ShardIterator"):
        account.streams.get_records(ShardIterator=iterator)


def test_streams_are_listed_in_pages_by_table_and_region(account: Account) -> None:
    names = {account.table() for _ in range(4)}
    found, request = [], {}
    while True:
        page = account.streams.list_streams(Limit=3, **request)
        found += page["Streams"]
        if "LastEvaluatedStreamArn" not in page:
            break
        request = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert names <= {stream["TableName"] for stream in found}
    assert len({stream["StreamArn"] for stream in found}) == len(found)
    one = min(names)
    assert [s["StreamArn"] for s in account.streams.list_streams(TableName=one)["Streams"]] == [account.arn(one)]
    assert account.client("dynamodbstreams", "eu-west-1").list_streams()["Streams"] == []


def test_accounts_regions_and_tables_are_kept_apart(account: Account) -> None:
    here = account.table(name="same-name")
    elsewhere = Account(account.aws)
    elsewhere.dynamodb, elsewhere.streams = (
        account.client(service, "eu-west-1") for service in ("dynamodb", "dynamodbstreams")
    )
    elsewhere.table(name="same-name")
    account.put(here, "here")
    elsewhere.put("same-name", "elsewhere")
    assert keys(account.read(here)) == ["here"]
    (record,) = elsewhere.read("same-name")
    assert record["awsRegion"] == "eu-west-1"
    assert keys([record]) == ["elsewhere"]
