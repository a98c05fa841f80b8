"""What stands in a stream record, which writes make one, and which do not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from stream_reader import Account, keys, numbers

from tailrace.local.client import LocalAws
from tailrace.local.sizes import item_bytes

pytestmark = pytest.mark.embedded
OPTIONS = {"first_number": 10**30 - 20_000_000}


def test_a_record_from_head_to_foot(aws: LocalAws, account: Account, table: str) -> None:
    account.put(table, "a", v={"N": "1.50"}, b={"B": b"\x00\xff"}, tags={"SS": ["y", "x"]})
    (record,) = account.read(table)
    change = record["dynamodb"]
    assert len(record["eventID"]) == 32
    assert {name: record[name] for name in ("eventName", "eventVersion", "eventSource", "awsRegion")} == {
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
    }
    assert "userIdentity" not in record
    assert change["Keys"] == {"pk": {"S": "a"}}
    assert change["NewImage"]["v"] == {"N": "1.5"}
    assert change["NewImage"]["b"] == {"B": b"\x00\xff"}
    assert "OldImage" not in change
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert change["SequenceNumber"].isdigit()
    assert change["ApproximateCreationDateTime"].microsecond == 0
    assert abs(change["ApproximateCreationDateTime"].timestamp() - aws.clock()) < 60


@pytest.mark.parametrize(
    ("view", "inserted", "modified", "removed"),
    [
        ("KEYS_ONLY", set(), set(), set()),
        ("NEW_IMAGE", {"NewImage"}, {"NewImage"}, set()),
        ("OLD_IMAGE", set(), {"OldImage"}, {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage"}, {"NewImage", "OldImage"}, {"OldImage"}),
    ],
)
def test_images_by_view_type(
    account: Account, view: str, inserted: set[str], modified: set[str], removed: set[str]
) -> None:
    table = account.table(view)
    account.put(table, "a", v={"N": "1"})
    account.put(table, "a", v={"N": "2"})
    account.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    records = account.read(table)
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    images = [{name for name in record["dynamodb"] if name.endswith("Image")} for record in records]
    assert images == [inserted, modified, removed]
    for record in records:
        assert record["dynamodb"]["StreamViewType"] == view
        assert record["dynamodb"]["Keys"] == {"pk": {"S": "a"}}
    if view == "NEW_AND_OLD_IMAGES":
        assert records[1]["dynamodb"]["OldImage"]["v"] == {"N": "1"}
        assert records[1]["dynamodb"]["NewImage"]["v"] == {"N": "2"}


NO_CHANGES: list[Callable[[Any, str], Any]] = [
    lambda client, table: client.put_item(TableName=table, Item={"pk": {"S": "a"}, "v": {"N": "1"}, "s": {"SS": ["x", "y"]}}),
    lambda client, table: client.put_item(TableName=table, Item={"pk": {"S": "a"}, "v": {"N": "1.0"}, "s": {"SS": ["y", "x"]}}),
    lambda client, table: client.update_item(
        TableName=table, Key={"pk": {"S": "a"}}, UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": {"N": "1"}}
    ),
    lambda client, table: client.update_item(TableName=table, Key={"pk": {"S": "a"}}, UpdateExpression="REMOVE absent"),
    lambda client, table: client.update_item(TableName=table, Key={"pk": {"S": "a"}}),
    lambda client, table: client.delete_item(TableName=table, Key={"pk": {"S": "absent"}}),
    lambda client, table: client.batch_write_item(
        RequestItems={table: [{"DeleteRequest": {"Key": {"pk": {"S": "absent"}}}}]}
    ),
    lambda client, table: client.put_item(
        TableName=table, Item={"pk": {"S": "a"}, "v": {"N": "9"}}, ConditionExpression="attribute_not_exists(pk)"
    ),
    lambda client, table: client.update_item(
        TableName=table,
        Key={"pk": {"S": "absent"}},
        UpdateExpression="SET v = :v",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":v": {"N": "9"}},
    ),
    lambda client, table: client.put_item(TableName=table, Item={"pk": {"S": "a"}, "v": {"N": "1" * 39}}),
    lambda client, table: client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": table, "Item": {"pk": {"S": "b"}}}},
            {
                "Put": {
                    "TableName": table,
                    "Item": {"pk": {"S": "a"}},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize("write", NO_CHANGES)
def test_a_write_that_changes_nothing_leaves_no_record(
    account: Account, table: str, write: Callable[[Any, str], Any]
) -> None:
    account.put(table, "a", v={"N": "1"}, s={"SS": ["x", "y"]})
    try:
        write(account.dynamodb, table)
    except account.dynamodb.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] in (  # noqa: PT017
            "ConditionalCheckFailedException",
            "TransactionCanceledException",
            "ValidationException",
        )
    account.put(table, "z")
    assert keys(account.read(table)) == ["a", "z"]


def test_an_attribute_named_like_a_set_is_no_set(account: Account, table: str) -> None:
    for order in (["x", "y"], ["y", "x"]):
        account.put(table, "a", SS={"L": [{"S": name} for name in order]})
    assert len(account.read(table)) == 2


def test_an_update_of_an_absent_item_is_one_insert(account: Account, table: str) -> None:
    account.dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"N": "1"}},
    )
    (record,) = account.read(table)
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["NewImage"] == {"pk": {"S": "a"}, "v": {"N": "1"}}


def test_batches_and_transactions_leave_a_record_for_each_write(account: Account) -> None:
    table = account.table(sort=True)
    other = account.table()
    item = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    account.dynamodb.batch_write_item(
        RequestItems={
            table: [{"PutRequest": {"Item": item}}, {"PutRequest": {"Item": {**item, "sk": {"S": "2"}}}}],
            other: [{"PutRequest": {"Item": {"pk": {"S": "o"}}}}],
        }
    )
    account.dynamodb.transact_write_items(
        TransactItems=[
            {"Delete": {"TableName": table, "Key": item}},
            {
                "Update": {
                    "TableName": table,
                    "Key": {**item, "sk": {"S": "2"}},
                    "UpdateExpression": "SET v = :v",
                    "ExpressionAttributeValues": {":v": {"N": "1"}},
                }
            },
            {"Put": {"TableName": other, "Item": {"pk": {"S": "p"}}}},
        ]
    )
    found = [(r["eventName"], r["dynamodb"]["Keys"]["sk"]["S"]) for r in account.read(table)]
    assert found == [("INSERT", "1"), ("INSERT", "2"), ("REMOVE", "1"), ("MODIFY", "2")]
    assert keys(account.read(other)) == ["o", "p"]


def test_statements_may_read_but_not_write_past_the_stream(account: Account, table: str) -> None:
    """The emulator behind would carry them out and leave no record."""
    account.put(table, "a")
    insert = f"INSERT INTO \"{table}\" VALUE {{'pk': 'b', 'v': 1}}"
    for call in (
        lambda: account.dynamodb.execute_statement(Statement=insert),
        lambda: account.dynamodb.batch_execute_statement(Statements=[{"Statement": insert}]),
        lambda: account.dynamodb.execute_transaction(TransactStatements=[{"Statement": insert}]),
    ):
        with pytest.raises(account.dynamodb.exceptions.ClientError, match="PutItem"):
            call()
    found = account.dynamodb.execute_statement(Statement=f'select * from "{table}"')
    assert found["Items"] == [{"pk": {"S": "a"}}]
    assert keys(account.read(table)) == ["a"]


def test_a_record_keeps_the_image_of_its_moment(account: Account, table: str) -> None:
    nested = {"M": {"list": {"L": [{"N": "0"}]}}}
    account.put(table, "a", nested=nested)
    for n in range(1, 4):
        account.dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": "a"}},
            UpdateExpression="SET nested.#l[0] = :n",
            ExpressionAttributeNames={"#l": "list"},
            ExpressionAttributeValues={":n": {"N": str(n)}},
        )
    images = [record["dynamodb"]["NewImage"]["nested"]["M"]["list"]["L"][0]["N"] for record in account.read(table)]
    assert images == ["0", "1", "2", "3"]


def test_sequence_numbers_grow_and_cross_a_length(account: Account, table: str) -> None:
    account.put_many(table, 100)
    found = numbers(account.read(table))
    assert found == sorted(set(found))
    assert {len(str(number)) for number in found} == {30, 31}


def test_by_default_they_cross_from_21_to_22_digits() -> None:
    with LocalAws(seed=3) as aws:
        account = Account(aws)
        table = account.table()
        account.put_many(table, 1000)
        found = numbers(account.read(table))
        assert found == sorted(set(found))
        assert {len(str(number)) for number in found} == {21, 22}


def test_forty_digits() -> None:
    with LocalAws(first_number=10**39) as aws:
        account = Account(aws)
        table = account.table()
        account.put(table, "a")
        arn = account.arn(table)
        (shard,) = account.shards(arn)
        (number,) = (r["dynamodb"]["SequenceNumber"] for r in account.read(table))
        assert len(number) == 40
        assert keys(account.read_shard(arn, shard["ShardId"], "AT_SEQUENCE_NUMBER", SequenceNumber=number)) == ["a"]


def test_sizes_are_those_of_the_documentation() -> None:
    """The three records that AWS shows as its example of a stream event have SizeBytes 26, 59 and 38."""
    key = {"Id": {"N": "101"}}
    new, changed = ({"Message": {"S": text}, **key} for text in ("New item!", "This item has changed"))
    assert item_bytes(key) + item_bytes(new) == 26
    assert item_bytes(key) + item_bytes(changed) + item_bytes(new) == 59
    assert item_bytes(key) + item_bytes(changed) == 38


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2),
        ({"S": "\ud800"}, 3),
        ({"N": "0"}, 1),
        ({"N": "-12.5"}, 4),
        ({"N": "100000"}, 2),
        ({"B": base64.b64encode(b"123").decode()}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "22"]}, 4),
        ({"BS": ["AA=="]}, 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}]}, 6),
        ({"M": {"a": {"S": "b"}}}, 6),
    ],
)
def test_the_size_of_every_type(value: dict[str, Any], size: int) -> None:
    assert item_bytes({"name": value}) == 4 + size


def test_size_bytes_counts_keys_and_images(account: Account, table: str) -> None:
    account.put(table, "12345678", v={"S": "x" * 100})
    account.put(table, "12345678", v={"S": "x" * 50})
    first, second = (record["dynamodb"]["SizeBytes"] for record in account.read(table))
    assert first == 10 + (10 + 101)
    assert second == 10 + (10 + 101) + (10 + 51)


def test_a_page_has_a_thousand_records_at_most(account: Account, table: str) -> None:
    account.put_many(table, 1100)
    arn = account.arn(table)
    (shard,) = account.shards(arn)
    pages = list(account.pages(account.iterator(arn, shard["ShardId"])))
    assert [len(page) for page in pages] == [1000, 100, 0]
    iterator = account.iterator(arn, shard["ShardId"])
    assert len(account.streams.get_records(ShardIterator=iterator, Limit=7)["Records"]) == 7
    with pytest.raises(account.streams.exceptions.LimitExceededException):
        account.streams.get_records(ShardIterator=iterator, Limit=1001)


def test_a_page_has_a_megabyte_at_most_but_one_record_always(account: Account, table: str) -> None:
    for n in range(6):
        account.put(table, f"k{n}", v={"S": "x" * 300_000})
    arn = account.arn(table)
    (shard,) = account.shards(arn)
    pages = list(account.pages(account.iterator(arn, shard["ShardId"])))
    assert [len(page) for page in pages] == [3, 3, 0]
    account.put(table, "both", v={"S": "x" * 390_000})
    account.put(table, "both", v={"S": "y" * 390_000})
    pages = list(account.pages(account.iterator(arn, shard["ShardId"])))
    assert sum(map(len, pages)) == 8
    assert all(sum(r["dynamodb"]["SizeBytes"] for r in page) <= 1 << 20 for page in pages)


def test_a_third_reader_of_a_shard_is_refused_until_another_stops(aws: LocalAws, account: Account, table: str) -> None:
    arn = account.arn(table)
    (shard,) = account.shards(arn)
    iterators = [account.iterator(arn, shard["ShardId"]) for _ in range(3)]

    def read(reader: int) -> None:
        answer = account.streams.get_records(ShardIterator=iterators[reader])
        iterators[reader] = answer["NextShardIterator"]

    for _ in range(4):
        read(0)
        read(1)
    read(2)
    read(2)  # looking is free, following is not
    with pytest.raises(account.streams.exceptions.LimitExceededException, match="readers"):
        read(2)
    aws.advance(2)
    read(2)
    read(0)


def test_two_tables_have_two_streams(account: Account) -> None:
    tables = [account.table() for _ in range(12)]
    for table in tables:
        account.put_many(table, 30, prefix=table)
    for table in tables:
        assert keys(account.read(table)) == [f"{table}{n}" for n in range(30)]
