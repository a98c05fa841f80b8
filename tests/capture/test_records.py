"""A stream record to a line: DynamoDB's export form exactly, and bad envelopes refused with their reason."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.capture.records import line_of, payload_of, sequence_number_of
from tailrace.errors import RecordInvalid
from tailrace.testing.strategies import HOSTILE_NAMES, items

WRITTEN = datetime(2026, 11, 22, 5, 6, 7, tzinfo=UTC)


def record(**change: Any) -> dict[str, Any]:
    """As boto3 gives it; None takes a part away, names of the outer level go there."""
    outer: dict[str, Any] = {"eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb"}
    inner: dict[str, Any] = {
        "ApproximateCreationDateTime": WRITTEN,
        "Keys": {"pk": {"S": "a"}},
        "NewImage": {"pk": {"S": "a"}, "n": {"N": "1"}},
        "SequenceNumber": "100000000000000000001",
        "SizeBytes": 9,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    for name, value in change.items():
        (outer if name in ("eventName", "userIdentity", "dynamodb") else inner)[name] = value
    outer.setdefault("dynamodb", {name: value for name, value in inner.items() if value is not None})
    return {name: value for name, value in outer.items() if value is not None}


def test_a_line_is_the_export_form_with_number_and_event() -> None:
    line = line_of(record(OldImage={"pk": {"S": "a"}}))
    assert line.sequence_number == 100000000000000000001
    assert line.created_ms == 1795323967000
    assert line.data == (
        b'{"Metadata":{"WriteTimestampMicros":{"N":"1795323967000000"},"SequenceNumber":{"S":"100000000000000000001"},'
        b'"EventName":{"S":"MODIFY"}},"Keys":{"pk":{"S":"a"}},"OldImage":{"pk":{"S":"a"}},'
        b'"NewImage":{"pk":{"S":"a"},"n":{"N":"1"}}}'
    )


def test_a_delete_has_no_new_image_and_ttl_marks_its_own() -> None:
    plain = json.loads(line_of(record(eventName="REMOVE", NewImage=None)).data)
    assert plain.keys() == {"Metadata", "Keys"}
    for name in ("PrincipalId", "principalId"):
        identity = {name: "dynamodb.amazonaws.com", "Type": "Service"}
        expired = json.loads(line_of(record(eventName="REMOVE", NewImage=None, userIdentity=identity)).data)
        assert expired["Metadata"]["Expired"] == {"BOOL": True}
    somebody = {"PrincipalId": "AIDAXXXX", "Type": "User"}
    other = json.loads(line_of(record(eventName="REMOVE", NewImage=None, userIdentity=somebody)).data)
    assert "Expired" not in other["Metadata"]


def test_bytes_become_base64_at_any_depth() -> None:
    image = {"b": {"B": b"\x00\xff"}, "s": {"BS": [b"a", b"b"]}, "m": {"M": {"l": {"L": [{"B": bytearray(b"z")}]}}}}
    found = json.loads(line_of(record(NewImage=image)).data)["NewImage"]
    assert found["b"]["B"] == base64.b64encode(b"\x00\xff").decode()
    assert found["s"]["BS"] == ["YQ==", "Yg=="]
    assert found["m"]["M"]["l"]["L"][0]["B"] == "eg=="


def test_line_ends_inside_values_never_end_a_line() -> None:
    value = "a\nb\r\u2028\u2029\u0085\v\f\0c"
    data = line_of(record(NewImage={"x": {"S": value}})).data
    assert b"\n" not in data
    assert json.loads(data)["NewImage"]["x"]["S"] == value


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_attribute_name_is_kept(name: str) -> None:
    assert json.loads(line_of(record(NewImage={name: {"S": "x"}})).data)["NewImage"] == {name: {"S": "x"}}


@given(items())
def test_every_item_comes_through_unchanged(item: dict[str, Any]) -> None:
    line = line_of(record(NewImage=item))
    assert json.loads(line.data)["NewImage"] == item
    assert b"\n" not in line.data


@given(st.integers(0, 10**40 - 1))
def test_every_number_of_up_to_40_digits_is_kept(number: int) -> None:
    line = line_of(record(SequenceNumber=f"{number:021d}"))
    assert line.sequence_number == number
    assert json.loads(line.data)["Metadata"]["SequenceNumber"] == {"S": str(number)}


@pytest.mark.parametrize(
    ("created", "micros"),
    [
        (WRITTEN, 1795323967000000),
        (WRITTEN.astimezone(timezone(timedelta(hours=-9, minutes=-30))), 1795323967000000),
        (WRITTEN.replace(microsecond=999_999), 1795323967999999),
        (1795323967, 1795323967000000),
        (1795323967.5, 1795323967500000),
        (0, 0),
    ],
)
def test_the_time_is_a_moment_or_seconds(created: Any, micros: int) -> None:
    line = line_of(record(ApproximateCreationDateTime=created))
    assert json.loads(line.data)["Metadata"]["WriteTimestampMicros"] == {"N": str(micros)}
    assert line.created_ms == micros // 1000


BAD: dict[str, Any] = {
    "no change": record(dynamodb=None),
    "change is text": record(dynamodb="x"),
    "no event": record(eventName=None),
    "unknown event": record(eventName="UPSERT"),
    "event is a list": record(eventName=["INSERT"]),
    "no keys": record(Keys=None),
    "empty keys": record(Keys={}),
    "keys are a list": record(Keys=["pk"]),
    "no number": record(SequenceNumber=None),
    "number is an integer": record(SequenceNumber=12),
    "number of 41 digits": record(SequenceNumber="1" * 41),
    "number with a sign": record(SequenceNumber="+1"),
    "number in Arabic digits": record(SequenceNumber="\u0661"),
    "empty number": record(SequenceNumber=""),
    "no time": record(ApproximateCreationDateTime=None),
    "time is text": record(ApproximateCreationDateTime="2026"),
    "time is true": record(ApproximateCreationDateTime=True),
    "time in milliseconds": record(ApproximateCreationDateTime=1_795_323_967_000),
    "time before 1970": record(ApproximateCreationDateTime=-1),
    "time is not a number": record(ApproximateCreationDateTime=float("nan")),
    "time without end": record(ApproximateCreationDateTime=float("inf")),
    "no new image": record(NewImage=None),
    "delete with new image": record(eventName="REMOVE"),
    "identity is text": record(userIdentity="x"),
    "a set of Python": record(NewImage={"s": {"SS": {"a"}}}),
    "a lone surrogate": record(NewImage={"s": {"S": "\ud800"}}),
    "nothing": {},
    "null": None,
    "a list": [],
    "text": "record",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_envelope_is_refused_and_its_bytes_are_kept(bad: Any) -> None:
    with pytest.raises(RecordInvalid) as raised:
        line_of(bad)
    assert "envelope" in raised.value.message
    assert isinstance(payload_of(bad), bytes)
    payload_of(bad).decode("utf-8")
    sequence_number_of(bad)


def test_nesting_beyond_reason_is_refused() -> None:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(100_000):
        value = {"L": [value]}
    deep = record(NewImage={"deep": value})
    with pytest.raises(RecordInvalid):
        line_of(deep)
    assert payload_of(deep)
