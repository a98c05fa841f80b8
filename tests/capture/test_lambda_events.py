"""A stream's event to lines: order, positions, times, bad records set aside, and where to go on when time is short."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.capture.lambda_events import LOOK_EVERY, batch_of, encode_batch
from tailrace.capture.records import line_of
from tailrace.errors import UsageInvalid

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-11-22T05:00:00.000"
T0 = 1_795_323_967


def record(number: int, created: int = T0, **change: Any) -> dict[str, Any]:
    """As Lambda gives it; None takes a part away."""
    key = {"pk": {"S": f"k{number}"}}
    inner = {
        "ApproximateCreationDateTime": created,
        "Keys": key,
        "NewImage": {**key, "n": {"N": "1"}},
        "SequenceNumber": f"{number:021d}",
        **change,
    }
    inner = {name: value for name, value in inner.items() if value is not None}
    return {"eventID": "1", "eventName": "MODIFY", "eventSourceARN": ARN, "dynamodb": inner}


def never() -> bool:
    return False


def test_lines_are_those_of_the_poller_in_order() -> None:
    records = [record(5, T0), record(6, T0 + 2), record(7, T0 + 1)]
    encoded = encode_batch(batch_of({"Records": records}), never)
    assert encoded.lines == [line_of(r).data for r in records]
    assert (encoded.first, encoded.last) == (5, 7)
    assert (encoded.oldest_ms, encoded.newest_ms) == (T0 * 1000, (T0 + 2) * 1000)
    assert (encoded.poison, encoded.left) == ([], None)


def test_positions_are_the_least_and_the_greatest_whatever_the_order() -> None:
    encoded = encode_batch(batch_of({"Records": [record(6), record(5), record(7), record(4)]}), never)
    assert (encoded.first, encoded.last) == (4, 7)


def test_the_table_is_read_from_the_stream() -> None:
    batch = batch_of({"Records": [record(1)]})
    assert (batch.table, batch.stream_arn) == ("orders", ARN)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"Records": []},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"Records": [{"eventSourceARN": "arn:aws:kinesis:eu-west-1:1:stream/x"}]},
        {"Records": [record(1), {**record(2), "eventSourceARN": ARN + "1"}]},
    ],
)
def test_what_is_no_stream_event_is_refused_with_a_sentence(event: Any) -> None:
    with pytest.raises(UsageInvalid, match="no event of a DynamoDB stream"):
        batch_of(event)


@pytest.mark.parametrize(
    "bad",
    [
        record(2, Keys=None),
        record(2, SequenceNumber="x"),
        record(2, NewImage={"pk": {"S": "\ud800"}}),
        record(2, ApproximateCreationDateTime=float("nan")),
        {"eventSourceARN": ARN},
        "not even a record",
        None,
    ],
)
def test_a_bad_record_is_set_aside_whole_and_its_neighbours_land(bad: Any) -> None:
    encoded = encode_batch(batch_of({"Records": [record(1), bad, record(3)]}), never)
    assert [len(encoded.lines), encoded.first, encoded.last, encoded.left] == [2, 1, 3, None]
    (aside,) = encoded.poison
    assert (aside.kind, bool(aside.reason), bool(aside.payload)) == ("bad_envelope", True, True)


def test_when_time_is_short_it_says_where_to_go_on() -> None:
    records = [record(n) for n in range(1, 2 * LOOK_EVERY + 1)]
    encoded = encode_batch(batch_of({"Records": records}), lambda: True)
    assert len(encoded.lines) == LOOK_EVERY
    assert encoded.left == records[LOOK_EVERY]["dynamodb"]["SequenceNumber"]


def test_it_goes_on_to_a_record_that_lambda_can_be_told_of() -> None:
    records: list[Any] = [record(n) for n in range(1, LOOK_EVERY + 1)]
    records += ["no position", record(LOOK_EVERY + 2)]
    encoded = encode_batch(batch_of({"Records": records}), lambda: True)
    assert (len(encoded.lines), len(encoded.poison)) == (LOOK_EVERY, 1)
    assert encoded.left == records[-1]["dynamodb"]["SequenceNumber"]
