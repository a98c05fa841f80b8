"""What DynamoDB writes to Kinesis, as Lambda, GetRecords and Firehose hand it on."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import tailrace
from tailrace import codec
from tailrace.codec import events, records_of
from tailrace.local.kinesis import kinesis_record

MOMENT = 1_795_323_000.123456


def twice(data: bytes) -> str:
    return base64.b64encode(base64.b64encode(data)).decode()


def record(event: str = "MODIFY", precision: str | None = "MICROSECOND", **members: Any) -> dict[str, Any]:
    """As AWS documents it."""
    units = {"MICROSECOND": 1_000_000}.get(precision or "", 1000)
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": int(MOMENT * units),
        "Keys": {"pk": {"S": "a"}},
        "NewImage": {"pk": {"S": "a"}, "v": {"N": "7.25"}},
        "SizeBytes": 99,
    }
    if precision is not None:
        change["ApproximateCreationDateTimePrecision"] = precision
    if event == "REMOVE":
        change["OldImage"] = change.pop("NewImage")
    return {
        "awsRegion": "us-east-1",
        "eventID": "0f0e0d0c-1111-4222-8333-444455556666",
        "eventName": event,
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": "orders",
        "dynamodb": change | members,
        "eventSource": "aws:dynamodb",
    }


RECORDS = [record("INSERT"), record(), record("REMOVE")]


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def wrapped(value: Any) -> str:
    return base64.b64encode(dump(value)).decode()


FORMS = {
    "Firehose, without a delimiter": b"".join(map(dump, RECORDS)),
    "Firehose, with one": b"\n".join(map(dump, RECORDS)) + b"\n",
    "several documents on some lines": dump(RECORDS[0]) + b"\n" + dump(RECORDS[1]) + b" " + dump(RECORDS[2]),
    "Lambda behind Kinesis": dump(
        {"Records": [{"kinesis": {"sequenceNumber": "49", "data": wrapped(each)}} for each in RECORDS]}
    ),
    "GetRecords of Kinesis": dump({"Records": [{"SequenceNumber": "49", "Data": wrapped(each)} for each in RECORDS]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_table_with_the_moment_as_position(form: str) -> None:
    micros = 1_795_323_000_123_456
    assert tailrace.decode(FORMS[form]).to_pydict() == {
        "_tr_op": ["c", "u", "d"],
        "_tr_ts": [micros] * 3,
        "_tr_pos": [f"0001|1|{micros:040d}"] * 3,
        "_tr_expired": [False] * 3,
        "pk": ["a"] * 3,
        "v": tailrace.decode(FORMS[form])["v"].to_pylist(),
    }
    assert [None if v is None else str(v) for v in tailrace.decode(FORMS[form])["v"].to_pylist()] == [
        "7.25",
        "7.25",
        None,
    ]


@pytest.mark.parametrize("form", FORMS)
def test_pieces_never_matter(form: str) -> None:
    data = FORMS[form]
    decoded = codec.decode_segments([records_of([data[i : i + 7] for i in range(0, len(data), 7)])], "0001|1|")
    assert (decoded.rows, decoded.rejected) == ((3,), ((),))


@pytest.mark.parametrize("precision", ["MILLISECOND", None])
def test_milliseconds_are_told_or_what_they_once_all_were(precision: str | None) -> None:
    assert tailrace.decode(dump(record(precision=precision)))["_tr_ts"].to_pylist() == [1_795_323_000_123_000]


@pytest.mark.parametrize(
    "members",
    [
        {"ApproximateCreationDateTimePrecision": "NANOSECOND"},
        {"ApproximateCreationDateTimePrecision": 1000},
        {"ApproximateCreationDateTimePrecision": "MILLISECOND"},  # and the number is microseconds
        {"ApproximateCreationDateTime": 1.5},
        {"ApproximateCreationDateTime": -1},
        {"ApproximateCreationDateTime": "2026-11-22T05:00:00Z"},
        {"ApproximateCreationDateTime": None},
    ],
)
def test_a_moment_that_cannot_be_so_is_rejected_not_guessed(members: dict[str, Any]) -> None:
    decoded = codec.decode_segments([records_of([dump(record(**members))])], "0001|1|")
    assert [rejected.kind for rejected in decoded.rejected[0]] == ["bad_metadata"]


def test_microseconds_without_a_unit_are_rejected() -> None:
    odd = record(precision=None, ApproximateCreationDateTime=int(MOMENT * 1_000_000))
    decoded = codec.decode_segments([records_of([dump(odd)])], "0001|1|")
    assert [rejected.kind for rejected in decoded.rejected[0]] == ["bad_metadata"]


def test_binaries_are_decoded_once_more_wherever_they_are() -> None:
    image = {
        "pk": {"B": twice(b"key")},
        "b": {"B": twice(b"\xff\x00")},
        "empty": {"B": ""},
        "bs": {"BS": [twice(b"b"), twice(b"a")]},
        "m": {"M": {"B": {"B": twice(b"in")}, "l": {"L": [{"B": twice(b"deep")}, {"S": "QQ=="}]}}},
        "s": {"S": twice(b"text")},
    }
    (row,) = tailrace.decode(dump(record(Keys={"pk": image["pk"]}, NewImage=image))).to_pylist()
    assert (row["pk"], row["b"], row["empty"], row["bs"]) == (b"key", b"\xff\x00", b"", [b"a", b"b"])
    assert json.loads(row["m"]) == {"B": "aW4=", "l": ["ZGVlcA==", "QQ=="]}
    assert row["s"] == twice(b"text")


@pytest.mark.parametrize("text", [base64.b64encode(b"\xff\x00").decode(), "no base64", 7])
def test_a_binary_that_is_not_encoded_twice_is_rejected(text: Any) -> None:
    odd = record(NewImage={"pk": {"S": "a"}, "b": {"B": text}})
    decoded = codec.decode_segments([records_of([dump(odd)])], "0001|1|")
    assert [rejected.kind for rejected in decoded.rejected[0]] in (["bad_base64"], ["bad_value"])


def test_binaries_of_a_stream_record_are_left_alone() -> None:
    stream = record(SequenceNumber="17", NewImage={"pk": {"S": "a"}, "b": {"B": twice(b"x")}})
    del stream["recordFormat"]
    assert tailrace.decode(dump(stream))["b"].to_pylist() == [base64.b64encode(b"x")]


def test_a_delete_by_ttl_is_told() -> None:
    identity = {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    assert tailrace.decode(dump(record("REMOVE") | {"userIdentity": identity}))["_tr_expired"].to_pylist() == [True]


@pytest.mark.parametrize("tail", [b"x", b'{"awsRegion":', b"]", b'{"dynamodb": 1 "a"}' + dump(RECORDS[1])])
def test_what_stands_behind_a_record_and_is_none_is_rejected_with_the_rest_of_its_line(tail: bytes) -> None:
    damaged = dump(RECORDS[0]) + dump(RECORDS[1]) + tail + b"\n" + dump(RECORDS[2])
    decoded = codec.decode_segments([records_of([damaged])], "0001|1|")
    assert decoded.rows == (3,)
    assert [(rejected.line, rejected.kind) for rejected in decoded.rejected[0]] == [(3, "not_json")]


@pytest.mark.parametrize("data", ["", "no base64", wrapped([]), base64.b64encode(b"x").decode(), None, 7])
def test_a_record_of_kinesis_that_holds_something_else_is_rejected(data: Any) -> None:
    decoded = codec.decode_segments([records_of([dump({"Records": [{"kinesis": {"data": data}}]})])], "0001|1|")
    assert [rejected.kind for rejected in decoded.rejected[0]] == ["unknown_shape"]


def test_what_the_embedded_aws_writes_is_read() -> None:
    images = {"Keys": {"pk": {"S": "a"}}, "NewImage": {"pk": {"S": "a"}, "b": {"B": base64.b64encode(b"x").decode()}}}
    made = kinesis_record(
        {"awsRegion": "r", "eventName": "INSERT", "dynamodb": images}, "orders", "MICROSECOND", MOMENT
    )
    assert events.is_event(dump(made))
    assert tailrace.decode(dump(made))["b"].to_pylist() == [b"x"]
